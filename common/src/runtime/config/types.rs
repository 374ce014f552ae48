//! The types that settings have: which values each accepts, and how an error describes them.

use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;
use std::time::Duration;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use toml::Value;
use url::Url;

use super::error::short;
use crate::runtime::cron::Cron;
use crate::runtime::logging::{Format, Level};
use crate::runtime::memory::profile::Profiling;

/// The longest duration: a longer one could overflow when added to a point in time.
const LONGEST: Duration = Duration::from_hours(36_500 * 24);
/// Durations of settings where zero makes sense.
pub(super) const ZERO_ALLOWED: RangeInclusive<Duration> = Duration::ZERO..=LONGEST;
/// Durations of settings where zero would mean never, or without a pause.
pub(super) const NOT_ZERO: RangeInclusive<Duration> = Duration::from_millis(1)..=LONGEST;
/// The most cron expressions: all are evaluated whenever the scheduler looks for the next run.
const MAX_CRON: usize = 100;

/// A type that a setting can have.
pub(super) trait SettingType: Sized + 'static {
    /// What narrows the type down to the values that one setting accepts.
    type Range: 'static;

    /// The accepted values, to follow "expected".
    fn expected(range: &Self::Range) -> String;

    /// The accepted values for the documentation, if they are few or a range of numbers.
    fn describe(_: &Self::Range) -> Option<String> {
        None
    }

    /// The value as the file would have it, from the text of a flag or variable.
    fn from_text(text: &OsStr) -> Option<Value> {
        Some(text.to_str()?.into())
    }

    /// The value, if it is of this type.
    fn parse(value: &Value) -> Option<Self>;

    /// Whether the setting accepts it.
    fn is_within(&self, _: &Self::Range) -> bool {
        true
    }

    /// What is wrong with a value that is not accepted, where more can be said than [`SettingType::expected`].
    fn explain(_: &Value) -> Option<String> {
        None
    }

    /// What no value at all means, if it is allowed.
    fn unset() -> Option<Self> {
        None
    }
}

impl<T: SettingType> SettingType for Option<T> {
    type Range = T::Range;

    fn expected(range: &T::Range) -> String {
        T::expected(range)
    }

    fn describe(range: &T::Range) -> Option<String> {
        T::describe(range)
    }

    fn from_text(text: &OsStr) -> Option<Value> {
        T::from_text(text)
    }

    fn parse(value: &Value) -> Option<Self> {
        T::parse(value).map(Some)
    }

    fn is_within(&self, range: &T::Range) -> bool {
        self.as_ref().is_some_and(|it| it.is_within(range))
    }

    fn explain(value: &Value) -> Option<String> {
        T::explain(value)
    }

    fn unset() -> Option<Self> {
        Some(None)
    }
}

impl SettingType for bool {
    type Range = ();

    fn expected((): &()) -> String {
        "true or false".to_owned()
    }

    fn from_text(text: &OsStr) -> Option<Value> {
        Some(text.to_str()?.parse::<bool>().ok()?.into())
    }

    fn parse(value: &Value) -> Option<Self> {
        value.as_bool()
    }
}

/// Whole numbers.
macro_rules! numbers {
    ($($Number:ty),+) => { $(
        impl SettingType for $Number {
            type Range = RangeInclusive<Self>;

            fn expected(range: &Self::Range) -> String {
                format!("a whole number from {} to {}", range.start(), range.end())
            }

            fn describe(range: &Self::Range) -> Option<String> {
                Some(format!("{} to {}", range.start(), range.end()))
            }

            fn from_text(text: &OsStr) -> Option<Value> {
                Some(text.to_str()?.parse::<i64>().ok()?.into())
            }

            fn parse(value: &Value) -> Option<Self> {
                value.as_integer()?.try_into().ok()
            }

            fn is_within(&self, range: &Self::Range) -> bool {
                range.contains(self)
            }
        }
    )+ };
}
numbers!(u32, usize);

/// With units, such as `24h`.
impl SettingType for Duration {
    type Range = RangeInclusive<Self>;

    fn expected(range: &Self::Range) -> String {
        let least = if range.start().is_zero() { "" } else { "from 1ms " };
        format!("a duration with its unit, such as 24h, 30m or 500ms, {least}to 36500d")
    }

    fn parse(value: &Value) -> Option<Self> {
        humantime::parse_duration(value.as_str()?).ok()
    }

    fn is_within(&self, range: &Self::Range) -> bool {
        range.contains(self)
    }
}

/// Of a file or folder, which need not exist. TOML text is Unicode: any other path is an array of its bytes.
///
/// A path that starts with a hyphen is refused: it is most likely the next flag after one whose value was forgotten.
impl SettingType for PathBuf {
    type Range = ();

