//! What is wrong with a configuration, and where.

use std::fmt;
use std::path::PathBuf;

/// The longest part of a value or key that a message repeats, in characters.
const MAX_SHOWN: usize = 64;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// A line of the configuration file.
    File {
        /// The file as it was named.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
    /// An environment variable.
    Variable(String),
    /// A command-line flag, with its hyphens.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", plain(&path.to_string_lossy())),
            Self::Variable(name) => f.write_str(&short(name)),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

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
    pub(super) fn of_key(origin: &Origin, key: &str, problem: String) -> Self {
        Self { key: Some(key.to_owned()), ..Self::at(origin.to_string(), problem) }
    }

    /// About no key.
    pub(super) fn at(place: String, problem: String) -> Self {
        Self { place, key: None, problem, suggestion: None }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if let Some(key) = &self.key {
            write!(f, "{key}: ")?;
        }
        f.write_str(&self.problem)?;
        self.suggestion.as_ref().map_or(Ok(()), |it| write!(f, "; did you mean {it}?"))
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
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

/// The text as [`plain`], shortened to what a message should repeat.
pub(super) fn short(text: &str) -> String {
    let end = text.char_indices().nth(MAX_SHOWN).map(|(end, _)| end);
    end.map_or_else(|| plain(text), |end| plain(&text[..end]) + "…")
}
