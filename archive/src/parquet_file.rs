//! How rows are written: compression, row groups and pages, for each kind of file.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::parquet::arrow::AsyncArrowWriter;
use datafusion::parquet::basic::{Compression, ZstdLevel};
use datafusion::parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use datafusion::parquet::schema::types::ColumnPath;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use r3e_common::runtime::exit::Fatal as _;

use crate::error::ArchiveError;
use crate::location::Location;
use crate::schema::SCHEMA;

/// Rows of a row group: what a reader skips or reads at once.
const ROW_GROUP_ROWS: usize = 64 << 10;
/// The same for recordings, whose writer is to stay small.
const RECORDING_ROWS: usize = 32 << 10;
/// A row group is closed early if its compressed pages take this much memory.
const ROW_GROUP_BYTES: usize = 16 << 20;
/// A part of an upload: the smallest that S3 takes.
const PART_BYTES: usize = 5 << 20;
const PARTS_IN_FLIGHT: usize = 1;
/// Rows of a page in a merged file: small, so that a board is found without reading its neighbours.
const MERGED_PAGE_ROWS: usize = 4096;

fn properties() -> WriterPropertiesBuilder {
    let entry = ColumnPath::from("entry");
    WriterProperties::builder()
        .set_created_by(concat!("r3e-archive ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        // No two entries are the same, and nobody filters by them.
        .set_column_dictionary_enabled(entry.clone(), false)
        .set_column_statistics_enabled(entry, EnabledStatistics::None)
}

/// How recordings are written.
#[must_use]
pub fn recording() -> WriterProperties {
    properties().set_max_row_group_row_count(Some(RECORDING_ROWS)).build()
}

/// How results of queries are written.
pub(crate) fn result() -> WriterProperties {
    WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build()
}

/// How merged files are written.
#[must_use]
pub fn merged() -> WriterProperties {
    properties()
        .set_data_page_row_count_limit(MERGED_PAGE_ROWS)
        .set_write_batch_size(MERGED_PAGE_ROWS)
        .set_column_bloom_filter_enabled(ColumnPath::from("driver_id"), true)
        .build()
}

/// A file that is written to staging.
pub struct NewParquet<'l> {
    writer: AsyncArrowWriter<BufWriter>,
    location: &'l Location,
    staged: Path,
}

impl<'l> NewParquet<'l> {
    /// Begins a file.
    ///
    /// # Errors
    /// If the columns cannot be written like that.
    pub fn create(location: &'l Location, properties: WriterProperties) -> Result<Self, ArchiveError> {
        let staged = location.staged();
        let object = BufWriter::with_capacity(Arc::clone(location.store()), staged.clone(), PART_BYTES)
            .with_max_concurrency(PARTS_IN_FLIGHT);
        let writer = AsyncArrowWriter::try_new(object, Arc::clone(&SCHEMA), Some(properties))?;
        Ok(Self { writer, location, staged })
    }

    /// Adds rows.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn write(&mut self, batch: &RecordBatch) -> Result<(), ArchiveError> {
        self.writer.write(batch).await?;
        if self.writer.in_progress_size() > ROW_GROUP_BYTES {
            self.writer.flush().await?;
        }
        Ok(())
    }

    /// What follows is in a row group of its own.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn begin_row_group(&mut self) -> Result<(), ArchiveError> {
        Ok(self.writer.flush().await?)
    }

    /// Ends the file, and returns its path in staging.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn finish(mut self) -> Result<Path, ArchiveError> {
        match self.writer.finish().await {
            Ok(_) => Ok(self.staged),
            Err(error) => {
                self.discard().await;
                Err(error.into())
            }
        }
    }

    /// Removes what was written. A failure is only logged.
    pub async fn discard(self) {
        if let Err(left) = self.writer.into_inner().abort().await {
            tracing::warn!(file = %self.staged, error = %left, "cannot abort an upload");
        }
        if let Err(left) = self.location.remove(&self.staged).await {
            tracing::warn!(file = %self.staged, error = %left, exit = left.exit().code(), "cannot remove an unfinished file");
        }
    }
}
