//! The files that front ends read.

use std::path::Path;
use std::str::FromStr;

use super::cache::{board_name, board_of};
use crate::domain::Combination;
use crate::runtime::fs::{FsError, RegularFile, Root};

/// The index's name without `.gz`.
pub const DRIVER_INDEX: &str = "driver_index.json";
const DRIVER_INDEX_FILE: &str = "driver_index.json.gz";

/// The name of the list of the largest boards.
pub const TOP_COMBINATIONS: &str = "top_combinations.json";

/// Folders that have no files but those of an export, hidden ones included.
pub const EXPORT_FOLDERS: [&str; 9] = [
    "index",
    "index/entries",
    "index/metadata",
    "combinations",
    "mp_pos",
    "stats",
    "stats/overall",
    "stats/classes",
    "stats/superclasses",
];

/// Exported files in the cache folder itself, which has others too.
pub const EXPORT_FILES: [&str; 3] = ["top_combinations.json.gz", "all_combinations.json.gz", "mp_pos.json.gz"];

/// Names the files in `stats/`.
const STATISTICS: &str = "stats/index.json";

/// The folder where newer front ends look for boards.
pub(super) const TRACKS: &str = "tracks";

/// The name of the status file.
pub(super) const STATUS: &str = "status.json";

/// The folder of the files that the archive writes. No export writes there.
const ARCHIVE: &str = "archive";

/// The name of the archive's status file.
pub(super) const ARCHIVE_STATUS: &str = "archive/status.json";

/// A published file. All other files in the cache are private.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Published {
    /// `driver_index.json`, stored as [`Published::DriverIndexFile`].
    DriverIndex,
    /// `driver_index.json.gz`
    DriverIndexFile,
    /// `top_combinations.json`
    TopCombinations,
    /// `status.json`
    Status,
    /// `track_{track}/class_{class}.json.gz`
    Board(Combination),
    /// `tracks/track_{track}/class_{class}.json.gz`
    LinkedBoard(Combination),
    /// `stats/index.json`
    Statistics,
    /// `archive/status.json`
    ArchiveStatus,
    /// `archive/{track}-{class}.json`: how the record of a board fell.
    RecordLine(Combination),
    /// Any other file for newer front ends. All are `.json.gz`.
    Export(String),
}

/// The path names no published file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no such file is published")]
pub struct NotPublished;

impl FromStr for Published {
    type Err = NotPublished;

    /// Parses a path relative to the cache, which must have its canonical form.
    fn from_str(path: &str) -> Result<Self, NotPublished> {
        match path {
            DRIVER_INDEX => Ok(Self::DriverIndex),
            DRIVER_INDEX_FILE => Ok(Self::DriverIndexFile),
            TOP_COMBINATIONS => Ok(Self::TopCombinations),
            STATUS => Ok(Self::Status),
            STATISTICS => Ok(Self::Statistics),
            ARCHIVE_STATUS => Ok(Self::ArchiveStatus),
            _ if EXPORT_FILES.contains(&path) => Ok(Self::Export(path.to_owned())),
            _ => {
                let (folder, file) = path.rsplit_once('/').ok_or(NotPublished)?;
                if EXPORT_FOLDERS.contains(&folder) {
                    let stem = file.strip_suffix(".json.gz").ok_or(NotPublished)?;
                    let is_plain = !stem.is_empty() && stem.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_');
                    return if is_plain { Ok(Self::Export(path.to_owned())) } else { Err(NotPublished) };
                }
                if folder == ARCHIVE {
                    let board = file.strip_suffix(".json").and_then(|it| it.parse().ok());
                    return board.map(Self::RecordLine).ok_or(NotPublished);
                }
                let linked = folder.strip_prefix(TRACKS).and_then(|it| it.strip_prefix('/'));
                let board = board_of(linked.unwrap_or(folder), file).ok_or(NotPublished)?;
                Ok(if linked.is_some() { Self::LinkedBoard(board) } else { Self::Board(board) })
            }
        }
    }
}

