//! The configuration file: finding it, reading it, and taking it apart into keys, values and lines.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::environment::{Environment, FILE_VARIABLE};
use super::error::{ConfigError, Origin, plain, short};
use super::layer::{Given, Value};
use crate::runtime::fs::{NotText, text};

/// The file's name where no one names another.
const USUAL_NAME: &str = "./r3e.toml";
/// The most bytes a configuration file may have.
const LARGEST_FILE_BYTES: u64 = 64 << 10;
/// The most syntax errors told of one file: what follows is mostly a consequence of the first ones.
const MOST_SYNTAX_ERRORS: usize = 5;

/// What the configuration file says, or what is wrong with it. Without a file it says nothing.
///
/// `named` is the value of `--config`; without it the environment's variable names the file, else it is looked for
/// in the working directory and then on the machine.
pub(super) fn given(named: Option<&OsStr>, environment: &Environment) -> Result<Vec<Given>, Vec<ConfigError>> {
    let Some((path, bytes)) = find(named, environment).map_err(|error| vec![error])? else {
        return Ok(Vec::new());
    };
    match text(&bytes) {
        Ok(text) => parse(&path, text),
        Err(NotText::Utf16) => Err(vec![syntax_error(&path, "", 0, &NotText::Utf16.to_string())]),
        Err(NotText::NotUtf8 { offset, byte }) => {
            // It is valid up to there.
            let valid = text(&bytes[..offset]).unwrap_or_default();
            Err(vec![syntax_error(&path, valid, valid.len(), &format!("byte {byte:#04x} is not UTF-8"))])
        }
    }
}

/// The file's name, as it was named, and its bytes.
fn find(named: Option<&OsStr>, environment: &Environment) -> Result<Option<(PathBuf, Vec<u8>)>, ConfigError> {
    let by_flag = named.map(|path| (path, Origin::Flag("--config")));
    let by_variable = || environment.variable(FILE_VARIABLE).map(|path| (path, Origin::Variable(FILE_VARIABLE.into())));
    if let Some((path, origin)) = by_flag.or_else(by_variable) {
        let unreadable = |reason| ConfigError::Unreadable { path: path.into(), named: Some(origin), reason };
        if path.is_empty() {
            return Err(unreadable(io::Error::other("the name is empty: expected the path of a file")));
        }
        let bytes = read(&environment.current_dir.join(path)).map_err(unreadable)?;
        return Ok(Some((path.into(), bytes)));
    }
    for path in [Path::new(USUAL_NAME), &environment.system_file] {
        let place = environment.current_dir.join(path);
        match read(&place) {
            Ok(bytes) => return Ok(Some((path.into(), bytes))),
            // A link that leads nowhere is there, but cannot be read.
            Err(error) if error.kind() == io::ErrorKind::NotFound && place.symlink_metadata().is_err() => {}
            Err(reason) => return Err(ConfigError::Unreadable { path: path.into(), named: None, reason }),
        }
    }
    Ok(None)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the message names who asked for the file, which the store does not know"
)]
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(LARGEST_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST_FILE_BYTES {
        return Err(io::Error::other(format!("larger than {LARGEST_FILE_BYTES} bytes")));
    }
    Ok(bytes)
}

fn parse(path: &Path, text: &str) -> Result<Vec<Given>, Vec<ConfigError>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        let told = errors.iter().take(MOST_SYNTAX_ERRORS).map(|error| {
            let at = error.span().map_or(text.len(), |span| span.start);
            syntax_error(path, text, at, error.message())
        });
        return Err(told.collect());
    }
    let mut given = Vec::new();
    let at = Place { path, text, line_starts: line_starts(text) };
    for (name, value) in table.get_ref() {
        match value.get_ref() {
            DeValue::Table(section) if !section.is_empty() => {
                for (key, value) in section {
                    let key = format!("{}.{}", part(name.get_ref()), part(key.get_ref()));
                    given.push((value.span().start, at.given(key, value)));
                }
            }
            _ => given.push((value.span().start, at.given(part(name.get_ref()), value))),
        }
    }
    // In the order of the file, so that messages are.
    given.sort_by_key(|(start, _)| *start);
    Ok(given.into_iter().map(|(_, given)| given).collect())
}

/// A key's part as the file has to spell it: with a dot in it, say, it is another key than it looks.
fn part(name: &str) -> String {
    let bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if bare { name.to_owned() } else { format!("\"{}\"", plain(name)) }
}

struct Place<'a> {
    path: &'a Path,
    text: &'a str,
    line_starts: Vec<usize>,
}

impl Place<'_> {
    fn given(&self, key: String, value: &Spanned<DeValue<'_>>) -> Given {
        let Range { start, end } = value.span();
        let line = self.line_starts.partition_point(|&line| line <= start);
        let shown = match value.get_ref() {
            DeValue::Table(_) => "a table".to_owned(),
            _ => short(self.text.get(start..end).unwrap_or_default()),
        };
        let origin = Origin::File { path: self.path.to_owned(), line };
        Given { key, value: untyped(value.get_ref()), shown, origin }
    }
}

fn untyped(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => integer(number).map_or(Value::Other, Value::Integer),
        DeValue::Boolean(flag) => Value::Boolean(*flag),
        DeValue::Array(items) => Value::List(items.iter().map(|item| untyped(item.get_ref())).collect()),
        DeValue::Table(table) if table.is_empty() => Value::EmptyTable,
        DeValue::Table(_) | DeValue::Float(_) | DeValue::Datetime(_) => Value::Other,
    }
}

fn integer(number: &DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

fn line_starts(text: &str) -> Vec<usize> {
    std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect()
}

fn syntax_error(path: &Path, text: &str, at: usize, message: &str) -> ConfigError {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = before.matches('\n').count() + 1;
    let column = before[line_start..].chars().count() + 1;
    ConfigError::Syntax { path: path.to_owned(), line, column, message: plain(message) }
}
