//! What is wrong with a configuration, and where.

use std::fmt;

/// The longest part of a value or key that a message repeats, in characters.
const MAX_SHOWN: usize = 64;

/// One thing that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The flag, the variable, or the file with line and, for syntax errors, column.
    pub place: String,
    /// The key, as `section.key`, if it is about one.
    pub key: Option<String>,
    /// What is wrong: what was expected, and what was found.
    pub problem: String,
    /// The key or variable that was probably meant, if one is near.
    pub suggestion: Option<String>,
}

impl ConfigError {
    /// About a key.
    pub(super) fn of_key(place: &str, key: &str, problem: impl Into<String>) -> Self {
        Self { key: Some(short(key)), ..Self::at(place, problem) }
    }

    /// About no key.
    pub(super) fn at(place: &str, problem: impl Into<String>) -> Self {
        Self { place: plain(place), key: None, problem: problem.into(), suggestion: None }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = self.key.as_ref().map(|key| format!("{key}: ")).unwrap_or_default();
        let suggestion = self.suggestion.as_ref().map(|it| format!("; did you mean {it}?")).unwrap_or_default();
        write!(f, "{}: {key}{}{suggestion}", self.place, self.problem)
    }
}

/// Everything that is wrong with a configuration, never empty; displayed one error per line.
#[derive(Debug)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for ConfigErrors {}

/// The text with control characters escaped, so that it stays on one line and cannot steer a terminal.
pub(super) fn plain(text: &str) -> String {
    let escaped = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escaped).collect()
}

/// The text as [`plain`], shortened to what a message should repeat.
pub(super) fn short(text: &str) -> String {
    let end = text.char_indices().nth(MAX_SHOWN).map(|(end, _)| end);
    end.map_or_else(|| plain(text), |end| plain(&text[..end]) + "…")
}
