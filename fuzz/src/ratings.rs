//! The list of multiplayer ratings: a reader that makes a tree finds the same drivers.

use r3e_common::domain::{Rating, read_ratings};
use serde_json::Value;

use crate::model;

/// The last position that is read.
const MAX_POSITION: u32 = 5000;

/// The longest name, and the most drivers.
const MAX_NAME_BYTES: usize = 256;
const MAX_RATINGS: usize = 10_000;

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
        let limit = MAX_POSITION - u32::from(!active);
        let is_usable = !name.trim().is_empty() && name.len() <= MAX_NAME_BYTES;
        let admitted = position.filter(|it| (1..=limit).contains(it) && is_usable && ratings.len() < MAX_RATINGS);
        let Some(position) = admitted else { continue };
        if active {
            last = last.max(position);
        }
        ratings.push(Rating { user_id, name: name.to_owned(), position, active });
    }
    ratings.sort_by_key(|it| it.position);
    let mut kept: Vec<Rating> = Vec::new();
    for rating in ratings {
        if !rating.active || kept.iter().all(|it| !it.active || it.position != rating.position) {
            kept.push(rating);
        }
    }
    kept
}
