//! Processes, judged by their figures after each cycle.
#![expect(clippy::disallowed_methods, reason = "keeps its measurements in a file")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Instant;

use anyhow::Context as _;
use r3e_monitor::verdict::{self, Figure, Figures, Moment, Verdict};
use r3e_tests::leaky::Kind;
use r3e_tests::leaky::trial::{Background, Trial};

use crate::{Arguments, Measured, PROGRAM, Row, all, measure, moment, say};

/// Cycles after the warm-up.
const JUDGED: usize = 40;

/// Cycles of a day of purges. It is judged after every sixth.
const DAY: usize = verdict::JUDGED as usize + verdict::WARM_UP;
const DAY_STEP: usize = 6;

const LEAKS: [(Kind, usize, Figure); 5] = [
    (Kind::Bytes, 16 << 10, Figure::Allocated),
    (Kind::Tasks, 1, Figure::Tasks),
    (Kind::Descriptors, 1, Figure::Descriptors),
    (Kind::Connections, 1, Figure::Connections),
    (Kind::Threads, 1, Figure::Threads),
];

fn trials(arguments: &Arguments) -> Vec<Trial> {
    let trial = |kind, per_cycle, number: u64| {
        // In what wanders by more than it leaks nobody could see it.
        let some = if kind == Kind::None { &Background::ALL[..] } else { &Background::ALL[..6] };
        let background = some[usize::try_from(number).unwrap_or(0) % some.len()];
        Trial { kind, per_cycle, background, seed: arguments.seeds_from + number }
    };
    let leaking =
        LEAKS.into_iter().flat_map(|(kind, n, _)| (0..arguments.leaking).map(move |number| (kind, n, number)));
    let clean = (0..arguments.clean).map(|number| (Kind::None, 0, number));
    leaking.chain(clean).map(|(kind, n, number)| trial(kind, n, number)).collect()
}

pub(crate) fn report(arguments: &Arguments) -> anyhow::Result<()> {
    let trials = trials(arguments);
    let measured = match &arguments.from {
        Some(file) => from_text(&std::fs::read_to_string(file).with_context(|| file.display().to_string())?)?,
        None => measure(&trials, |trial, folder| series(trial, folder, verdict::WARM_UP + JUDGED))?,
    };
    if let Some(file) = &arguments.save {
        std::fs::write(file, to_text(&measured)).with_context(|| file.display().to_string())?;
    }
    let judge = |(number, moments): &Measured| {
        let trial = trials.get(*number).with_context(|| format!("trial {number}: there are {}", trials.len()))?;
        Ok((trial, found(moments, 1)))
    };
    let judged: Vec<_> = measured.iter().map(judge).collect::<anyhow::Result<_>>()?;
    let mut results = Vec::new();
    Row::print_header("cycle");
    for (kind, growth, figure) in
        LEAKS.into_iter().map(|(kind, n, figure)| (kind, n, Some(figure))).chain([(Kind::None, 0, None)])
    {
        for background in Background::ALL.into_iter().map(Some).chain([None]) {
            let is_one = |trial: &Trial| trial.kind == kind && background.is_none_or(|it| it == trial.background);
            let some: Vec<_> = judged.iter().filter(|(trial, _)| is_one(trial)).collect();
            let false_alarm = |(trial, found): &&(&Trial, BTreeMap<Figure, usize>)| {
                let names: Vec<&str> = found.keys().filter(|it| !may_grow(kind, **it)).map(|it| it.name()).collect();
                (!names.is_empty()).then(|| format!("seed {}: {}", trial.seed, names.join(", ")))
            };
            let row = Row {
                leak: kind.name(),
                growth,
                work: background.map_or("ALL", Background::name),
                trials: some.len(),
                found_after: figure.map(|it| some.iter().filter_map(|(_, found)| found.get(&it).copied()).collect()),
                limit: JUDGED,
                false_alarms: some.iter().filter_map(false_alarm).collect(),
            };
            row.print();
            if background.is_none() {
                results.push(row.check());
            }
        }
    }
    all(results)
}

/// Clean processes over a day of purges.
pub(crate) fn report_days(arguments: &Arguments) -> anyhow::Result<()> {
    let trials: Vec<Trial> = (0..arguments.days)
        .map(|number| Trial {
            kind: Kind::None,
            per_cycle: 0,
            background: Background::ALL[usize::try_from(number).unwrap_or(0) % Background::ALL.len()],
            seed: arguments.seeds_from + number,
        })
        .collect();
    let judged = |trial: &Trial, folder: &Path| {
        let begun = Instant::now();
        let moments = series(trial, folder, DAY)?;
        let (measured, begun) = (begun.elapsed(), Instant::now());
        Ok(vec![(found(&moments, DAY_STEP), measured, begun.elapsed())])
    };
    let mut wrong = Vec::new();
    for (number, found) in measure(&trials, judged)? {
        for (found, measured, judged) in found {
            let names: Vec<&str> = found.keys().map(|it| it.name()).collect();
            say(&format!(
                "a day        {:<20}  {DAY} cycles in {measured:.1?}, judged in {judged:.1?}  clean but called a leak: {}",
                trials[number].background.name(),
                if names.is_empty() { "-".to_owned() } else { names.join(", ") },
            ));
            wrong.extend(names);
        }
    }
    anyhow::ensure!(wrong.is_empty(), "in a day, clean but called a leak: {}", wrong.join(", "));
    Ok(())
}

fn series(trial: &Trial, folder: &Path, cycles: usize) -> anyhow::Result<Vec<Moment>> {
    let series = trial.run(Path::new(PROGRAM), folder, cycles).with_context(|| format!("{trial:?}"))?;
    Ok(series.iter().map(|(at_ms, stats)| moment(*at_ms, stats)).collect())
}

/// After how many cycles beyond the warm-up each figure was first called a leak; judged after every `step` cycles.
fn found(moments: &[Moment], step: usize) -> BTreeMap<Figure, usize> {
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
