//! The kinds of value that keys have: what is accepted, how it is told what is, and how it is written as TOML.

use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use reqwest::Url;

use super::error::short;
use super::layer::Value;
use crate::runtime::cron::Cron;

/// The longest duration any key may have: beyond it, adding to a point in time could overflow.
const LONGEST: Duration = Duration::from_hours(36_500 * 24);
/// Any duration, where none at all makes sense.
pub(super) const FROM_ZERO: RangeInclusive<Duration> = Duration::ZERO..=LONGEST;
/// Any duration, where none at all would mean never or without a pause.
pub(super) const POSITIVE: RangeInclusive<Duration> = Duration::from_millis(1)..=LONGEST;

/// Takes a value, if it is accepted.
type Parse<T> = Box<dyn Fn(&Value) -> Option<T>>;

/// A kind of value.
pub(super) struct Kind<T> {
    /// What is accepted, to follow "expected".
    pub(super) expected: String,
    /// The value, if it is accepted.
    pub(super) parse: Parse<T>,
    /// What is wrong with a value that is not accepted, to follow what is, where more can be said than that.
    pub(super) wrong: fn(&Value) -> Option<String>,
    /// The value as TOML; none for what TOML cannot hold.
    pub(super) toml: fn(&T) -> Option<toml::Value>,
}

impl<T> Kind<T> {
    fn new(
        expected: impl Into<String>,
        parse: impl Fn(&Value) -> Option<T> + 'static,
        toml: fn(&T) -> Option<toml::Value>,
    ) -> Self {
        Self { expected: expected.into(), parse: Box::new(parse), wrong: |_| None, toml }
    }
}

#[expect(clippy::unnecessary_wraps, reason = "what `Kind::toml` gives")]
fn string(text: impl Into<String>) -> Option<toml::Value> {
    Some(toml::Value::String(text.into()))
}

/// A whole number.
pub(super) fn integer<N>(range: RangeInclusive<N>) -> Kind<N>
where
    N: TryFrom<i64> + Copy + PartialOrd + Display + 'static,
    i64: TryFrom<N>,
{
    let expected = format!("a whole number from {} to {}", range.start(), range.end());
    let parse = move |value: &Value| {
        let number = match value {
            Value::Integer(number) => *number,
            Value::Untyped(text) => text.to_str()?.parse().ok()?,
            _ => return None,
        };
        N::try_from(number).ok().filter(|number| range.contains(number))
    };
    Kind::new(expected, parse, |number| i64::try_from(*number).ok().map(toml::Value::Integer))
}

/// `true` or `false`.
pub(super) fn boolean() -> Kind<bool> {
    let parse = |value: &Value| match value {
        Value::Boolean(flag) => Some(*flag),
        Value::Untyped(text) => text.to_str()?.parse().ok(),
        _ => None,
    };
    Kind::new("true or false", parse, |flag| Some(toml::Value::Boolean(*flag)))
}

/// A length of time, as text with a unit.
pub(super) fn duration(range: RangeInclusive<Duration>) -> Kind<Duration> {
    let least = if range.start().is_zero() { "" } else { "from 1ms " };
    let expected = format!("a duration with its unit, such as 24h, 30m or 500ms, {least}to 36500d");
    let parse =
        move |value: &Value| humantime::parse_duration(value.text()?).ok().filter(|duration| range.contains(duration));
    Kind::new(expected, parse, |duration| string(duration_text(*duration)))
}

/// The duration in the largest unit that needs no fraction; from two days on in days.
fn duration_text(duration: Duration) -> String {
    const HOUR: u128 = 60 * 60 * 1_000_000_000;
    let nanos = duration.as_nanos();
    let units =
        [(24 * HOUR, "d"), (HOUR, "h"), (HOUR / 60, "m"), (1_000_000_000, "s"), (1_000_000, "ms"), (1000, "us")];
    let fits =
        |(unit, name): &(u128, &str)| nanos > 0 && nanos.is_multiple_of(*unit) && (*name != "d" || nanos > *unit);
    match units.into_iter().find(fits) {
        Some((unit, name)) => format!("{}{name}", nanos / unit),
        None if nanos == 0 => "0s".to_owned(),
        None => format!("{nanos}ns"),
    }
}

