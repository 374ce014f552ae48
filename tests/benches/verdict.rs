//! How well the verdict distinguishes leaks from noise, on real processes: `r3e-leaky` leaks at a known rate or not at all
//! while it does several kinds of work. After each cycle it is purged and measured through its control socket, as the
//! monitor's watch does. The verdict is also computed after each cycle, so a single wrong one in a trial counts.
//!
//! `cargo bench --package r3e-tests --bench verdict` prints a table and fails where fewer than 95 of 100 leaks of a kind are
//! found within 40 cycles after the warm-up, or anything is called a leak that is none. `-- --leaking N --clean N
//! --seeds-from N` asks for other trials; `--save FILE` keeps what was measured, and `--from FILE` judges that again.

#![expect(clippy::disallowed_methods, reason = "keeps its measurements in a file")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, ensure};
use r3e_common::runtime::control::Stats;
use r3e_monitor::verdict::{self, Figure, Figures, Moment, Verdict};
use r3e_tests::leaky::Kind;
use r3e_tests::leaky::trial::{Background, Trial};

/// Cycles after the warm-up.
const JUDGED: usize = 40;

/// Of each kind of leak.
const LEAKING: u64 = 100;
const CLEAN: u64 = 200;
const AT_LEAST: f64 = 0.95;

/// At a time: a process waits for the disk never, and for its threads often.
const AT_ONCE: usize = 3;

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
type Measured = (usize, Vec<Moment>);

/// What is asked for on the command line.
struct Arguments {
    leaking: u64,
    clean: u64,
    seeds_from: u64,
    save: Option<String>,
    from: Option<String>,
}

impl Arguments {
    fn of_process() -> anyhow::Result<Self> {
        let mut given = Self { leaking: LEAKING, clean: CLEAN, seeds_from: 0, save: None, from: None };
        let mut words = std::env::args().skip(1).filter(|it| it != "--bench");
        while let Some(name) = words.next() {
            let value = words.next().with_context(|| format!("expected a value after {name}"))?;
            let number = || value.parse().with_context(|| format!("{name} {value}: expected a number"));
            match name.as_str() {
                "--leaking" => given.leaking = number()?,
                "--clean" => given.clean = number()?,
                "--seeds-from" => given.seeds_from = number()?,
                "--save" => given.save = Some(value),
                "--from" => given.from = Some(value),
                _ => {
                    anyhow::bail!("{name}: expected --leaking N, --clean N, --seeds-from N, --save FILE or --from FILE")
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
    let trials = trials(&given);
    let measured = match &given.from {
        Some(file) => from_text(&std::fs::read_to_string(file).with_context(|| file.clone())?)?,
        None => measure(&trials)?,
    };
    if let Some(file) = &given.save {
        std::fs::write(file, to_text(&measured)).with_context(|| file.clone())?;
    }
    report(&trials, &measured)
}

/// Runs all trials, some at a time.
fn measure(trials: &[Trial]) -> anyhow::Result<Vec<Measured>> {
    let folder = tempfile::tempdir()?;
    let program = Path::new(env!("CARGO_BIN_EXE_r3e-leaky"));
    let (next, measured) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || -> anyhow::Result<()> {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(trial) = trials.get(number) else { return Ok(()) };
            let series =
                trial.run(program, folder.path(), verdict::WARM_UP + JUDGED).with_context(|| format!("{trial:?}"))?;
            let moments = series.iter().map(|(at_ms, stats)| moment(*at_ms, stats)).collect();
            measured.lock().map_err(|_| anyhow::anyhow!("a trial panicked"))?.push((number, moments));
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|it| it.join().map_err(|_| anyhow::anyhow!("a trial panicked"))?)
    })?;
    let mut measured = measured.into_inner()?;
    measured.sort_by_key(|it| it.0);
    Ok(measured)
}

fn moment(at_ms: i64, stats: &Stats) -> Moment {
    Moment { at_ms, figures: Figures::new(&stats.figures, stats.tasks) }
}

/// After how many cycles of the warm-up each figure was first called a leak.
fn found(moments: &[Moment]) -> BTreeMap<Figure, usize> {
    let mut found = BTreeMap::new();
    for figure in Figure::ALL {
        let points: Vec<_> = moments.iter().map(|it| it.point(figure)).collect();
        let leak = |end: &usize| verdict::judge(figure, &points[..*end], 0).verdict == Verdict::Leak;
        if let Some(end) = (verdict::WARM_UP..=points.len()).find(leak) {
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

/// What grows with a leak of that kind: whatever leaks takes memory too.
fn may_grow(kind: Kind, figure: Figure) -> bool {
    match figure {
        Figure::Allocated | Figure::Resident => kind != Kind::None,
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
            let figures: Vec<String> = Figure::ALL.iter().map(|it| moment.figures.of(*it).to_string()).collect();
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
