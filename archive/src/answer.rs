//! Prints the rows of a query: as a table, CSV, JSON or Parquet.

use std::io::{ErrorKind, Write};
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::csv;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::json;
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::prelude::DataFrame;
use r3e_archive_cli::Format;
use r3e_common::runtime::fs::{FsError, NewFile};

use crate::engine::Engine;
use crate::error::ArchiveError;
use crate::parquet_file;

/// A new table begins after at least this many rows: aligning the columns requires all rows of a table in memory.
const TABLE_ROWS: usize = 10_000;

/// Runs a query, and writes its rows to a file, which appears complete, or to standard output.
///
/// # Errors
/// If the query fails, or its result cannot be written. A closed standard output is not an error.
pub(crate) async fn answer(
    engine: &Engine,
    query: DataFrame,
    format: Format,
    output: Option<&Path>,
) -> Result<(), ArchiveError> {
    let Some(path) = output else {
        return match write(engine, query, format, std::io::stdout()).await {
            Err(ArchiveError::System(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            other => other.map(drop),
        };
    };
    let file = write(engine, query, format, NewFile::create(path)?).await.map_err(|error| match error {
        ArchiveError::System(cause) => FsError::new("write", path, cause).into(),
        other => other,
    })?;
    Ok(file.commit()?)
}

async fn write<W: Write + Send>(
    engine: &Engine,
    query: DataFrame,
    format: Format,
    mut to: W,
) -> Result<W, ArchiveError> {
    let schema: SchemaRef = Arc::clone(query.schema().inner());
    match format {
        Format::Table => {
            let (mut rows, mut count, mut is_first) = (Vec::new(), 0, true);
            engine
                .for_each(query, |batch| {
                    if batch.num_rows() > 0 {
                        count += batch.num_rows();
                        rows.push(batch);
                    }
                    if count >= TABLE_ROWS {
                        write_table(&mut to, &std::mem::take(&mut rows))?;
                        (count, is_first) = (0, false);
                    }
                    Ok(())
                })
                .await?;
            if is_first && rows.is_empty() {
                rows.push(RecordBatch::new_empty(schema));
            }
            if !rows.is_empty() {
                write_table(&mut to, &rows)?;
            }
        }
        Format::Csv => {
            write_csv(&mut to, &RecordBatch::new_empty(schema), true)?;
            engine.for_each(query, |batch| write_csv(&mut to, &batch, false)).await?;
        }
        Format::Json => {
            let mut writer =
                json::WriterBuilder::new().with_explicit_nulls(true).build::<_, json::writer::JsonArray>(&mut to);
            engine.for_each(query, |batch| writer.write(&batch).map_err(of_output)).await?;
            writer.finish().map_err(of_output)?;
            drop(writer);
            writeln!(to)?;
        }
        Format::Parquet => {
            let mut writer = ArrowWriter::try_new(&mut to, schema, Some(parquet_file::result()))?;
            engine.for_each(query, |batch| Ok(writer.write(&batch)?)).await?;
            writer.close()?;
        }
    }
    to.flush()?;
    Ok(to)
}

fn write_table(to: &mut impl Write, rows: &[RecordBatch]) -> Result<(), ArchiveError> {
    Ok(writeln!(to, "{}", pretty_format_batches(rows).map_err(of_output)?)?)
}

/// Encodes in memory first: an error of its own writer would not say that writing failed.
fn write_csv(to: &mut impl Write, rows: &RecordBatch, with_header: bool) -> Result<(), ArchiveError> {
    let mut text = Vec::new();
    csv::WriterBuilder::new().with_header(with_header).build(&mut text).write(rows).map_err(of_output)?;
    Ok(to.write_all(&text)?)
}

/// An error while writing a result.
fn of_output(error: ArrowError) -> ArchiveError {
    match error {
        ArrowError::IoError(_, error) => ArchiveError::System(error),
        other => ArchiveError::Encode(other.to_string()),
    }
}
