//! Caches of random boards, and what they are exported to.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;

use fastrand::Rng;
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio_util::sync::CancellationToken;

use super::super::*;
use crate::domain::{Catalog, Combination, Rating, Ratings};
use crate::runtime::config::IndexFormat;
use crate::runtime::fs;
use crate::store::Cache;

pub(super) const NAMES: [&str; 21] = [
    "Ludo Flender",
    "LUDO FLENDER",
    "ludo flender",
    "Ludo",
    "İsmail",
    "i\u{307}smail",
    "ΟΔΥΣΣΕΥΣ",
    "οδυσσευς",
    "ΟΔΥΣΣΕΥΣ Σ",
    "Straße",
    "STRASSE",
    "佐藤",
    "Ñandú \"el\" \\",
    "a",
    "  ",
    "[tag] Max",
    "{tag} Max",
    "José",
    "Jose",
    "Ж\u{1}",
    "Ludo Flender the eighth of his name",
];

pub(super) fn catalog() -> Catalog {
    Catalog::from_toml(
        "[[track]]\nid = 5\nname = \"A\"\n[[track]]\nid = 3\nname = \"B\"\n[[track]]\nid = 9\nname = \"C\"\n\
         [[class]]\nid = 2922\nname = \"X\"\n[[class]]\nid = 1703\nname = \"Y\"\n[[class]]\nid = 7\nname = \"Z\"\n",
    )
    .unwrap()
}

pub(super) fn entry(random: &mut Rng) -> String {
    let name = random.choice(NAMES).unwrap();
    let many = format!("Driver {}", random.u16(..200));
    let name = serde_json::to_string(if random.bool() { name } else { &many }).unwrap();
    match random.u8(..12) {
        0 => return "{}".to_owned(),
        1 => return format!(r#"{{"driver":{{"name":{name}}}}}"#),
        _ => {}
    }
    let odd = ["+01.88751s", "+1m 02.345s", "soon", "+01.887s"][random.usize(..4)];
    let laptime = ["1m 23.414s", "1m 25.301s, +01.887s", "none", ""][random.usize(..4)];
    let (day, hour) = (random.u8(10..30), random.u8(10..24));
    let date = match random.u8(..5) {
        0 => format!("01/{day}/2025 {hour}:30:00"),
        1 => format!("2025-01-{day}T{hour}:30:00+02:00"),
        2 => "yesterday".to_owned(),
        _ => format!("2025-01-{day}T{hour}:30:00"),
    };
    // So few ids that many drivers have several names.
    let path = match random.u16(..300) {
        id @ 60.. => format!("https://game.raceroom.com/users/info/{id}/"),
        30.. => "https://game.raceroom.com/users/".to_owned(),
        id => format!("/0{id}"),
    };
    let avatar = if random.bool() { format!("https://x/{}", random.u8(..9)) } else { String::new() };
    let country = if random.u8(..4) == 0 { String::new() } else { format!("Land {}", random.u8(..3)) };
    let code = ["BE", "de", "DEU", ""][usize::from(day % 4)];
    let team = ["", "", "Privateer", "T1", "T2", "T3"][random.usize(..6)];
    format!(
        r#"{{"driver":{{"name":{name},"path":"{path}","avatar":"{avatar}"}},"country":{{"name":"{country}","code":"{code}"}},
            "team":"{team}","index":{},"laptime":"{laptime}","relative_laptime":"{odd}","date_time":"{date}","rank":"A",
            "car_class":{{"car":{{"name":"Car","class-name":"GT"}}}},"driving_model":"Get Real"}}"#,
        random.u8(..7),
    )
}

