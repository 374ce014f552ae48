//! Functions and lines of addresses in one executable or library, from its tables: DWARF's lines, and the linker's names.

use std::collections::BTreeMap;

use gimli::{Dwarf, EndianSlice, RunTimeEndian};
use object::{Object as _, ObjectSection as _, ObjectSegment as _, ObjectSymbol as _, SymbolKind};
use r3e_common::runtime::memory::profile::hexadecimal;

use super::name::{demangled, in_module};
use super::profile::Symbol;

type Slice<'d> = EndianSlice<'d, RunTimeEndian>;

/// An executable or library, as far as names are concerned.
pub(super) struct Tables<'d> {
    file: object::File<'d>,
    lines: Option<addr2line::Context<Slice<'d>>>,
    /// The linker's names, by address, with their lengths.
    names: BTreeMap<u64, (u64, &'d str)>,
}

impl<'d> Tables<'d> {
    /// Of a whole file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn new(file: &'d [u8]) -> Result<Self, object::Error> {
        let file = object::File::parse(file)?;
        let mut names = BTreeMap::new();
        // Those for the dynamic linker are all that a stripped library has.
        for symbol in file.dynamic_symbols().chain(file.symbols()) {
            if symbol.kind() == SymbolKind::Text
                && symbol.is_definition()
                && let Ok(name) = symbol.name()
            {
                names.insert(symbol.address(), (symbol.size(), name));
            }
        }
        let lines = lines(&file);
        Ok(Self { file, lines, names })
    }

    /// The build id in hexadecimal; empty where there is none.
    pub(super) fn build_id(&self) -> String {
        hexadecimal(self.file.build_id().ok().flatten().unwrap_or_default())
    }

    /// The address, as the tables have it, of a place in the file.
    pub(super) fn address_of(&self, offset: u64) -> Option<u64> {
        self.file.segments().find_map(|segment| {
            let (begins, length) = segment.file_range();
            let within = offset.checked_sub(begins).filter(|it| *it < length)?;
            segment.address().checked_add(within)
        })
    }

    /// The functions at an address with their lines, those that were inlined first. None where nothing is known.
    pub(super) fn functions_at(&self, address: u64) -> Vec<(Symbol, u32)> {
        // The tables tell of functions that the linker left out, too: those are at addresses around zero.
        if self.names.first_key_value().is_some_and(|(first, _)| address < *first) {
            return Vec::new();
        }
        let mut functions = self.by_lines(address).unwrap_or_default();
        // Of the one that is no inlined one the linker knows the whole name.
        if let Some(name) = self.name_at(address) {
            let named = |it: &mut (Symbol, u32)| {
                it.0.name = demangled(name);
                name.clone_into(&mut it.0.system_name);
            };
            if functions.is_empty() {
                functions.push((Symbol::default(), 0));
            }
            functions.last_mut().into_iter().for_each(named);
        }
        functions
    }

    fn name_at(&self, address: u64) -> Option<&'d str> {
        let (start, (size, name)) = self.names.range(..=address).next_back()?;
        // Functions written in assembly may have no length.
        (*size == 0 || address - start < *size).then_some(*name)
    }

    fn by_lines(&self, address: u64) -> Option<Vec<(Symbol, u32)>> {
        // The reader of the tables adds one.
        address.checked_add(1)?;
        let mut frames = self.lines.as_ref()?.find_frames(address).skip_all_loads().ok()?;
        let mut functions = Vec::new();
        while let Ok(Some(frame)) = frames.next() {
            let (file, line) = frame.location.map_or(("", 0), |it| (it.file.unwrap_or_default(), it.line.unwrap_or(0)));
            let Some(name) = frame.function.as_ref().and_then(|it| it.raw_name().ok()) else { continue };
            let readable = demangled(&name);
            let readable = if readable == *name { in_module(&name, file) } else { readable };
            let symbol = Symbol { name: readable, system_name: name.into_owned(), file: file.to_owned() };
            functions.push((symbol, line));
        }
        Some(functions)
    }
}

/// None where the file has no such tables, or has them compressed.
fn lines<'d>(file: &object::File<'d>) -> Option<addr2line::Context<Slice<'d>>> {
    let order = if file.is_little_endian() { RunTimeEndian::Little } else { RunTimeEndian::Big };
    let section = |id: gimli::SectionId| -> Result<Slice<'d>, object::Error> {
        let Some(section) = file.section_by_name(id.name()) else { return Ok(EndianSlice::new(&[], order)) };
        let data = section.compressed_data()?;
        let plain = data.format == object::CompressionFormat::None;
        Ok(EndianSlice::new(if plain { data.data } else { &[] }, order))
    };
    addr2line::Context::from_dwarf(Dwarf::load(section).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use r3e_common::runtime::fs;
    use std::path::Path;

    #[test]
    fn this_very_test_is_named_with_its_file() {
        let mut file = Vec::new();
        fs::read_into(Path::new("/proc/self/exe"), &mut file, u64::MAX).unwrap().unwrap();
        let tables = Tables::new(&file).unwrap();
        let (address, _) =
            tables.names.iter().find(|(_, (_, name))| name.contains("this_very_test_is_named_with_its_file")).unwrap();
        let functions = tables.functions_at(*address + 1);
        let (symbol, line) = functions.last().unwrap();
        assert!(symbol.name.starts_with("r3e_monitor::heap::symbols::tests::this_very_test"), "{symbol:?}");
        assert!(symbol.file.ends_with("heap/symbols.rs") && *line > 100, "{symbol:?} {line}");
        assert_eq!(tables.functions_at(0), []);
        assert_eq!(tables.address_of(u64::MAX), None);
    }

    #[test]
    fn what_is_no_executable_is_refused() {
        assert!(Tables::new(b"#!/bin/sh").is_err());
        assert!(Tables::new(b"").is_err());
    }
}
