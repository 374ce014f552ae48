//! `cargo run --release --features generate --bin r3e-archive-generate -- FOLDER ROWS`: makes an archive of about that many entries, in the shape of the real service:
//! 60,000 drivers, 14,700 boards of very different sizes, of which a tenth changes each night. Past months are merged as they end.
#![expect(clippy::expect_used, clippy::print_stderr, reason = "a tool for benchmarks, with data of its own")]

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use r3e_archive::compact::compact;
use r3e_archive::engine::Place;
use r3e_archive::error::ArchiveError;
use r3e_archive::location::Location;
use r3e_archive::parquet_file::{self, NewParquet};
use r3e_archive::schema::{EntriesChecksum, Rows, Version};
use r3e_common::domain::{Catalog, Combination, Entry};
use r3e_common::runtime::config::ArchiveUrl;
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

const DRIVERS: u32 = 60_000;
const BOARDS: usize = 14_700;
const FIRST_NIGHT: &str = "2020-01-01T04:30:00Z";

struct Board {
    id: Combination,
    /// Drivers and lap times in milliseconds, fastest first.
    laps: Vec<(u32, u32)>,
}

/// xorshift, so that the archive is always the same.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        u32::try_from(self.0 >> 33).unwrap_or(0) % limit
    }
}

fn boards(random: &mut Random) -> Vec<Board> {
    let catalog = Catalog::builtin();
    let mut boards: Vec<Board> = catalog.combinations().take(BOARDS).map(|id| Board { id, laps: Vec::new() }).collect();
    boards.sort_by_key(|it| it.id);
    for (place, board) in boards.iter_mut().enumerate() {
        // Few boards have thousands of entries, most have a few.
        let size = 6000 / (1 + random.below(5000)) + random.below(30);
        let base = 60_000 + u32::try_from(place % 100).unwrap_or(0) * 600;
        board.laps = (0..size).map(|_| (random.below(DRIVERS), base + random.below(20_000))).collect();
        board.laps.sort_by_key(|lap| lap.1);
    }
    boards
}

/// What a night changes on a board: some drivers improve, a new one appears.
fn change(board: &mut Board, random: &mut Random) {
    for _ in 0..=board.laps.len() / 50 {
        if let Some(count) = u32::try_from(board.laps.len()).ok().filter(|it| *it > 0) {
            let lap = &mut board.laps[random.below(count) as usize];
            lap.1 = lap.1.saturating_sub(random.below(300)).max(40_000);
        }
    }
    board.laps.push((random.below(DRIVERS), 70_000 + random.below(60_000)));
    board.laps.sort_by_key(|lap| lap.1);
}

fn entry((driver, ms): (u32, u32), first: u32, position: usize) -> String {
    let (minutes, rest, gap) = (ms / 60_000, ms % 60_000, ms - first);
    let relative = if gap == 0 { String::new() } else { format!("+{:02}.{:03}s", gap / 1000, gap % 1000) };
    format!(
        r#"{{"driver":{{"name":"Driver {}","path":"https://game.raceroom.com/users/info/{driver}/"}},"country":{{"name":"Country {}","code":"SE"}},"car_class":{{"car":{{"name":"Car {}","class-name":"Class {}"}}}},"laptime":"{minutes}m {:02}.{:03}s","relative_laptime":"{relative}","rank":"","team":"","driving_model":"Get Real","index":{position},"date_time":"2020-{:02}-{:02}T{:02}:00:00"}}"#,
        driver % 28_000,
        driver % 90,
        driver % 300,
        driver % 60,
        rest / 1000,
        rest % 1000,
        1 + ms % 12,
        1 + driver % 28,
        ms % 24,
    )
}

async fn night(
    location: &Location,
    boards: &[&Board],
    observed: Timestamp,
    number: u64,
) -> Result<usize, ArchiveError> {
    let (mut rows, mut versions, mut count) = (Rows::default(), Rows::default(), 0);
    let mut file = NewParquet::create(location, parquet_file::recording())?;
    for board in boards {
        let first = board.laps.first().map_or(0, |lap| lap.1);
        let entries: Vec<String> =
            board.laps.iter().enumerate().map(|(place, lap)| entry(*lap, first, place)).collect();
        let mut checksum = EntriesChecksum::default();
        for entry in &entries {
            checksum.push(entry);
        }
        let (size, entries_crc) = (u32::try_from(entries.len()).unwrap_or(u32::MAX), checksum.value());
        let version = Version {
            observed_ms: observed.as_millisecond(),
            board: board.id,
            size,
            track: "Layout",
            gone: false,
            file_id: u64::from(entries_crc),
            entries_crc,
        };
        for (position, text) in (1..).zip(&entries) {
            let raw: &RawValue = serde_json::from_str(text).expect("it is JSON");
            let read = Entry::read(raw);
            if position == 1 {
                versions.push_version(&version, read.as_ref());
            }
            rows.push_entry(&version, position, text, read.as_ref());
        }
        count += entries.len();
        if rows.len() >= 8192 {
            file.write(&rows.take().expect("columns of one length")).await?;
        }
    }
    file.write(&rows.take().expect("columns of one length")).await?;
    file.begin_row_group().await?;
    file.write(&versions.take().expect("columns of one length")).await?;
    let staged = file.finish().await?;
    let date = observed.strftime("%Y-%m-%d").to_string();
    let added = location.commit_recording(&staged, &date, number).await?;
    assert!(added.is_some(), "the archive is not empty");
    Ok(count)
}

#[tokio::main]
async fn main() -> Result<(), ArchiveError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, rows] = &arguments[..] else { panic!("expected FOLDER ROWS") };
    let location = Location::new(&ArchiveUrl::Folder(folder.into()))?;
    let wanted: usize = rows.parse().expect("a number of rows");
    let place = Place { cluster: None, timeout: Duration::from_hours(1), limit_bytes: None };
    let mut random = Random(42);
    let mut boards = boards(&mut random);
    let (mut observed, mut written, mut number) = (FIRST_NIGHT.parse::<Timestamp>().expect("a time"), 0, 0);
    while written < wanted {
        number += 1;
        let changed: Vec<&Board> = boards
            .iter_mut()
            .filter_map(|board| {
                let is_large = board.laps.len() > 500;
                let is_changed = number == 1 || random.below(if is_large { 4 } else { 10 }) == 0;
                is_changed.then(|| {
                    change(board, &mut random);
                    &*board
                })
            })
            .collect();
        written += night(&location, &changed, observed, number).await?;
        let month = observed.strftime("%Y-%m").to_string();
        observed += SignedDuration::from_hours(24);
        if observed.strftime("%Y-%m").to_string() != month {
            let merged = compact(&location, &place, Duration::ZERO, observed, &CancellationToken::new()).await?;
            eprintln!(
                "{month}: {written} rows in {number} nights; {} bytes",
                merged.months.iter().map(|it| it.bytes).sum::<u64>()
            );
        }
    }
    Ok(())
}