/// Writes a board; some are damaged, which shows after entries only, and some have their entries twice.
pub(super) fn write_board(cache: &Cache, board: Combination, count: usize, random: &mut Rng) {
    let Combination { track, class } = board;
    let (kind, earlier) = (random.u8(..6), random.usize(..=count));
    let mut data = |count| format!(r#""Data":[{}]"#, (0..count).map(|_| entry(random)).collect::<Vec<_>>().join(","));
    let data = match kind {
        0 => format!("{},{}", data(earlier), data(count)),
        1 => format!("{},oops", data(count)),
        _ => data(count),
    };
    let text = format!(r#"{{"track_info":{{"TrackID":"{track}","ClassID":"{class}",{data},"Name":"T{track}"}}}}"#);
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    let path = cache.board_path(board);
    fs::create_folders(fs::parent(&path)).unwrap();
    fs::write_whole(&path, &gzip.finish().unwrap()).unwrap();
}

/// Ratings of drivers whom the boards have, and of others.
pub(super) fn ratings(random: &mut Rng) -> Ratings {
    let count = [0, 1, 40, 9000][random.usize(..4)];
    let drivers = (1..=count).map(|position| Rating {
        user_id: random.u64(..400),
        name: (*random.choice(NAMES).unwrap()).to_owned(),
        position,
        active: random.u8(..3) > 0,
    });
    Ratings { source: "https://x/\"ratings\"".to_owned(), drivers: drivers.collect() }
}

pub(super) struct World {
    pub(super) folder: tempfile::TempDir,
    pub(super) cache: Cache,
    pub(super) catalog: Catalog,
    pub(super) ratings: Ratings,
    pub(super) stop: CancellationToken,
}

/// The files that an index was exported to, by their names, and all else that is known of it.
pub(super) type Index = (BTreeMap<String, Vec<u8>>, String);

/// All files of a folder, by their names in it.
pub(super) fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let (path, name) = entry.map(|it| (it.path(), it.file_name().into_string().unwrap())).unwrap();
        if path.is_dir() {
            found.extend(files(&path).into_iter().map(|(inner, bytes)| (format!("{name}/{inner}"), bytes)));
        } else {
            found.insert(name, std::fs::read(path).unwrap());
        }
    }
    found
}

impl World {
    /// A cache with boards of so many entries each.
    pub(super) fn new(seed: u64, boards: &[usize]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (cache, catalog) = (Cache::new(&folder.path().join("cache")), catalog());
        let mut random = Rng::with_seed(seed);
        for (board, &count) in catalog.combinations().zip(boards) {
            write_board(&cache, board, count, &mut random);
        }
        let ratings = ratings(&mut Rng::with_seed(seed));
        Self { folder, cache, catalog, ratings, stop: CancellationToken::new() }
    }

    pub(super) fn source(&self, bytes: Option<u64>, threads: usize) -> Source<'_> {
        let headroom = Headroom { bytes, purge: || {} };
        Source {
            cache: &self.cache,
            catalog: &self.catalog,
            threads,
            headroom,
            formats: &IndexFormat::ALL,
            ratings: Some(&self.ratings),
            now: std::time::UNIX_EPOCH,
            stop: &self.stop,
        }
    }

    /// An index made in so many bytes.
    pub(super) fn index(&self, bytes: Option<u64>, threads: usize) -> Result<Index, IndexError> {
        let source = self.source(bytes, threads);
        let (built, ranges) = build(&source)?;
        self.export(&built, ranges)
    }

    pub(super) fn export(&self, built: &Built, ranges: RangeScan<'_>) -> Result<Index, IndexError> {
        let folder = self.folder.path().join("exports");
        fs::create_folders(&folder).unwrap();
        let exported = export(ranges, &folder, true)?;
        let known = format!(
            "{exported:?} {} {} {} {} {} {:?} {:?}",
            built.entries(),
            built.nameless(),
            built.boards(),
            built.boards_with_entries(),
            built.tracks(&self.catalog).count(),
            built.states,
            built.damaged
        );
        let files = files(&folder);
        std::fs::remove_dir_all(&folder).unwrap();
        Ok((files, known))
    }

    /// An index made with so many bytes for columns and for the boards that are read beside others; also how many
    /// ranges it was made in.
    pub(super) fn index_in(&self, columns: usize, board: usize, readers: usize) -> Result<(Index, usize), IndexError> {
        let plan = headroom::Plan::for_test(columns, board, readers);
        let source = self.source(None, readers);
        let (built, ranges) = range_scan::build_in(&source, Some(plan))?;
        let count = ranges.count();
        let index = self.export(&built, ranges)?;
        Ok((index, count.get()))
    }
}
