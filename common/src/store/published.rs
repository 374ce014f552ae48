//! The files that front ends read, as they name them.

use std::path::Path;
use std::str::FromStr;

use super::cache::{board_name, board_of};
use crate::domain::Combination;
use crate::runtime::fs::{FsError, RegularFile, Root};

/// The index's name without compression; with it, `.gz` is appended.
pub const DRIVER_INDEX: &str = "driver_index.json";
const DRIVER_INDEX_FILE: &str = "driver_index.json.gz";

/// The name of the list of the largest boards.
pub const TOP_COMBINATIONS: &str = "top_combinations.json";

/// The name of what is said of the last run.
pub(super) const STATUS: &str = "status.json";

/// A file that is published. There are no others: what else lies in the cache is the programs' own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// `driver_index.json`: the driver index, which lies there as [`Published::DriverIndexFile`].
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

/// It names no file that is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no such file is published")]
pub struct NotPublished;

impl FromStr for Published {
    type Err = NotPublished;

    /// By its path in the cache, in the one form that it has.
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
    /// Opens it in that cache; `None` where it is not there.
    ///
    /// # Errors
    /// When it is there and cannot be opened.
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
    fn only_published_files_have_a_name() {
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
        fn whatever_is_asked_for_stays_in_the_folder(path in "[./a-z_0-9\\\\%\0]{0,40}") {
            if let Ok(Published::Board(it)) = path.parse() {
                prop_assert_eq!(board_name(it), path);
            }
        }
    }
}
