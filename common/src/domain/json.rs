//! Reads JSON without building a tree: follows one path to one array and passes its elements on.
//!
//! Pages of the service and cached boards are both read like this. The last of several equal keys counts, as in the browsers
//! that read these files. Callers decide what to do about a value of an unexpected type.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer as _, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// What is at the end of the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// An array; the sink has its elements.
    Array,
    /// `null`.
    Null,
    /// No such key.
    Nothing,
}

/// Receives what is on the path and beside it.
pub trait Sink<'a> {
    /// What an element is read as.
    type Element: Deserialize<'a>;
    /// An object on the path begins; the outermost has depth 0. If its key is duplicated it begins again: forget its earlier
    /// members.
    fn object(&mut self, _depth: usize) {}
    /// A member that is not on the path, of the object at that depth.
    fn member(&mut self, depth: usize, key: &str, value: &'a RawValue);
    /// The array begins. If its key is duplicated it begins again: forget its earlier elements.
    fn begin(&mut self);
    /// One element of the array.
    fn element(&mut self, element: Self::Element);
}

/// Follows `path` through nested objects to an array, and passes what it finds to `sink`.
///
/// # Errors
/// If the text is not one JSON document, or the path leads through something other than objects to something other than an array.
pub fn walk<'a>(text: &'a str, path: &[&str], sink: &mut impl Sink<'a>) -> Result<Found, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let found = Step { path, depth: 0, sink }.deserialize(&mut reader)?;
    reader.end()?;
    Ok(found)
}

/// Passes the members of a JSON object to `each`; anything but an object has none.
///
/// # Errors
/// If the text begins like an object and is not valid JSON.
pub fn members<'a>(text: &'a str, each: impl FnMut(&str, &'a RawValue)) -> Result<(), serde_json::Error> {
    if !text.starts_with('{') {
        return Ok(());
    }
    serde_json::Deserializer::from_str(text).deserialize_any(Members(each))
}

/// The text of a JSON string, or `None` for any other value. Half a surrogate pair becomes U+FFFD.
#[must_use]
pub fn text(value: &RawValue) -> Option<Cow<'_, str>> {
    let inner = value.get().strip_prefix('"')?.strip_suffix('"')?;
    if !inner.contains('\\') {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::Deserializer::from_str(value.get()).deserialize_bytes(Bytes).ok().map(Cow::Owned)
}

/// Reads a string as bytes, so that an unpaired surrogate becomes a replacement character instead of an error.
struct Bytes;
impl Visitor<'_> for Bytes {
    type Value = String;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }
    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<String, E> {
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }
}

/// A whole number from 0 to `u32::MAX` in any notation of JSON, or `None` for any other value.
#[must_use]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "range and fraction are checked before")]
pub fn whole_number(value: &RawValue) -> Option<u32> {
    value.get().parse().ok().or_else(|| {
        let number: f64 = serde_json::from_str(value.get()).ok()?;
        (number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number)).then_some(number as u32)
    })
}

/// Whether objects and arrays are nested deeper than `limit`. The text has to be valid JSON.
#[must_use]
pub fn nested_deeper_than(text: &str, limit: usize) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                if depth > limit {
                    return true;
                }
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// A key, read as bytes for the same reason as in [`text`].
struct Key<'a>(Cow<'a, str>);

impl<'a> Deserialize<'a> for Key<'a> {
    fn deserialize<D: serde::Deserializer<'a>>(reader: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'a> Visitor<'a> for Read {
            type Value = Key<'a>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }
            fn visit_borrowed_bytes<E>(self, bytes: &'a [u8]) -> Result<Key<'a>, E> {
                Ok(Key(std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)))
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Key<'a>, E> {
                Ok(Key(Cow::Owned(String::from_utf8_lossy(bytes).into_owned())))
            }
        }
        reader.deserialize_bytes(Read)
    }
}

/// Passes the members of an object on, while it is read; anything else has none.
#[derive(Debug)]
pub struct Members<F>(pub F);

impl<'a, F: FnMut(&str, &'a RawValue)> Visitor<'a> for Members<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_map<A: MapAccess<'a>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(Key(key)) = map.next_key()? {
            (self.0)(&key, map.next_value()?);
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// One step along the path: an object while there are keys left, then the array.
struct Step<'p, 's, S> {
    path: &'p [&'p str],
    depth: usize,
    sink: &'s mut S,
}

