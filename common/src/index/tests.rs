//! An index made within a budget has the same bytes as one held in memory.

use std::io::Write as _;

use fastrand::Rng;
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use tokio_util::sync::CancellationToken;

use super::budget::{Plan, Shares};
use super::build::Built;
use super::output::BLOCK_ROWS;
use super::*;
use crate::domain::Validators;
use crate::domain::{Catalog, Combination};
use crate::runtime::fs;
use crate::store::{BoardEncoder, Cache};

const EXPORTS: [&str; 3] = ["driver_index.json.gz", "driver_index.json", TOP_COMBINATIONS];

const NAMES: [&str; 16] = [
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
    "Ж\u{1}",
    "Ludo Flender the eighth of his name",
];

fn catalog() -> Catalog {
    Catalog::from_toml(
        "[[track]]\nid = 5\nname = \"A\"\n[[track]]\nid = 3\nname = \"B\"\n[[track]]\nid = 9\nname = \"C\"\n\
         [[class]]\nid = 2\nname = \"X\"\n[[class]]\nid = 1\nname = \"Y\"\n[[class]]\nid = 7\nname = \"Z\"\n",
    )
    .unwrap()
}

fn entry(random: &mut Rng) -> String {
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
    let date = ["2025-01-15T14:30:00", "01/15/2025 14:30:00", "yesterday"][random.usize(..3)];
    format!(
        r#"{{"driver":{{"name":{name}}},"country":{{"name":"Land {}"}},"team":"T{}","index":{},"laptime":"{laptime}",
            "relative_laptime":"{odd}","date_time":"{date}","rank":"A","driving_model":"Get Real"}}"#,
        random.u8(..9),
        random.u8(..3),
        random.u8(..4),
    )
}

