//! What is wrong with a configuration, told so that the reader knows where to change what.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// The longest part of a value or key that a message repeats, in characters.
const LONGEST_SHOWN: usize = 64;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// No one said anything else.
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
    /// A flag of the command line, with its hyphens.
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
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The configuration file cannot be read.
    #[error("{}: {reason}", unreadable(path, named.as_ref()))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The flag or variable that named it; none when it was found where such files usually are.
        named: Option<Origin>,
        /// Why it cannot be read.
        reason: io::Error,
    },
    /// The configuration file is no TOML.
    #[error("{}:{line}:{column}: not TOML: {message}", plain(&path.to_string_lossy()))]
    Syntax {
        /// The file as it was named.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The column in characters, counted from 1.
        column: usize,
        /// What the parser says.
        message: String,
    },
    /// A value that the key cannot have.
    #[error("{origin}: {key} = {found}: expected {expected}")]
    Value {
        /// Who gave it.
        origin: Origin,
        /// The key, as `section.key`.
        key: &'static str,
        /// The value as it was found, shortened.
        found: String,
        /// What the key can have.
        expected: String,
    },
    /// A key that no program has.
    #[error("{origin}: {key} = {found}: no such key; {hint}")]
    UnknownKey {
        /// Who gave it.
        origin: Origin,
        /// The key, shortened.
        key: String,
        /// The value as it was found, shortened.
        found: String,
        /// The nearest key, or the keys there are.
        hint: String,
    },
}

/// Everything that is wrong with a configuration, never empty; displayed one a line.
#[derive(Debug)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, error) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

fn unreadable(path: &Path, named: Option<&Origin>) -> String {
    let path = plain(&path.to_string_lossy());
    match named {
        Some(origin) => format!("{origin}: cannot read the file \"{path}\""),
        None => format!("{path}: cannot be read"),
    }
}

/// The text with control characters escaped, so that it stays on one line and cannot steer a terminal.
pub(super) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

/// The text as [`plain`], cut to what a message should repeat.
pub(super) fn short(text: &str) -> String {
    let mut chars = text.chars();
    let kept: String = chars.by_ref().take(LONGEST_SHOWN).collect();
    let rest = if chars.next().is_some() { "…" } else { "" };
    plain(&kept) + rest
}