impl Published {
    /// Opens the file in a cache, if it exists.
    ///
    /// # Errors
    /// If it exists but cannot be opened.
    pub fn open(&self, cache: &Path) -> Result<Option<RegularFile>, FsError> {
        let board;
        let path = match self {
            Self::DriverIndex | Self::DriverIndexFile => DRIVER_INDEX_FILE,
            Self::TopCombinations => TOP_COMBINATIONS,
            Self::Status => STATUS,
            Self::Statistics => STATISTICS,
            Self::ArchiveStatus => ARCHIVE_STATUS,
            Self::Export(path) => path,
            Self::Board(it) => {
                board = board_name(*it);
                &board
            }
            Self::RecordLine(it) => {
                board = format!("{ARCHIVE}/{it}.json");
                &board
            }
            Self::LinkedBoard(it) => {
                board = format!("{TRACKS}/{}", board_name(*it));
                &board
            }
        };
        Root(cache).open(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_published_files_parse() {
        for path in [
            "driver_index.json",
            "driver_index.json.gz",
            "top_combinations.json",
            "top_combinations.json.gz",
            "all_combinations.json.gz",
            "combinations/all_combinations.json.gz",
            "index/mirror.json.gz",
            "index/entries/_.json.gz",
            "index/metadata/a.json.gz",
            "stats/index.json",
            "stats/overall/overall_top_pole.json.gz",
            "stats/classes/1703_avg_bested.json.gz",
            "stats/superclasses/e_sedan_pole.json.gz",
            "mp_pos.json.gz",
            "mp_pos/mp_pos.json.gz",
            "status.json",
            "archive/status.json",
        ] {
            assert!(path.parse::<Published>().is_ok(), "{path}");
        }
        let board: Combination = "1693-1703".parse().unwrap();
        assert_eq!("track_1693/class_1703.json.gz".parse(), Ok(Published::Board(board)));
        assert_eq!("tracks/track_1693/class_1703.json.gz".parse(), Ok(Published::LinkedBoard(board)));
        assert_eq!("archive/1693-1703.json".parse(), Ok(Published::RecordLine(board)));
        for none in [
            "",
            ".",
            "/status.json",
            "status.json/",
            "STATUS.JSON",
            "refresh_now",
            ".scheduler.json",
            ".damaged/status.json",
            ".status.lock",
            "track_1693",
            "track_1693/",
            "track_1693/.class_1703.json.gz.tmp",
            "track_01693/class_1703.json.gz",
            "track_1693/class_1703.json",
            "track_1693/../status.json",
            "track_1693//class_1703.json.gz",
            "status.json\0",
            "index",
            "index/",
            "index/.json.gz",
            "index/.teams.json.gz.tmp",
            "index/.teams.json.gz",
            "index/mirror.json",
            "index/other/a.json.gz",
            "index/entries/../mirror.json.gz",
            "stats/other.json",
            "stats//index.json",
            "stats/classes/a\0.json.gz",
            "tracks",
            "tracks/status.json",
            "tracks/track_1693",
            "tracks/tracks/track_1693/class_1703.json.gz",
            "tracks//track_1693/class_1703.json.gz",
            "trackstrack_1693/class_1703.json.gz",
            "mp_pos/mp_pos.json",
            "mp_pos/.mp_pos.json.gz",
            "archive",
            "archive/",
            "archive/.json",
            "archive/.x",
            "archive/.status.json.tmp",
            "archive/x.json",
            "archive/01-2.json",
            "archive/1-02.json",
            "archive/0-2.json",
            "archive/1.json",
            "archive/1-2-3.json",
            "archive/1-2",
            "archive/1-2.json.gz",
            "archive/1-2.json\0",
            "archive//1-2.json",
            "archive/../archive/1-2.json",
            "archive/archive/1-2.json",
            "archive/track_1/class_2.json.gz",
            "tracks/archive/1-2.json",
            "archive/night=2026-11-01/1.parquet",
        ] {
            assert_eq!(none.parse::<Published>(), Err(NotPublished), "{none:?}");
        }
    }

    proptest! {
        #[test]
        fn a_board_parses_from_its_own_path_only(path in "[./a-z_0-9\\\\%\0]{0,40}") {
            if let Ok(Published::Board(it)) = path.parse() {
                prop_assert_eq!(board_name(it), path);
            }
        }

        #[test]
        fn a_record_line_parses_from_its_own_path_only(name in "[-+./0-9 \0]{0,12}") {
            let path = format!("archive/{name}.json");
            if let Ok(Published::RecordLine(it)) = path.parse() {
                prop_assert_eq!(it.to_string(), name);
            }
        }
    }
}
