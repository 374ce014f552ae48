//! The list of multiplayer ratings.

use r3e_common::domain::{ClassId, Combination, TrackId};
use serde_json::{Value, json};

use super::people;
use super::world::World;

/// What faults of the list are named by: a board that no catalogue has.
pub const RATINGS: Combination = match (TrackId::new(u32::MAX), ClassId::new(u32::MAX)) {
    (Some(track), Some(class)) => Combination { track, class },
    _ => panic!("ids are positive"),
};

/// The first two thousand people, best first. Every fifth is inactive.
#[must_use]
pub fn ratings_list(world: &World) -> Value {
    let mut position = 0;
    let rows = (0..world.drivers.min(2000)).map(|person| {
        let active = person % 5 != 4;
        position += u32::from(active);
        json!({
            "UserId": people::user_id(person),
            "Fullname": world.people.name(person),
            "Position": active.then_some(position),
        })
    });
    rows.collect()
}
