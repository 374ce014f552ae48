//! All published files, written from the same columns.

use std::path::Path;

use super::blocks::Workers;
use super::combinations::Combinations;
use super::drivers::Drivers;
use super::error::IndexError;
use super::gzip;
use super::metadata;
use super::mirror;
use super::range_scan::RangeScan;
use super::ratings;
use super::row_objects::{DriverIndex, Entries};
use super::staged::Staged;
use super::stale;
use super::statistics::Statistics;
use super::teams;
use super::writer::{Exported, Range, Writer};
use crate::runtime::config::IndexFormat;
use crate::runtime::timestamp;

/// Writes all published files into `folder`. Files with unchanged bytes are left alone. The others are moved into place
/// together, once all of them are complete.
///
/// # Errors
/// If the file system fails, the headroom is too small, a board was replaced during the export, or it was cancelled. No
/// file is ever half written.
pub fn export(mut ranges: RangeScan<'_>, folder: &Path, plain: bool) -> Result<Exported, IndexError> {
    let source = ranges.source;
    let workers = Workers { threads: source.threads, plan: ranges.plan, level: gzip::FASTER, stop: source.stop };
    let mut staged = Staged::new(folder);
    let mut exported = Exported::default();
    let combinations = Combinations::of(&ranges.columns);

    let mut driver_index = source.has(IndexFormat::February2026).then(|| DriverIndex::new(plain));
    let mut drivers = source.has(IndexFormat::April2026).then(Drivers::new);
    let writers = [driver_index.as_mut().map(|it| it as &mut dyn Writer), drivers.as_mut().map(|it| it as _)];
    let held = combinations.bytes();
    write(&mut ranges, &mut writers.into_iter().flatten().collect::<Vec<_>>(), workers, held, &mut staged)?;
    if let Some(driver_index) = driver_index {
        driver_index.describe(&mut exported);
    }
    if let Some(mut drivers) = drivers {
        let workers = Workers { level: gzip::USUAL, ..workers };
        drivers.sort();
        ranges.free_if_limited();
        let with_drivers = held + drivers.held_bytes();
        exported.teams = Some(teams::write(&drivers, &workers, with_drivers, &mut staged)?);
        if let Some(list) = source.ratings {
            ratings::write(list, &drivers, &timestamp(source.now), &workers, with_drivers, &mut staged)?;
        }
        metadata::remember_previous(folder, &mut drivers);
        let held = held + drivers.held_bytes();
        exported.ids = Some(drivers.count());
        let mut ranges = ranges.by_driver(&drivers, held)?;
        let (mut entries, mut statistics) = (Entries::new(), Statistics::new(&drivers, source.catalog));
        write(&mut ranges, &mut [&mut entries, &mut statistics], workers, held, &mut staged)?;
        drop(ranges);
        let held = held + statistics.held_bytes();
        metadata::write(&drivers, &workers, held, &mut staged)?;
        mirror::write(&drivers, &workers, held, &mut staged)?;
        statistics.write(&timestamp(source.now), &workers, held, &mut staged)?;
    }
    combinations.write(&source, &exported, &mut staged)?;
    let (written, mut names) = staged.promote()?;
    (exported.written, exported.files) = (written, names.len());
    if source.has(IndexFormat::April2026) {
        // Without a new list, the earlier one stays.
        names.extend(ratings::FILES.map(|it| format!("{it}.gz")));
    }
    stale::remove(folder, &names)?;
    Ok(exported)
}

/// Passes the columns of each range to all writers. `held` is the number of bytes held in addition to what the writers
/// report.
fn write(
    ranges: &mut RangeScan<'_>,
    writers: &mut [&mut dyn Writer],
    workers: Workers<'_>,
    held: usize,
    staged: &mut Staged,
) -> Result<(), IndexError> {
    let catalog = ranges.source.catalog;
    let held_with = |writers: &[&mut dyn Writer]| held + writers.iter().map(|it| it.held_bytes()).sum::<usize>();
    loop {
        let is_last = ranges.is_last();
        for number in 0..writers.len() {
            let held = held_with(writers);
            let (columns, sort_key) = (&ranges.columns, ranges.sort_key);
            writers[number].range(&Range { columns, catalog, sort_key, workers, held, is_last }, staged)?;
        }
        if is_last {
            return Ok(());
        }
        ranges.advance(held_with(writers))?;
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Generation, Headroom, Source, TOP_COMBINATIONS, build};
    use super::*;
    use crate::domain::{Catalog, Validators};
    use crate::runtime::fs;
    use crate::store::{BoardEncoder, Cache};
    use serde_json::value::RawValue;
    use tokio_util::sync::CancellationToken;

    #[test]
    fn the_generation_is_what_the_gzip_trailer_says_and_stands_in_top_combinations() {
        let folder = tempfile::tempdir().unwrap();
        let (cache, catalog, stop) = (Cache::new(folder.path()), Catalog::builtin(), CancellationToken::new());
        let board = catalog.combinations().next().unwrap();
        let mut encoder = BoardEncoder::new(board, "Track", &Validators::default());
        assert!(encoder.push(&RawValue::from_string(r#"{"driver":{"name":"Ludo"}}"#.to_owned()).unwrap()));
        let path = cache.board_path(board);
        fs::create_folders(fs::parent(&path)).unwrap();
        fs::write_whole(&path, &encoder.finish("2026-11-23T04:00:11Z").bytes).unwrap();

        let (headroom, formats) = (Headroom { bytes: None, purge: || {} }, &IndexFormat::ALL);
        let now = std::time::UNIX_EPOCH;
        let source =
            Source { cache: &cache, catalog: &catalog, threads: 2, headroom, formats, ratings: None, now, stop: &stop };
        let export_it = || export(build(&source).unwrap().1, folder.path(), false).unwrap();
        let exported = export_it();
        let file = std::fs::read(folder.path().join("driver_index.json.gz")).unwrap();
        let (trailer, last) = file[file.len() - 8..].split_at(4);
        let word = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().unwrap());
        assert_eq!(exported.generation, Generation { crc: word(trailer), json_bytes: u64::from(word(last)) });
        assert_eq!(exported.generation.json_bytes, exported.json_bytes);
        assert_eq!(exported.gzip_bytes, file.len() as u64);
        let top = fs::read_text(&folder.path().join(TOP_COMBINATIONS), 1 << 20).unwrap();
        let top: serde_json::Value = serde_json::from_str(&top).unwrap();
        assert_eq!(top["generation"], exported.generation.to_string());
        assert_eq!((top["count"].as_u64(), top["results"][0]["entry_count"].as_u64()), (Some(1), Some(1)));
        assert_eq!((exported.written, exported.changed()), (exported.files, true));
        assert_eq!(export_it(), Exported { written: 0, ..exported });
    }
}
