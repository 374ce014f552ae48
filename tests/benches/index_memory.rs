//! How much memory a job takes that was given little: caches are written board by board, then `r3e-loader --cached-only`
//! exports each once without a limit and once within one; the kernel tells the peak of each (`VmHWM`), and the files of
//! both have to be the same.
//!
//! `cargo bench --package r3e-tests --bench index_memory` takes 300,000 entries in 48 MB and 10 million in 256 MB, which
//! needs 3 GB of disk below `target/` and some minutes. Other pairs: `… -- 1000000:64`.

#![expect(clippy::disallowed_methods, reason = "the cache is written and the exports are compared as files")]

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context as _, ensure};
use r3e_common::domain::Validators;
use r3e_common::domain::{Catalog, Combination};
use r3e_common::store::{BoardEncoder, Cache};
use r3e_tests::programs;
use serde_json::Value;
use serde_json::value::RawValue;

const USUAL: [(usize, u64); 2] = [(300_000, 48), (10_000_000, 256)];
const EXPORTS: [&str; 2] = ["driver_index.json.gz", "top_combinations.json"];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|it| it != "--bench").collect();
    let result = if arguments.is_empty() {
        USUAL.into_iter().try_for_each(|(entries, limit)| measure(entries, limit))
    } else {
        arguments.iter().try_for_each(|pair| {
            let (entries, limit) = pair.split_once(':').context("expected ENTRIES:MEGABYTES")?;
            measure(entries.parse()?, limit.parse()?)
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

/// Writes a cache of so many entries, and exports it without a limit and in so many megabytes.
fn measure(entries: usize, limit_mb: u64) -> anyhow::Result<()> {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let cache = folder.path().join("cache");
    say(&format!("{entries} entries; writing the cache …"));
    fill(&cache, entries)?;
    let (_, held) = export(folder.path(), None)?;
    let aside = folder.path().join("unlimited");
    std::fs::create_dir(&aside)?;
    for name in EXPORTS {
        std::fs::rename(cache.join(name), aside.join(name))?;
    }
    let (peak, sorted) = export(folder.path(), Some(limit_mb))?;
    for name in EXPORTS {
        ensure!(same(&cache.join(name), &aside.join(name))?, "{name} differs");
    }
    say(&format!("the same bytes; {:.2} times the processor time", sorted / held));
    ensure!(peak <= limit_mb << 20, "the peak is {:.1} MB: expected at most {limit_mb}", mb(peak));
    Ok(())
}

/// Runs the loader there, and gives its peak in bytes and the processor time that it took, in seconds.
fn export(folder: &Path, limit_mb: Option<u64>) -> anyhow::Result<(u64, f64)> {
    let mut loader = programs::command(&programs::program("r3e-loader")?);
    // The kernel's account of children that have ended tells what this one took.
    let (before, begun) = (children_cpu()?, Instant::now());
    loader.current_dir(folder).args(["--cached-only", "--json", "--quiet"]).stderr(Stdio::inherit());
    loader.env("R3E_RUNTIME__DIR", folder.join("run"));
    if let Some(limit_mb) = limit_mb {
        loader.env("MEMORY_LIMIT_MB", limit_mb.to_string());
    }
    let output = loader.output()?;
    ensure!(output.status.success(), "the loader ended with {}", output.status);
    let summary: Value = serde_json::from_slice(&output.stdout)?;
    let peak = summary["memory"]["peak_rss_bytes"].as_u64().context("no peak")?;
    let cpu = children_cpu()? - before;
    let limit = limit_mb.map_or_else(|| "no limit".to_owned(), |it| format!("{it} MB"));
    let (took, drivers) = (begun.elapsed(), &summary["drivers"]);
    say(&format!("{limit:>8}: peak {:>6.1} MB, {took:>7.3?}, {cpu:.2} s of processor, {drivers} drivers", mb(peak)));
    Ok((peak, cpu))
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

/// Whether two files hold the same bytes.
fn same(one: &Path, other: &Path) -> anyhow::Result<bool> {
    let open = |path: &Path| std::fs::File::open(path).with_context(|| path.display().to_string());
    let (mut one, mut other) = (open(one)?, open(other)?);
    let (mut a, mut b) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    ensure!(one.metadata()?.len() == other.metadata()?.len(), "the lengths differ");
    loop {
        let read = one.read(&mut a)?;
        if read == 0 {
            return Ok(true);
        }
        other.read_exact(&mut b[..read])?;
        if a[..read] != b[..read] {
            return Ok(false);
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn mb(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

#[expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
fn say(text: &str) {
    println!("{text}");
}
