//! The boards given as arguments or in a file, which may be a trigger file.

use std::collections::BTreeSet;
use std::path::Path;

use r3e_common::domain::{Catalog, Ordinal, Selection};
use r3e_common::runtime::fs::{self, FsError};

use crate::cli::BoardsArguments;

/// A list of all boards of the largest catalogue fits.
const MAX_BYTES: u64 = 16 << 20;

/// Why a list of boards is invalid.
#[derive(Debug)]
pub(crate) enum Wrong {
    /// It cannot be read.
    Unreadable(String),
    /// It contains no board.
    NoBoard,
}

impl From<FsError> for Wrong {
    fn from(error: FsError) -> Self {
        Self::Unreadable(format!("--from: {error}"))
    }
}

/// The chosen boards. Invalid tokens are logged and skipped.
pub(crate) fn chosen(arguments: &BoardsArguments, catalog: &Catalog) -> Result<BTreeSet<Ordinal>, Wrong> {
    let mut text = arguments.tokens.join(" ");
    if let Some(file) = &arguments.from {
        text.push(' ');
        text.push_str(&read(file)?);
    }
    let Selection { boards, refused } = Selection::parse(&text, catalog);
    for refused in &refused {
        tracing::error!(token = %refused, "skipping an invalid token");
    }
    if boards.is_empty() { Err(Wrong::NoBoard) } else { Ok(boards) }
}

fn read(file: &Path) -> Result<String, Wrong> {
    if file != Path::new("-") {
        return Ok(fs::read_text(file, MAX_BYTES)?);
    }
    fs::read_standard_input(MAX_BYTES)
        .map_err(|error| Wrong::Unreadable(format!("--from -: cannot read standard input: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn arguments(tokens: &[&str], from: Option<&Path>) -> BoardsArguments {
        BoardsArguments { tokens: tokens.iter().map(ToString::to_string).collect(), from: from.map(Into::into) }
    }

    #[test]
    fn command_line_and_file_select_each_board_once() {
        let catalog = Catalog::builtin();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"1693-1703\n\t5276-8600 nonsense\n").unwrap();
        let boards = chosen(&arguments(&["1693", "1693"], Some(file.path())), &catalog).unwrap();
        assert_eq!(boards.len(), 90 + 1);
    }

    #[test]
    fn with_no_board_left_there_is_nothing_to_do() {
        let catalog = Catalog::builtin();
        for tokens in [&["x"][..], &["999999", "1693-"], &[""]] {
            assert!(matches!(chosen(&arguments(tokens, None), &catalog), Err(Wrong::NoBoard)), "{tokens:?}");
        }
        let Err(Wrong::Unreadable(why)) = chosen(&arguments(&[], Some(Path::new("/none"))), &catalog) else {
            panic!("read a file that is missing");
        };
        assert!(why.contains("--from") && why.contains("/none"), "{why}");
    }
}
