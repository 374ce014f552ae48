//! Compares the last publication with one that a loader makes from nothing.
#![expect(clippy::disallowed_methods, reason = "reads what the programs write, from outside")]

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::{fs, io};

use anyhow::ensure;
use serde_json::Value;

use super::folder::Folder;
use super::system::Programs;
use super::violations::Violations;
use crate::harness::{board_files, gunzip, read_status, snapshot};

/// The drivers' metadata, in a cache.
const METADATA: &str = "index/metadata";

/// What was compared.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Compared {
    /// Boards, entry by entry.
    pub(super) boards: usize,
    /// Other files, byte by byte after decompression.
    pub(super) files: usize,
    /// Drivers whose metadata was compared before that of earlier results was copied.
    pub(super) drivers: usize,
    /// Boards, files, links, drivers and counts that differ, or that only one of the two has.
    pub(super) differences: usize,
}

/// Loads everything into a new cache and compares the two. The service must answer without faults, and no job may be at work.
///
/// Publications remember one thing: a team, rank or avatar that a driver's results no longer have is taken from the drivers'
/// metadata of the last one. So a first publication is compared by what its drivers have in both; then the new cache gets these
/// files, and is published again.
///
/// # Errors
/// If the loader fails.
pub(super) fn compare(folder: &Folder, programs: &Programs, violations: &Violations) -> anyhow::Result<Compared> {
    let fresh = folder.path("fresh");
    load(folder, programs, &fresh, &[])?;
    let mut compared = Compared::default();
    let mut differ = |what: String| {
        compared.differences += 1;
        violations.add(what);
    };
    let (ours, new) = (drivers(&folder.cache())?, drivers(&fresh)?);
    for (id, driver) in &ours {
        let Some(other) = new.get(id) else { continue };
        compared.drivers += 1;
        for key in ["team", "rank", "avatar"] {
            if driver[key] != other[key] && driver[key] != "" && other[key] != "" {
                differ(format!("driver {id}: {key} {} differs from {}, which is made anew", driver[key], other[key]));
            }
        }
    }
    for entry in fs::read_dir(folder.cache().join(METADATA))? {
        let entry = entry?;
        fs::copy(entry.path(), fresh.join(METADATA).join(entry.file_name()))?;
    }
    load(folder, programs, &fresh, &["--cached-only"])?;
    let [ours, new] = [&folder.cache(), &fresh].map(|it| board_files(it));
    for board in ours.keys().chain(new.keys().filter(|it| !ours.contains_key(it))) {
        let entries = |boards: &BTreeMap<_, crate::harness::BoardFile>| boards.get(board).map(|it| it.entries.clone());
        if entries(&ours) != entries(&new) {
            differ(format!("board {board} differs from one that is fetched anew"));
        }
    }
    compared.boards = ours.len();
    let [ours, new] = [&folder.cache(), &fresh].map(|it| indexes(it));
    for file in ours.keys().chain(new.keys().filter(|it| !ours.contains_key(*it))) {
        if ours.get(file) != new.get(file) {
            differ(format!("{} differs from one that is made anew", file.display()));
        }
    }
    compared.files = ours.len();
    let [ours, new] = [folder.cache(), fresh.clone()].map(|it| links(&it.join("tracks")));
    let (ours, new) = (ours?, new?);
    if ours != new {
        differ(format!("the links in tracks, {ours:?}, differ from those made anew, {new:?}"));
    }
    let [ours, new] = [&folder.cache(), &fresh].map(|it| read_status(it));
    for key in ["total_entries", "track_count", "total_unique_tracks", "total_drivers"] {
        if ours[key] != new[key] {
            differ(format!("status.json: {key} is {}, and {} in one that is made anew", ours[key], new[key]));
        }
    }
    Ok(compared)
}

fn load(folder: &Folder, programs: &Programs, cache: &Path, arguments: &[&str]) -> anyhow::Result<()> {
    let mut loader = programs.command(folder, "r3e-loader");
    let Output { status, stderr, .. } = loader.args(arguments).arg("--cache").arg(cache).output()?;
    ensure!(status.success(), "the loader into a new cache ended with {status}: {}", String::from_utf8_lossy(&stderr));
    Ok(())
}

/// The published files except boards and status, decompressed.
fn indexes(cache: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for (path, (bytes, _)) in snapshot(cache) {
        let name = path.strip_prefix(cache).unwrap_or(&path);
        if !["track_", "tracks/"].iter().any(|it| name.to_string_lossy().starts_with(it)) {
            let is_compressed = path.extension().is_some_and(|it| it == "gz");
            let text = if is_compressed { gunzip(&bytes, &path) } else { bytes };
            files.insert(name.to_owned(), without_time(text));
        }
    }
    files
}

/// The metadata of each driver, by id.
fn drivers(cache: &Path) -> anyhow::Result<BTreeMap<String, Value>> {
    let mut drivers = BTreeMap::new();
    for text in indexes(&cache.join(METADATA)).into_values() {
        let names: BTreeMap<String, Vec<Value>> = serde_json::from_slice(&text)?;
        drivers.extend(names.into_values().flatten().map(|it| (it["path_id"].to_string(), it)));
    }
    Ok(drivers)
}

/// The links in a folder, which is there for front ends: their names, and where they lead.
fn links(folder: &Path) -> io::Result<BTreeSet<(OsString, PathBuf)>> {
    fs::read_dir(folder)?.map(|it| it.and_then(|it| Ok((it.file_name(), fs::read_link(it.path())?)))).collect()
}

/// Without the time of the publication, which is the last key of some files.
fn without_time(mut text: Vec<u8>) -> Vec<u8> {
    const KEY: &[u8] = br#","updated_at":""#;
    if let Some(begin) = text.windows(KEY.len()).rposition(|it| it == KEY)
        && let Some(time) = text[begin + KEY.len()..].trim_ascii_end().strip_suffix(b"\"}")
        && !time.contains(&b'"')
    {
        text.truncate(begin);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_time_at_the_end_is_ignored() {
        let without = |text: &str| String::from_utf8(without_time(text.into())).unwrap();
        for end in ["", "\n"] {
            assert_eq!(without(&format!("{{\"a\":1,\"updated_at\":\"2026-11-26T17:10:16Z\"}}{end}")), "{\"a\":1");
        }
        for whole in [r#"{"a":1}"#, r#"{"a":[{"b":1,"updated_at":"x"}],"c":"d"}"#] {
            assert_eq!(without(whole), whole);
        }
    }
}
