//! Jobs, judged by their runs after each night.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use r3e_monitor::verdict::{self, Figure, Run, Verdict};
use r3e_tests::leaky::nights::{Nights, Work};
use r3e_tests::leaky::trial::Background;

use crate::{Arguments, PROGRAM, Row, all, measure, moment};

/// Nights of a job, and how much a leaking one grows in each.
const NIGHTS: usize = 30;
const NIGHTS_TO_FIND: usize = 20;
const LEAK_OF_NIGHT: usize = 5 << 20;
const NIGHT_MS: i64 = 86_400_000;

/// Jobs that leak from night to night, and clean ones.
pub(crate) fn report(arguments: &Arguments) -> anyhow::Result<()> {
    let jobs = |count: u64, leak_bytes| {
        (0..count).map(move |number| {
            let place = usize::try_from(number).unwrap_or(0);
            let (work, background) = (Work::ALL[place % 4], Background::ALL[place / 4 % Background::ALL.len()]);
            Nights { work, leak_bytes, background, seed: arguments.seeds_from + number }
        })
    };
    let trials: Vec<Nights> = jobs(arguments.leaking, LEAK_OF_NIGHT).chain(jobs(arguments.clean, 0)).collect();
    let measured = measure(&trials, |trial, folder| {
        let nights = trial.run(Path::new(PROGRAM), folder, NIGHTS).with_context(|| format!("{trial:?}"))?;
        let runs = nights.iter().zip(0..).map(|((boards, stats), night)| Run {
            end: moment(night * NIGHT_MS, stats),
            fetched: *boards as u64,
            entries: *boards as u64 * 20,
        });
        Ok(runs.collect())
    })?;
    let judged: Vec<_> = measured.iter().map(|(number, runs)| (&trials[*number], first_leaks(runs))).collect();
    let mut results = Vec::new();
    Row::print_header("night");
    for growth in [LEAK_OF_NIGHT, 0] {
        for work in Work::ALL {
            let some: Vec<_> = judged.iter().filter(|(it, _)| it.work == work && it.leak_bytes == growth).collect();
            let peaks = some.iter().filter_map(|(_, found)| found.get(&Figure::Peak).copied());
            let row = Row {
                leak: if growth > 0 { "leaking" } else { "clean" },
                growth,
                work: work.name(),
                trials: some.len(),
                found_after: (growth > 0).then(|| peaks.collect()),
                limit: NIGHTS_TO_FIND,
                false_alarms: some
                    .iter()
                    .filter(|(_, found)| growth == 0 && !found.is_empty())
                    .map(|(it, found)| format!("seed {}: {found:?}", it.seed))
                    .collect(),
            };
            row.print();
            results.push(row.check());
        }
    }
    all(results)
}

/// After how many nights each figure of a job was first called a leak.
fn first_leaks(runs: &[Run]) -> BTreeMap<Figure, usize> {
    let first = |figure: Figure| {
        let leak = |end: &usize| verdict::judge_runs(figure, &runs[..*end]).verdict == Verdict::Leak;
        Some((figure, (verdict::MIN_RUNS..=runs.len()).find(leak)?))
    };
    Figure::OF_RUNS.into_iter().filter_map(first).collect()
}
