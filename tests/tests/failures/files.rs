//! Truncated and foreign files in cache and staging.

use std::fs;

use r3e_tests::harness::{Place, board_file, board_files};

use super::world::World;

/// Files that nobody of us has written; the last is a board of no track of the catalogue.
const FOREIGN: [(&str, &[u8]); 4] = [
    ("cache/index.html", b"<!DOCTYPE html>"),
    ("cache/notes/track_1", b"mine"),
    ("cache_temp/notes.txt", b"mine too"),
    ("cache_temp/track_7/class_7.json.gz", b"a board of another catalogue"),
];

/// Cuts the first board in the cache short, and the first in staging, and all exports; puts foreign files beside them; and
/// garbage where staging says what it is.
pub(crate) fn damage(_: &World, place: &Place) {
    for folder in [place.cache(), place.staging()] {
        let Some(board) = board_files(&folder).into_keys().next() else { continue };
        let file = board_file(&folder, board);
        let bytes = fs::read(&file).unwrap();
        fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    }
    for name in ["driver_index.json.gz", "top_combinations.json", "status.json"] {
        let file = place.cache().join(name);
        let bytes = fs::read(&file).unwrap();
        fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    }
    fs::write(place.staging().join(".staging.json"), b"{\"for").unwrap();
    for (name, bytes) in FOREIGN {
        let path = place.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// Checks that foreign files, where there are some, are what they were, and takes them away.
#[track_caller]
pub(crate) fn foreign_are_left_alone(place: &Place) {
    if !place.path(FOREIGN[0].0).exists() {
        return;
    }
    for (name, bytes) in FOREIGN {
        assert_eq!(fs::read(place.path(name)).unwrap_or_default(), bytes, "{name}");
        fs::remove_file(place.path(name)).unwrap();
    }
    fs::remove_dir(place.staging().join("track_7")).unwrap();
}
