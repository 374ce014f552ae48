//! An entry of a leaderboard, as far as the exports need it; every field may be absent or of an unexpected type.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::json::{self, Members};

/// A view into an entry's raw text. A text field that is absent, null or no string is `""`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Entry<'a> {
    /// Whose it is; never without a name.
    pub driver: Driver<'a>,
    /// `country.name`.
    pub country: Cow<'a, str>,
    /// `country.code`, two letters.
    pub country_code: Cow<'a, str>,
    /// `car_class.car.name`.
    pub car: Cow<'a, str>,
    /// `car_class.car["class-name"]`.
    pub car_class: Cow<'a, str>,
    /// `laptime`, passed through as it is.
    pub laptime: Cow<'a, str>,
    /// `relative_laptime`; [`seconds_behind`] reads it.
    pub relative_laptime: Cow<'a, str>,
    /// `rank`.
    pub rank: Cow<'a, str>,
    /// `team`.
    pub team: Cow<'a, str>,
    /// `driving_model`, called difficulty in the exports.
    pub difficulty: Cow<'a, str>,
    /// `date_time`, passed through as it is.
    pub date_time: Cow<'a, str>,
    /// `index`, the position minus one.
    pub index: Option<u32>,
}

impl<'a> Entry<'a> {
    /// Reads an entry; one that is no object or has no driver name is none.
    #[must_use]
    pub fn read(raw: &'a RawValue) -> Option<Self> {
        let Element(entry) = serde_json::from_str(raw.get()).ok()?;
        entry
    }

    fn set(&mut self, key: &str, value: &'a RawValue) {
        match key {
            "driver" => self.driver = Driver::read(value),
            "country" => [self.country, self.country_code] = texts(value, ["name", "code"]),
            "car_class" => {
                let texts = member(value, "car").map(|car| texts(car, ["name", "class-name"]));
                [self.car, self.car_class] = texts.unwrap_or_default();
            }
            "laptime" => self.laptime = text(value),
            "relative_laptime" => self.relative_laptime = text(value),
            "rank" => self.rank = text(value),
            "team" => self.team = text(value),
            "driving_model" => self.difficulty = text(value),
            "date_time" => self.date_time = text(value),
            "index" => self.index = json::whole_number(value),
            _ => {}
        }
    }
}

/// An element of a board's list: an entry, or `None` for any other value, such as an object without a driver name. A bare number or
/// string that Rust cannot hold (`1e999`, half a surrogate pair) is an error.
#[derive(Debug)]
pub struct Element<'a>(pub Option<Entry<'a>>);

impl<'a> Deserialize<'a> for Element<'a> {
    fn deserialize<D: Deserializer<'a>>(reader: D) -> Result<Self, D::Error> {
        let mut entry = Entry::default();
        reader.deserialize_any(Members(|key: &str, value| entry.set(key, value)))?;
        Ok(Self((!entry.driver.name.is_empty()).then_some(entry)))
    }
}

/// Whose entry it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Driver<'a> {
    /// `driver.name`.
    pub name: Cow<'a, str>,
    /// `driver.path`, which ends in the driver's id; [`path_id`] reads it.
    pub path: Cow<'a, str>,
    /// `driver.avatar`, a URL.
    pub avatar: Cow<'a, str>,
}

impl<'a> Driver<'a> {
    fn read(value: &'a RawValue) -> Self {
        let [name, path, avatar] = texts(value, ["name", "path", "avatar"]);
        Self { name, path, avatar }
    }
}

/// The driver's id, which `driver.path` ends in (`…/users/info/435167/`); empty if it ends otherwise.
#[must_use]
pub fn path_id(path: &str) -> &str {
    let path = path.trim_end_matches('/');
    &path[path.trim_end_matches(|c: char| c.is_ascii_digit()).len()..]
}

/// Whose lap an entry is: what stays when other entries move it to another position, or change its gap to the leader.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Lap<'a> {
    /// `driver.path`, which holds the user id; the name where there is none.
    driver: Cow<'a, str>,
    /// `laptime` without the gap that may follow it; `""` where there is none.
    time: Cow<'a, str>,
}

impl<'a> Lap<'a> {
    /// Reads it from an entry; one that does not tell its driver has none.
    #[must_use]
    pub fn read(raw: &'a RawValue) -> Option<Self> {
        let ([mut path, mut name], mut time) = Default::default();
        json::members(raw.get(), |key, value| match key {
            "driver" => [path, name] = texts(value, ["path", "name"]),
            "laptime" => time = text(value),
            _ => {}
        })
        .ok()?;
        let driver = if path.is_empty() { name } else { path };
        let time = match time {
            Cow::Borrowed(it) => Cow::Borrowed(without_gap(it)),
            Cow::Owned(it) => Cow::Owned(without_gap(&it).to_owned()),
        };
        (!driver.is_empty()).then_some(Self { driver, time })
    }
}

