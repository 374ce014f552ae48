//! What a terminal sends when a key is pressed (ECMA-48, `console_codes(4)`, xterm's control sequences), as keys.

/// A key, or one with Ctrl, that means something here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    /// A character.
    Char(char),
    /// An arrow.
    Up,
    /// An arrow.
    Down,
    /// An arrow.
    Left,
    /// An arrow.
    Right,
    /// A page back.
    PageUp,
    /// A page on.
    PageDown,
    /// To the beginning.
    Home,
    /// To the end.
    End,
    /// Enter.
    Enter,
    /// Escape.
    Esc,
    /// Tabulator.
    Tab,
    /// Tabulator with shift.
    BackTab,
    /// Delete backwards.
    Backspace,
    /// Ctrl-C or Ctrl-\.
    Interrupt,
    /// Ctrl-Z.
    Suspend,
    /// Ctrl-L.
    Redraw,
}

const ESC: u8 = 0x1b;

/// A sequence that is longer is none that a key sends.
const LONGEST: usize = 32;

/// Reads keys from bytes as they come, in any pieces.
#[derive(Debug, Default)]
pub(super) struct Keys {
    pending: Vec<u8>,
}

impl Keys {
    /// The keys that are whole with these bytes.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Vec<Key> {
        let mut keys = Vec::new();
        self.pending.extend(bytes);
        let mut rest = self.pending.as_slice();
        while let Some((key, length)) = first(rest) {
            keys.extend(key);
            rest = &rest[length..];
        }
        self.pending = if rest.len() > LONGEST { Vec::new() } else { rest.to_vec() };
        keys
    }

    /// Whether something has begun that may go on: an escape alone is a key, and the beginning of others.
    pub(super) fn is_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Nothing more came for a while: what has begun is all there is.
    pub(super) fn flush(&mut self) -> Option<Key> {
        (std::mem::take(&mut self.pending) == [ESC]).then_some(Key::Esc)
    }
}

/// The first key and how many bytes it takes; bytes that mean nothing are no key. None where more bytes are needed.
fn first(bytes: &[u8]) -> Option<(Option<Key>, usize)> {
    let (&byte, rest) = bytes.split_first()?;
    let key = match byte {
        ESC => return sequence(rest).map(|(key, length)| (key, length + 1)),
        b'\r' | b'\n' => Key::Enter,
        b'\t' => Key::Tab,
        0x08 | 0x7f => Key::Backspace,
        0x03 | 0x1c => Key::Interrupt,
        0x1a => Key::Suspend,
        0x0c => Key::Redraw,
        0..0x20 => return Some((None, 1)),
        _ => return character(bytes),
    };
    Some((Some(key), 1))
}

/// What stands behind an escape.
fn sequence(rest: &[u8]) -> Option<(Option<Key>, usize)> {
    match *rest.first()? {
        // Two of them: the first was a key.
        ESC => Some((Some(Key::Esc), 0)),
        b'O' => Some((by_final(*rest.get(1)?, &[]), 2)),
        b'[' => {
            let end = rest.iter().skip(1).position(|byte| (0x40..0x7f).contains(byte))? + 1;
            Some((by_final(rest[end], &rest[1..end]), end + 1))
        }
        // With Alt: means nothing here.
        _ => Some((None, 1)),
    }
}

fn by_final(byte: u8, parameters: &[u8]) -> Option<Key> {
    let number = || parameters.split(|byte| *byte == b';').next().unwrap_or_default();
    match byte {
        b'A' => Some(Key::Up),
        b'B' => Some(Key::Down),
        b'C' => Some(Key::Right),
        b'D' => Some(Key::Left),
        b'H' => Some(Key::Home),
        b'F' => Some(Key::End),
        b'M' => Some(Key::Enter),
        b'Z' => Some(Key::BackTab),
        b'~' => match number() {
            b"1" | b"7" => Some(Key::Home),
            b"4" | b"8" => Some(Key::End),
            b"5" => Some(Key::PageUp),
            b"6" => Some(Key::PageDown),
            _ => None,
        },
        _ => None,
    }
}

/// A character in UTF-8.
fn character(bytes: &[u8]) -> Option<(Option<Key>, usize)> {
    let length = match bytes[0] {
        0..0x80 => 1,
        0xc2..0xe0 => 2,
        0xe0..0xf0 => 3,
        0xf0..0xf5 => 4,
        _ => return Some((None, 1)),
    };
    let text = bytes.get(..length)?;
    match std::str::from_utf8(text).ok().and_then(|text| text.chars().next()) {
        Some(character) => Some((Some(Key::Char(character)), length)),
        None => Some((None, 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn whole(bytes: &[u8]) -> Vec<Key> {
        let mut keys = Keys::default();
        let mut all = keys.feed(bytes);
        all.extend(keys.flush());
        all
    }

    #[test]
    fn keys_are_what_terminals_send() {
        use Key::{Backspace, Char, Down, End, Enter, Esc, Home, Interrupt, PageDown, PageUp, Right, Suspend, Up};
        let cases: [(&[u8], &[Key]); 13] = [
            (b"j\xc3\xa9\xe2\x82\xac", &[Char('j'), Char('é'), Char('€')]),
            (b"\x1b[A\x1b[B\x1bOA", &[Up, Down, Up]),
            (b"\x1b[1;5C", &[Right]),
            (b"\x1b[5~\x1b[6~\x1b[1~\x1b[4~", &[PageUp, PageDown, Home, End]),
            (b"\x1b[H\x1bOF", &[Home, End]),
            (b"\r", &[Enter]),
            (b"\x1b", &[Esc]),
            (b"\x1b\x1b[A", &[Esc, Up]),
            (b"\t\x1b[Z", &[Key::Tab, Key::BackTab]),
            (b"\x7f\x03\x1a\x0c", &[Backspace, Interrupt, Suspend, Key::Redraw]),
            // Unknown ones are passed over whole: no letter of them is taken for a key.
            (b"\x1b[15~\x1b[?1;2cq\x1bq", &[Char('q')]),
            (b"\xff\xc3q\x00", &[Char('q')]),
            (b"\x1b[", &[]),
        ];
        for (bytes, expected) in cases {
            assert_eq!(whole(bytes), expected, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn what_never_ends_is_given_up() {
        let mut keys = Keys::default();
        assert_eq!(keys.feed(b"\x1b["), []);
        assert!(keys.is_pending());
        assert_eq!(keys.feed(&[b'1'; 100]), []);
        assert!(!keys.is_pending());
        assert_eq!(keys.feed(b"q"), [Key::Char('q')]);
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(bytes in prop::collection::vec(any::<u8>(), 0..24), cut in 0_usize..24) {
            let cut = cut.min(bytes.len());
            let mut keys = Keys::default();
            let mut in_pieces = keys.feed(&bytes[..cut]);
            in_pieces.extend(keys.feed(&bytes[cut..]));
            in_pieces.extend(keys.flush());
            prop_assert_eq!(in_pieces, whole(&bytes));
        }
    }
}
