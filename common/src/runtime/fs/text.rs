//! Bytes as text, whoever wrote them: editors of Windows put a byte order mark first.

/// UTF-8's byte order mark.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// UTF-16's, in both byte orders.
const UTF_16_BOMS: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];

/// Why bytes are no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotText {
    /// They begin with the byte order mark of UTF-16.
    #[error("UTF-16, expected UTF-8 (hint: save the file as UTF-8)")]
    Utf16,
    /// They are in no Unicode encoding.
    #[error("byte {byte:#04x} at offset {offset} is not UTF-8")]
    NotUtf8 {
        /// Where the first wrong byte is.
        offset: usize,
        /// That byte.
        byte: u8,
    },
}

/// The bytes behind one byte order mark of UTF-8, if they begin with it.
#[must_use]
pub fn without_bom(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(BOM).unwrap_or(bytes)
}

/// Reads bytes as UTF-8, leaving out one byte order mark.
///
/// # Errors
/// When they are not UTF-8.
pub fn text(bytes: &[u8]) -> Result<&str, NotText> {
    std::str::from_utf8(without_bom(bytes)).map_err(|error| {
        if UTF_16_BOMS.iter().any(|bom| bytes.starts_with(bom)) {
            return NotText::Utf16;
        }
        let offset = bytes.len() - without_bom(bytes).len() + error.valid_up_to();
        NotText::NotUtf8 { offset, byte: bytes[offset] }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_byte_order_mark_is_left_out() {
        assert_eq!(text(b""), Ok(""));
        assert_eq!(text("ü".as_bytes()), Ok("ü"));
        assert_eq!(text(b"\xef\xbb\xbf"), Ok(""));
        assert_eq!(text("\u{feff}1693\r\n".as_bytes()), Ok("1693\r\n"));
        assert_eq!(text("\u{feff}\u{feff}1693".as_bytes()), Ok("\u{feff}1693"));
    }

    #[test]
    fn what_is_not_utf_8_is_told_where() {
        for (bytes, offset, byte) in
            [(&b"R\xe4ikk"[..], 1, 0xe4), (b"\xef\xbb\xbfab\xff", 5, 0xff), (b"\xef\xbb", 0, 0xef), (b"\xff", 0, 0xff)]
        {
            assert_eq!(text(bytes), Err(NotText::NotUtf8 { offset, byte }), "{bytes:?}");
        }
    }

    #[test]
    fn utf_16_is_named() {
        assert_eq!(text(b"\xff\xfe1\x006\x00"), Err(NotText::Utf16));
        assert_eq!(text(b"\xfe\xff\x001\x006"), Err(NotText::Utf16));
        assert!(NotText::Utf16.to_string().contains("expected UTF-8"));
    }
}
