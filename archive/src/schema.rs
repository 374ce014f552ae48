//! The rows of the archive: one for each entry of each recorded version of a board, and one for the version itself.
//!
//! A version's own row has position 0 and repeats the columns of the first entry, so that leaders and records can be read without
//! the entries. Text is plain UTF-8 and timestamps have no zone, since query engines differ in how they treat the alternatives.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{
    ArrayRef, BooleanBuilder, RecordBatch, StringBuilder, TimestampMillisecondBuilder, UInt32Builder, UInt64Builder,
};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::arrow::error::ArrowError;
use r3e_common::domain::{Combination, Entry, gap_ms, lap_ms, path_id, utc_microseconds};

/// The columns of every file.
pub static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let time = || DataType::Timestamp(TimeUnit::Millisecond, None);
    let (u32, u64, text) = (|| DataType::UInt32, || DataType::UInt64, || DataType::Utf8);
    Arc::new(Schema::new(vec![
        // When the version was recorded, in UTC.
        Field::new("observed_at", time(), false),
        Field::new("track_id", u32(), false),
        Field::new("class_id", u32(), false),
        // From 1, in the order of the board; 0 for the version itself.
        Field::new("position", u32(), false),
        // How many entries the version has.
        Field::new("size", u32(), false),
        Field::new("driver_id", u64(), true),
        Field::new("name", text(), true),
        Field::new("country", text(), true),
        Field::new("country_code", text(), true),
        Field::new("car", text(), true),
        Field::new("class", text(), true),
        Field::new("team", text(), true),
        Field::new("rank", text(), true),
        Field::new("difficulty", text(), true),
        Field::new("laptime", text(), true),
        Field::new("laptime_ms", u32(), true),
        Field::new("gap_ms", u32(), true),
        // When the lap was driven, in UTC.
        Field::new("lap_date", time(), true),
        // The entry as the service sent it.
        Field::new("entry", text(), true),
        // Of versions only: the name of the track layout, whether the board had vanished, the checksum and length of the published
        // file, and a checksum of the entries.
        Field::new("track", text(), true),
        Field::new("gone", DataType::Boolean, true),
        Field::new("file_id", u64(), true),
        Field::new("entries_crc", u32(), true),
    ]))
});

/// What is known of a version besides its entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version<'a> {
    /// When it was recorded, in milliseconds since 1970.
    pub observed_ms: i64,
    /// Of which board.
    pub board: Combination,
    /// How many entries it has.
    pub size: u32,
    /// The name of the track layout.
    pub track: &'a str,
    /// Whether the board had vanished.
    pub gone: bool,
    /// The trailer of the published file.
    pub file_id: u64,
    /// [`EntriesChecksum`] of its entries.
    pub entries_crc: u32,
}

impl Version<'_> {
    /// What rows of entries have of a version.
    #[must_use]
    pub fn entries_of(board: Combination, observed_ms: i64, size: u32) -> Self {
        Self { observed_ms, board, size, track: "", gone: false, file_id: 0, entries_crc: 0 }
    }
}

/// A checksum of the entries of a version, as the service sent them, and of their order.
#[derive(Debug, Clone, Default)]
pub struct EntriesChecksum(crc32fast::Hasher);

impl EntriesChecksum {
    /// Adds the next entry.
    pub fn push(&mut self, entry: &str) {
        self.0.update(entry.as_bytes());
        self.0.update(b"\n");
    }

    /// The checksum.
    #[must_use]
    pub fn value(self) -> u32 {
        self.0.finalize()
    }
}

macro_rules! columns {
    ($($name:ident: $builder:ty),+ $(,)?) => {
        /// Collects rows.
        #[derive(Debug, Default)]
        pub struct Rows {
            $($name: $builder),+
        }

        impl Rows {
            /// The rows so far, which are forgotten.
            ///
            /// # Errors
            /// Never: all columns have the same length.
            pub fn take(&mut self) -> Result<RecordBatch, ArrowError> {
                let columns: Vec<ArrayRef> = vec![$(Arc::new(self.$name.finish())),+];
                RecordBatch::try_new(Arc::clone(&SCHEMA), columns)
            }
        }
    };
}

columns! {
    observed_at: TimestampMillisecondBuilder,
    track_id: UInt32Builder,
    class_id: UInt32Builder,
    position: UInt32Builder,
    size: UInt32Builder,
    driver_id: UInt64Builder,
    name: StringBuilder,
    country: StringBuilder,
    country_code: StringBuilder,
    car: StringBuilder,
    class: StringBuilder,
    team: StringBuilder,
    rank: StringBuilder,
    difficulty: StringBuilder,
    laptime: StringBuilder,
    laptime_ms: UInt32Builder,
    gap_ms: UInt32Builder,
    lap_date: TimestampMillisecondBuilder,
    entry: StringBuilder,
    track: StringBuilder,
    gone: BooleanBuilder,
    file_id: UInt64Builder,
    entries_crc: UInt32Builder,
}

impl Rows {
    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        use datafusion::arrow::array::ArrayBuilder as _;
        self.position.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes the entries take.
    #[must_use]
    pub fn entry_bytes(&self) -> usize {
        self.entry.values_slice().len()
    }

    /// Adds an entry: as it was sent, and as far as it is understood.
    pub fn push_entry(&mut self, version: &Version<'_>, position: u32, raw: &str, entry: Option<&Entry<'_>>) {
        self.push(version, position, entry);
        self.entry.append_value(raw);
        self.track.append_null();
        self.gone.append_null();
        self.file_id.append_null();
        self.entries_crc.append_null();
    }

    /// Adds the row of a version; `first` is its first entry.
    pub fn push_version(&mut self, version: &Version<'_>, first: Option<&Entry<'_>>) {
        self.push(version, 0, first);
        self.entry.append_null();
        self.track.append_option(given(version.track));
        self.gone.append_value(version.gone);
        self.file_id.append_value(version.file_id);
        self.entries_crc.append_value(version.entries_crc);
    }

    fn push(&mut self, version: &Version<'_>, position: u32, entry: Option<&Entry<'_>>) {
        self.observed_at.append_value(version.observed_ms);
        self.track_id.append_value(version.board.track.get());
        self.class_id.append_value(version.board.class.get());
        self.position.append_value(position);
        self.size.append_value(version.size);
        let nothing = Entry::default();
        let entry = entry.unwrap_or(&nothing);
        self.driver_id.append_option(path_id(&entry.driver.path).parse().ok());
        for (column, text) in [
            (&mut self.name, &entry.driver.name),
            (&mut self.country, &entry.country),
            (&mut self.country_code, &entry.country_code),
            (&mut self.car, &entry.car),
            (&mut self.class, &entry.car_class),
            (&mut self.team, &entry.team),
            (&mut self.rank, &entry.rank),
            (&mut self.difficulty, &entry.difficulty),
            (&mut self.laptime, &entry.laptime),
        ] {
            column.append_option(given(text));
        }
        self.laptime_ms.append_option(lap_ms(&entry.laptime));
        self.gap_ms.append_option(gap_ms(&entry.relative_laptime));
        self.lap_date.append_option(utc_microseconds(&entry.date_time).map(|it| it.div_euclid(1000)));
    }
}

/// An empty text is none: the service sends it for what it does not know.
fn given(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}
