//! The service's list of multiplayer ratings.

use std::borrow::Cow;
use std::collections::HashSet;

use serde::de::Error as _;
use serde_json::value::RawValue;

use super::json::{self, Sink};

/// Drivers further behind are left out. Front ends highlight the first 200.
const MAX_POSITION: u32 = 5000;

/// Bounds the list, since there can be any number of inactive drivers.
const MAX_RATINGS: usize = 10_000;

/// A driver with a longer name is left out. Real names are ten times shorter.
const MAX_NAME_BYTES: usize = 256;

/// The multiplayer ratings.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Ratings {
    /// Where the list came from.
    pub source: String,
    /// The drivers, best first.
    pub drivers: Vec<Rating>,
}

/// A driver with a multiplayer rating.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Rating {
    /// The service's id of the driver.
    pub user_id: u64,
    /// The name as displayed.
    pub name: String,
    /// The position, from 1. For an inactive driver: one more than that of the last active driver before it.
    pub position: u32,
    /// Whether the driver has a position of their own.
    pub active: bool,
}

/// Reads the list: an array of `{"UserId", "Fullname", "Position"}`, best first, in which an inactive driver's position is null.
/// Elements that are not of this shape are left out, as are repeated positions.
///
/// # Errors
/// If the text is not a JSON array, or has no ratings.
pub fn read_ratings(text: &str) -> Result<Vec<Rating>, serde_json::Error> {
    let mut list = List::default();
    json::walk(text, &[], &mut list)?;
    let List { mut ratings, .. } = list;
    // In order already, unless the service is wrong. The sort is stable, so the first of a repeated position stays.
    ratings.sort_by_key(|it| it.position);
    let mut positions = HashSet::new();
    ratings.retain(|it| !it.active || positions.insert(it.position));
    if ratings.is_empty() { Err(serde_json::Error::custom("no ratings in it")) } else { Ok(ratings) }
}

/// The drivers read so far.
#[derive(Default)]
struct List {
    ratings: Vec<Rating>,
    /// The highest position of an active driver.
    last: u32,
}

impl<'a> Sink<'a> for List {
    type Element = &'a RawValue;

    fn member(&mut self, _: usize, _: &str, _: &'a RawValue) {}

    fn begin(&mut self) {
        *self = Self::default();
    }

    fn element(&mut self, element: &'a RawValue) {
        let Some((user_id, name, own)) = read_driver(element) else { return };
        let active = own.is_some();
        let position = own.unwrap_or(self.last + 1);
        let limit = if active { MAX_POSITION } else { MAX_POSITION - 1 };
        if !(1..=limit).contains(&position) || self.ratings.len() == MAX_RATINGS {
            return;
        }
        if active {
            self.last = position.max(self.last);
        }
        self.ratings.push(Rating { user_id, name, position, active });
    }
}

/// Id, name and position of a driver.
fn read_driver(element: &RawValue) -> Option<(u64, String, Option<u32>)> {
    let (mut user_id, mut name, mut position) = (None, None, Some(None));
    json::members(element.get(), |key, value| match key {
        "UserId" => user_id = serde_json::from_str(value.get()).ok(),
        "Fullname" => name = json::text(value).map(Cow::into_owned),
        "Position" => position = serde_json::from_str(value.get()).ok(),
        _ => {}
    })
    .ok()?;
    let name = name.filter(|it| !it.trim().is_empty() && it.len() <= MAX_NAME_BYTES)?;
    Some((user_id?, name, position?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn inactive_drivers_are_behind_the_last_active_one() {
        let text = r#"[{"UserId":7,"Fullname":"Ana","Position":1,"Country":"BE"},{"UserId":8,"Fullname":"Ben","Position":null},
            {"UserId":9,"Fullname":"Cid","Position":2},{"UserId":9,"Fullname":"Double","Position":2},{"UserId":10,"Fullname":" "},
            {"UserId":"11","Fullname":"No number","Position":3},7,null,[11,"No object",3],{"UserId":12,"Fullname":"Dot"}]"#;
        let ratings = read_ratings(text).unwrap();
        let rows: Vec<_> = ratings.iter().map(|it| (it.user_id, it.name.as_str(), it.position, it.active)).collect();
        assert_eq!(rows, [(7, "Ana", 1, true), (8, "Ben", 2, false), (9, "Cid", 2, true), (12, "Dot", 3, false)]);
        let long = "x".repeat(MAX_NAME_BYTES + 1);
        let unordered = format!(
            r#"[{{"UserId":1,"Fullname":"A","Position":4000}},{{"UserId":2,"Fullname":"B","Position":1}},
            {{"UserId":3,"Fullname":"{long}","Position":2}},{{"UserId":4,"Fullname":"D","Position":5000}},{{"UserId":5,"Fullname":"E"}}]"#
        );
        let ids: Vec<_> = read_ratings(&unordered).unwrap().iter().map(|it| it.user_id).collect();
        assert_eq!(ids, [2, 1, 4]);
        for none in ["{}", "[1", "[]", r#"[{"UserId":7,"Fullname":"Ana","Position":5001}]"#] {
            assert!(read_ratings(none).is_err(), "{none}");
        }
    }

    proptest! {
        #[test]
        fn positions_of_active_drivers_rise_up_to_the_limit(positions: Vec<Option<u32>>) {
            let rows: Vec<_> = (1..).zip(&positions).map(|(id, it)| serde_json::json!({"UserId": id, "Fullname": "x", "Position": it})).collect();
            let ratings = read_ratings(&serde_json::to_string(&rows).unwrap()).unwrap_or_default();
            let active: Vec<u32> = ratings.iter().filter(|it| it.active).map(|it| it.position).collect();
            prop_assert!(active.is_sorted_by(|a, b| a < b));
            prop_assert!(ratings.iter().all(|it| (1..=MAX_POSITION).contains(&it.position)));
        }
    }
}
