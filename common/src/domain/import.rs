//! Makes a catalogue from the game publisher's data file, `r3e-data.json`.

use serde::Deserialize;
use std::collections::BTreeMap;

use super::{Catalog, CatalogError};

/// A catalogue read from the publisher's file, and what had to be left out.
#[derive(Debug)]
pub struct Imported {
    /// Layouts as "Track - Layout", and classes, each sorted by name.
    pub catalog: Catalog,
    /// Ids of layouts whose track is not in the file; the catalogue leaves them out.
    pub orphans: Vec<i64>,
}

#[derive(Deserialize)]
struct Named {
    #[serde(rename = "Id")]
    id: i64,
    #[serde(rename = "Name")]
    name: String,
}

#[derive(Deserialize)]
struct Layout {
    #[serde(flatten)]
    named: Named,
    #[serde(rename = "Track")]
    track: i64,
}

/// Three of the file's seven collections; the others are skipped.
#[derive(Deserialize)]
struct PublisherData {
    layouts: BTreeMap<String, Layout>,
    tracks: BTreeMap<String, Named>,
    classes: BTreeMap<String, Named>,
}

/// Joins layouts with tracks, and sorts layouts and classes by name, then by id.
///
/// # Errors
/// If the text is not that file, or its ids and names do not make a valid catalogue.
pub fn import_publisher_data(text: &str) -> Result<Imported, CatalogError> {
    let data: PublisherData = serde_json::from_str(text)?;
    let track_names: BTreeMap<i64, &str> = data.tracks.values().map(|track| (track.id, track.name.as_str())).collect();
    let mut layouts = Vec::new();
    let mut orphans = Vec::new();
    for Layout { named, track } in data.layouts.values() {
        match track_names.get(track) {
            Some(track) => layouts.push((named.id, format!("{track} - {}", named.name))),
            None => orphans.push(named.id),
        }
    }
    let mut classes: Vec<(i64, String)> = data.classes.into_values().map(|class| (class.id, class.name)).collect();
    for rows in [&mut layouts, &mut classes] {
        rows.sort_by(|a, b| (&a.1, a.0).cmp(&(&b.1, b.0)));
    }
    Ok(Imported { catalog: Catalog::from_rows(layouts, classes)?, orphans })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layout_has_its_tracks_name_and_orphans_are_reported() {
        let text = r#"{"cars":{"1":{"Name":[]}},
            "tracks":{"262":{"Name":"RaceRoom Raceway","Id":262,"layouts":[]}},
            "layouts":{"263":{"Name":"Grand Prix","Track":262,"Id":263},"9":{"Name":"Lost","Track":1,"Id":9}},
            "classes":{"253":{"Name":"FRJ Cup","Cars":[],"Id":253}}}"#;
        let imported = import_publisher_data(text).unwrap();
        assert_eq!(imported.catalog.tracks()[0].name, "RaceRoom Raceway - Grand Prix");
        assert_eq!(imported.catalog.classes()[0].name, "FRJ Cup");
        assert_eq!(imported.orphans, [9]);
    }

    #[test]
    fn another_json_file_is_refused() {
        let message = import_publisher_data(r#"{"layouts":{}}"#).unwrap_err().to_string();
        assert!(message.contains("missing field `tracks`"), "{message}");
    }
}
