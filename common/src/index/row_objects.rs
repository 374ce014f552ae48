//! Files that have each driver's results under a key: the driver index and the entries for newer front ends.

use super::columns::Columns;
use super::error::IndexError;
use super::objects::{Keyed, Objects};
use super::rows::Form;
use super::sort_key::SortKey;
use super::staged::Staged;
use super::writer::{Exported, Range, Writer};
use crate::domain::Catalog;
use crate::store::DRIVER_INDEX;

/// Rows in the order of their keys.
#[derive(Debug)]
pub(super) struct Rows<'a> {
    pub(super) columns: &'a Columns,
    pub(super) catalog: &'a Catalog,
    pub(super) sort_key: SortKey<'a>,
    pub(super) form: Form,
}

impl<'a> Rows<'a> {
    /// The rows of a range, to be written in that form.
    fn of(range: &Range<'a>, form: Form) -> Self {
        Self { columns: range.columns, catalog: range.catalog, sort_key: range.sort_key, form }
    }
}

impl Keyed for Rows<'_> {
    fn items(&self) -> usize {
        self.columns.order.rows()
    }

    fn keys(&self) -> usize {
        self.columns.order.keys()
    }

    fn key_at(&self, place: usize) -> usize {
        self.columns.order.key_at(place)
    }

    fn items_of(&self, key: usize) -> std::ops::Range<usize> {
        self.columns.order.key_rows(key)
    }

    fn key(&self, key: usize) -> String {
        self.sort_key.key_of(self.columns.key_text(key))
    }

    fn write(&self, place: usize, out: &mut Vec<u8>) {
        if let Some((place, fields)) = self.columns.row(place, self.catalog) {
            fields.write(self.form, place, out);
        }
    }

    fn max_bytes(&self, place: usize) -> usize {
        self.columns.row(place, self.catalog).map_or(0, |(_, fields)| fields.max_bytes())
    }

    fn bytes(&self) -> usize {
        self.columns.bytes()
    }
}

/// `driver_index.json.gz`.
#[derive(Debug)]
pub(super) struct DriverIndex {
    objects: Objects,
    drivers: usize,
}

impl DriverIndex {
    /// Its text is published too where `plain` says so.
    pub(super) fn new(plain: bool) -> Self {
        Self { objects: Objects::one(DRIVER_INDEX, plain), drivers: 0 }
    }
}

impl Writer for DriverIndex {
    fn range(&mut self, range: &Range<'_>, staged: &mut Staged) -> Result<(), IndexError> {
        let rows = Rows::of(range, Form::DriverIndex);
        self.objects.range(&rows, range.is_last, &range.workers, range.held, staged)?;
        self.drivers += range.columns.order.keys();
        Ok(())
    }

    fn held_bytes(&self) -> usize {
        self.objects.held_bytes()
    }
}

impl DriverIndex {
    /// Adds what is known of it when all is written.
    pub(super) fn describe(&self, exported: &mut Exported) {
        if let Some(written) = self.objects.written() {
            exported.generation = written.generation;
            exported.json_bytes = written.generation.json_bytes;
            exported.gzip_bytes = written.gzip_bytes;
        }
        exported.drivers = self.drivers;
    }
}

/// `index/entries/{s}.json.gz`.
#[derive(Debug)]
pub(super) struct Entries(Objects);

impl Entries {
    pub(super) fn new() -> Self {
        Self(Objects::shards("index/entries"))
    }
}

impl Writer for Entries {
    fn range(&mut self, range: &Range<'_>, staged: &mut Staged) -> Result<(), IndexError> {
        self.0.range(&Rows::of(range, Form::Entries), range.is_last, &range.workers, range.held, staged)
    }

    fn held_bytes(&self) -> usize {
        self.0.held_bytes()
    }
}
