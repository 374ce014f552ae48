//! All published files, written from the same columns.

use std::path::Path;

use super::driver_index::DriverIndex;
use super::error::IndexError;
use super::ranges::{Ranges, Source};
use super::top_combinations::TopCombinations;
use super::writer::{Exported, Range, Writer};

/// The kinds of published files: the driver index is first, for others name its generation.
fn writers(folder: &Path, plain: bool) -> Result<Vec<Box<dyn Writer>>, IndexError> {
    Ok(vec![Box::new(DriverIndex::create(folder, plain)?), Box::new(TopCombinations::create(folder)?)])
}

/// Writes all exports into `folder`; files whose bytes are the same already are left alone.
///
/// # Errors
/// When the file system refuses, the headroom is too small, a board was replaced meanwhile or it was stopped; no file is then
/// half written, or half replaced.
pub fn export(mut ranges: Ranges<'_>, folder: &Path, plain: bool) -> Result<Exported, IndexError> {
    let mut writers = writers(folder, plain)?;
    let Source { catalog, threads, stop, .. } = ranges.source;
    let mut is_first = true;
    loop {
        let is_last = ranges.is_last();
        let range = Range { columns: &ranges.columns, catalog, threads, plan: ranges.plan, stop, is_first, is_last };
        for writer in &mut writers {
            writer.range(&range)?;
        }
        if is_last {
            break;
        }
        ranges.advance(writers.iter().map(|it| it.held_bytes()).sum())?;
        is_first = false;
    }
    let mut exported = Exported::default();
    for writer in &mut writers {
        writer.finish(&mut exported, catalog)?;
    }
    for writer in writers {
        exported.changed |= writer.commit()?;
    }
    Ok(exported)
}

#[cfg(test)]
mod tests {
    use super::super::{Generation, Headroom, TOP_COMBINATIONS, build};
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

        let headroom = Headroom { bytes: None, give_back: || {} };
        let source = Source { cache: &cache, catalog: &catalog, threads: 2, headroom, stop: &stop };
        let export_it = || export(build(&source).unwrap().1, folder.path(), false).unwrap();
        let exported = export_it();
        let file = std::fs::read(folder.path().join("driver_index.json.gz")).unwrap();
        let (trailer, last) = file[file.len() - 8..].split_at(4);
        let word = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().unwrap());
        assert_eq!(exported.generation, Generation { crc: word(trailer), json_bytes: u64::from(word(last)) });
        assert_eq!(exported.generation.json_bytes, exported.json_bytes);
        let top = fs::read_text(&folder.path().join(TOP_COMBINATIONS), 1 << 20).unwrap();
        let top: serde_json::Value = serde_json::from_str(&top).unwrap();
        assert_eq!(top["generation"], exported.generation.to_string());
        assert_eq!((top["count"].as_u64(), top["results"][0]["entry_count"].as_u64()), (Some(1), Some(1)));
        assert_eq!(export_it(), Exported { changed: false, ..exported });
    }
}
