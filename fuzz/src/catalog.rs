//! A catalogue that someone wrote, and the publisher's data that one is made from.

use std::collections::HashSet;

use r3e_common::domain::{Catalog, CatalogError, Ordinal, import_publisher_data};

use crate::model;

/// Reads the bytes as both.
pub fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Catalog::from_toml(text) {
        Ok(catalog) => is_sound(&catalog),
        Err(error) => bounded(&error, text),
    }
    match import_publisher_data(text) {
        Ok(imported) => {
            is_sound(&imported.catalog);
            let names = imported.catalog.tracks().iter().map(|track| &track.name);
            assert!(names.is_sorted(), "layouts are sorted by name");
            assert!(imported.catalog.classes().iter().map(|class| &class.name).is_sorted(), "classes are");
            let Some(tree) = model::tree(text) else { return };
            let layouts = tree["layouts"].as_object().map_or(0, serde_json::Map::len);
            assert_eq!(imported.catalog.tracks().len() + imported.orphans.len(), layouts, "a layout was lost");
        }
        Err(error) => bounded(&error, text),
    }
}

/// A message grows with the text that it tells the mistakes of, and no faster.
fn bounded(error: &CatalogError, text: &str) {
    let length = error.to_string().len();
    assert!(length <= 1000 + 20 * text.len(), "{length} bytes of message for {} of text", text.len());
}

fn is_sound(catalog: &Catalog) {
    let (tracks, classes) = (catalog.tracks(), catalog.classes());
    assert!(!tracks.is_empty() && !classes.is_empty() && catalog.len() == tracks.len() * classes.len());
    assert_eq!(tracks.iter().map(|track| track.id).collect::<HashSet<_>>().len(), tracks.len(), "an id stands twice");
    assert_eq!(classes.iter().map(|class| class.id).collect::<HashSet<_>>().len(), classes.len(), "an id stands twice");
    for (place, board) in (0..).map(Ordinal).zip(catalog.combinations()) {
        assert_eq!(catalog.ordinal(board), Some(place));
        let found = catalog.at(place).map(|(track, class)| (track.id, class.id));
        assert_eq!(found, Some((board.track, board.class)));
    }
    let written = catalog.to_toml();
    let again = Catalog::from_toml(&written).unwrap_or_else(|error| panic!("{error}\nof\n{written}"));
    assert_eq!((again.tracks(), again.classes()), (tracks, classes), "{written}");
}
