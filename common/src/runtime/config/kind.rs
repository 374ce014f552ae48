//! The kinds of value that settings have: what each accepts, and how an error describes that.

use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use toml::Value;
use url::Url;

use super::error::short;
use crate::runtime::cron::Cron;

/// The longest duration: a longer one could overflow when added to a point in time.
const LONGEST: Duration = Duration::from_hours(36_500 * 24);
/// The maximum number of cron expressions: all are evaluated whenever the scheduler looks for the next run.
const MAX_CRON: usize = 100;
/// The maximum number of commands: the next job waits for all of them.
const MAX_COMMANDS: usize = 20;

type Parse<T> = Box<dyn Fn(&Value) -> Option<T>>;

/// A kind of value.
pub(super) struct Kind<T> {
    /// The accepted values, to follow "expected".
    pub(super) expected: String,
    /// The accepted values for the documentation, if they are few or a range of numbers.
    pub(super) range: Option<String>,
    /// The value as the file would have it, from the text of a flag or variable.
    pub(super) from_text: fn(&OsStr) -> Option<Value>,
    /// The value, if it is accepted.
    pub(super) parse: Parse<T>,
    /// What is wrong with a rejected value, if `expected` does not say it all.
    pub(super) explain: fn(&Value) -> Option<String>,
    /// The meaning of no value, if that is allowed.
    pub(super) unset: Option<T>,
}

impl<T: 'static> Kind<T> {
    /// The same, described otherwise.
    pub(super) fn expecting(self, expected: &str) -> Self {
        Self { expected: expected.to_owned(), ..self }
    }

    /// Converts accepted values to another type. A value that `convert` returns `None` for is rejected.
    pub(super) fn and_then<U>(self, convert: impl Fn(T) -> Option<U> + 'static) -> Kind<U> {
        let Self { expected, range, from_text, parse, explain, .. } = self;
        Kind { expected, range, from_text, parse: Box::new(move |value| convert(parse(value)?)), explain, unset: None }
    }
}

/// Any kind.
fn kind<T>(expected: impl Into<String>, parse: impl Fn(&Value) -> Option<T> + 'static) -> Kind<T> {
    let from_text = |text: &OsStr| Some(text.to_str()?.into());
    Kind { expected: expected.into(), range: None, from_text, parse: Box::new(parse), explain: |_| None, unset: None }
}

/// Text in the file.
fn text<T: 'static>(expected: impl Into<String>, parse: impl Fn(&str) -> Option<T> + 'static) -> Kind<T> {
    kind(expected, move |value| parse(value.as_str()?))
}

/// An optional value.
pub(super) fn optional<T: 'static>(
    Kind { expected, range, from_text, parse, explain, .. }: Kind<T>,
) -> Kind<Option<T>> {
    let parse = Box::new(move |value: &Value| parse(value).map(Some));
    Kind { expected, range, from_text, parse, explain, unset: Some(None) }
}

pub(super) fn boolean() -> Kind<bool> {
    let from_text = |text: &OsStr| Some(text.to_str()?.parse::<bool>().ok()?.into());
    Kind { from_text, ..kind("true or false", Value::as_bool) }
}

/// A whole number.
pub(super) fn number<N>(range: RangeInclusive<N>) -> Kind<N>
where
    N: TryFrom<i64> + PartialOrd + Display + 'static,
{
    let described = format!("{} to {}", range.start(), range.end());
    let expected = format!("a whole number from {described}");
    let from_text = |text: &OsStr| Some(text.to_str()?.parse::<i64>().ok()?.into());
    let parse = move |value: &Value| N::try_from(value.as_integer()?).ok().filter(|number| range.contains(number));
    Kind { range: Some(described), from_text, ..kind(expected, parse) }
}

/// A duration with its unit, where zero would mean never or without a pause.
pub(super) fn duration() -> Kind<Duration> {
    durations("from 1ms ", Duration::from_millis(1))
}

/// A duration with its unit, where zero makes sense.
pub(super) fn duration_or_zero() -> Kind<Duration> {
    durations("", Duration::ZERO)
}

fn durations(from: &str, min: Duration) -> Kind<Duration> {
    let accepted = move |duration: &Duration| (min..=LONGEST).contains(duration);
    let parse = move |text: &str| humantime::parse_duration(text).ok().filter(accepted);
    text(format!("a duration with its unit, such as 24h, 30m or 500ms, {from}to 36500d"), parse)
}

/// The path of a file or folder, which need not exist. TOML text is Unicode: any other path is an array of its bytes.
///
/// A path that starts with a hyphen is refused: it is most likely the next flag after one whose value was forgotten.
pub(super) fn path() -> Kind<PathBuf> {
    let parse = |value: &Value| {
        let byte = |value: &Value| u8::try_from(value.as_integer()?).ok();
        let bytes: Vec<u8> = match value {
            Value::Array(bytes) => bytes.iter().map(byte).collect::<Option<_>>()?,
            _ => value.as_str()?.into(),
        };
        let is_path = !bytes.is_empty() && bytes[0] != b'-' && !bytes.contains(&0);
        is_path.then(|| OsString::from_vec(bytes).into())
    };
    Kind { from_text: path_value, ..kind("a path, not empty (./-x if it starts with a hyphen)", parse) }
}

