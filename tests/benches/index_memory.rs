//! How much memory a job takes under a limit: caches are written board by board, then `r3e-loader --cached-only` publishes each
//! once without a limit and once within one. The kernel reports the peaks (`VmHWM`), and both runs must make the same files.
//!
//! `cargo bench --package r3e-tests --bench index_memory` publishes 300,000 and 10 million entries, which needs 4 GB of disk below
//! `target/` and some minutes. Other cases: `… -- 1000000:64:2026-02`.

#![expect(clippy::disallowed_methods, reason = "the cache is written by the benchmark itself")]

use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use r3e_common::domain::Validators;
use r3e_common::domain::{Catalog, Combination};
use r3e_common::store::{BoardEncoder, Cache};
use r3e_tests::programs;
use serde_json::Value;
use serde_json::value::RawValue;

const ALL: &str = "2026-02,2026-04";

/// Entries, limit in MB and formats.
const USUAL: [(usize, u64, &str); 4] =
    [(300_000, 48, "2026-02"), (300_000, 64, ALL), (10_000_000, 256, "2026-02"), (10_000_000, 512, ALL)];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|it| it != "--bench").collect();
    let result = if arguments.is_empty() {
        USUAL.into_iter().try_for_each(|(entries, limit, formats)| measure(entries, limit, formats))
    } else {
        arguments.iter().try_for_each(|case| {
            let [entries, limit, formats] = case.split(':').collect::<Vec<_>>()[..] else {
                bail!("{case}: expected ENTRIES:MEGABYTES:FORMATS");
            };
            measure(entries.parse()?, limit.parse()?, formats)
        })
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Writes a cache of so many entries, and publishes it without a limit and in so many megabytes.
fn measure(entries: usize, limit_mb: u64, formats: &str) -> anyhow::Result<()> {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let cache = folder.path().join("cache");
    say(&format!("{entries} entries, formats {formats}; writing the cache …"));
    fill(&cache, entries)?;
    let unlimited = publish(folder.path(), None, formats)?;
    ensure!(unlimited.changed, "nothing was published");
    // Without it, nothing would be published again; with it, a file is replaced only if its bytes differ.
    std::fs::remove_file(cache.join(".publication.json"))?;
    let limited = publish(folder.path(), Some(limit_mb), formats)?;
    ensure!(!limited.changed, "the files differ");
    say(&format!("the same bytes; {:.2} times the processor time", limited.processor / unlimited.processor));
    ensure!(limited.peak <= limit_mb << 20, "peak {:.1} MB: expected at most {limit_mb}", mb(limited.peak));
    Ok(())
}

struct Run {
    /// In bytes.
    peak: u64,
    /// In seconds.
    processor: f64,
    /// Whether a file was written.
    changed: bool,
}

fn publish(folder: &Path, limit_mb: Option<u64>, formats: &str) -> anyhow::Result<Run> {
    let mut loader = programs::command(&programs::program("r3e-loader")?);
    // The kernel's account of children that have ended tells what this one took.
    let (before, begun) = (children_cpu()?, Instant::now());
    loader.current_dir(folder).args(["--cached-only", "--json", "--quiet"]).stderr(Stdio::inherit());
    loader.env("R3E_RUNTIME__DIR", folder.join("run")).env("R3E_INDEX__FORMATS", formats);
    if let Some(limit_mb) = limit_mb {
        loader.env("MEMORY_LIMIT_MB", limit_mb.to_string());
    }
    let output = loader.output()?;
    ensure!(output.status.success(), "the loader ended with {}", output.status);
    let summary: Value = serde_json::from_slice(&output.stdout)?;
    let peak = summary["memory"]["peak_rss_bytes"].as_u64().context("no peak")?;
    let processor = children_cpu()? - before;
    let changed = summary["index"]["changed"].as_bool().context("no index.changed")?;
    let limit = limit_mb.map_or_else(|| "no limit".to_owned(), |it| format!("{it} MB"));
    let (took, drivers) = (begun.elapsed(), &summary["drivers"]);
    say(&format!(
        "{limit:>8}: peak {:>6.1} MB, {took:>7.3?}, {processor:.2} s of processor, {drivers} drivers",
        mb(peak)
    ));
    Ok(Run { peak, processor, changed })
}

/// The processor time of the children of this process that have ended, in seconds: on a machine that does other work too,
/// it tells more than the time that passed.
fn children_cpu() -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // After the name in parentheses, the 14th and 15th field are the children's time in hundredths of a second.
    let fields = stat.rsplit_once(')').context("no name in /proc/self/stat")?.1.split_whitespace();
    let times: Vec<f64> = fields.skip(13).take(2).map(str::parse).collect::<Result<_, _>>()?;
    Ok(times.iter().sum::<f64>() / 100.0)
}

