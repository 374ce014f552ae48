//! How well the verdict distinguishes leaks from noise, on real processes: `r3e-leaky` leaks at a known rate or not at all
//! while it does several kinds of work. After each cycle it is purged and measured through its control socket, as the
//! monitor's watch does. The verdict is also computed after each cycle, so a single wrong one in a trial counts.
//!
//! Some of the clean processes run for a day of purges.
//!
//! Jobs are judged likewise by their runs, after each night: a night is a process of its own.
//!
//! `cargo bench --package r3e-tests --bench verdict` prints two tables and fails where fewer than 95 of 100 leaks of a kind are
//! found within 40 cycles after the warm-up or within 20 nights, or anything is called a leak that is none. `-- --leaking N
//! --clean N --days N --seeds-from N` asks for other trials, and `--only processes`, `days` or `jobs` for one part; `--save FILE` keeps
//! what was measured of processes, and `--from FILE` judges that again instead of anything else.

#![expect(clippy::disallowed_methods, reason = "keeps its measurements in a file")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context as _, ensure};
use r3e_common::runtime::control::Stats;
use r3e_monitor::verdict::{self, Figure, Figures, Moment, Run, Verdict};
use r3e_tests::leaky::Kind;
use r3e_tests::leaky::nights::{Nights, Work};
use r3e_tests::leaky::trial::{Background, Trial};

/// Cycles after the warm-up.
const JUDGED: usize = 40;

/// Of each kind of leak.
const LEAKING: u64 = 100;
const CLEAN: u64 = 200;
const AT_LEAST: f64 = 0.95;

/// Clean processes that run for a day of purges, and cycles of such a day. It is judged after every sixth.
const DAYS: u64 = 14;
const DAY: usize = verdict::JUDGED as usize + verdict::WARM_UP;
const DAY_STEP: usize = 6;

/// Nights of a job, and how much a leaking one grows in each.
const NIGHTS: usize = 30;
const NIGHTS_TO_FIND: usize = 20;
const LEAK_OF_NIGHT: usize = 5 << 20;
const NIGHT_MS: i64 = 86_400_000;

/// At a time: a process waits for the disk never, and for its threads often.
const AT_ONCE: usize = 3;

const PROGRAM: &str = env!("CARGO_BIN_EXE_r3e-leaky");

const LEAKS: [(Kind, usize, Figure); 5] = [
    (Kind::Bytes, 16 << 10, Figure::Allocated),
    (Kind::Tasks, 1, Figure::Tasks),
    (Kind::Descriptors, 1, Figure::Descriptors),
    (Kind::Connections, 1, Figure::Connections),
    (Kind::Threads, 1, Figure::Threads),
];

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// A trial and what was measured in it.
type Measured<T = Moment> = (usize, Vec<T>);

/// What is asked for on the command line.
struct Arguments {
    leaking: u64,
    clean: u64,
    days: u64,
    seeds_from: u64,
    only: Option<Part>,
    save: Option<String>,
    from: Option<String>,
}

/// What is judged.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    Processes,
    Days,
    Jobs,
}

impl FromStr for Part {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> anyhow::Result<Self> {
        Ok(match name {
            "processes" => Self::Processes,
            "days" => Self::Days,
            "jobs" => Self::Jobs,
            _ => anyhow::bail!("--only {name}: expected processes, days or jobs"),
        })
    }
}

impl Arguments {
    fn of_process() -> anyhow::Result<Self> {
        let mut given =
            Self { leaking: LEAKING, clean: CLEAN, days: DAYS, seeds_from: 0, only: None, save: None, from: None };
        let mut words = std::env::args().skip(1).filter(|it| it != "--bench");
        while let Some(name) = words.next() {
            let value = words.next().with_context(|| format!("expected a value after {name}"))?;
            let number = || value.parse().with_context(|| format!("{name} {value}: expected a number"));
            match name.as_str() {
                "--leaking" => given.leaking = number()?,
                "--clean" => given.clean = number()?,
                "--days" => given.days = number()?,
                "--seeds-from" => given.seeds_from = number()?,
                "--only" => given.only = Some(value.parse()?),
                "--save" => given.save = Some(value),
                "--from" => given.from = Some(value),
                _ => {
                    let known =
                        "--leaking N, --clean N, --days N, --seeds-from N, --only PART, --save FILE or --from FILE";
                    anyhow::bail!("{name}: expected {known}")
                }
            }
        }
        Ok(given)
    }
}