    fn expected((): &()) -> String {
        "a path, not empty (./-x if it starts with a hyphen)".to_owned()
    }

    fn from_text(text: &OsStr) -> Option<Value> {
        let bytes = || text.as_bytes().iter().map(|byte| Value::Integer((*byte).into())).collect();
        Some(text.to_str().map_or_else(|| Value::Array(bytes()), Value::from))
    }

    fn parse(value: &Value) -> Option<Self> {
        let byte = |value: &Value| u8::try_from(value.as_integer()?).ok();
        let bytes = match value {
            Value::Array(bytes) => bytes.iter().map(byte).collect::<Option<Vec<u8>>>()?,
            _ => value.as_str()?.into(),
        };
        let is_path = !bytes.is_empty() && bytes[0] != b'-' && !bytes.contains(&0);
        is_path.then(|| OsString::from_vec(bytes).into())
    }
}

/// Of a service, to join paths to: its path ends in a slash.
impl SettingType for Url {
    type Range = ();

    fn expected((): &()) -> String {
        "an http or https URL with a host, without user, query and fragment".to_owned()
    }

    fn parse(value: &Value) -> Option<Self> {
        let mut url = Self::parse(value.as_str()?).ok()?;
        let is_base = matches!(url.scheme(), "http" | "https")
            && url.host_str().is_some_and(|host| !host.is_empty())
            && (url.query(), url.fragment(), url.username(), url.password()) == (None, None, "", None);
        let path = format!("{}/", url.path().trim_end_matches('/'));
        url.set_path(&path);
        is_base.then_some(url)
    }
}

/// For an HTTP header.
impl SettingType for String {
    type Range = ();

    fn expected((): &()) -> String {
        "visible ASCII characters, not empty, no space at either end".to_owned()
    }

    fn parse(value: &Value) -> Option<Self> {
        let text = value.as_str()?;
        let is_visible = text.chars().all(|c| c == ' ' || c.is_ascii_graphic());
        (is_visible && !text.is_empty() && text.trim() == text).then(|| text.to_owned())
    }
}

impl SettingType for SocketAddr {
    type Range = ();

    fn expected((): &()) -> String {
        "an IP address and a port, such as 127.0.0.1:9464".to_owned()
    }

    fn parse(value: &Value) -> Option<Self> {
        value.as_str()?.parse().ok()
    }
}

/// Of day, to the minute.
impl SettingType for Time {
    type Range = ();

    fn expected((): &()) -> String {
        "a time of day as text of the form HH:MM".to_owned()
    }

    fn parse(value: &Value) -> Option<Self> {
        let text = value.as_str().filter(|text| text.len() == "HH:MM".len())?;
        Self::strptime("%H:%M", text).ok()
    }
}

impl SettingType for TimeZone {
    type Range = ();

    fn expected((): &()) -> String {
        "a time zone of this system's database, such as Europe/Berlin".to_owned()
    }

    fn parse(value: &Value) -> Option<Self> {
        Self::get(value.as_str()?).ok().filter(|zone| !zone.is_unknown())
    }
}

/// As an array in the file, elsewhere separated by semicolons.
impl SettingType for Vec<Cron> {
    type Range = ();

    fn expected((): &()) -> String {
        format!(
            "at most {MAX_CRON} cron expressions of five fields, as an array, or separated by \";\" outside the file"
        )
    }

    fn from_text(text: &OsStr) -> Option<Value> {
        Some(text.to_str()?.split(';').map(str::trim).collect::<Vec<_>>().into())
    }

    fn parse(value: &Value) -> Option<Self> {
        let expressions = value.as_array().filter(|it| it.len() <= MAX_CRON)?;
        expressions.iter().map(|it| cron(it.as_str()?).ok()).collect()
    }

    fn explain(value: &Value) -> Option<String> {
        let explain = |text: &str| Some(format!("\"{}\": {}", short(text), cron(text).err()?));
        value.as_array()?.iter().filter_map(Value::as_str).find_map(explain)
    }
}

fn cron(text: &str) -> Result<Cron, String> {
    text.parse().map_err(|error| format!("{error}"))
}

/// Types with a few named values.
macro_rules! choices {
    ($($Choice:ty),+) => { $(
        impl SettingType for $Choice {
            type Range = ();

            fn expected((): &()) -> String {
                format!("one of {}", names(&Self::ALL))
            }

            fn describe((): &()) -> Option<String> {
                Some(names(&Self::ALL))
            }

            fn parse(value: &Value) -> Option<Self> {
                let name = value.as_str()?;
                Self::ALL.into_iter().find(|choice| choice.to_string() == name)
            }
        }
    )+ };
}
choices!(Level, Format, Profiling);

fn names(choices: &[impl Display]) -> String {
    choices.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
