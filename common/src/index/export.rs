//! The files that front ends read: `driver_index.json.gz` and `top_combinations.json`.

use std::io::{self, Write as _};
use std::path::Path;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::blocks;
use super::build::{Built, Content, IndexError};
use super::generation::Generation;
use super::output::{Output, cannot_write};
use super::stream;
use crate::domain::{Catalog, Ordinal};
use crate::runtime::fs::{self, NewFile};
pub use crate::store::{DRIVER_INDEX, TOP_COMBINATIONS};

/// How many boards that list has at most.
const TOP: usize = 1000;

/// What an export did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Exported {
    /// Whether any file differs from what was there before.
    pub changed: bool,
    /// Distinct drivers: keys of the index.
    pub drivers: usize,
    /// Bytes of JSON of the driver index.
    pub json_bytes: u64,
    /// Bytes of it compressed.
    pub gzip_bytes: u64,
    /// Which index was written; `top_combinations.json` has it too.
    pub generation: Generation,
}

/// Writes all exports into `folder`; files whose bytes are the same already are left alone.
///
/// # Errors
/// When the file system refuses or `stop` was cancelled; no file is then half written, or half replaced.
pub fn export(
    built: &Built,
    catalog: &Catalog,
    folder: &Path,
    plain: bool,
    threads: usize,
    stop: &CancellationToken,
) -> Result<Exported, IndexError> {
    let mut gzip = NewFile::publish(&folder.join(format!("{DRIVER_INDEX}.gz")))?;
    if !plain {
        // One that was written once would be served for ever.
        fs::remove(&folder.join(DRIVER_INDEX))?;
    }
    let mut text = if plain { Some(NewFile::publish(&folder.join(DRIVER_INDEX))?) } else { None };
    let mut output = Output::new(&mut gzip, text.as_mut(), folder)?;
    let drivers = match &built.content {
        Content::Held { shards, order } => {
            blocks::write((shards, order), catalog, threads, stop, &mut output)?;
            order.keys()
        }
        Content::Sorted(sorted) => stream::write(sorted, catalog, threads, stop, &mut output)?,
    };
    let mut exported = output.end(drivers)?;
    let mut top = NewFile::publish(&folder.join(TOP_COMBINATIONS))?;
    write_top_combinations(built, catalog, exported.generation, &mut top)
        .map_err(|error| cannot_write(folder, error))?;
    for file in [Some(gzip), text, Some(top)].into_iter().flatten() {
        exported.changed |= file.commit_if_changed()?;
    }
    Ok(exported)
}

#[derive(Serialize)]
struct TopCombinations<'a> {
    count: usize,
    generation: Generation,
    results: Vec<TopCombination<'a>>,
}

#[derive(Serialize)]
struct TopCombination<'a> {
    track: &'a str,
    track_id: String,
    class_id: String,
    class_name: &'a str,
    entry_count: u32,
}

fn write_top_combinations<'a>(
    built: &'a Built,
    catalog: &'a Catalog,
    generation: Generation,
    out: &mut NewFile,
) -> io::Result<()> {
    let mut boards = built.named_boards();
    boards.retain(|&(.., entries)| entries > 0);
    boards.sort_unstable_by_key(|&(ordinal, _, entries)| (std::cmp::Reverse(entries), ordinal));
    boards.truncate(TOP);
    let describe = |(ordinal, track_name, entry_count): (Ordinal, &'a str, u32)| {
        let (track, class) = catalog.at(ordinal)?;
        Some(TopCombination {
            track: track_name,
            track_id: track.id.to_string(),
            class_id: class.id.to_string(),
            class_name: &class.name,
            entry_count,
        })
    };
    let results: Vec<_> = boards.into_iter().filter_map(describe).collect();
    serde_json::to_writer(&mut *out, &TopCombinations { count: results.len(), generation, results })?;
    out.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    use super::super::Budget;
    use super::*;
    use crate::domain::Validators;
    use crate::store::{BoardEncoder, Cache};
    use serde_json::value::RawValue;

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

        let held = Budget { bytes: None, spill: folder.path(), give_back: || {} };
        let export_it = || {
            let built = super::super::build(&cache, &catalog, 2, &held, &stop).unwrap();
            export(&built, &catalog, folder.path(), false, 2, &stop).unwrap()
        };
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