impl<'a, S: Sink<'a>> DeserializeSeed<'a> for Step<'_, '_, S> {
    type Value = Found;

    fn deserialize<D: serde::Deserializer<'a>>(self, reader: D) -> Result<Found, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'a, S: Sink<'a>> Visitor<'a> for Step<'_, '_, S> {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.first() {
            Some(key) => write!(f, "an object with the key {key:?}"),
            None => f.write_str("an array"),
        }
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Found, A::Error> {
        let Some((first, rest)) = self.path.split_first() else {
            return Err(A::Error::custom("expected an array, found an object"));
        };
        self.sink.object(self.depth);
        let mut found = Found::Nothing;
        while let Some(Key(key)) = map.next_key()? {
            if key == *first {
                found = map.next_value_seed(Step { path: rest, depth: self.depth + 1, sink: &mut *self.sink })?;
            } else {
                self.sink.member(self.depth, &key, map.next_value()?);
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut seq: A) -> Result<Found, A::Error> {
        if let Some(key) = self.path.first() {
            return Err(A::Error::custom(format_args!("expected an object with the key {key:?}, found an array")));
        }
        self.sink.begin();
        while let Some(element) = seq.next_element()? {
            self.sink.element(element);
        }
        Ok(Found::Array)
    }

    // Without the text itself, which may be megabytes long.
    fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<Found, E> {
        Err(E::custom(format_args!("found a string, expected {}", &self as &dyn serde::de::Expected)))
    }

    fn visit_unit<E>(self) -> Result<Found, E> {
        if self.path.is_empty() {
            self.sink.begin();
        }
        Ok(if self.path.is_empty() { Found::Null } else { Found::Nothing })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Default)]
    struct Collected(Vec<String>, Vec<String>);
    impl<'a> Sink<'a> for Collected {
        type Element = &'a RawValue;
        fn object(&mut self, depth: usize) {
            self.1.push(format!("{depth} {{"));
        }
        fn member(&mut self, depth: usize, key: &str, value: &'a RawValue) {
            self.1.push(format!("{depth} {key}={}", value.get()));
        }
        fn begin(&mut self) {
            self.0.clear();
        }
        fn element(&mut self, value: &'a RawValue) {
            self.0.push(value.get().to_owned());
        }
    }

    fn walked(text: &str) -> (Result<Found, String>, Collected) {
        let mut seen = Collected::default();
        let found = walk(text, &["a", "b"], &mut seen).map_err(|e| e.to_string());
        (found, seen)
    }

    #[test]
    fn elements_are_raw_and_members_beside_the_path_are_passed_on() {
        let (found, seen) = walked(r#" {"x":1,"a":{"b":[ {"k": 1.0} ,null],"y":"z"}} "#);
        assert_eq!(found, Ok(Found::Array));
        assert_eq!(seen.0, [r#"{"k": 1.0}"#, "null"]);
        assert_eq!(seen.1, ["0 {", "0 x=1", "1 {", "1 y=\"z\""]);
    }

    #[test]
    fn the_last_of_duplicate_keys_counts() {
        let (found, seen) = walked(r#"{"a":{"b":[1,2],"b":[3]}}"#);
        assert_eq!((found, seen.0), (Ok(Found::Array), vec!["3".to_owned()]));
    }

    #[test]
    fn a_missing_key_and_null_are_told_apart() {
        assert_eq!(walked(r#"{"a":{"c":[]}}"#).0, Ok(Found::Nothing));
        assert_eq!(walked(r#"{"a":{"b":null}}"#).0, Ok(Found::Null));
        assert_eq!(walked(r#"{"a":null}"#).0, Ok(Found::Nothing));
        for wrong in [r#"{"a":[]}"#, r#"{"a":{"b":{}}}"#, r#"{"a":{"b":[1"#, r#"{"a":{"b":[]}} x"#, "<html>", "7", ""] {
            assert!(walked(wrong).0.is_err(), "{wrong}");
        }
    }

    #[test]
    fn text_of_strings_only_with_half_surrogates_replaced() {
        let read = |json: &str| text(&RawValue::from_string(json.to_owned()).unwrap()).map(Cow::into_owned);
        assert_eq!(read(r#""Räikkönen""#).as_deref(), Some("Räikkönen"));
        assert_eq!(read(r#""a\u0026b\"""#).as_deref(), Some("a&b\""));
        assert!(
            read(r#""x\ud800y""#).is_some_and(|it| it.starts_with('x') && it.ends_with('y') && it.contains('\u{fffd}'))
        );
        assert_eq!(read("7"), None);
        assert_eq!(read("[\"a\"]"), None);
    }

    #[test]
    fn numbers_in_any_notation_within_range() {
        let read = |json: &str| whole_number(&RawValue::from_string(json.to_owned()).unwrap());
        assert_eq!([read("7"), read("7.0"), read("1e1"), read("0")], [Some(7), Some(7), Some(10), Some(0)]);
        for wrong in ["-1", "7.5", "4294967296", "1e999", "\"7\"", "null", "true"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn depth_counts_brackets_outside_strings() {
        assert!(!nested_deeper_than(r#"{"a":["[[[[\"[["]}"#, 2));
        assert!(nested_deeper_than("[[[]]]", 2));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_walk_panic(text in "[\\[\\]{}\":,ab0-9nul\\\\ ]{0,60}") {
            let (found, _) = walked(&text);
            prop_assert!(found.is_err() || serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok());
        }

        #[test]
        fn any_string_reads_back(value in any::<String>()) {
            let raw = RawValue::from_string(serde_json::to_string(&value).unwrap()).unwrap();
            let read = text(&raw);
            prop_assert_eq!(read.as_deref(), Some(value.as_str()));
        }
    }
}
