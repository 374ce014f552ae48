//! The list of multiplayer ratings: a reader that makes a tree finds the same drivers.

use r3e_common::domain::{Rating, read_ratings};
use serde_json::Value;

use crate::model;

/// The last position that is read.
const MAX_POSITION: u32 = 5000;

/// Reads the bytes as the list.
pub fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let read = read_ratings(text);
    let Some(tree) = model::tree(text) else { return };
    let expected = ratings(tree.as_array().map(Vec::as_slice).unwrap_or_default());
    assert_eq!(read.unwrap_or_default(), expected);
}

fn ratings(rows: &[Value]) -> Vec<Rating> {
    let (mut ratings, mut last) = (Vec::new(), 0);
    for row in rows {
        let (Some(user_id), Some(name)) = (row["UserId"].as_u64(), row["Fullname"].as_str()) else { continue };
        let active = !row["Position"].is_null();
        let position = if active { row["Position"].as_u64().and_then(|it| it.try_into().ok()) } else { Some(last + 1) };
        let admitted = position.filter(|&it| it <= MAX_POSITION && (!active || it > last));
        let Some(position) = admitted.filter(|_| !name.trim().is_empty()) else { continue };
        if active {
            last = position;
        }
        ratings.push(Rating { user_id, name: name.to_owned(), position, active });
    }
    ratings
}
