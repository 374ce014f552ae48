//! What the end-to-end tests share: a folder with a cache and an archive, and boards that change from night to night.
#![allow(dead_code, reason = "each test program uses a part of it")]
#![allow(unreachable_pub, reason = "it is a module of test programs")]
#![allow(clippy::unwrap_used, reason = "all of this is tests")]
#![allow(clippy::print_stderr, reason = "a skipped test is reported")]
#![allow(clippy::disallowed_methods, reason = "tests look at the disk without the program's own code")]

pub mod cluster;
pub mod kills;
pub mod moto;
pub mod proxy;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output};

use r3e_common::domain::{Combination, Validators};
use r3e_common::store::{BoardEncoder, Cache};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tempfile::TempDir;

/// The boards of a night: the entries of each, as the service sends them.
pub type Boards = BTreeMap<Combination, Vec<Value>>;

/// A folder with a cache and an archive.
pub struct Place {
    folder: TempDir,
    /// Where the archive is, as `--archive` takes it.
    pub archive: String,
    /// Variables for the programs, such as those of S3.
    pub variables: Vec<(String, String)>,
    /// Whether a store that fails at times is between, so that commands may fail and are run again.
    pub unreliable: bool,
}

/// How often a command is run again because an unreliable store failed.
const ATTEMPTS: usize = 20;

impl Place {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("r3e.toml"), "").unwrap();
        let archive = folder.path().join("archive").display().to_string();
        Self { folder, archive, variables: Vec::new(), unreliable: false }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn cache(&self) -> Cache {
        Cache::new(&self.path("cache"))
    }

    /// A program with nothing of the caller's configuration.
    pub fn command(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        let ours = std::env::vars_os().filter(|(name, _)| !name.to_string_lossy().starts_with("R3E_"));
        let ours = ours.filter(|(name, _)| !name.to_string_lossy().starts_with("AWS_"));
        command.env_clear().envs(ours).envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.env("R3E_RUNTIME__DIR", self.path("run")).current_dir(self.folder.path()).args(arguments);
        command
    }

    /// r3e-archive on this archive.
    pub fn archive(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(Path::new(env!("CARGO_BIN_EXE_r3e-archive")), arguments);
        command.args(["--archive", &self.archive]);
        command
    }

    /// Runs r3e-archive, which must succeed, and returns what it prints.
    pub fn run(&self, arguments: &[&str]) -> String {
        let run = || self.archive(arguments).output().unwrap();
        let mut output = run();
        for _ in 1..ATTEMPTS {
            if !self.may_fail(output.status) {
                break;
            }
            output = run();
        }
        assert!(output.status.success(), "{arguments:?}: {}", shown(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Whether a command may end so because the store failed.
    pub fn may_fail(&self, status: ExitStatus) -> bool {
        self.unreliable && status.code() == Some(69)
    }

    /// Like [`Place::run`], with `--json`.
    pub fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.run(&[arguments, &["--json"]].concat())).unwrap()
    }

    /// The rows of a query.
    pub fn sql(&self, statement: &str) -> Vec<Value> {
        serde_json::from_str(&self.run(&["sql", statement, "--format", "json"])).unwrap()
    }

    /// Records what the cache has, as of that time.
    pub fn record(&self, at: &str) -> Value {
        self.json(&["record", "--at", at])
    }

    /// Makes the cache have these boards, and no others.
    pub fn publish(&self, boards: &Boards) {
        let folder = self.path("cache");
        let _missing = std::fs::remove_dir_all(&folder);
        for (board, entries) in boards {
            let path = self.cache().board_path(*board);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, board_file(*board, entries)).unwrap();
        }
    }
}

/// What a program printed.
pub fn shown(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}: {}{}", output.status, text(&output.stdout), text(&output.stderr))
}

/// A board's file, the same for the same entries.
fn board_file(board: Combination, entries: &[Value]) -> Vec<u8> {
    let mut encoder = BoardEncoder::new(board, "Layout", &Validators::default());
    for entry in entries {
        assert!(encoder.push(&RawValue::from_string(entry.to_string()).unwrap()));
    }
    encoder.finish("2026-11-01T04:00:00Z").bytes
}

/// Boards that change from night to night, the same for the same seed.
pub struct World {
    pub boards: Boards,
    random: u64,
}

