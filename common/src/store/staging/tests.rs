use super::*;
use crate::domain::Validators;
use crate::store::{BoardEncoder, Buffers, Holder};
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

struct Folders(tempfile::TempDir);

impl Folders {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn open(&self) -> (Staging, Leftovers) {
        self.open_at(SystemTime::now())
    }

    fn open_at(&self, now: SystemTime) -> (Staging, Leftovers) {
        let (cache, staging) = (self.0.path().join("cache"), self.0.path().join("cache_temp"));
        let holder = Holder { program: "test".into(), pid: 1, since: String::new(), doing: String::new() };
        let lock = WriterLock::acquire(&cache, &staging, &holder).unwrap();
        let known = |board: Combination| board.track.get() < 10;
        Staging::open(lock, &staging, Cache::new(&cache), known, now, &CancellationToken::new()).unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        fs::create_folders(fs::parent(&path)).unwrap();
        let mut file = NewFile::create(&path).unwrap();
        file.write_all(bytes).unwrap();
        file.commit().unwrap();
    }
}

fn board(name: &str, entries: usize) -> EncodedBoard {
    let mut encoder = BoardEncoder::new(name.parse().unwrap(), "N", &Validators::default());
    for _ in 0..entries {
        assert!(encoder.push(&RawValue::from_string(r#"{"driver":{"name":"x"}}"#.into()).unwrap()));
    }
    encoder.finish("t")
}

fn stage(staging: &Staging, board: &EncodedBoard) -> Arrival {
    staging.accept(board, Destination::Staging, Shrinking::Refused).unwrap().unwrap()
}

fn promote(staging: &Staging) -> Promoted {
    let mut done = Promoted::default();
    staging.promote(&CancellationToken::new(), &mut done).unwrap();
    done
}

fn cached(staging: &Staging, name: &str) -> Option<usize> {
    staging.cache().count_entries(name.parse().unwrap(), &mut Buffers::default()).unwrap()
}

#[test]
fn boards_reach_the_cache_only_by_promotion() {
    let folders = Folders::new();
    let (staging, _) = folders.open();
    stage(&staging, &board("1-1", 2));
    stage(&staging, &board("1-2", 0));
    assert_eq!(cached(&staging, "1-1"), None);
    assert_eq!(promote(&staging), Promoted { boards: 2, kept: vec![] });
    assert_eq!((cached(&staging, "1-1"), cached(&staging, "1-2")), (Some(2), Some(0)));
    assert_eq!(promote(&staging), Promoted::default());
    staging.tidy().unwrap();
    assert!(!folders.path("cache_temp/track_1").exists());
}

#[test]
fn an_empty_answer_never_replaces_entries() {
    let folders = Folders::new();
    let (staging, _) = folders.open();
    stage(&staging, &board("1-1", 2));
    promote(&staging);
    assert_eq!(stage(&staging, &board("1-1", 0)), Arrival::Kept);
    assert_eq!(promote(&staging), Promoted::default());
    assert_eq!(cached(&staging, "1-1"), Some(2));
    assert!(!folders.path("cache_temp/track_1/class_1.json.gz").exists());
}

#[test]
fn leftovers_are_checked_and_promoted() {
    let folders = Folders::new();
    let (staging, _) = folders.open();
    stage(&staging, &board("1-1", 2));
    drop(staging);
    let whole = board("1-2", 1).bytes;
    folders.put("cache_temp/track_1/class_2.json.gz", &whole[..whole.len() - 1]);
    folders.put("cache_temp/track_1/class_3.json.gz", &whole);
    folders.put("cache_temp/track_1/.class_4.json.gz.tmp", b"half");
    folders.put("cache_temp/track_1/notes.txt", b"mine");
    folders.put("cache_temp/track_77/class_2.json.gz", &whole);
    for unfinished in ["cache/track_2/.class_1.json.gz.tmp", "cache_temp/..staging.json.tmp"] {
        folders.put(unfinished, b"half");
    }
    // Beside the boards everyone may write, and these are no concern of ours.
    folders.put("cache/.status.json.tmp", b"half");
    let (staging, leftovers) = folders.open();
    assert_eq!(leftovers.whole, 1);
    assert_eq!(leftovers.damaged.len(), 2, "{leftovers:?}");
    let foreign = ["cache_temp/track_1/notes.txt", "cache_temp/track_77/class_2.json.gz"];
    assert_eq!(leftovers.foreign, foreign.map(|it| folders.path(it)));
    assert_eq!(promote(&staging).boards, 1);
    assert_eq!((cached(&staging, "1-1"), cached(&staging, "1-2")), (Some(2), None));
    assert!(folders.path("cache_temp/.damaged/track_1/class_2.json.gz").exists());
    for gone in ["cache_temp/track_1/.class_4.json.gz.tmp", "cache/track_2/.class_1.json.gz.tmp"] {
        assert!(!folders.path(gone).exists(), "{gone}");
    }
    assert!(!folders.path("cache_temp/..staging.json.tmp").exists());
    assert!(folders.path("cache/.status.json.tmp").exists());
}

#[test]
fn an_empty_board_replaces_a_damaged_one_which_is_moved_aside() {
    let folders = Folders::new();
    folders.put("cache/track_1/class_1.json.gz", b"garbage");
    let (staging, _) = folders.open();
    stage(&staging, &board("1-1", 0));
    assert_eq!(promote(&staging).boards, 1);
    assert_eq!(cached(&staging, "1-1"), Some(0));
    assert!(folders.path("cache/.damaged/track_1/class_1.json.gz").exists());
}

#[test]
fn a_board_that_cannot_be_promoted_is_promoted_next_time() {
    let folders = Folders::new();
    let (staging, _) = folders.open();
    for name in ["1-1", "2-1", "3-1"] {
        stage(&staging, &board(name, 1));
    }
    folders.put("cache/track_2", b"in the way");
    let mut done = Promoted::default();
    staging.promote(&CancellationToken::new(), &mut done).unwrap();
    assert_eq!(done.boards, 2);
    let refused = staging.refused();
    assert!(refused.len() == 1 && refused[&"2-1".parse().unwrap()].contains("track_2"), "{refused:?}");
    fs::remove(&folders.path("cache/track_2")).unwrap();
    staging.promote(&CancellationToken::new(), &mut done).unwrap();
    assert_eq!((done.boards, staging.refused().len()), (3, 0));
    assert_eq!(["1-1", "2-1", "3-1"].map(|name| cached(&staging, name)), [Some(1); 3]);
}

#[test]
fn entries_without_a_driver_do_not_replace_entries() {
    let folders = Folders::new();
    let (staging, _) = folders.open();
    stage(&staging, &board("1-1", 2));
    promote(&staging);
    let mut nameless = BoardEncoder::new("1-1".parse().unwrap(), "N", &Validators::default());
    assert!(nameless.push(&RawValue::from_string(r#"{"error":"database"}"#.into()).unwrap()));
    assert_eq!(stage(&staging, &nameless.finish("t")), Arrival::Kept);
    assert_eq!(promote(&staging), Promoted::default());
    assert_eq!(cached(&staging, "1-1"), Some(2));
}

#[test]
fn a_leftover_older_than_the_cached_board_is_not_promoted() {
    let folders = Folders::new();
    folders.put("cache_temp/track_1/class_1.json.gz", &board("1-1", 1).bytes);
    let long_ago = std::time::SystemTime::UNIX_EPOCH;
    let staged = std::fs::File::options().write(true).open(folders.path("cache_temp/track_1/class_1.json.gz"));
    staged.unwrap().set_modified(long_ago).unwrap();
    folders.put("cache/track_1/class_1.json.gz", &board("1-1", 2).bytes);
    // If the cached board is from the future, it is unknown which is newer.
    let (staging, leftovers) = folders.open_at(long_ago);
    assert_eq!((leftovers.whole, leftovers.outdated), (1, 0));
    drop(staging);
    let (staging, leftovers) = folders.open();
    assert_eq!((leftovers.whole, leftovers.outdated), (0, 1));
    assert_eq!(promote(&staging), Promoted::default());
    assert_eq!(cached(&staging, "1-1"), Some(2));
}

#[test]
fn a_replaced_file_is_not_moved_aside() {
    let folders = Folders::new();
    let path = folders.path("cache/track_1/class_1.json.gz");
    folders.put("cache/track_1/class_1.json.gz", b"garbage");
    let damaged = fs::identity(&path).unwrap();
    let (staging, _) = folders.open();
    let one = "1-1".parse().unwrap();
    staging.accept(&board("1-1", 2), Destination::Cache, Shrinking::Refused).unwrap().unwrap();
    assert_eq!(staging.set_aside_file(one, damaged).unwrap(), None);
    assert_eq!(cached(&staging, "1-1"), Some(2));
    let aside = staging.set_aside_file(one, fs::identity(&path).unwrap()).unwrap().unwrap();
    assert_eq!(std::fs::read(aside).unwrap(), board("1-1", 2).bytes);
    for nothing in [damaged, None] {
        assert_eq!(staging.set_aside_file(one, nothing).unwrap(), None);
    }
}

#[test]
fn an_error_carries_the_identity_of_the_file_that_was_read() {
    let folders = Folders::new();
    let (path, aside) = ("cache/track_1/class_1.json.gz", folders.path("cache/.damaged/track_1/class_1.json.gz"));
    folders.put(path, b"garbage");
    let (staging, _) = folders.open();
    let one = "1-1".parse().unwrap();
    let read = || match staging.cache().count_entries(one, &mut Buffers::default()) {
        Err(ReadError::Damaged { file, .. }) => file,
        other => panic!("{other:?}"),
    };
    let first = read();
    folders.put(path, b"garbage");
    assert_eq!(staging.set_aside_file(one, first).unwrap(), None);
    assert!(folders.path(path).exists() && !aside.exists());
    // Behind a link it is the file that was read too; what is moved is the link.
    let elsewhere = folders.path("elsewhere");
    std::fs::rename(folders.path(path), &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, folders.path(path)).unwrap();
    assert_eq!(staging.set_aside_file(one, read()).unwrap(), Some(aside.clone()));
    assert!(aside.is_symlink() && elsewhere.exists());
}

#[test]
fn promotion_moves_a_folder_at_a_boards_path_aside() {
    let folders = Folders::new();
    for times in 1..=2 {
        let (staging, _) = folders.open();
        std::fs::create_dir_all(folders.path("cache/track_1/class_1.json.gz/inside")).unwrap();
        put(&staging.folder, &board("1-1", times), NewFile::commit).unwrap();
        drop(staging);
        let (staging, leftovers) = folders.open();
        assert_eq!(leftovers.whole, 1);
        assert_eq!(promote(&staging).boards, 1);
        assert_eq!(cached(&staging, "1-1"), Some(times));
        std::fs::remove_file(folders.path("cache/track_1/class_1.json.gz")).unwrap();
    }
    let aside = |name: &str| folders.path(&format!("cache/.damaged/track_1/{name}/inside")).is_dir();
    assert!(aside("class_1.json.gz") && aside("class_1.json.gz.1"));
}

#[test]
fn a_kept_board_counts_as_fetched_now() {
    let folders = Folders::new();
    let (staging, _) = folders.open();
    staging.accept(&board("1-1", 2), Destination::Cache, Shrinking::Refused).unwrap().unwrap();
    let path = folders.path("cache/track_1/class_1.json.gz");
    let long_ago = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
    std::fs::File::options().write(true).open(&path).unwrap().set_modified(long_ago).unwrap();
    assert_eq!(staging.accept(&board("1-1", 0), Destination::Cache, Shrinking::Accepted).unwrap(), Ok(Arrival::Kept));
    assert!(fs::modified(&path).unwrap().unwrap() > long_ago);
    assert_eq!(cached(&staging, "1-1"), Some(2));
}

#[test]
fn a_much_smaller_board_is_accepted_only_if_allowed() {
    for to in [Destination::Staging, Destination::Cache] {
        let folders = Folders::new();
        let (staging, _) = folders.open();
        staging.accept(&board("1-1", 20), Destination::Cache, Shrinking::Refused).unwrap().unwrap();
        let accept = |entries, shrinking| staging.accept(&board("1-1", entries), to, shrinking).unwrap();
        assert_eq!(accept(9, Shrinking::Refused), Err(Shrunk { cached: 20 }));
        assert_eq!(cached(&staging, "1-1"), Some(20));
        assert!(staging.ready().is_empty());
        assert_eq!(accept(0, Shrinking::Accepted), Ok(Arrival::Kept), "without entries it never is");
        assert_eq!(accept(15, Shrinking::Refused), Ok(Arrival::Changed), "a few are deleted now and then");
        assert_eq!(accept(9, Shrinking::Accepted), Ok(Arrival::Changed));
    }
}
