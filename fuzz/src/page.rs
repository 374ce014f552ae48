//! A page as the service sends it: what is taken of it is what stands in it, and goes through a board file unharmed.

use r3e_common::domain::Entry;
use r3e_common::domain::Validators;
use r3e_common::store::BoardEncoder;
use r3e_common::upstream::{Failure, fuzzing};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::board_file::{BOARD, read_back};
use crate::model;

/// Entries asked for: few, so that a page is soon overfull.
const ASKED: usize = 4;
/// The most characters of a message: 300 of the answer, and what stands around them.
const LONGEST_MESSAGE: usize = 400;
/// An entry nested deeper than this is left out.
const DEEPEST: usize = 100;

/// Reads the bytes as a body.
pub fn check(body: &[u8]) {
    let text = match fuzzing::text(body) {
        Ok(text) => text,
        Err(error) => {
            bounded(&error);
            assert!(std::str::from_utf8(body).is_err(), "refused though it is UTF-8");
            return;
        }
    };
    if let Ok(utf8) = std::str::from_utf8(body) {
        assert_eq!(text, utf8.strip_prefix('\u{feff}').unwrap_or(utf8), "UTF-8 stays what it is, without its mark");
    }
    let few = fuzzing::read(&text, ASKED);
    let many = fuzzing::read(&text, text.len());
    match (&few, &many) {
        (Err(Failure::Overfull { requested: ASKED }), Ok((_, listed))) => assert!(*listed > ASKED),
        (Err(error), _) => bounded(error),
        (Ok(few), Ok(many)) => {
            let texts = |(entries, listed): &(Vec<&RawValue>, usize)| {
                (entries.iter().map(|it| it.get().to_owned()).collect::<Vec<_>>(), *listed)
            };
            assert_eq!(texts(few), texts(many), "how many were asked for changes nothing else");
        }
        (Ok(_), Err(error)) => panic!("refused when more are asked for: {error}"),
    }
    if let Ok((entries, listed)) = many {
        entries_are_those_of_the_text(&text, &entries, listed);
        a_board_of_them_reads_back(&entries);
    }
}

fn bounded(error: &Failure) {
    let message = error.to_string();
    assert!(message.chars().count() <= LONGEST_MESSAGE, "{} bytes of message", message.len());
}

fn entries_are_those_of_the_text(text: &str, entries: &[&RawValue], listed: usize) {
    assert!(entries.len() <= listed && entries.is_empty() == (listed == 0), "{} of {listed}", entries.len());
    let inside = text.as_bytes().as_ptr_range();
    for entry in entries {
        let entry = entry.get().as_bytes().as_ptr_range();
        assert!(inside.start <= entry.start && entry.end <= inside.end, "an entry is a piece of the page");
    }
    let Some(tree) = model::tree(text) else { return };
    let list = tree["context"]["c"]["results"].as_array().expect("a page has a list at context.c.results");
    assert_eq!(list.len(), listed);
    let expected = list.iter().filter(|it| it.is_object() && model::depth(it) <= DEEPEST);
    let found: Vec<Value> = entries.iter().map(|it| model::tree(it.get()).expect("a part of a tree is one")).collect();
    assert!(expected.eq(&found), "other entries than the page has");
    for (raw, value) in entries.iter().zip(&found) {
        assert_eq!(Entry::read(raw), model::entry(value));
    }
}

fn a_board_of_them_reads_back(entries: &[&RawValue]) {
    let mut encoder = BoardEncoder::new(BOARD, "a \"name\"\n", &Validators::default());
    for (before, entry) in entries.iter().enumerate() {
        assert_eq!(encoder.entries(), before);
        assert!(encoder.push(entry), "a page is no larger than a board may be");
    }
    let board = encoder.finish("2026-11-23T04:00:11.5Z");
    let drivers = entries.iter().filter(|entry| Entry::read(entry).is_some()).count();
    assert_eq!((board.combination, board.entries, board.drivers), (BOARD, entries.len(), drivers));
    let mut expected = entries.iter().map(|entry| entry.get());
    read_back(&board.bytes, |name, read| {
        assert_eq!(name, "a \"name\"\n");
        assert!(read.iter().map(|entry| entry.get()).eq(expected.by_ref()), "an entry changed on its way");
    });
}
