//! A read-only view of `status.json`, of bounded size however many boards failed.

use std::fmt;
use std::io::{BufReader, Read as _};
use std::path::Path;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::published::{Published, STATUS};
use super::status::{FailedFetch, MAX_BYTES};
use crate::runtime::fs::{At as _, FsError};

/// The status, with a limited number of failed boards.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StatusView {
    /// Numbers, strings and booleans by key. Lists and objects are left out.
    pub figures: Map<String, Value>,
    /// The first failed boards.
    pub failed: Vec<FailedFetch>,
    /// The number of all failed boards.
    pub failed_count: u64,
}

impl StatusView {
    /// Reads the status of a cache, if there is one, with up to `limit` failed boards.
    ///
    /// # Errors
    /// If it cannot be read or is not a status.
    pub fn read(cache: &Path, limit: usize) -> Result<Option<Self>, FsError> {
        let Some(file) = Published::Status.open(cache)? else { return Ok(None) };
        let mut reader = serde_json::Deserializer::from_reader(BufReader::new(file.take(MAX_BYTES)));
        let view = reader.deserialize_map(Keys { limit }).and_then(|view| reader.end().map(|()| view));
        view.map(Some).map_err(std::io::Error::from).at("read", &cache.join(STATUS))
    }

    /// The number with this key.
    #[must_use]
    pub fn number(&self, key: &str) -> Option<f64> {
        self.figures.get(key)?.as_f64()
    }
}

struct Keys {
    limit: usize,
}

impl<'de> Visitor<'de> for Keys {
    type Value = StatusView;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a status object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<StatusView, A::Error> {
        let mut view = StatusView::default();
        while let Some(key) = map.next_key::<String>()? {
            if key == "failed_fetches" {
                (view.failed, view.failed_count) = map.next_value_seed(Failed { limit: self.limit })?;
            } else if let Figure(Some(figure)) = map.next_value()? {
                view.figures.insert(key, figure);
            }
        }
        Ok(view)
    }
}

/// The failed boards. Those of another shape are only counted.
struct Failed {
    limit: usize,
}

impl<'de> DeserializeSeed<'de> for Failed {
    type Value = (Vec<FailedFetch>, u64);

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Failed {
    type Value = (Vec<FailedFetch>, u64);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of failed boards")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok((Vec::new(), 0))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let (mut failed, mut count) = (Vec::new(), 0);
        while failed.len() < self.limit {
            let Some(row) = list.next_element::<Value>()? else { return Ok((failed, count)) };
            count += 1;
            failed.extend(serde_json::from_value::<FailedFetch>(row));
        }
        while list.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok((failed, count))
    }
}

/// A number, string or boolean. Lists and objects are skipped without allocating.
struct Figure(Option<Value>);

impl<'de> serde::Deserialize<'de> for Figure {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(FigureVisitor)
    }
}

struct FigureVisitor;

impl<'de> Visitor<'de> for FigureVisitor {
    type Value = Figure;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E>(self, it: bool) -> Result<Figure, E> {
        Ok(Figure(Some(it.into())))
    }

    fn visit_u64<E>(self, it: u64) -> Result<Figure, E> {
        Ok(Figure(Some(it.into())))
    }

    fn visit_i64<E>(self, it: i64) -> Result<Figure, E> {
        Ok(Figure(Some(it.into())))
    }

    fn visit_f64<E>(self, it: f64) -> Result<Figure, E> {
        Ok(Figure(Some(it.into())))
    }

    fn visit_str<E>(self, it: &str) -> Result<Figure, E> {
        Ok(Figure(Some(it.into())))
    }

    fn visit_unit<E>(self) -> Result<Figure, E> {
        Ok(Figure(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Figure, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Figure(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Figure, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Figure(None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Status, StatusFile};

    fn row(number: usize) -> FailedFetch {
        FailedFetch {
            track_name: format!("Track {number}"),
            track_id: "1".into(),
            class_id: "2".into(),
            error: "503".into(),
            timestamp: "2026-11-23T04:00:00Z".into(),
        }
    }

    #[test]
    fn the_view_shows_what_an_update_wrote() {
        let temp = tempfile::tempdir().unwrap();
        assert_eq!(StatusView::read(temp.path(), 5).unwrap(), None);
        let failed: Vec<FailedFetch> = (0..40).map(row).collect();
        let news = Status { track_count: Some(7), failed_fetches: Some(failed.clone()), ..Status::default() };
        StatusFile::new(temp.path()).update(&news).unwrap();
        let view = StatusView::read(temp.path(), 5).unwrap().unwrap();
        assert_eq!((view.failed.as_slice(), view.failed_count), (&failed[..5], 40));
        assert_eq!((view.number("track_count"), view.number("total_drivers")), (Some(7.0), Some(0.0)));
        assert_eq!(view.figures["fetch_in_progress"], false);
    }

    #[test]
    fn other_shapes_are_skipped_and_garbage_is_an_error() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("status.json");
        let put = |text: &str| std::fs::write(&path, text).unwrap();
        put(r#"{"x": [1, {"y": []}], "track_count": 3, "z": {"a": [2]}, "failed_fetches": [7, {"track_id": 1}]}"#);
        let view = StatusView::read(temp.path(), 9).unwrap().unwrap();
        assert_eq!((view.figures.len(), view.failed.len(), view.failed_count), (1, 0, 2));
        put(r#"{"failed_fetches": null}"#);
        assert_eq!(StatusView::read(temp.path(), 9).unwrap(), Some(StatusView::default()));
        for garbage in ["", "{", "[]", "7", "{}{}", r#"{"failed_fetches": {}}"#] {
            put(garbage);
            let error = StatusView::read(temp.path(), 9).unwrap_err().to_string();
            assert!(error.contains("status.json"), "{error}");
        }
        assert!(path.exists());
    }
}