fn trials(given: &Arguments) -> Vec<Trial> {
    let trial = |kind, per_cycle, number: u64| {
        // In what wanders by more than it leaks nobody could see it.
        let some = if kind == Kind::None { &Background::ALL[..] } else { &Background::ALL[..6] };
        let background = some[usize::try_from(number).unwrap_or(0) % some.len()];
        Trial { kind, per_cycle, background, seed: given.seeds_from + number }
    };
    let leaking = LEAKS.into_iter().flat_map(|(kind, n, _)| (0..given.leaking).map(move |number| (kind, n, number)));
    let clean = (0..given.clean).map(|number| (Kind::None, 0, number));
    leaking.chain(clean).map(|(kind, n, number)| trial(kind, n, number)).collect()
}

fn run() -> anyhow::Result<()> {
    let given = Arguments::of_process()?;
    let asked = |part| given.only.is_none_or(|only| only == part);
    let mut results = Vec::new();
    if asked(Part::Processes) || given.from.is_some() {
        results.push(report_processes(&given));
    }
    if asked(Part::Days) && given.from.is_none() {
        results.push(report_days(&given));
    }
    if asked(Part::Jobs) && given.from.is_none() {
        results.push(report_jobs(&given));
    }
    results.into_iter().collect()
}

fn report_processes(given: &Arguments) -> anyhow::Result<()> {
    let trials = trials(given);
    let measured = match &given.from {
        Some(file) => from_text(&std::fs::read_to_string(file).with_context(|| file.clone())?)?,
        None => measure(&trials, |trial, folder| series(trial, folder, verdict::WARM_UP + JUDGED))?,
    };
    if let Some(file) = &given.save {
        std::fs::write(file, to_text(&measured)).with_context(|| file.clone())?;
    }
    report(&trials, &measured)
}

fn series(trial: &Trial, folder: &Path, cycles: usize) -> anyhow::Result<Vec<Moment>> {
    let series = trial.run(Path::new(PROGRAM), folder, cycles).with_context(|| format!("{trial:?}"))?;
    Ok(series.iter().map(|(at_ms, stats)| moment(*at_ms, stats)).collect())
}

/// Runs all trials, some at a time.
fn measure<T: Sync, M: Send>(
    trials: &[T],
    run: impl Fn(&T, &Path) -> anyhow::Result<Vec<M>> + Sync,
) -> anyhow::Result<Vec<Measured<M>>> {
    let folder = tempfile::tempdir()?;
    let (next, measured) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || -> anyhow::Result<()> {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(trial) = trials.get(number) else { return Ok(()) };
            let series = run(trial, folder.path())?;
            measured.lock().map_err(|_| anyhow::anyhow!("a trial panicked"))?.push((number, series));
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|it| it.join().map_err(|_| anyhow::anyhow!("a trial panicked"))?)
    })?;
    let mut measured = measured.into_inner().map_err(|_| anyhow::anyhow!("a trial panicked"))?;
    measured.sort_by_key(|it| it.0);
    Ok(measured)
}

fn moment(at_ms: i64, stats: &Stats) -> Moment {
    Moment { at_ms, figures: Figures::new(&stats.figures, stats.tasks) }
}

/// After how many cycles beyond the warm-up each figure was first called a leak.
fn found(moments: &[Moment]) -> BTreeMap<Figure, usize> {
    found_by_steps(moments, 1)
}

fn found_by_steps(moments: &[Moment], step: usize) -> BTreeMap<Figure, usize> {
    let mut found = BTreeMap::new();
    for figure in Figure::OF_PROCESSES {
        let points: Vec<_> = moments.iter().map(|it| it.point(figure)).collect();
        let leak = |end: &usize| verdict::judge(figure, &points[..*end], 0).verdict == Verdict::Leak;
        if let Some(end) = (verdict::WARM_UP..=points.len()).step_by(step).find(leak) {
            found.insert(figure, end - verdict::WARM_UP);
        }
    }
    found
}

