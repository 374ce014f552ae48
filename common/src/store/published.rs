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

/// The name of the status file.
pub(super) const STATUS: &str = "status.json";

/// A published file. All other files in the cache are private.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
            _ => {
                let (folder, file) = path.split_once('/').ok_or(NotPublished)?;
                board_of(folder, file).map(Self::Board).ok_or(NotPublished)
            }
        }
    }
}

impl Published {
    /// Opens the file in a cache, if it exists.
    ///
    /// # Errors
    /// If it exists but cannot be opened.
    pub fn open(self, cache: &Path) -> Result<Option<RegularFile>, FsError> {
        let board;
        let path = match self {
            Self::DriverIndex | Self::DriverIndexFile => DRIVER_INDEX_FILE,
            Self::TopCombinations => TOP_COMBINATIONS,
            Self::Status => STATUS,
            Self::Board(it) => {
                board = board_name(it);
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
        for path in ["driver_index.json", "driver_index.json.gz", "top_combinations.json", "status.json"] {
            assert!(path.parse::<Published>().is_ok(), "{path}");
        }
        let board = "track_1693/class_1703.json.gz".parse();
        assert_eq!(board, Ok(Published::Board("1693-1703".parse().unwrap())));
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
    }
}