impl World {
    /// This many boards of the built-in catalogue.
    pub fn new(seed: u64, boards: usize) -> Self {
        let catalog = r3e_common::domain::Catalog::builtin();
        let mut world = Self { boards: Boards::new(), random: seed | 1 };
        for board in catalog.combinations().take(boards) {
            let drivers = world.below(30);
            let mut entries: Vec<Value> = (0..drivers).map(|_| world.entry()).collect();
            order(&mut entries);
            world.boards.insert(board, entries);
        }
        world
    }

    fn below(&mut self, limit: u64) -> u64 {
        // xorshift
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % limit
    }

    /// A driver's lap: some have no id, some share a name, some are without a lap time.
    fn entry(&mut self) -> Value {
        let driver = self.below(60);
        let ms = 60_000 + self.below(40_000);
        let path = if driver.is_multiple_of(7) {
            Value::Null
        } else {
            json!(format!("https://game.raceroom.com/users/info/{driver}/"))
        };
        let laptime = format!("1m {:02}.{:03}s", (ms - 60_000) / 1000, ms % 1000);
        json!({
            "driver": {"name": format!("Driver \"{}\" Ö", driver % 50), "path": path},
            "country": {"name": "Sweden", "code": "SE"},
            "car_class": {"car": {"name": format!("Car {}", driver % 5), "class-name": "GTR 3"}},
            "laptime": laptime,
            "relative_laptime": "",
            "rank": "", "team": if driver.is_multiple_of(3) { "Team" } else { "" }, "driving_model": "Get Real",
            "date_time": format!("2026-10-{:02}T{:02}:00:00", 1 + driver % 28, driver % 24),
        })
    }

    /// What a night changes: laps, drivers who appear or vanish, boards that become empty, vanish or come back.
    pub fn night(&mut self) {
        let all: Vec<Combination> = self.boards.keys().copied().collect();
        for board in all {
            let mut entries = self.boards.remove(&board).unwrap_or_default();
            match self.below(20) {
                0 => continue,
                1 => entries.clear(),
                2..6 => {
                    let entry = self.entry();
                    entries.push(entry);
                }
                6 | 7 if !entries.is_empty() => {
                    let gone = self.below(entries.len() as u64);
                    entries.remove(usize::try_from(gone).unwrap());
                }
                _ => {}
            }
            order(&mut entries);
            self.boards.insert(board, entries);
        }
        let catalog = r3e_common::domain::Catalog::builtin();
        let place = usize::try_from(self.below(40)).unwrap();
        let back = catalog.combinations().nth(place).unwrap();
        if !self.boards.contains_key(&back) {
            let entry = self.entry();
            self.boards.insert(back, vec![entry]);
        }
    }
}

/// By lap time, as the service does; with gaps to the first.
fn order(entries: &mut [Value]) {
    entries.sort_by_key(|it| lap_ms(it).unwrap());
    let first = entries.first().and_then(lap_ms).unwrap_or_default();
    for entry in entries {
        let gap = lap_ms(entry).unwrap() - first;
        entry["relative_laptime"] =
            json!(if gap == 0 { String::new() } else { format!("+{:02}.{:03}s", gap / 1000, gap % 1000) });
    }
}

/// The lap time of an entry, read another way than the program does.
pub fn lap_ms(entry: &Value) -> Option<i64> {
    let text = entry["laptime"].as_str()?.split(',').next()?.strip_suffix('s')?;
    let (minutes, seconds) = text.split_once("m ").unwrap_or(("0", text));
    let (seconds, millis) = seconds.split_once('.')?;
    Some(minutes.parse::<i64>().ok()? * 60_000 + seconds.parse::<i64>().ok()? * 1000 + millis.parse::<i64>().ok()?)
}

/// The id of an entry's driver.
pub fn driver_id(entry: &Value) -> Option<u64> {
    entry["driver"]["path"].as_str()?.trim_end_matches('/').rsplit('/').next()?.parse().ok()
}

/// The time of a recording: night 1 is 1 October 2025.
pub fn night_time(night: i64) -> String {
    let first: jiff::Timestamp = "2025-10-01T04:30:00Z".parse().unwrap();
    (first + jiff::SignedDuration::from_hours(24 * (night - 1))).to_string()
}

/// Checks that the archive has no damage.
pub fn verify(place: &Place) {
    let verified = place.json(&["verify"]);
    assert_eq!(verified["damage"], json!([]), "{verified}");
}
