//! A strict reader of the cache: it rejects whatever browsers and scripts would reject.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use flate2::bufread::GzDecoder;
use r3e_common::domain::{Combination, Entry};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// A cached board.
#[derive(Debug, Clone, PartialEq)]
pub struct BoardFile {
    /// The track's name.
    pub name: String,
    /// The raw JSON of the entries, since they may contain unpaired surrogates, which a `String` cannot hold.
    pub entries: Vec<String>,
    /// When the file was written.
    pub written: SystemTime,
}

/// Inflates exactly one gzip member, as browsers do: anything after it is refused.
///
/// # Panics
/// When it is not exactly one.
#[track_caller]
#[must_use]
pub fn gunzip(bytes: &[u8], whose: &Path) -> Vec<u8> {
    let mut decoder = GzDecoder::new(bytes);
    let mut text = Vec::new();
    if let Err(error) = decoder.read_to_end(&mut text) {
        panic!("{}: {error}", whose.display());
    }
    assert_eq!(decoder.into_inner().len(), 0, "{}: bytes after the gzip member", whose.display());
    text
}

/// Compresses into one gzip member.
#[must_use]
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The path of a board's file in a cache or staging folder.
#[must_use]
pub fn board_file(folder: &Path, Combination { track, class }: Combination) -> PathBuf {
    folder.join(format!("track_{track}/class_{class}.json.gz"))
}

/// Reads all boards of a cache or staging folder completely. The only other files allowed beside them are hidden ones.
///
/// # Panics
/// If a file is truncated, not JSON, not the board of its path, or inconsistent.
#[must_use]
pub fn board_files(folder: &Path) -> BTreeMap<Combination, BoardFile> {
    let mut boards = BTreeMap::new();
    for track in list(folder) {
        let Some(track_id) = name(&track).strip_prefix("track_").map(str::to_owned) else { continue };
        for file in list(&track).into_iter().filter(|file| !name(file).starts_with('.')) {
            let class_id = name(&file).strip_prefix("class_").and_then(|it| it.strip_suffix(".json.gz"));
            let class_id = class_id.unwrap_or_else(|| panic!("no board: {}", file.display())).to_owned();
            let board: Combination = format!("{track_id}-{class_id}").parse().unwrap();
            boards.insert(board, read_board(&file, &track_id, &class_id));
        }
    }
    boards
}

/// The number of distinct drivers on these boards, by the id at the end of the profile's URL, or else by name.
///
/// # Panics
/// If an entry is not JSON.
#[must_use]
pub fn distinct_drivers<'b>(boards: impl IntoIterator<Item = &'b BoardFile>) -> usize {
    let mut ids = BTreeSet::new();
    for text in boards.into_iter().flat_map(|board| &board.entries) {
        let raw: &RawValue = serde_json::from_str(text).unwrap();
        let Some(Entry { driver, .. }) = Entry::read(raw) else { continue };
        let path = driver.path.trim_end_matches('/');
        let id = &path[path.trim_end_matches(|it: char| it.is_ascii_digit()).len()..];
        ids.insert(if id.is_empty() { driver.name.to_lowercase() } else { id.to_owned() });
    }
    ids.len()
}

/// Reads one board of a cache or staging folder completely; `None` if there is no such file.
///
/// # Panics
/// See [`board_files`].
#[must_use]
pub fn board_at(folder: &Path, board: Combination) -> Option<BoardFile> {
    let file = board_file(folder, board);
    file.exists().then(|| read_board(&file, &board.track.to_string(), &board.class.to_string()))
}

