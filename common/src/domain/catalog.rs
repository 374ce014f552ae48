//! The catalogue: the track layouts and car classes that exist, and therefore the leaderboards.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::hash::Hash;

use serde::Deserialize;

use super::{ClassId, Combination, TrackId};

/// Maximum track layouts, and maximum classes, of a catalogue.
const MAX_ROWS: usize = 10_000;

/// Maximum combinations: a job holds a few bytes for each.
const MAX_COMBINATIONS: usize = 1_000_000;

/// A track layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Track {
    /// The service's id.
    pub id: TrackId,
    /// The name in the form "Track - Layout".
    pub name: String,
}

/// A car class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    /// The service's id.
    pub id: ClassId,
    /// The class's name.
    pub name: String,
}

/// A combination's position in catalogue order: by track, then by class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ordinal(pub u32);

/// Why a catalogue is invalid.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// Not TOML, or not the keys of a catalogue; the message has line and column.
    #[error("not a catalogue: {0}")]
    Toml(#[from] toml::de::Error),
    /// Not the publisher's JSON.
    #[error("not the publisher's r3e-data.json: {0}")]
    Json(#[from] serde_json::Error),
    /// Every invalid entry, one per line.
    #[error("{}", .0.join("\n"))]
    Entries(Vec<String>),
}

/// Track layouts and car classes in catalogue order, each once; there is at least one of both.
#[derive(Debug, Clone)]
pub struct Catalog {
    tracks: Vec<Track>,
    classes: Vec<Class>,
    track_rows: HashMap<TrackId, u32>,
    class_columns: HashMap<ClassId, u32>,
}

impl Catalog {
    /// The 179 layouts and 90 classes that have leaderboards.
    ///
    /// # Panics
    /// Never: a test reads the built-in text.
    #[must_use]
    #[expect(clippy::expect_used, reason = "the text is part of the program, and a test reads it")]
    pub fn builtin() -> Self {
        Self::from_toml(include_str!("builtin_catalog.toml")).expect("the built-in catalogue is valid")
    }

    /// Reads a catalogue: `[[track]]` and `[[class]]` tables with `id` and `name`.
    ///
    /// # Errors
    /// If the text does not have these keys, an id is not positive or is duplicated, a name is empty, or there are no tracks or
    /// no classes. All invalid entries are reported at once.
    pub fn from_toml(text: &str) -> Result<Self, CatalogError> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Row {
            id: i64,
            name: String,
        }
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct File {
            #[serde(default)]
            track: Vec<Row>,
            #[serde(default)]
            class: Vec<Row>,
        }
        let file: File = toml::from_str(text)?;
        let pairs = |rows: Vec<Row>| rows.into_iter().map(|row| (row.id, row.name)).collect();
        Self::from_rows(pairs(file.track), pairs(file.class))
    }

    /// Builds a catalogue from ids and names, in that order; see [`Catalog::from_toml`].
    pub(super) fn from_rows(tracks: Vec<(i64, String)>, classes: Vec<(i64, String)>) -> Result<Self, CatalogError> {
        let mut wrong = Vec::new();
        let tracks: Vec<Track> = checked("track", tracks, TrackId::new, &mut wrong)
            .into_iter()
            .map(|(id, name)| Track { id, name })
            .collect();
        let classes: Vec<Class> = checked("class", classes, ClassId::new, &mut wrong)
            .into_iter()
            .map(|(id, name)| Class { id, name })
            .collect();
        let track_rows = places("track", tracks.iter().map(|t| t.id), &mut wrong);
        let class_columns = places("class", classes.iter().map(|c| c.id), &mut wrong);
        if tracks.len() * classes.len() > MAX_COMBINATIONS {
            let (tracks, classes) = (tracks.len(), classes.len());
            wrong.push(format!("{tracks} tracks x {classes} classes: expected at most {MAX_COMBINATIONS} boards"));
        }
        if wrong.is_empty() {
            Ok(Self { tracks, classes, track_rows, class_columns })
        } else {
            Err(CatalogError::Entries(wrong))
        }
    }

    /// The catalogue in the form that [`Catalog::from_toml`] reads.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut out = String::new();
        let tracks = self.tracks.iter().map(|t| ("track", t.id.get(), &t.name));
        let classes = self.classes.iter().map(|c| ("class", c.id.get(), &c.name));
        for (kind, id, name) in tracks.chain(classes) {
            let name = toml::Value::String(name.clone());
            // Writing to a String cannot fail.
            let _infallible = writeln!(out, "[[{kind}]]\nid = {id}\nname = {name}\n");
        }
        out
    }

    /// The track layouts, in catalogue order.
    #[must_use]
    pub fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    /// The car classes, in catalogue order.
    #[must_use]
    pub fn classes(&self) -> &[Class] {
        &self.classes
    }

    /// The number of combinations.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a catalogue is never empty")]
    pub fn len(&self) -> usize {
        self.tracks.len() * self.classes.len()
    }

    /// All combinations, in catalogue order.
    pub fn combinations(&self) -> impl Iterator<Item = Combination> + '_ {
        self.tracks
            .iter()
            .flat_map(|track| self.classes.iter().map(move |class| Combination { track: track.id, class: class.id }))
    }

    /// The track and class at that position; `None` from [`Catalog::len`] on.
    #[must_use]
    pub fn at(&self, ordinal: Ordinal) -> Option<(&Track, &Class)> {
        let ordinal = ordinal.0 as usize;
        let track = self.tracks.get(ordinal / self.classes.len())?;
        Some((track, &self.classes[ordinal % self.classes.len()]))
    }

    /// The combination at this position.
    #[must_use]
    pub fn combination(&self, ordinal: Ordinal) -> Option<Combination> {
        self.at(ordinal).map(|(track, class)| Combination { track: track.id, class: class.id })
    }

    /// The position of a combination in catalogue order, if the catalogue has it.
    #[must_use]
    pub fn ordinal(&self, it: Combination) -> Option<Ordinal> {
        let row = self.track_rows.get(&it.track)?;
        let column = self.class_columns.get(&it.class)?;
        let width = u32::try_from(self.classes.len()).ok()?;
        Some(Ordinal(row * width + column))
    }

    /// The track of that id.
    #[must_use]
    pub fn track(&self, id: TrackId) -> Option<&Track> {
        self.track_rows.get(&id).map(|&row| &self.tracks[row as usize])
    }

    /// The class of that id.
    #[must_use]
    pub fn class(&self, id: ClassId) -> Option<&Class> {
        self.class_columns.get(&id).map(|&column| &self.classes[column as usize])
    }
}