/// A lap time in milliseconds, from `"1m 04.083s"`; a gap may follow it after a comma. `None` for anything else.
#[must_use]
pub fn lap_ms(laptime: &str) -> Option<u32> {
    milliseconds(without_gap(laptime).trim())
}

/// The gap to the leader in milliseconds, from `"+01.887s"`. `None` for anything else.
#[must_use]
pub fn gap_ms(relative_laptime: &str) -> Option<u32> {
    milliseconds(relative_laptime)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rounded, and within the bounds of u32")]
fn milliseconds(text: &str) -> Option<u32> {
    let rounded = (read_gap(text)? * 1000.0).round();
    (rounded <= f64::from(u32::MAX)).then_some(rounded as u32)
}

fn without_gap(laptime: &str) -> &str {
    laptime.split(',').next().unwrap_or_default()
}

/// The text; empty if the value is none.
fn text(value: &RawValue) -> Cow<'_, str> {
    json::text(value).unwrap_or_default()
}

/// The texts of the members of these keys; empty if the value is no object.
fn texts<'a, const N: usize>(value: &'a RawValue, wanted: [&str; N]) -> [Cow<'a, str>; N] {
    let mut texts = [const { Cow::Borrowed("") }; N];
    let read = json::members(value.get(), |key, value| {
        if let Some(place) = wanted.iter().position(|it| *it == key) {
            texts[place] = text(value);
        }
    });
    if read.is_ok() { texts } else { [const { Cow::Borrowed("") }; N] }
}

/// The member of that key, where the value is an object that has it.
fn member<'a>(value: &'a RawValue, wanted: &str) -> Option<&'a RawValue> {
    let mut found = None;
    json::members(value.get(), |key, value| {
        if key == wanted {
            found = Some(value);
        }
    })
    .ok()?;
    found
}

/// Seconds behind the leader, from `"+01.887s"` or `"+1m 02.345s"` (also with hours); 0 for anything else.
#[must_use]
pub fn seconds_behind(relative_laptime: &str) -> f64 {
    read_gap(relative_laptime).unwrap_or(0.0)
}

fn read_gap(text: &str) -> Option<f64> {
    let mut whole_seconds = 0u32;
    let mut parts = text.strip_prefix('+').unwrap_or(text).split(' ');
    let last = parts.next_back()?.strip_suffix('s')?;
    for part in parts {
        let (number, unit) = part.split_at_checked(part.len().checked_sub(1)?)?;
        let seconds = match unit {
            "h" => 3600,
            "m" => 60,
            _ => return None,
        };
        whole_seconds = digits(number)?.parse::<u32>().ok()?.checked_mul(seconds)?.checked_add(whole_seconds)?;
    }
    let (seconds, fraction) = last.split_once('.').unwrap_or((last, "0"));
    let seconds = digits(seconds)?.parse::<u32>().ok()?.checked_add(whole_seconds)?;
    // One conversion from decimal, so that 62.345 is the number a reader of "62.345" gets.
    format!("{seconds}.{}", digits(fraction)?).parse().ok()
}

