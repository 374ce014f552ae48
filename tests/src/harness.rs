//! Running the real loader against a folder and a simulator, and reading what it left there.

mod files;
mod run;

pub use files::{Index, boards, check_cache, compare, index_of, json_file, snapshot};
pub use run::{Loader, Run, Running, until};

use r3e_common::domain::Catalog;

/// The built-in catalogue's first `tracks` tracks and `classes` classes.
///
/// # Panics
/// When a number is 0, or larger than the built-in catalogue's.
#[must_use]
#[expect(clippy::expect_used, reason = "a part of a valid catalogue is one")]
pub fn small_catalog(tracks: usize, classes: usize) -> Catalog {
    let whole = Catalog::builtin();
    let row = |kind: &str, id: u32, name: &str| format!("[[{kind}]]\nid = {id}\nname = {name:?}\n");
    let tracks = whole.tracks()[..tracks].iter().map(|it| row("track", it.id.get(), &it.name));
    let classes = whole.classes()[..classes].iter().map(|it| row("class", it.id.get(), &it.name));
    Catalog::from_toml(&tracks.chain(classes).collect::<String>()).expect("a part of the built-in catalogue")
}