/// The rows with valid ids and names; the errors of the others are added to `wrong`.
fn checked<Id>(
    kind: &str,
    rows: Vec<(i64, String)>,
    new: impl Fn(u32) -> Option<Id>,
    wrong: &mut Vec<String>,
) -> Vec<(Id, String)> {
    if rows.is_empty() {
        wrong.push(format!("no [[{kind}]]: expected at least one"));
    }
    if rows.len() > MAX_ROWS {
        wrong.push(format!("{} [[{kind}]] entries: expected at most {MAX_ROWS}", rows.len()));
        return Vec::new();
    }
    let mut good = Vec::with_capacity(rows.len());
    for (number, (id, name)) in rows.into_iter().enumerate() {
        let place = format!("[[{kind}]] number {}", number + 1);
        match u32::try_from(id).ok().and_then(&new) {
            None => wrong.push(format!("{place}: id = {id}: expected a whole number from 1 to {}", u32::MAX)),
            Some(_) if name.trim().is_empty() => wrong.push(format!("{place}: id = {id}: the name is empty")),
            Some(id) => good.push((id, name)),
        }
    }
    good
}

/// The position of each id; duplicates are added to `wrong`.
fn places<Id: Copy + Eq + Hash + std::fmt::Display>(
    kind: &str,
    ids: impl Iterator<Item = Id>,
    wrong: &mut Vec<String>,
) -> HashMap<Id, u32> {
    let mut places = HashMap::new();
    for (place, id) in (0..).zip(ids) {
        if places.insert(id, place).is_some() {
            wrong.push(format!("{kind} id {id} is duplicated: expected each id once"));
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_builtin_catalogue_has_16110_combinations() {
        let catalog = Catalog::builtin();
        assert_eq!((catalog.tracks().len(), catalog.classes().len(), catalog.len()), (179, 90, 16_110));
        for (place, combination) in (0..).zip(catalog.combinations()) {
            assert_eq!(catalog.ordinal(combination), Some(Ordinal(place)));
            let (track, class) = catalog.at(Ordinal(place)).unwrap();
            assert_eq!((track.id, class.id), (combination.track, combination.class));
        }
        assert_eq!(catalog.at(Ordinal(16_110)), None);
    }

    #[test]
    fn all_errors_are_reported_at_once() {
        let text = "[[track]]\nid = 0\nname = 'a'\n[[track]]\nid = 7\nname = ' '\n[[track]]\nid = 8\nname = 'x'\n\
                    [[track]]\nid = 8\nname = 'y'";
        let message = Catalog::from_toml(text).unwrap_err().to_string();
        for part in
            ["number 1: id = 0", "number 2: id = 7: the name is empty", "track id 8 is duplicated", "no [[class]]"]
        {
            assert!(message.contains(part), "{part:?} in {message}");
        }
    }

    #[test]
    fn an_unknown_key_is_named() {
        let message = Catalog::from_toml("[[tracks]]\nid = 1\nname = 'a'").unwrap_err().to_string();
        assert!(message.contains("tracks"), "{message}");
    }

    proptest! {
        #[test]
        fn a_written_catalogue_reads_back(names in proptest::collection::vec("\\PC*[a-z]", 1..5)) {
            let rows: Vec<(i64, String)> = (1..).zip(names).collect();
            let catalog = Catalog::from_rows(rows.clone(), rows).unwrap();
            let again = Catalog::from_toml(&catalog.to_toml()).unwrap();
            prop_assert_eq!(again.tracks(), catalog.tracks());
            prop_assert_eq!(again.classes(), catalog.classes());
        }
    }
}
