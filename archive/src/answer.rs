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
use datafusion::parquet::errors::ParquetError;
use datafusion::prelude::DataFrame;
use r3e_archive_cli::Format;
use r3e_common::runtime::fs::{FsError, NewFile};

use crate::engine::Engine;
use crate::error::ArchiveError;
use crate::parquet_file;

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
        ArchiveError::Encode(ParquetError::External(cause)) => match cause.downcast::<std::io::Error>() {
            Ok(cause) => FsError::new("write", path, *cause).into(),
            Err(cause) => ArchiveError::Encode(ParquetError::External(cause)),
        },
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
            let mut rows = vec![RecordBatch::new_empty(schema)];
            engine
                .for_each(query, |batch| {
                    rows.push(batch);
                    Ok(())
                })
                .await?;
            rows[0] = RecordBatch::new_empty(rows.last().map_or_else(|| rows[0].schema(), RecordBatch::schema));
            writeln!(to, "{}", pretty_format_batches(&rows).map_err(of_output)?)?;
        }
        Format::Csv => {
            let mut writer = csv::Writer::new(&mut to);
            writer.write(&RecordBatch::new_empty(schema)).map_err(of_output)?;
            engine.for_each(query, |batch| writer.write(&batch).map_err(of_output)).await?;
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

/// An error while writing a result.
fn of_output(error: ArrowError) -> ArchiveError {
    match error {
        ArrowError::IoError(_, error) => ArchiveError::System(error),
        other => ArchiveError::Query(other.to_string()),
    }
}