fn report(trials: &[Trial], measured: &[Measured]) -> anyhow::Result<()> {
    let judged: Vec<(&Trial, BTreeMap<Figure, usize>)> =
        measured.iter().filter_map(|(number, moments)| Some((trials.get(*number)?, found(moments)))).collect();
    let mut wrong = Vec::new();
    say(
        "leak         a cycle  beside it             trials  found  after cycles (median, most)  called a leak that is none",
    );
    for (kind, per_cycle, figure) in
        LEAKS.into_iter().map(|(kind, n, figure)| (kind, n, Some(figure))).chain([(Kind::None, 0, None)])
    {
        let of_kind: Vec<_> = judged.iter().filter(|(trial, _)| trial.kind == kind).collect();
        for background in Background::ALL.into_iter().map(Some).chain([None]) {
            let some: Vec<_> =
                of_kind.iter().filter(|(it, _)| background.is_none_or(|one| it.background == one)).collect();
            let mut after: Vec<usize> = some.iter().filter_map(|(_, found)| found.get(&figure?).copied()).collect();
            after.sort_unstable();
            let false_alarms: Vec<String> = some
                .iter()
                .filter_map(|(trial, found)| {
                    let names: Vec<&str> =
                        found.keys().filter(|it| !may_grow(kind, **it)).map(|it| it.name()).collect();
                    (!names.is_empty()).then(|| format!("seed {}: {}", trial.seed, names.join(", ")))
                })
                .collect();
            let times =
                after.last().map_or_else(|| "-".to_owned(), |most| format!("{}, {most}", after[after.len() / 2]));
            let detected = if figure.is_some() { after.len().to_string() } else { "-".to_owned() };
            say(&format!(
                "{:<12} {per_cycle:>7}  {:<20}  {:>6}  {detected:>5}  {times:>28}  {:>3}  {}",
                kind.name(),
                background.map_or("ALL", Background::name),
                some.len(),
                false_alarms.len(),
                false_alarms.join("; "),
            ));
            if background.is_none() {
                #[expect(clippy::cast_precision_loss, reason = "some hundred trials")]
                let enough = after.len() as f64 >= AT_LEAST * some.len() as f64;
                if figure.is_some() && !enough {
                    wrong.push(format!("{}: found in {} of {} trials", kind.name(), after.len(), some.len()));
                }
                if !false_alarms.is_empty() {
                    wrong.push(format!(
                        "{}: called a leak that is none in {} of {} trials",
                        kind.name(),
                        false_alarms.len(),
                        some.len()
                    ));
                }
            }
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("; "));
    Ok(())
}

/// Clean processes over a day of purges.
fn report_days(given: &Arguments) -> anyhow::Result<()> {
    let trials: Vec<Trial> = (0..given.days)
        .map(|number| Trial {
            kind: Kind::None,
            per_cycle: 0,
            background: Background::ALL[usize::try_from(number).unwrap_or(0) % Background::ALL.len()],
            seed: given.seeds_from + number,
        })
        .collect();
    let judged = |trial: &Trial, folder: &Path| {
        let begun = Instant::now();
        let moments = series(trial, folder, DAY)?;
        let (measured, begun) = (begun.elapsed(), Instant::now());
        Ok(vec![(found_by_steps(&moments, DAY_STEP), measured, begun.elapsed())])
    };
    let mut wrong = Vec::new();
    for (number, found) in measure(&trials, judged)? {
        for (found, measured, judged) in found {
            let names: Vec<&str> = found.keys().map(|it| it.name()).collect();
            say(&format!(
                "a day        {:<20}  {DAY} cycles in {measured:.1?}, judged in {judged:.1?}  called a leak that is none: {}",
                trials[number].background.name(),
                if names.is_empty() { "-".to_owned() } else { names.join(", ") },
            ));
            wrong.extend(names);
        }
    }
    ensure!(wrong.is_empty(), "in a day called a leak that is none: {}", wrong.join(", "));
    Ok(())
}

/// Jobs that leak from night to night, and clean ones.
fn report_jobs(given: &Arguments) -> anyhow::Result<()> {
    let jobs = |count: u64, leak_bytes| {
        (0..count).map(move |number| {
            let place = usize::try_from(number).unwrap_or(0);
            let (work, background) = (Work::ALL[place % 4], Background::ALL[place / 4 % Background::ALL.len()]);
            Nights { work, leak_bytes, background, seed: given.seeds_from + number }
        })
    };
    let trials: Vec<Nights> = jobs(given.leaking, LEAK_OF_NIGHT).chain(jobs(given.clean, 0)).collect();
    let measured = measure(&trials, |trial, folder| {
        let nights = trial.run(Path::new(PROGRAM), folder, NIGHTS).with_context(|| format!("{trial:?}"))?;
        let run = |((boards, stats), night): (&(usize, Stats), i64)| Run {
            end: moment(night * NIGHT_MS, stats),
            fetched: *boards as u64,
            entries: *boards as u64 * 20,
        };
        Ok(nights.iter().zip(0..).map(run).collect())
    })?;
    say(
        "job          a night  work                  trials  found  after nights (median, most)  called a leak that is none",
    );
    let mut wrong = Vec::new();
    for leak_bytes in [LEAK_OF_NIGHT, 0] {
        for work in Work::ALL {
            let some: Vec<_> = measured
                .iter()
                .map(|(number, runs)| (trials[*number], first_leaks(runs)))
                .filter(|(it, _)| it.work == work && it.leak_bytes == leak_bytes)
                .collect();
            let mut after: Vec<usize> =
                some.iter().filter_map(|(_, found)| found.get(&Figure::Peak).copied()).collect();
            after.sort_unstable();
            let times =
                after.last().map_or_else(|| "-".to_owned(), |most| format!("{}, {most}", after[after.len() / 2]));
            let in_time = after.iter().filter(|it| **it <= NIGHTS_TO_FIND).count();
            let false_alarms: Vec<String> = some
                .iter()
                .filter(|(it, found)| it.leak_bytes == 0 && !found.is_empty())
                .map(|(it, found)| format!("seed {}: {:?}", it.seed, found))
                .collect();
            say(&format!(
                "{:<12} {leak_bytes:>7}  {:<20}  {:>6}  {:>5}  {times:>28}  {:>3}  {}",
                if leak_bytes > 0 { "leaking" } else { "clean" },
                work.name(),
                some.len(),
                if leak_bytes > 0 { in_time.to_string() } else { "-".to_owned() },
                false_alarms.len(),
                false_alarms.join("; "),
            ));
            #[expect(clippy::cast_precision_loss, reason = "some hundred trials")]
            let enough = in_time as f64 >= AT_LEAST * some.len() as f64;
            if leak_bytes > 0 && !enough {
                wrong.push(format!("{}: found in {in_time} of {} trials", work.name(), some.len()));
            }
            if !false_alarms.is_empty() {
                wrong.push(format!("{}: called a leak that is none in {} trials", work.name(), false_alarms.len()));
            }
        }
    }
    ensure!(wrong.is_empty(), "jobs: {}", wrong.join("; "));
    Ok(())
}

/// After how many nights each figure of a job was first called a leak.
fn first_leaks(runs: &[Run]) -> BTreeMap<Figure, usize> {
    let first = |figure: Figure| {
        let leak = |end: &usize| verdict::judge_runs(figure, &runs[..*end]).verdict == Verdict::Leak;
        Some((figure, (verdict::MIN_RUNS..=runs.len()).find(leak)?))
    };
    Figure::OF_RUNS.into_iter().filter_map(first).collect()
}

/// What grows with a leak of that kind: whatever leaks takes memory too.
fn may_grow(kind: Kind, figure: Figure) -> bool {
    match figure {
        Figure::Allocated | Figure::Resident | Figure::Peak => kind != Kind::None,
        Figure::Tasks => kind == Kind::Tasks,
        Figure::Descriptors => kind == Kind::Descriptors,
        Figure::Connections => kind == Kind::Connections,
        Figure::Threads => kind == Kind::Threads,
    }
}

/// A line for each moment: the trial, the time, the figures.
fn to_text(measured: &[Measured]) -> String {
    let mut text = String::new();
    for (number, moments) in measured {
        for moment in moments {
            let figures: Vec<String> =
                Figure::OF_PROCESSES.iter().map(|it| moment.figures.of(*it).to_string()).collect();
            // Writing to a text cannot fail.
            let _written = writeln!(text, "{number} {} {}", moment.at_ms, figures.join(" "));
        }
    }
    text
}

fn from_text(text: &str) -> anyhow::Result<Vec<Measured>> {
    let mut measured: BTreeMap<usize, Vec<Moment>> = BTreeMap::new();
    for line in text.lines() {
        let fields: Vec<i64> =
            line.split(' ').map(str::parse).collect::<Result<_, _>>().with_context(|| line.to_owned())?;
        let [number, at_ms, figures @ ..] = &fields[..] else { anyhow::bail!("no measurement: {line}") };
        let figures: Vec<u64> = figures.iter().map(|it| u64::try_from(*it)).collect::<Result<_, _>>()?;
        let figures = figures.try_into().map_err(|_| anyhow::anyhow!("not six figures: {line}"))?;
        measured
            .entry(usize::try_from(*number)?)
            .or_default()
            .push(Moment { at_ms: *at_ms, figures: Figures::from_array(figures) });
    }
    Ok(measured.into_iter().collect())
}

#[expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
fn say(text: &str) {
    println!("{text}");
}