/// Writes a board; some are damaged, which shows after entries only, and some have their entries twice.
fn write_board(cache: &Cache, board: Combination, count: usize, random: &mut Rng) {
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

struct World {
    folder: tempfile::TempDir,
    cache: Cache,
    catalog: Catalog,
}

impl World {
    /// A cache with boards of so many entries each.
    fn new(seed: u64, boards: &[usize]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (cache, catalog) = (Cache::new(&folder.path().join("cache")), catalog());
        let mut random = Rng::with_seed(seed);
        for (board, &count) in catalog.combinations().zip(boards) {
            write_board(&cache, board, count, &mut random);
        }
        Self { folder, cache, catalog }
    }

    /// Exports an index, and tells all there is to tell of it.
    fn export(&self, built: &Built, threads: usize) -> (Vec<Vec<u8>>, String) {
        let folder = self.folder.path().join("exports");
        fs::create_folders(&folder).unwrap();
        let exported = export(built, &self.catalog, &folder, true, threads, &CancellationToken::new()).unwrap();
        let told = format!(
            "{exported:?} {} {} {} {} {} {:?} {:?}",
            built.entries(),
            built.nameless(),
            built.boards(),
            built.boards_with_entries(),
            built.tracks(&self.catalog),
            built.states,
            built.damaged
        );
        let files = EXPORTS.map(|name| std::fs::read(folder.join(name)).unwrap());
        std::fs::remove_dir_all(&folder).unwrap();
        (files.into(), told)
    }

    fn held(&self) -> (Vec<Vec<u8>>, String) {
        let budget = Budget { bytes: None, spill: self.folder.path(), give_back: || {} };
        let built = build(&self.cache, &self.catalog, 2, &budget, &CancellationToken::new()).unwrap();
        self.export(&built, 2)
    }

    fn sorted(&self, plan: Plan) -> Result<Built, IndexError> {
        let spill = self.folder.path().join("spill");
        let budget = Budget { bytes: None, spill: &spill, give_back: || {} };
        super::sorted::build(&self.cache, &self.catalog, plan, &budget, &CancellationToken::new())
    }
}

/// Little memory for records, and two runs merged at a time.
fn plan(readers: usize, records: usize, board: usize) -> Plan {
    let shares = |board| Shares { records, board };
    Plan {
        given: 0,
        combinations: 9,
        names: 1 << 20,
        readers,
        usual: shares(board),
        large: shares(64 << 20),
        buffer: 64,
        cursors: 9000,
        blocks: 4 << 20,
    }
}

fn runs(built: &Built) -> usize {
    match &built.content {
        super::build::Content::Sorted(sorted) => sorted.runs.len(),
        super::build::Content::Held { .. } => 0,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn the_bytes_do_not_tell_the_budget_nor_the_threads(
        seed: u64,
        boards in proptest::collection::vec(prop_oneof![Just(0usize), 1usize..20, 20usize..900], 0..9),
        readers in 1usize..5,
        records in 40_000usize..90_000,
        // Some boards are too large to be read beside others.
        board in prop_oneof![Just(8usize << 20), Just(5000)],
    ) {
        let world = World::new(seed, &boards);
        let held = world.held();
        let built = world.sorted(plan(readers, records, board)).unwrap();
        prop_assert_eq!(&held, &world.export(&built, readers));
        // Runs are only read: they can be exported again.
        prop_assert_eq!(&held, &world.export(&built, 5 - readers));
    }
}

#[test]
fn many_runs_are_merged_in_passes_and_leave_no_file() {
    let world = World::new(4, &[900; 9]);
    let built = world.sorted(plan(2, 40_000, 8 << 20)).unwrap();
    assert!(runs(&built) > 8, "{}", runs(&built));
    assert_eq!(fs::list(&world.folder.path().join("spill")).unwrap(), Vec::<std::path::PathBuf>::new());
    assert_eq!(world.held(), world.export(&built, 2));
}

#[test]
fn blocks_begin_where_they_do_in_memory() {
    // Full blocks only, and one row more; each with few and with many blocks under way.
    for more in [0, 1] {
        let folder = tempfile::tempdir().unwrap();
        let world = World { cache: Cache::new(&folder.path().join("cache")), folder, catalog: catalog() };
        let entries: Vec<_> = (0..2 * BLOCK_ROWS + more).map(|number| number % 700).collect();
        for (board, entries) in world.catalog.combinations().zip(entries.chunks(1500)) {
            let mut encoder = BoardEncoder::new(board, "T", &Validators::default());
            for number in entries {
                let raw = format!(r#"{{"driver":{{"name":"Driver {number}"}},"index":{number}}}"#);
                assert!(encoder.push(&serde_json::value::RawValue::from_string(raw).unwrap()));
            }
            let path = world.cache.board_path(board);
            fs::create_folders(fs::parent(&path)).unwrap();
            fs::write_whole(&path, &encoder.finish("t").bytes).unwrap();
        }
        let held = world.held();
        for blocks in [3 << 20, 64 << 20] {
            let built = world.sorted(Plan { blocks, ..plan(2, 200_000, 8 << 20) }).unwrap();
            assert_eq!(built.entries(), 2 * BLOCK_ROWS + more);
            assert_eq!(held, world.export(&built, 2));
        }
    }
}

#[test]
fn too_little_memory_is_told_before_anything_is_read() {
    let (world, stop) = (World::new(1, &[3]), CancellationToken::new());
    let least = Budget::least(&world.catalog);
    let build_in = |bytes| {
        let budget = Budget { bytes: Some(bytes), spill: world.folder.path(), give_back: || {} };
        build(&world.cache, &world.catalog, 2, &budget, &stop)
    };
    let error = build_in(least - 1).unwrap_err();
    assert!(matches!(error, IndexError::BudgetTooSmall { needed, given } if (needed, given) == (least, least - 1)));
    assert_eq!(world.held(), world.export(&build_in(least).unwrap(), 2));
}

/// Writes a board of so many entries over the first one, and gives its path and the file.
fn write_large(world: &World, entries: usize, entry: &str) -> (std::path::PathBuf, Vec<u8>) {
    let board = world.catalog.combinations().next().unwrap();
    let mut encoder = BoardEncoder::new(board, "T", &Validators::default());
    for _ in 0..entries {
        assert!(encoder.push(&serde_json::value::RawValue::from_string(entry.to_owned()).unwrap()));
    }
    let (path, whole) = (world.cache.board_path(board), encoder.finish("t").bytes);
    fs::write_whole(&path, &whole).unwrap();
    (path, whole)
}

#[test]
fn a_board_that_does_not_fit_at_all_is_told_but_a_damaged_one_is_only_damaged() {
    let world = World::new(1, &[1; 9]);
    let (path, whole) = write_large(&world, 3000, &entry(&mut Rng::with_seed(7)));
    let small = Plan { large: Shares { records: 40_000, board: 100_000 }, ..plan(1, 40_000, 5000) };
    assert!(matches!(world.sorted(small), Err(IndexError::BudgetTooSmall { needed: 10_000.., given: 0 })));
    fs::write_whole(&path, &[&whole[..whole.len() - 8], b"\0\0\0\0\0\0\xff\0"].concat()).unwrap();
    let built = world.sorted(small).unwrap();
    assert!(built.damaged.iter().any(|damaged| world.cache.board_path(damaged.board) == path), "{:?}", built.damaged);
}

#[test]
fn an_index_can_be_made_in_the_budget_that_an_error_names() {
    let (small, text) = (entry(&mut Rng::with_seed(7)), "x".repeat(100_000));
    // A board of 20 MB, and an entry that few records of its size have room beside.
    for (entries, entry) in [(120_000, small), (80, format!(r#"{{"driver":{{"name":"a"}},"team":"{text}"}}"#))] {
        let world = World::new(1, &[2; 9]);
        let (_, _) = write_large(&world, entries, &entry);
        let spill = world.folder.path().join("spill");
        let make = |bytes| {
            let budget = Budget { bytes: Some(bytes), spill: &spill, give_back: || {} };
            let built = build(&world.cache, &world.catalog, 2, &budget, &CancellationToken::new())?;
            let folder = world.folder.path();
            export(&built, &world.catalog, folder, false, 2, &CancellationToken::new()).map(|_| ())
        };
        let mut bytes = Budget::least(&world.catalog);
        let mut named = Vec::new();
        while let Err(error) = make(bytes) {
            let IndexError::BudgetTooSmall { needed, given } = error else { panic!("{error}") };
            assert!(needed > given && given == bytes, "{needed} {given}");
            bytes = needed;
            named.push(bytes);
        }
        assert!((1..=3).contains(&named.len()), "{named:?}");
        // Asked beforehand, boards are known.
        let least = Budget::least_for(&world.cache, &world.catalog, 2).unwrap();
        assert!(least <= bytes, "{least} {named:?}");
        assert!(entries < 1000 || make(least).is_ok(), "{least} {named:?}");
    }
}

#[test]
fn a_folder_that_takes_no_file_is_named_and_a_stop_is_obeyed() {
    let (world, stop) = (World::new(1, &[9; 9]), CancellationToken::new());
    let spill = world.folder.path().join("no folder");
    fs::write_whole(&spill, b"").unwrap();
    let budget = Budget { bytes: Some(Budget::least(&world.catalog)), spill: &spill, give_back: || {} };
    let error = build(&world.cache, &world.catalog, 2, &budget, &stop).unwrap_err();
    assert!(matches!(&error, IndexError::Store(error) if error.path.starts_with(&spill)), "{error}");
    let built = world.sorted(plan(1, 40_000, 8 << 20)).unwrap();
    stop.cancel();
    assert!(matches!(build(&world.cache, &world.catalog, 2, &budget, &stop), Err(IndexError::Stopped)));
    let exported = export(&built, &world.catalog, world.folder.path(), false, 2, &stop);
    assert!(matches!(exported, Err(IndexError::Stopped)), "{exported:?}");
}