/// The contract of a board's file; new keys may be added.
#[derive(Deserialize)]
struct Contract {
    track_info: TrackInfo,
    cached_at: String,
    track_name: String,
    track_id: String,
    entry_count: usize,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TrackInfo {
    name: String,
    #[serde(rename = "TrackID")]
    track_id: String,
    #[serde(rename = "ClassID")]
    class_id: String,
    data: Option<Vec<Box<RawValue>>>,
}

fn read_board(file: &Path, track_id: &str, class_id: &str) -> BoardFile {
    let written = fs::metadata(file).unwrap().modified().unwrap();
    let text = gunzip(&fs::read(file).unwrap(), file);
    let board: Contract = serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let info = board.track_info;
    assert_eq!(
        (&*info.track_id, &*info.class_id, &*board.track_id),
        (track_id, class_id, track_id),
        "{}",
        file.display()
    );
    assert_eq!(info.name, board.track_name, "{}", file.display());
    let entries: Vec<String> = info.data.unwrap_or_default().iter().map(|entry| entry.get().to_owned()).collect();
    assert_eq!(board.entry_count, entries.len(), "{}", file.display());
    let cached_at = board.cached_at;
    assert!(cached_at.ends_with('Z') && cached_at.contains('T'), "{}: cached_at {cached_at}", file.display());
    BoardFile { name: info.name, entries, written }
}

/// The entries of a folder, sorted by name; empty if the folder does not exist or has just been removed.
fn list(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

/// Reads a JSON file.
///
/// # Panics
/// When it is missing or not JSON.
#[track_caller]
#[must_use]
pub fn read_json(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}: {text}", path.display()))
}

/// Reads `status.json`, and checks that every key of the contract is there with its type.
///
/// # Panics
/// When it is missing or breaks the contract.
#[track_caller]
#[must_use]
pub fn read_status(cache: &Path) -> Value {
    let status = read_json(&cache.join("status.json"));
    for key in ["last_scrape_start", "last_scrape_end", "last_index_update"] {
        assert!(status[key].is_string(), "status.json: {key} in {status}");
    }
    let counts = ["track_count", "total_fetched_combinations", "total_unique_tracks", "total_drivers", "total_entries"];
    for key in
        counts.into_iter().chain(["memory_alloc_mb", "memory_sys_mb", "failed_fetch_count", "retried_fetch_count"])
    {
        assert!(status[key].is_u64(), "status.json: {key} in {status}");
    }
    let others = [status["index_build_time_ms"].is_number(), status["fetch_in_progress"].is_boolean()];
    assert!(others == [true; 2] && status["failed_fetches"].is_array(), "{status}");
    let failed = status["failed_fetches"].as_array().unwrap();
    assert_eq!(status["failed_fetch_count"], failed.len(), "{status}");
    status
}

/// Reads `top_combinations.json`, and checks its count and its order by entries.
///
/// # Panics
/// When it is missing, miscounted or out of order.
#[track_caller]
#[must_use]
pub fn top_combinations(cache: &Path) -> Vec<Value> {
    let json = read_json(&cache.join("top_combinations.json"));
    let results = json["results"].as_array().unwrap().clone();
    assert_eq!(json["count"], results.len());
    assert!(results.len() <= 1000);
    let entries = |result: &Value| result["entry_count"].as_u64().unwrap();
    assert!(results.iter().all(|result| entries(result) > 0));
    assert!(results.is_sorted_by(|a, b| entries(a) >= entries(b)), "most entries first");
    results
}

/// Sets the modification time of a file to this long ago.
pub fn age(file: &Path, by: Duration) {
    let handle = fs::File::options().write(true).open(file).unwrap();
    handle.set_modified(SystemTime::now() - by).unwrap();
}

/// Contents and times of all files below a folder, except hidden ones and `status.json`: a run that fails must not change
/// any of it.
pub type Snapshot = BTreeMap<PathBuf, (Vec<u8>, SystemTime)>;

/// Takes a [`Snapshot`].
#[must_use]
pub fn snapshot(folder: &Path) -> Snapshot {
    let mut files = Snapshot::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for path in list(&folder) {
            if name(&path).starts_with('.') || name(&path) == "status.json" {
            } else if path.is_dir() {
                folders.push(path);
            } else {
                let written = fs::metadata(&path).unwrap().modified().unwrap();
                files.insert(path.clone(), (fs::read(&path).unwrap(), written));
            }
        }
    }
    files
}
