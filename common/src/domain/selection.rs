//! A choice of boards, as people and scripts write it: `1693` for all classes of a track; `5276-8600`, or the address of a
//! board in a front end or at the service, for one board.

use std::collections::BTreeSet;
use std::fmt;

use super::{Catalog, ClassId, Combination, Ordinal, TrackId};

/// Why a token selects nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Neither a track nor a board.
    #[error(
        "expected a track id (1693), a track id and a class id (5276-8600), or a URL with both (track=5276&class=8600)"
    )]
    Malformed,
    /// The catalogue has no such track.
    #[error("track {0} is not in the catalogue")]
    UnknownTrack(TrackId),
    /// The catalogue has no such class.
    #[error("class {0} is not in the catalogue")]
    UnknownClass(ClassId),
}

/// A token that selects nothing, with the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The token, cut to 64 characters.
    pub token: String,
    /// Why it was refused.
    pub why: TokenError,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.token, self.why)
    }
}

/// The boards that a list of tokens selects, each once, and the tokens that select none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// The selected boards, in catalogue order.
    pub boards: BTreeSet<Ordinal>,
    /// The refused tokens, in their order.
    pub refused: Vec<Refused>,
}

impl Selection {
    /// Reads tokens separated by white space or commas.
    #[must_use]
    pub fn parse(text: &str, catalog: &Catalog) -> Self {
        let mut selection = Self::default();
        let tokens = text.split(|c: char| c.is_whitespace() || c == ',').filter(|token| !token.is_empty());
        for token in tokens {
            match select(token, catalog) {
                Ok(boards) => selection.boards.extend(boards),
                Err(why) => selection.refused.push(Refused { token: token.chars().take(64).collect(), why }),
            }
        }
        selection
    }
}

fn select(token: &str, catalog: &Catalog) -> Result<Vec<Ordinal>, TokenError> {
    let known_track = |track| catalog.track(track).map(|_| ()).ok_or(TokenError::UnknownTrack(track));
    if let Ok(track) = token.parse::<TrackId>() {
        known_track(track)?;
        let row = catalog.classes().iter().map(|class| Combination { track, class: class.id });
        return Ok(row.filter_map(|board| catalog.ordinal(board)).collect());
    }
    let board = token.parse().ok().or_else(|| from_query(token)).ok_or(TokenError::Malformed)?;
    known_track(board.track)?;
    let ordinal = catalog.ordinal(board).ok_or(TokenError::UnknownClass(board.class))?;
    Ok(vec![ordinal])
}

/// The board of a query, alone or in a URL: `track=5276&class=8600`, or the service's own `car_class=class-8600`.
fn from_query(token: &str) -> Option<Combination> {
    let (_, query) = token.split_once('?').unwrap_or(("", token));
    let (query, _) = query.split_once('#').unwrap_or((query, ""));
    let (mut track, mut class) = (None, None);
    for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match &*key {
            "track" => track = Some(value.parse().ok()?),
            "class" => class = Some(value.parse().ok()?),
            "car_class" => class = Some(value.strip_prefix("class-")?.parse().ok()?),
            _ => {}
        }
    }
    Some(Combination { track: track?, class: class? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_track_selects_its_row_and_overlaps_count_once() {
        let catalog = Catalog::builtin();
        let selection = Selection::parse("1693,1693-1703\n 5276-8600", &catalog);
        assert_eq!((selection.boards.len(), selection.refused.len()), (90 + 1, 0));
    }

    #[test]
    fn a_board_can_be_named_by_any_of_its_addresses() {
        let catalog = Catalog::builtin();
        let board = Selection::parse("5276-8600", &catalog);
        for address in [
            "track=5276&class=8600",
            "?class=8600&track=5276",
            "https://game.raceroom.com/leaderboard/?car_class=class-8600&track=5276",
            "https://game.raceroom.com/leaderboard/listing/0?track=5276&car_class=class-8600&start=0&count=1500",
            "https://example.org/detail.html?track=5276&class=8600&driver=A%20B#top",
        ] {
            assert_eq!(Selection::parse(address, &catalog), board, "{address}");
        }
        for wrong in
            ["track=5276", "class=8600", "track=x&class=8600", "track=5276&car_class=8600", "https://example.org/"]
        {
            let refused = Selection::parse(wrong, &catalog).refused;
            assert_eq!((refused.len(), refused[0].why), (1, TokenError::Malformed), "{wrong}");
        }
    }

    #[test]
    fn each_refused_token_has_its_reason() {
        let selection = Selection::parse("x 999999 1693-999999 1693-", &Catalog::builtin());
        let told: Vec<String> = selection.refused.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "\"x\": expected a track id (1693), a track id and a class id (5276-8600), or a URL with both (track=5276&class=8600)",
                "\"999999\": track 999999 is not in the catalogue",
                "\"1693-999999\": class 999999 is not in the catalogue",
                "\"1693-\": expected a track id (1693), a track id and a class id (5276-8600), or a URL with both (track=5276&class=8600)",
            ]
        );
        assert!(selection.boards.is_empty());
    }

    proptest! {
        #[test]
        fn any_token_is_selected_or_refused(text in "\\PC{0,40}") {
            let tokens = text.split(|c: char| c.is_whitespace() || c == ',').filter(|t| !t.is_empty()).count();
            let selection = Selection::parse(&text, &Catalog::builtin());
            prop_assert!(selection.refused.len() <= tokens);
            prop_assert!(selection.refused.len() == tokens || !selection.boards.is_empty());
        }
    }
}
