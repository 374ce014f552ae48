//! `tracks/track_{t}`: links to the board folders, where front ends since April 2026 look for boards.

use std::path::Path;

use super::published::TRACKS;
use crate::domain::TrackId;
use crate::runtime::fs::{self, FsError};

/// Links the folders of these tracks. If another program has put a folder at such a path, the folder stays and is logged.
///
/// # Errors
/// If the file system fails.
pub fn link_tracks(cache: &Path, tracks: impl Iterator<Item = TrackId>) -> Result<(), FsError> {
    let folder = cache.join(TRACKS);
    let mut tracks = tracks.peekable();
    if tracks.peek().is_some() {
        fs::publish_folders(&folder)?;
    }
    for track in tracks {
        let name = format!("track_{track}");
        let path = folder.join(&name);
        if fs::is_folder(&path)? {
            tracing::warn!(path = %path.display(), "a folder is where a link to boards should be: front ends may read outdated boards");
            continue;
        }
        fs::link(&path, &Path::new("..").join(&name))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boards_are_found_below_tracks_too() {
        let cache = tempfile::tempdir().unwrap();
        let (board, linked) = ("track_1/class_2.json.gz", cache.path().join("tracks/track_1"));
        fs::create_folders(&cache.path().join("track_1")).unwrap();
        fs::write_whole(&cache.path().join(board), b"board").unwrap();
        let link = || link_tracks(cache.path(), [1, 7].into_iter().filter_map(TrackId::new));
        link().unwrap();
        fs::link(&linked, Path::new("elsewhere")).unwrap();
        link().unwrap();
        assert_eq!(fs::link_target(&linked).unwrap().unwrap(), Path::new("../track_1"));
        assert_eq!(fs::read_text(&cache.path().join("tracks").join(board), 100).unwrap(), "board");
        // A folder stays.
        fs::remove(&linked).unwrap();
        fs::create_folders(&linked).unwrap();
        link().unwrap();
        assert!(fs::is_folder(&linked).unwrap());
    }
}
