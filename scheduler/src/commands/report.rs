//! The results of the commands as text and as JSON. Pure functions.

use std::fmt::Write as _;

use jiff::Timestamp;
use r3e_common::runtime::config::Schedule;
use serde_json::{Value, json};

use crate::calendar::{Calendar, Rule, Zone};
use crate::saved_state::Pending;
use crate::timetable::{Action, Due};

/// A run that is due.
#[derive(Debug)]
pub(super) struct Run<'a> {
    at: Timestamp,
    in_seconds: i64,
    zone: &'a Zone,
    /// The rules that are due then.
    rules: Vec<&'a Rule>,
}

impl<'a> Run<'a> {
    /// The next `count` runs after `now`.
    pub(super) fn following(calendar: &'a Calendar, now: Timestamp, count: u32) -> Vec<Self> {
        let (zone, mut last, mut runs) = (calendar.zone(), now, Vec::new());
        for _ in 0..count {
            let Some((at, rules)) = calendar.run_after(last) else { break };
            runs.push(Self { at, in_seconds: at.duration_since(now).as_secs(), zone, rules });
            last = at;
        }
        runs
    }

    fn json(&self) -> Value {
        let rules: Vec<Value> = self.rules.iter().map(|rule| rule_json(rule)).collect();
        json!({"at": rfc3339(self.zone, self.at), "time_zone": self.zone.name(), "in_seconds": self.in_seconds, "rules": rules})
    }
}

/// An unfinished due refresh, from the scheduler's saved state.
#[derive(Debug)]
pub(super) struct Waiting<'a> {
    pub(super) pending: Pending,
    pub(super) zone: &'a Zone,
    pub(super) now: Timestamp,
}

impl Waiting<'_> {
    fn text(&self) -> String {
        let Pending { attempt, not_before, .. } = self.pending;
        match not_before.map(|at| at.duration_since(self.now).as_secs()) {
            Some(seconds) if seconds > 0 => format!("attempt {attempt} in {}", time_until(seconds)),
            Some(_) => format!("attempt {attempt}, running or waiting for another job"),
            None => format!("attempt {attempt} when the configuration is reloaded"),
        }
    }

    fn json(&self) -> Value {
        let Pending { attempt, not_before, .. } = self.pending;
        json!({"attempt": attempt, "not_before": not_before.map(|at| rfc3339(self.zone, at))})
    }
}

/// The result of `next`.
#[derive(Debug)]
pub(super) struct Upcoming<'a> {
    pub(super) waiting: Option<Waiting<'a>>,
    pub(super) runs: Vec<Run<'a>>,
    pub(super) schedule: &'a Schedule,
}

impl Upcoming<'_> {
    /// One line per run, and one about retries.
    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        if let Some(waiting) = &self.waiting {
            let _infallible =
                writeln!(out, "{}  waiting     {}", local(waiting.zone, waiting.pending.due_at), waiting.text());
        }
        for run in &self.runs {
            let rules: Vec<String> = run.rules.iter().map(ToString::to_string).collect();
            let (at, until, rules) = (local(run.zone, run.at), time_until(run.in_seconds), rules.join(" and "));
            let _infallible = writeln!(out, "{at}  in {until:<7}  {rules}");
        }
        let _infallible = writeln!(out, "A failed refresh is retried {}.", retries(self.schedule));
        out
    }

    /// One line.
    pub(super) fn json(&self) -> String {
        let waiting = self.waiting.iter().map(|waiting| {
            let (zone, at) = (waiting.zone, waiting.pending.due_at);
            let run = Run { at, in_seconds: at.duration_since(waiting.now).as_secs(), zone, rules: Vec::new() };
            let mut run = run.json();
            run["waiting"] = waiting.json();
            run
        });
        format!("{}\n", waiting.chain(self.runs.iter().map(Run::json)).collect::<Value>())
    }
}

/// When a failed refresh is retried.
fn retries(schedule: &Schedule) -> String {
    let Schedule { backoff_min, backoff_max, attempts, .. } = schedule;
    let (min, max) = (humantime::format_duration(*backoff_min), humantime::format_duration(*backoff_max));
    format!(
        "after {min} to {max}, until it succeeds or the next one is due (up to {attempts} times if waiting may not help)"
    )
}

