//! The service's list of multiplayer ratings.

use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Drivers further behind are left out. Front ends highlight the first 200.
const MAX_POSITION: u32 = 5000;

/// Further drivers are left out: so many inactive ones would stand among the first.
const MAX_RATINGS: usize = 100_000;

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
    /// The position, from 1. Of an inactive driver it is the one behind the last active driver above.
    pub position: u32,
    /// Whether the driver has a position of their own.
    pub active: bool,
}

/// Reads the list: an array of `{"UserId", "Fullname", "Position"}`, best first, in which an inactive driver's position is null.
/// Elements that are not of this shape are left out, as are positions that occurred before.
///
/// # Errors
/// If the text is not a JSON array, or has no ratings.
pub fn read_ratings(text: &str) -> Result<Vec<Rating>, serde_json::Error> {
    serde_json::from_str::<List>(text).map(|it| it.0)
}

struct List(Vec<Rating>);

impl<'de> Deserialize<'de> for List {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ListVisitor)
    }
}

struct ListVisitor;

impl<'de> Visitor<'de> for ListVisitor {
    type Value = List;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an array of ratings")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<List, A::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Row {
            user_id: u64,
            fullname: String,
            position: Option<u32>,
        }
        let (mut ratings, mut lowest) = (Vec::new(), 0);
        while let Some(element) = list.next_element::<&RawValue>()? {
            let Ok(Row { user_id, fullname: name, position }) = serde_json::from_str(element.get()) else { continue };
            let active = position.is_some();
            let position = position.unwrap_or(lowest + 1);
            if name.trim().is_empty()
                || position > MAX_POSITION
                || active && position <= lowest
                || ratings.len() == MAX_RATINGS
            {
                continue;
            }
            if active {
                lowest = position;
            }
            ratings.push(Rating { user_id, name, position, active });
        }
        if ratings.is_empty() {
            return Err(Error::custom("there is no rating in it"));
        }
        Ok(List(ratings))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn inactive_drivers_are_behind_the_last_active_one() {
        let text = r#"[{"UserId":7,"Fullname":"Ana","Position":1,"Country":"BE"},{"UserId":8,"Fullname":"Ben","Position":null},
            {"UserId":9,"Fullname":"Cid","Position":2},{"UserId":9,"Fullname":"Double","Position":2},{"UserId":10,"Fullname":" "},
            {"UserId":"11","Fullname":"No number","Position":3},7,null,{"UserId":12,"Fullname":"Dot"}]"#;
        let ratings = read_ratings(text).unwrap();
        let rows: Vec<_> = ratings.iter().map(|it| (it.user_id, it.name.as_str(), it.position, it.active)).collect();
        assert_eq!(rows, [(7, "Ana", 1, true), (8, "Ben", 2, false), (9, "Cid", 2, true), (12, "Dot", 3, false)]);
        assert!(read_ratings("{}").is_err() && read_ratings("[1").is_err());
    }

    proptest! {
        #[test]
        fn positions_of_active_drivers_rise_up_to_the_limit(positions: Vec<Option<u32>>) {
            let rows: Vec<_> = (1..).zip(&positions).map(|(id, it)| serde_json::json!({"UserId": id, "Fullname": "x", "Position": it})).collect();
            let ratings = read_ratings(&serde_json::to_string(&rows).unwrap()).unwrap();
            let active: Vec<u32> = ratings.iter().filter(|it| it.active).map(|it| it.position).collect();
            prop_assert!(active.is_sorted_by(|a, b| a < b));
            prop_assert!(ratings.iter().all(|it| (1..=MAX_POSITION).contains(&it.position)));
        }
    }
}
