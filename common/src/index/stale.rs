//! Published files that an export no longer writes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::runtime::fs::{self, FsError};
use crate::store::{DRIVER_INDEX, EXPORT_FILES, EXPORT_FOLDERS, TOP_COMBINATIONS};

/// Removes published files that are not in `names`; otherwise they would be served forever.
pub(super) fn remove(folder: &Path, names: &BTreeSet<String>) -> Result<(), FsError> {
    let names: BTreeSet<PathBuf> = names.iter().map(|it| folder.join(it)).collect();
    for path in published(folder)? {
        if !names.contains(&path) && !fs::is_folder(&path)? {
            fs::remove(&path)?;
        }
    }
    Ok(())
}

/// All paths that can belong to an export: every file in its folders, and the fixed names in the cache folder.
pub(super) fn published(folder: &Path) -> Result<Vec<PathBuf>, FsError> {
    let gzip = format!("{DRIVER_INDEX}.gz");
    let names = EXPORT_FILES.into_iter().chain([DRIVER_INDEX, &gzip, TOP_COMBINATIONS]);
    let mut paths: Vec<PathBuf> = names.map(|it| folder.join(it)).collect();
    for inner in EXPORT_FOLDERS {
        paths.extend(fs::list(&folder.join(inner))?);
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_written_stays() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str| {
            let path = folder.path().join(name);
            fs::create_folders(fs::parent(&path)).unwrap();
            fs::write_whole(&path, b"").unwrap();
        };
        let kept = ["stats/classes/2_pole.json.gz", "index/teams.json.gz", "driver_index.json.gz"];
        let others = ["status.json", "track_1/class_2.json.gz", "archive/status.json", "archive/1-2.json"];
        let stale = [
            "stats/classes/1_pole.json.gz",
            "index/.teams.json.gz.tmp",
            "driver_index.json",
            "index/entries/a.json.gz",
        ];
        kept.into_iter().chain(others).chain(stale).for_each(put);
        remove(folder.path(), &kept.map(str::to_owned).into()).unwrap();
        let is_there = |name: &&str| folder.path().join(name).exists();
        assert!(kept.iter().chain(&others).all(is_there) && !stale.iter().any(is_there));
    }
}
