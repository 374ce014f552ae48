//! Writing.

use std::collections::HashMap;
use std::io::{self, Write as _};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::super::profile::{Location, Module, Profile, Symbol};
use super::wire::Message;
use super::{DEFAULT_SAMPLE_TYPE, PERIOD_TYPE, SAMPLE_TYPES};

/// A profile as a file.
///
/// # Errors
/// Never in truth: it is written in memory.
pub(crate) fn write(profile: &Profile) -> io::Result<Vec<u8>> {
    gzip(&message(profile))
}

pub(super) fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// Texts stand in one table, the empty one first, and are told by their numbers.
#[derive(Default)]
struct Texts {
    numbers: HashMap<String, u64>,
    table: Vec<String>,
}

impl Texts {
    fn number(&mut self, text: &str) -> u64 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = self.table.len() as u64;
        self.numbers.insert(text.to_owned(), number);
        self.table.push(text.to_owned());
        number
    }
}

/// What is numbered here from 0 is numbered there from 1.
fn id(index: usize) -> u64 {
    index as u64 + 1
}

pub(super) fn message(profile: &Profile) -> Vec<u8> {
    let mut texts = Texts::default();
    texts.number("");
    let mut message = Message::default();
    for (name, unit) in SAMPLE_TYPES {
        message.bytes(1, &value_type(&mut texts, name, unit));
    }
    for held in &profile.held {
        let mut sample = Message::default();
        sample.packed(1, held.way.iter().map(|it| id(*it)));
        sample.packed(2, [held.objects, held.bytes].map(i64::cast_unsigned));
        message.bytes(2, &sample.0);
    }
    for (index, module) in profile.modules.iter().enumerate() {
        message.bytes(3, &mapping(&mut texts, index, module));
    }
    for (index, location) in profile.locations.iter().enumerate() {
        message.bytes(4, &place(index, location));
    }
    for (index, symbol) in profile.symbols.iter().enumerate() {
        message.bytes(5, &function(&mut texts, index, symbol));
    }
    message.signed(9, profile.time_ns);
    message.bytes(11, &value_type(&mut texts, PERIOD_TYPE.0, PERIOD_TYPE.1));
    message.signed(12, profile.period);
    message.packed(13, profile.comments.iter().map(|it| texts.number(it)));
    message.number(14, texts.number(DEFAULT_SAMPLE_TYPE));
    for text in &texts.table {
        message.bytes(6, text.as_bytes());
    }
    message.0
}

fn value_type(texts: &mut Texts, name: &str, unit: &str) -> Vec<u8> {
    let mut message = Message::default();
    message.number(1, texts.number(name));
    message.number(2, texts.number(unit));
    message.0
}

fn mapping(texts: &mut Texts, index: usize, module: &Module) -> Vec<u8> {
    let mut message = Message::default();
    message.number(1, id(index));
    message.number(2, module.start);
    message.number(3, module.end);
    message.number(4, module.offset);
    message.number(5, texts.number(&module.path));
    message.number(6, texts.number(&module.build_id));
    // Functions, files, lines and inlined functions are all told, so that no reader looks for the file.
    for field in 7..=10 {
        message.number(field, 1);
    }
    message.0
}

fn place(index: usize, location: &Location) -> Vec<u8> {
    let mut message = Message::default();
    message.number(1, id(index));
    message.number(2, location.module.map_or(0, id));
    message.number(3, location.address);
    for line in &location.lines {
        let mut within = Message::default();
        within.number(1, id(line.symbol));
        within.number(2, line.line.into());
        message.bytes(4, &within.0);
    }
    message.0
}

fn function(texts: &mut Texts, index: usize, symbol: &Symbol) -> Vec<u8> {
    let mut message = Message::default();
    message.number(1, id(index));
    message.number(2, texts.number(&symbol.name));
    message.number(3, texts.number(&symbol.system_name));
    message.number(4, texts.number(&symbol.file));
    message.0
}