/// A path as TOML.
#[expect(clippy::unnecessary_wraps, reason = "the type of `Kind::from_text`")]
pub(super) fn path_value(path: &OsStr) -> Option<Value> {
    let bytes = || path.as_bytes().iter().map(|byte| Value::Integer((*byte).into())).collect();
    Some(path.to_str().map_or_else(|| Value::Array(bytes()), Value::from))
}

/// The address of a service, to join paths to: its path ends in a slash.
pub(super) fn base_url() -> Kind<Url> {
    text("an http or https URL with a host, without user, query and fragment", |text| {
        let mut url = Url::parse(text).ok()?;
        let is_base = matches!(url.scheme(), "http" | "https")
            && url.host_str().is_some_and(|host| !host.is_empty())
            && (url.query(), url.fragment(), url.username(), url.password()) == (None, None, "", None);
        let path = format!("{}/", url.path().trim_end_matches('/'));
        url.set_path(&path);
        is_base.then_some(url)
    })
}

/// A value for an HTTP header.
pub(super) fn header() -> Kind<String> {
    text("visible ASCII characters, not empty, no space at either end", |text| {
        let is_visible = text.chars().all(|c| c == ' ' || c.is_ascii_graphic());
        (is_visible && !text.is_empty() && text.trim() == text).then(|| text.to_owned())
    })
}

pub(super) fn socket_address() -> Kind<SocketAddr> {
    text("an IP address and a port, such as 127.0.0.1:9464", |text| text.parse().ok())
}

/// A time of day, to the minute.
pub(super) fn time_of_day() -> Kind<Time> {
    text("a time of day as text of the form HH:MM", |text| {
        // `strptime` alone would also accept " 4:00".
        Time::strptime("%H:%M", text).ok().filter(|time| time.strftime("%H:%M").to_string() == text)
    })
}

pub(super) fn time_zone() -> Kind<TimeZone> {
    text("a time zone of this system's database, such as Europe/Berlin", |text| {
        TimeZone::get(text).ok().filter(|zone| !zone.is_unknown())
    })
}

/// Cron expressions: an array in the file, elsewhere separated by semicolons.
pub(super) fn cron_list() -> Kind<Vec<Cron>> {
    fn cron(text: &str) -> Result<Cron, String> {
        text.parse().map_err(|error| format!("\"{}\": {error}", short(text)))
    }
    let parse = |value: &Value| {
        let expressions = value.as_array().filter(|it| it.len() <= MAX_CRON)?;
        expressions.iter().map(|it| cron(it.as_str()?).ok()).collect()
    };
    let expected = format!(
        "at most {MAX_CRON} cron expressions of five fields, as an array, or separated by \";\" outside the file"
    );
    Kind {
        from_text: |text| Some(text.to_str()?.split(';').map(str::trim).collect::<Vec<_>>().into()),
        explain: |value| value.as_array()?.iter().find_map(|it| cron(it.as_str()?).err()),
        ..kind(expected, parse)
    }
}

/// Commands with their arguments: an array of arrays, also outside the file.
pub(super) fn commands() -> Kind<Vec<Vec<String>>> {
    let word = |value: &Value| value.as_str().filter(|it| !it.contains('\0')).map(str::to_owned);
    let command = move |value: &Value| {
        let words = value.as_array()?.iter().map(word).collect::<Option<Vec<String>>>()?;
        // A path such as `..` names no program.
        words.first().is_some_and(|it| Path::new(it).file_name().is_some()).then_some(words)
    };
    let parse = move |value: &Value| {
        let commands = value.as_array().filter(|it| it.len() <= MAX_COMMANDS)?;
        commands.iter().map(command).collect()
    };
    let expected = format!(
        "at most {MAX_COMMANDS} commands, each an array of a program and its arguments, such as [[\"r3e-archive\", \"record\"]], \
        also outside the file"
    );
    Kind { from_text: |text| text.to_str()?.parse().ok(), ..kind(expected, parse) }
}

/// One of a few values, by the name that its `Display` writes.
pub(super) fn choice<T: Copy + Display + 'static>(choices: &'static [T]) -> Kind<T> {
    let names = choices.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let parse = |text: &str| choices.iter().copied().find(|choice| choice.to_string() == text);
    Kind { range: Some(names.clone()), ..text(format!("one of {names}"), parse) }
}

/// One or more of a few values, by their names: an array in the file, elsewhere separated by commas.
pub(super) fn choices<T: Copy + Display + PartialEq + 'static>(choices: &'static [T]) -> Kind<Vec<T>> {
    let names = choices.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let parse = |value: &Value| {
        let given = value
            .as_array()?
            .iter()
            .map(|it| choices.iter().copied().find(|choice| Some(choice.to_string().as_str()) == it.as_str()));
        given.collect::<Option<Vec<T>>>().filter(|given| !given.is_empty())
    };
    Kind {
        range: Some(names.clone()),
        from_text: |text| Some(text.to_str()?.split(',').map(str::trim).collect::<Vec<_>>().into()),
        ..kind(format!("one or more of {names}, as an array, or separated by \",\" outside the file"), parse)
    }
}
