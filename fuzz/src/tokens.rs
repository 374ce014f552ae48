//! Tokens of the trigger file and of `--only`: each chooses boards or is refused, and none changes another's meaning.

use std::sync::LazyLock;

use r3e_common::domain::{Catalog, Combination, IdError, Selection, TokenError, TrackId};

static CATALOG: LazyLock<Catalog> = LazyLock::new(Catalog::builtin);

/// The most characters of a message: a token of 64, each escaped, and what is wrong with it.
const LONGEST_MESSAGE: usize = 64 * "\\u{10ffff}".len() + 150;

/// How many boards are at most written as tokens again: a track.s row; all would take too long.
const MOST_WRITTEN: usize = 100;

/// Reads the bytes as the text of a trigger file.
pub fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let whole = Selection::parse(&text, &CATALOG);
    let mut parts = Selection::default();
    for token in text.split([' ', ',', '\n']).filter(|token| !token.is_empty()) {
        let mut of_token = Selection::parse(token, &CATALOG);
        if !token.contains(|c: char| c.is_whitespace()) {
            check_token(token, &of_token);
        }
        parts.boards.append(&mut of_token.boards);
        parts.refused.append(&mut of_token.refused);
    }
    assert_eq!(whole, parts, "a token means something else beside others");
    if whole.boards.len() <= MOST_WRITTEN {
        let board = |ordinal| CATALOG.at(ordinal).expect("a board that was chosen is in the catalogue");
        let tokens = whole.boards.iter().map(|&it| format!("{}-{}", board(it).0.id, board(it).1.id));
        let again = Selection::parse(&tokens.collect::<Vec<_>>().join("\n"), &CATALOG);
        assert_eq!((again.boards, again.refused), (whole.boards, Vec::new()));
    }
}

fn check_token(token: &str, of_token: &Selection) {
    let (track, board) = (token.parse::<TrackId>(), token.parse::<Combination>());
    assert!(track.map_or(true, |it| it.to_string() == token), "an id has one form only");
    assert!(board.map_or(true, |it| it.to_string() == token), "a combination has one form only");
    let expected = match (track, board) {
        (Ok(track), Err(_)) if CATALOG.track(track).is_none() => Err(TokenError::UnknownTrack(track)),
        (Ok(_), Err(IdError::Combination)) => Ok(CATALOG.classes().len()),
        (Err(_), Ok(board)) if CATALOG.track(board.track).is_none() => Err(TokenError::UnknownTrack(board.track)),
        (Err(_), Ok(board)) if CATALOG.class(board.class).is_none() => Err(TokenError::UnknownClass(board.class)),
        (Err(_), Ok(_)) => Ok(1),
        // A URL, perhaps.
        (Err(_), Err(_)) if token.contains('=') => {
            return assert_eq!(of_token.boards.len() + of_token.refused.len(), 1, "{token:?}");
        }
        (Err(_), Err(_)) => Err(TokenError::Malformed),
        both => panic!("{token:?} is an id and a combination: {both:?}"),
    };
    match (expected, &of_token.refused[..]) {
        (Ok(boards), []) => assert_eq!(of_token.boards.len(), boards, "{token:?}"),
        (Err(why), [refused]) => {
            assert!(of_token.boards.is_empty(), "{token:?} is refused and chooses");
            assert_eq!(refused.why, why, "{token:?}");
            assert!(token.starts_with(&refused.token) && refused.token.chars().count() <= 64);
            let message = refused.to_string();
            assert!(message.len() <= LONGEST_MESSAGE && !message.contains(char::is_control), "{message:?}");
        }
        (expected, refused) => panic!("{token:?}: expected {expected:?}, found {refused:?}"),
    }
}
