//! The configuration file: finding it, reading it, and taking it apart into keys, values and lines.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize as _;
use serde::de::IntoDeserializer as _;
use toml::de::{DeTable, DeValue};
use toml::{Spanned, Value};

use super::environment::{Environment, FILE_VARIABLE};
use super::error::{ConfigError, plain, short};
use super::values::Given;
use crate::runtime::fs::{NotText, text};

/// The file's name unless another is given.
const DEFAULT_NAME: &str = "./r3e.toml";
/// The largest configuration file, in bytes.
const MAX_FILE_BYTES: u64 = 64 << 10;
/// The maximum number of syntax errors reported: later ones are mostly consequences of the first.
const MAX_SYNTAX_ERRORS: usize = 5;

/// The values in the configuration file, or what is wrong with it. No file gives no values.
///
/// `named` is the value of `--config`. Without it the file is the one that the variable names, else the one in the working
/// directory, else the system's.
pub(super) fn given(named: Option<&OsStr>, environment: &Environment) -> Result<Vec<Given>, Vec<ConfigError>> {
    let Some((path, bytes)) = find(named, environment).map_err(|error| vec![error])? else {
        return Ok(Vec::new());
    };
    match text(&bytes) {
        Ok(text) => parse(&path, text),
        Err(NotText::Utf16) => Err(vec![syntax_error(&path, "", 0, &NotText::Utf16.to_string())]),
        Err(NotText::NotUtf8 { offset, byte }) => {
            // The text is valid up to there.
            let valid = text(&bytes[..offset]).unwrap_or_default();
            Err(vec![syntax_error(&path, valid, valid.len(), &format!("byte {byte:#04x} is not UTF-8"))])
        }
    }
}

/// The path of the file, as it was named, and its content.
fn find(named: Option<&OsStr>, environment: &Environment) -> Result<Option<(PathBuf, Vec<u8>)>, ConfigError> {
    let by_flag = named.map(|path| (path, "--config"));
    if let Some((path, place)) = by_flag.or_else(|| Some((environment.variable(FILE_VARIABLE)?, FILE_VARIABLE))) {
        let unreadable = |error| {
            let problem = format!("cannot read the file \"{}\": {error}", plain(&path.to_string_lossy()));
            ConfigError::at(place, problem)
        };
        if path.is_empty() {
            return Err(unreadable(io::Error::other("expected the path of a file, found an empty one")));
        }
        let bytes = read(&environment.current_dir.join(path)).map_err(unreadable)?;
        return Ok(Some((path.into(), bytes)));
    }
    for path in [Path::new(DEFAULT_NAME), &environment.system_file] {
        let full_path = environment.current_dir.join(path);
        match read(&full_path) {
            Ok(bytes) => return Ok(Some((path.into(), bytes))),
            // A dangling symbolic link exists, but cannot be read.
            Err(error) if error.kind() == io::ErrorKind::NotFound && full_path.symlink_metadata().is_err() => {}
            Err(error) => {
                return Err(ConfigError::at(&path.to_string_lossy(), format!("cannot read the file: {error}")));
            }
        }
    }
    Ok(None)
}

#[expect(clippy::disallowed_methods, reason = "the error names who asked for the file, which `fs` does not know")]
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::other(format!("larger than {MAX_FILE_BYTES} bytes")));
    }
    Ok(bytes)
}

fn parse(path: &Path, text: &str) -> Result<Vec<Given>, Vec<ConfigError>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        let error = |error: &toml::de::Error| {
            let offset = error.span().map_or(text.len(), |span| span.start);
            syntax_error(path, text, offset, error.message())
        };
        return Err(errors.iter().take(MAX_SYNTAX_ERRORS).map(error).collect());
    }
    let mut values = Vec::new();
    for (name, value) in table.get_ref() {
        match value.get_ref() {
            DeValue::Table(section) if !section.is_empty() => {
                let of_section = |key: &str| format!("{}.{}", part(name.get_ref()), part(key));
                values.extend(section.iter().map(|(key, value)| (of_section(key.get_ref()), value)));
            }
            _ => values.push((part(name.get_ref()), value)),
        }
    }
    // In the order of the file, and so are the errors.
    values.sort_by_key(|(_, value)| value.span().start);
    Ok(values.into_iter().map(|(key, value)| given_by(path, text, key, value)).collect())
}

fn given_by(path: &Path, text: &str, key: String, value: &Spanned<DeValue<'_>>) -> Given {
    let shown = match value.get_ref() {
        DeValue::Table(_) => "a table".to_owned(),
        _ => short(text.get(value.span()).unwrap_or_default()),
    };
    let origin = plain(&format!("{}:{}", path.display(), position(text, value.span().start).0));
    Given { key, value: Value::deserialize(value.clone().into_deserializer()).ok(), shown, origin }
}

/// A part of a key as spelt in the file: a name that contains a dot is quoted.
fn part(name: &str) -> String {
    let is_bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if is_bare { name.to_owned() } else { format!("\"{}\"", plain(name)) }
}

/// Line and column of an offset, in characters, counted from 1.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

fn syntax_error(path: &Path, text: &str, offset: usize, message: &str) -> ConfigError {
    let (line, column) = position(text, offset);
    ConfigError::at(&format!("{}:{line}:{column}", path.display()), format!("not TOML: {}", plain(message)))
}
