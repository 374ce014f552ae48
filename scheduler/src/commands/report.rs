//! The results as text and as JSON: pure functions of what was found.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::calendar::{Calendar, Rule, Zone};
use crate::timetable::{Due, What};

/// A run that is due.
#[derive(Debug)]
pub(super) struct Run<'a> {
    at: Timestamp,
    in_seconds: i64,
    zone: &'a Zone,
    /// The rules that meet in it.
    rules: Vec<&'a Rule>,
}

impl<'a> Run<'a> {
    /// The next runs after now, at most so many.
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

/// One line a run.
pub(super) fn runs_text(runs: &[Run]) -> String {
    let mut out = String::new();
    for run in runs {
        let rules: Vec<String> = run.rules.iter().map(ToString::to_string).collect();
        let (at, until, rules) = (local(run.zone, run.at), time_until(run.in_seconds), rules.join(" and "));
        let _infallible = writeln!(out, "{at}  in {until:<7}  {rules}");
    }
    out
}

/// One line in all.
pub(super) fn runs_json(runs: &[Run]) -> String {
    format!("{}\n", runs.iter().map(Run::json).collect::<Value>())
}

/// What a start would find.
#[derive(Debug)]
pub(super) struct Summary<'a> {
    pub(super) calendar: &'a Calendar,
    /// What is due at once.
    pub(super) due: Option<Due>,
    pub(super) next: Option<Run<'a>>,
    pub(super) boards: usize,
    /// The catalogue's file; none for the one that is built in.
    pub(super) catalog: Option<String>,
    pub(super) cache: String,
    pub(super) staging: String,
}

impl Summary<'_> {
    pub(super) fn text(&self) -> String {
        let zone = self.calendar.zone();
        let chosen = if zone.is_of_system() { "the system's" } else { "schedule.time_zone" };
        let mut lines = vec![("time zone", format!("{} ({chosen})", name(zone)))];
        let label = |place| if place == 0 { "rules" } else { "" };
        lines.extend(self.calendar.rules().iter().enumerate().map(|(place, rule)| (label(place), rule.to_string())));
        if let Some(due) = &self.due {
            let further = if due.further > 0 { format!(", and {} before it", due.further) } else { String::new() };
            let what = if due.what.starts() { "a start makes up for it" } else { "a start skips it" };
            lines.push(("due", format!("{}{further}: {what}", local(zone, due.at))));
        }
        if let Some(next) = &self.next {
            lines.push(("next run", format!("{}, in {}", local(zone, next.at), time_until(next.in_seconds))));
        }
        let catalog = self.catalog.as_deref().unwrap_or("built in");
        lines.push(("catalogue", format!("{} boards ({catalog})", self.boards)));
        lines.extend([("cache", self.cache.clone()), ("staging", self.staging.clone())]);
        let mut out = "The configuration is right.\n".to_owned();
        for (label, value) in lines {
            let _infallible = writeln!(out, "{label:<10} {value}");
        }
        out
    }

    pub(super) fn json(&self) -> String {
        let zone = self.calendar.zone();
        let due = self.due.map(|due| {
            let what = match due.what {
                What::Start => "start",
                What::MakeUp => "make up",
                What::Skip => "skip",
            };
            json!({"at": rfc3339(zone, due.at), "further": due.further, "what": what})
        });
        let summary = json!({
            "time_zone": zone.name(),
            "rules": self.calendar.rules().iter().map(rule_json).collect::<Vec<_>>(),
            "due": due,
            "next": self.next.as_ref().map(Run::json),
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
    zone.name().unwrap_or("zone without a name")
}

/// An instant as people of the zone tell it.
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