/// The text, if it is made of ASCII digits, at least one and at most twelve.
fn digits(text: &str) -> Option<&str> {
    ((1..=12).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    #[test]
    fn every_field_is_read_from_its_place() {
        let raw =
            raw(r#"{"driver":{"name":"Ludo Flender","path":"https://x/users/info/435167/","avatar":"https://x/a.png"},
            "country":{"name":"Belgium","code":"BE"},
            "car_class":{"class":{"Name":"no"},"car":{"name":"Porsche 911 RSR 2019","class-name":"GTE"}},
            "laptime":"1m 25.301s, +01.887s","relative_laptime":"+01.887s","rank":"S","team":"T",
            "driving_model":"Get Real","index":7,"date_time":"2025-01-15T14:30:00"}"#);
        let entry = Entry::read(&raw).unwrap();
        let texts = [&entry.driver.name, &entry.country, &entry.car, &entry.car_class, &entry.laptime, &entry.rank];
        let expected = ["Ludo Flender", "Belgium", "Porsche 911 RSR 2019", "GTE", "1m 25.301s, +01.887s", "S"];
        assert_eq!(texts.map(AsRef::<str>::as_ref), expected);
        let texts = [&entry.team, &entry.difficulty, &entry.date_time, &entry.relative_laptime, &entry.country_code];
        assert_eq!(texts.map(AsRef::<str>::as_ref), ["T", "Get Real", "2025-01-15T14:30:00", "+01.887s", "BE"]);
        assert_eq!((entry.index, entry.driver.avatar.as_ref()), (Some(7), "https://x/a.png"));
        assert_eq!(path_id(&entry.driver.path), "435167");
    }

    #[test]
    fn an_id_is_the_digits_that_a_path_ends_in() {
        for (path, id) in [("/users/info/7/", "7"), ("x/12", "12"), ("", ""), ("/users/info/", ""), ("7/x", "")] {
            assert_eq!(path_id(path), id, "{path}");
        }
    }

    #[test]
    fn unexpected_types_cost_the_field_only() {
        let raw =
            raw(r#"{"driver":{"name":"x"},"country":[],"car_class":{"car":7},"laptime":{},"team":null,"index":"7"}"#);
        assert_eq!(
            Entry::read(&raw),
            Some(Entry { driver: Driver { name: "x".into(), ..Driver::default() }, ..Entry::default() })
        );
    }

    #[test]
    fn without_a_driver_name_it_is_no_entry() {
        for text in
            ["null", "7", "[]", "{}", r#"{"driver":"x"}"#, r#"{"driver":{"name":""}}"#, r#"{"driver":{"name":7}}"#]
        {
            assert_eq!(Entry::read(&raw(text)), None, "{text}");
        }
    }

    #[test]
    fn elements_of_a_list_are_read_where_they_stand() {
        let list =
            r#"[{"driver":{"name":"x"}}, null, true, -1, 7, 1.5, "x", [[{}]], {}, {"driver":{"name":"y\ud800"}}]"#;
        let elements: Vec<Element<'_>> = serde_json::from_str(list).unwrap();
        let names: Vec<_> = elements.iter().map(|Element(it)| it.as_ref().map(|it| it.driver.name.as_ref())).collect();
        assert_eq!((names.len(), names[0], &names[1..9]), (10, Some("x"), &[None; 8][..]));
        assert!(names[9].is_some_and(|name| name.starts_with('y')));
    }

    #[test]
    fn a_lap_is_the_same_wherever_it_stands_on_the_board() {
        let same = |one: &str, other: &str| {
            let (one, other) = (raw(one), raw(other));
            Lap::read(&one).unwrap() == Lap::read(&other).unwrap()
        };
        let lap = r#"{"driver":{"name":"x","path":"p"},"laptime":"1m 25.301s, +01.887s","index":7}"#;
        for moved in [
            r#"{"index":8,"laptime":"1m 25.301s","driver":{"path":"p","name":"x"}}"#,
            r#"{"driver":{"name":"renamed","path":"p"},"laptime":"1m 25.301s\u002c +02.000s"}"#,
        ] {
            assert!(same(lap, moved), "{moved}");
        }
        for other in [
            r#"{"driver":{"name":"x","path":"q"},"laptime":"1m 25.301s"}"#,
            r#"{"driver":{"name":"x","path":"p"},"laptime":"1m 25.300s"}"#,
            r#"{"driver":{"name":"x","path":"p"}}"#,
        ] {
            assert!(!same(lap, other), "{other}");
        }
        assert!(!same(r#"{"driver":{"name":"x"}}"#, r#"{"driver":{"name":"y"}}"#));
        for nobody in ["7", "[]", "{}", r#"{"driver":{"name":""},"laptime":"1m"}"#, r#"{"driver":7}"#] {
            assert_eq!(Lap::read(&raw(nobody)), None, "{nobody}");
        }
    }

    #[test]
    fn gaps_in_all_their_forms() {
        let cases = [
            ("+01.887s", 1.887),
            ("+1m 02.345s", 62.345),
            ("+1h 00m 00.001s", 3600.001),
            ("+5s", 5.0),
            ("", 0.0),
            ("n/a", 0.0),
            ("+1x 02.345s", 0.0),
            ("+é 02.345s", 0.0),
            ("+99999999999h 1s", 0.0),
            ("-1.0s", 0.0),
        ];
        for (text, seconds) in cases {
            assert!((seconds_behind(text) - seconds).abs() < f64::EPSILON, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_gap_is_read_as_its_decimal(seconds in 0u32..100_000, millis in 0u32..1000) {
            let text = format!("{seconds}.{millis:03}");
            prop_assert_eq!(seconds_behind(&format!("+{text}s")).to_bits(), text.parse::<f64>().unwrap().to_bits());
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,20}") {
            prop_assert!(seconds_behind(&text) >= 0.0);
        }
    }
}