/// The path of a file or folder, which need not be there.
///
/// One that begins with a hyphen is refused, because it is rather the next flag after one whose value was forgotten.
pub(super) fn path() -> Kind<PathBuf> {
    let parse = |value: &Value| {
        let path = value.path()?;
        let bytes = path.as_os_str().as_encoded_bytes();
        (!bytes.is_empty() && bytes[0] != b'-' && !bytes.contains(&0)).then(|| path.to_owned())
    };
    Kind::new("a path, not empty (./-x if it begins with a hyphen)", parse, |path| string(path.to_str()?))
}

/// The address of a service, to which paths are appended. Its path ends in a slash, as `Url::join` needs it.
pub(super) fn base_url() -> Kind<Url> {
    let parse = |value: &Value| {
        let mut url = Url::parse(value.text()?).ok()?;
        let plain = matches!(url.scheme(), "http" | "https")
            && url.host_str().is_some_and(|host| !host.is_empty())
            && (url.query(), url.fragment(), url.username(), url.password()) == (None, None, "", None);
        let path = format!("{}/", url.path().trim_end_matches('/'));
        url.set_path(&path);
        plain.then_some(url)
    };
    let expected = "an http or https address with a host, without user, query and fragment";
    Kind::new(expected, parse, |url| string(url.as_str().trim_end_matches('/')))
}

/// A value for an HTTP header.
pub(super) fn header() -> Kind<String> {
    let parse = |value: &Value| {
        let text = value.text()?;
        let visible = text.chars().all(|c| c == ' ' || c.is_ascii_graphic());
        (visible && !text.is_empty() && text.trim() == text).then(|| text.to_owned())
    };
    Kind::new("visible ASCII characters, not empty, no space at either end", parse, |text| string(text))
}

/// An address to listen on.
pub(super) fn socket_address() -> Kind<SocketAddr> {
    let parse = |value: &Value| value.text()?.parse().ok();
    Kind::new("an IP address and a port, such as 127.0.0.1:9464", parse, |address| string(address.to_string()))
}

/// A time of day, to the minute.
pub(super) fn time_of_day() -> Kind<Time> {
    let parse = |value: &Value| {
        let (hour, minute) = value.text()?.split_once(':')?;
        let number = |digits: &str| -> Option<i8> {
            let two = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
            if two { digits.parse().ok() } else { None }
        };
        Time::new(number(hour)?, number(minute)?, 0, 0).ok()
    };
    let toml = |time: &Time| string(format!("{:02}:{:02}", time.hour(), time.minute()));
    Kind::new("a time of day as text of the form HH:MM", parse, toml)
}

/// A time zone by its name.
pub(super) fn time_zone() -> Kind<TimeZone> {
    let parse = |value: &Value| TimeZone::get(value.text()?).ok().filter(|zone| !zone.is_unknown());
    let expected = "a time zone that this system's database has, such as Europe/Berlin";
    Kind::new(expected, parse, |zone| string(zone.iana_name()?))
}

/// The most cron expressions: each is asked whenever the next run is looked for.
const MOST_CRON: usize = 100;

/// Cron expressions: an array in the file, separated by semicolons elsewhere.
pub(super) fn cron_list() -> Kind<Vec<Cron>> {
    fn texts(value: &Value) -> Option<Vec<&str>> {
        match value {
            Value::Untyped(text) => Some(text.to_str()?.split(';').collect()),
            Value::List(items) => items.iter().map(Value::text).collect(),
            _ => None,
        }
    }
    let parse = |value: &Value| {
        let texts = texts(value).filter(|it| it.len() <= MOST_CRON)?;
        texts.iter().map(|text| text.parse().ok()).collect()
    };
    let toml = |list: &Vec<Cron>| {
        Some(toml::Value::Array(list.iter().map(|cron| toml::Value::String(cron.to_string())).collect()))
    };
    let expected =
        format!("at most {MOST_CRON} cron expressions of five fields, as an array, elsewhere separated by \";\"");
    let wrong = |value: &Value| {
        let of_one =
            |text: &&str| text.parse::<Cron>().err().map(|error| format!("of \"{}\": {error}", short(text.trim())));
        texts(value)?.iter().find_map(of_one)
    };
    Kind { wrong, ..Kind::new(expected, parse, toml) }
}

/// One of a few names. The type's `Display` writes the name that its value has in `choices`.
pub(super) fn choice<T: Copy + Display + 'static>(choices: &'static [T]) -> Kind<T> {
    let names: Vec<String> = choices.iter().map(ToString::to_string).collect();
    let parse = |value: &Value| {
        let text = value.text()?;
        choices.iter().copied().find(|choice| choice.to_string() == text)
    };
    Kind::new(format!("one of {}", names.join(", ")), parse, |choice| string(choice.to_string()))
}