/// Writes boards that have so many entries between them: some have hardly any, some ten times the average.
fn fill(cache: &Path, entries: usize) -> anyhow::Result<()> {
    let (cache, catalog) = (Cache::new(cache), Catalog::builtin());
    let boards: Vec<Combination> = catalog.combinations().collect();
    let weight = |number: usize| 1 + (number * 7919 % 1000).pow(3) / 20_000_000;
    let all: usize = (0..boards.len()).map(weight).sum();
    let mut sizes: Vec<usize> = (0..boards.len()).map(|number| entries * weight(number) / all).collect();
    sizes[0] += entries - sizes.iter().sum::<usize>();
    let work: Vec<(usize, Combination, usize)> =
        boards.into_iter().zip(sizes).enumerate().map(|(number, (board, size))| (number, board, size)).collect();
    let threads = std::thread::available_parallelism()?.get();
    std::thread::scope(|scope| {
        let parts = work.chunks(work.len().div_ceil(threads));
        let parts: Vec<_> =
            parts.map(|part| scope.spawn(|| part.iter().try_for_each(|it| write(&cache, entries, *it)))).collect();
        parts.into_iter().try_for_each(|part| part.join().map_err(|_| anyhow::anyhow!("a thread panicked"))?)
    })
}

fn write(cache: &Cache, entries: usize, (number, board, size): (usize, Combination, usize)) -> anyhow::Result<()> {
    let mut random = fastrand::Rng::with_seed(number as u64);
    let mut encoder =
        BoardEncoder::new(board, &format!("Circuit {} - Grand Prix", board.track), &Validators::default());
    for index in 0..size {
        let raw = RawValue::from_string(entry(&mut random, entries / 5, index))?;
        ensure!(encoder.push(&raw), "a board is too large");
    }
    let path: PathBuf = cache.board_path(board);
    std::fs::create_dir_all(path.parent().context("a board has a folder")?)?;
    std::fs::write(&path, encoder.finish("2026-11-23T04:00:11.5Z").bytes)?;
    Ok(())
}

fn entry(random: &mut fastrand::Rng, drivers: usize, index: usize) -> String {
    const FIRST: [&str; 12] =
        ["Anna", "Ludo", "José", "Søren", "Kim", "Étienne", "Михаил", "Marie", "Jörg", "Piotr", "Ümit", "Lee"];
    const LAST: [&str; 12] = [
        "Flender",
        "Kowalski",
        "Ñandú",
        "Van den Berg",
        "Smith",
        "Иванов",
        "Müller",
        "Rossi",
        "Öztürk",
        "Dubois",
        "Ng",
        "Haraldsson",
    ];
    let driver = random.usize(..drivers.max(1));
    let name = format!("{} {} {}", FIRST[driver % 12], LAST[driver / 12 % 12], driver / 144);
    let (car, gap) = (random.u8(..120), index * 13 % 60_000);
    let laptime = 83_414 + gap;
    let lap = format!(
        "{}m {:02}.{:03}s, +{:02}.{:03}s",
        laptime / 60_000,
        laptime / 1000 % 60,
        laptime % 1000,
        gap / 1000,
        gap % 1000
    );
    format!(
        r#"{{"index":{index},"driver":{{"name":"{name}","path":"https://game.raceroom.com/users/{driver}"}},"country":{{"code":"X","name":"Country {}"}},"car_class":{{"class":{{"Name":"Class"}},"car":{{"name":"Some Car of a Brand GT3 {car}","class-name":"Class {}"}}}},"laptime":"{lap}","relative_laptime":"+{:02}.{:03}s","rank":"{}","team":"{}","driving_model":"Get Real","date_time":"2025-{:02}-{:02}T{:02}:{:02}:{:02}"}}"#,
        driver % 90,
        car % 40,
        gap / 1000,
        gap % 1000,
        ["A", "B", "C", ""][driver % 4],
        if driver.is_multiple_of(3) { format!("Team {}", driver % 1000) } else { String::new() },
        random.u8(1..13),
        random.u8(1..29),
        random.u8(..24),
        random.u8(..60),
        random.u8(..60),
    )
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn mb(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

#[expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
fn say(text: &str) {
    println!("{text}");
}
