//! Reading, of files that this program wrote, or another that has the same two values.

use std::collections::HashMap;
use std::hash::Hash;
use std::io::Read as _;

use flate2::read::GzDecoder;

use super::super::profile::{Held, Line, Location, Module, Profile, Symbol};
use super::SAMPLE_TYPES;
use super::wire::{Content, fields};

/// The most bytes of a profile, decompressed.
const MAX_BYTES: u64 = 64 << 20;

/// A file that is no profile, or none of this kind.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PprofError {
    /// It cannot be decompressed.
    #[error("no gzip file: {0}")]
    Gzip(std::io::Error),
    /// It is too long.
    #[error("no profile: it has more than {MAX_BYTES} bytes when it is decompressed")]
    TooLong,
    /// What is in it is no message.
    #[error("no profile: a field is cut off or of a kind that is not known")]
    Broken,
    /// Something that is referred to is not there.
    #[error("no profile: there is no {what} {id}")]
    Missing {
        /// What should be there.
        what: &'static str,
        /// Its number.
        id: u64,
    },
    /// It has other values.
    #[error("no heap profile: it has values of {0:?}, expected inuse_objects and inuse_space")]
    OtherValues(Vec<String>),
}

/// Reads a profile from a file.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn read(file: &[u8]) -> Result<Profile, PprofError> {
    let mut message = Vec::new();
    GzDecoder::new(file).take(MAX_BYTES + 1).read_to_end(&mut message).map_err(PprofError::Gzip)?;
    if message.len() as u64 > MAX_BYTES {
        return Err(PprofError::TooLong);
    }
    let fields = fields(&message).ok_or(PprofError::Broken)?;
    let mut texts = Vec::new();
    for (_, content) in fields.iter().filter(|it| it.0 == 6) {
        let text = content.bytes().ok_or(PprofError::Broken)?;
        texts.push(std::str::from_utf8(text).map_err(|_| PprofError::Broken)?);
    }
    let message = Parts { fields, texts };
    let types: Vec<String> = message.all(1, |it| message.text(it.number(1)?))?;
    let columns: Option<Vec<usize>> =
        SAMPLE_TYPES.iter().map(|(name, _)| types.iter().position(|it| it == name)).collect();
    let Some(columns) = columns else { return Err(PprofError::OtherValues(types)) };
    message.profile((columns[0], columns[1]))
}

/// A message: its fields, and the table that texts stand in.
struct Parts<'b> {
    fields: Vec<(u64, Content<'b>)>,
    texts: Vec<&'b str>,
}

/// The fields of one message within.
struct Part<'b>(Vec<(u64, Content<'b>)>);

impl<'b> Part<'b> {
    fn new(content: Content<'b>) -> Result<Self, PprofError> {
        content.bytes().and_then(fields).map(Self).ok_or(PprofError::Broken)
    }

    /// A number, zero where it is left out; of several the last.
    fn number(&self, field: u64) -> Result<u64, PprofError> {
        let last = self.0.iter().rev().find(|it| it.0 == field);
        last.map_or(Ok(0), |(_, content)| content.number().ok_or(PprofError::Broken))
    }

    fn numbers(&self, field: u64) -> Result<Vec<u64>, PprofError> {
        let mut numbers = Vec::new();
        for (_, content) in self.0.iter().filter(|it| it.0 == field) {
            content.numbers(&mut numbers).ok_or(PprofError::Broken)?;
        }
        Ok(numbers)
    }
}

/// From what something is called there to its place here.
struct Ids<K> {
    what: &'static str,
    places: HashMap<K, usize>,
}

impl<K: Eq + Hash + Copy + Into<u64>> Ids<K> {
    fn place(&self, id: K) -> Result<usize, PprofError> {
        self.places.get(&id).copied().ok_or(PprofError::Missing { what: self.what, id: id.into() })
    }
}

impl Parts<'_> {
    fn text(&self, number: u64) -> Result<String, PprofError> {
        let text = usize::try_from(number).ok().and_then(|index| self.texts.get(index));
        text.map(|it| (*it).to_owned()).ok_or(PprofError::Missing { what: "text", id: number })
    }

    /// Reads all messages of a field.
    fn all<T>(&self, field: u64, read: impl Fn(&Part) -> Result<T, PprofError>) -> Result<Vec<T>, PprofError> {
        self.fields.iter().filter(|it| it.0 == field).map(|(_, content)| read(&Part::new(*content)?)).collect()
    }

    /// Where those of a field are by their numbers.
    fn ids(&self, what: &'static str, field: u64) -> Result<Ids<u64>, PprofError> {
        let ids = self.all(field, |it| it.number(1))?;
        Ok(Ids { what, places: ids.into_iter().zip(0..).collect() })
    }

    fn own(&self, field: u64) -> Result<u64, PprofError> {
        let last = self.fields.iter().rev().find(|it| it.0 == field);
        last.map_or(Ok(0), |(_, content)| content.number().ok_or(PprofError::Broken))
    }

    fn profile(&self, (objects, bytes): (usize, usize)) -> Result<Profile, PprofError> {
        let symbols = self.all(5, |it| {
            let text = |field| self.text(it.number(field)?);
            Ok(Symbol { name: text(2)?, system_name: text(3)?, file: text(4)? })
        })?;
        let modules = self.all(3, |it| {
            let [start, end, offset] = [it.number(2)?, it.number(3)?, it.number(4)?];
            Ok(Module { start, end, offset, path: self.text(it.number(5)?)?, build_id: self.text(it.number(6)?)? })
        })?;
        let (functions, mappings, places) =
            (self.ids("function", 5)?, self.ids("mapping", 3)?, self.ids("location", 4)?);
        let locations = self.all(4, |it| {
            let module = Some(it.number(2)?).filter(|id| *id != 0).map(|id| mappings.place(id)).transpose()?;
            let lines = it.0.iter().filter(|field| field.0 == 4).map(|(_, content)| {
                let line = Part::new(*content)?;
                let symbol = functions.place(line.number(1)?)?;
                Ok(Line { symbol, line: u32::try_from(line.number(2)?).unwrap_or(0) })
            });
            Ok(Location { module, address: it.number(3)?, lines: lines.collect::<Result<_, PprofError>>()? })
        })?;
        let held = self.all(2, |it| {
            let way = it.numbers(1)?.into_iter().map(|id| places.place(id)).collect::<Result<_, _>>()?;
            let values = it.numbers(2)?;
            let value = |column: usize| values.get(column).map(|it| it.cast_signed()).ok_or(PprofError::Broken);
            Ok(Held { way, objects: value(objects)?, bytes: value(bytes)? })
        })?;
        let mut comments = Vec::new();
        for (_, content) in self.fields.iter().filter(|it| it.0 == 13) {
            content.numbers(&mut comments).ok_or(PprofError::Broken)?;
        }
        let comments = comments.into_iter().map(|it| self.text(it)).collect::<Result<_, _>>()?;
        let [time_ns, period] = [self.own(9)?, self.own(12)?].map(u64::cast_signed);
        Ok(Profile { symbols, modules, locations, held, time_ns, period, comments })
    }
}