/// The result of `check`.
#[derive(Debug)]
pub(super) struct Summary<'a> {
    pub(super) calendar: &'a Calendar,
    /// What would be due at once.
    pub(super) due: Option<Due>,
    pub(super) waiting: Option<Waiting<'a>>,
    pub(super) next: Option<Run<'a>>,
    pub(super) schedule: &'a Schedule,
    pub(super) boards: usize,
    /// The catalogue's file; `None` for the built-in one.
    pub(super) catalog: Option<String>,
    pub(super) cache: String,
    pub(super) staging: String,
}

impl Summary<'_> {
    pub(super) fn text(&self) -> String {
        let zone = self.calendar.zone();
        let chosen = if zone.is_of_system() { "the system's" } else { "schedule.time_zone" };
        let mut lines = vec![("time zone", format!("{} ({chosen})", name(zone)))];
        let label = |index| if index == 0 { "rules" } else { "" };
        lines.extend(self.calendar.rules().iter().enumerate().map(|(index, rule)| (label(index), rule.to_string())));
        if let Some(waiting) = &self.waiting {
            let (at, state) = (local(zone, waiting.pending.due_at), waiting.text());
            lines.push(("waiting", format!("{at}: {state}; a start resumes it")));
        }
        if let Some(due) = &self.due {
            let further = if due.further > 0 { format!(", and {} before it", due.further) } else { String::new() };
            let what = if due.what.starts() { "a start catches up" } else { "a start skips it" };
            lines.push(("due", format!("{}{further}: {what}", local(zone, due.at))));
        }
        if let Some(next) = &self.next {
            lines.push(("next run", format!("{}, in {}", local(zone, next.at), time_until(next.in_seconds))));
        }
        lines.push(("retries", retries(self.schedule)));
        let catalog = self.catalog.as_deref().unwrap_or("built in");
        lines.push(("catalogue", format!("{} boards ({catalog})", self.boards)));
        lines.extend([("cache", self.cache.clone()), ("staging", self.staging.clone())]);
        let mut out = "The configuration is valid.\n".to_owned();
        for (label, value) in lines {
            let _infallible = writeln!(out, "{label:<10} {value}");
        }
        out
    }

    pub(super) fn json(&self) -> String {
        let zone = self.calendar.zone();
        let due = self.due.map(|due| {
            let what = match due.what {
                Action::Start => "start",
                Action::CatchUp => "make up",
                Action::Skip => "skip",
            };
            json!({"at": rfc3339(zone, due.at), "further": due.further, "what": what})
        });
        let summary = json!({
            "time_zone": zone.name(),
            "rules": self.calendar.rules().iter().map(rule_json).collect::<Vec<_>>(),
            "waiting": self.waiting.as_ref().map(Waiting::json),
            "due": due,
            "next": self.next.as_ref().map(Run::json),
            "retries": {
                "backoff_min_seconds": self.schedule.backoff_min.as_secs_f64(),
                "backoff_max_seconds": self.schedule.backoff_max.as_secs_f64(),
                "attempts": self.schedule.attempts,
            },
            "boards": self.boards,
            "catalog": self.catalog,
            "cache": self.cache,
            "staging": self.staging,
        });
        format!("{summary}\n")
    }
}

fn rule_json(rule: &Rule) -> Value {
    match rule {
        Rule::Daily(at) => json!({"daily_at": format!("{:02}:{:02}", at.hour(), at.minute())}),
        Rule::Cron(cron) => json!({"cron": cron.to_string()}),
    }
}

fn name(zone: &Zone) -> &str {
    zone.name().unwrap_or("unnamed zone")
}

/// An instant in local time.
fn local(zone: &Zone, at: Timestamp) -> String {
    let at = at.to_zoned_datetime(zone.time_zone().clone());
    format!("{} {}", at.strftime("%a %Y-%m-%d %H:%M %:z"), name(zone))
}

fn rfc3339(zone: &Zone, at: Timestamp) -> String {
    at.to_zoned_datetime(zone.time_zone().clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

/// A time with its two largest units.
fn time_until(seconds: i64) -> String {
    match (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, seconds) => format!("{seconds}s"),
        (0, 0, minutes, seconds) => format!("{minutes}m{seconds:02}s"),
        (0, hours, minutes, _) => format!("{hours}h{minutes:02}m"),
        (days, hours, _, _) => format!("{days}d{hours:02}h"),
    }
}
