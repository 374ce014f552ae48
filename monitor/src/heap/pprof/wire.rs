//! Protocol buffers, as far as profiles need them: fields that are numbers, and fields that are bytes with a length
//! (<https://protobuf.dev/programming-guides/encoding/>).

const NUMBER: u64 = 0;
const BYTES: u64 = 2;

/// A message that is being written. Numbers that are zero and texts that are empty are left out, as they read back so.
#[derive(Debug, Default)]
pub(super) struct Message(pub(super) Vec<u8>);

impl Message {
    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number.to_le_bytes()[0] | 0x80);
            number >>= 7;
        }
        self.0.push(number.to_le_bytes()[0]);
    }

    /// A number that is not below zero.
    pub(super) fn number(&mut self, field: u64, number: u64) {
        if number != 0 {
            self.varint(field << 3 | NUMBER);
            self.varint(number);
        }
    }

    /// A number that may be below zero.
    pub(super) fn signed(&mut self, field: u64, number: i64) {
        self.number(field, number.cast_unsigned());
    }

    /// Bytes: a text, or a message within this one.
    pub(super) fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.varint(field << 3 | BYTES);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    /// Numbers, one after the other.
    pub(super) fn packed(&mut self, field: u64, numbers: impl IntoIterator<Item = u64>) {
        let mut packed = Self::default();
        numbers.into_iter().for_each(|number| packed.varint(number));
        if !packed.0.is_empty() {
            self.bytes(field, &packed.0);
        }
    }
}

/// What a field holds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Content<'b> {
    /// A number.
    Number(u64),
    /// A text, a message, or numbers one after the other.
    Bytes(&'b [u8]),
}

impl<'b> Content<'b> {
    /// The number, if it is one.
    pub(super) fn number(self) -> Option<u64> {
        if let Self::Number(number) = self { Some(number) } else { None }
    }

    /// The bytes, if it has them.
    pub(super) fn bytes(self) -> Option<&'b [u8]> {
        if let Self::Bytes(bytes) = self { Some(bytes) } else { None }
    }

    /// Adds the numbers that it is or holds; none where it holds others.
    pub(super) fn numbers(self, into: &mut Vec<u64>) -> Option<()> {
        match self {
            Self::Number(number) => into.push(number),
            Self::Bytes(mut bytes) => {
                while !bytes.is_empty() {
                    into.push(varint(&mut bytes)?);
                }
            }
        }
        Some(())
    }
}

/// Takes a number from the beginning.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

/// The most fields of a message: some millions of two bytes would take gigabytes here.
const MOST_FIELDS: usize = 2_000_000;

/// The fields of a message, each with its number; none where it is cut off, or has fields of other kinds or too many.
pub(super) fn fields(mut message: &[u8]) -> Option<Vec<(u64, Content<'_>)>> {
    let mut fields = Vec::new();
    while !message.is_empty() {
        let key = varint(&mut message)?;
        let content = match key & 7 {
            NUMBER => Content::Number(varint(&mut message)?),
            BYTES => {
                let length = usize::try_from(varint(&mut message)?).ok()?;
                let (bytes, rest) = message.split_at_checked(length)?;
                message = rest;
                Content::Bytes(bytes)
            }
            _ => return None,
        };
        if fields.len() == MOST_FIELDS {
            return None;
        }
        fields.push((key >> 3, content));
    }
    Some(fields)
}
