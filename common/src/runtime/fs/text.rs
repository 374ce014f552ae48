//! Text files, with the byte order mark that editors on Windows write.

const BOM: &[u8] = b"\xef\xbb\xbf";

const UTF_16_BOMS: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];

/// Why bytes are not text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotText {
    /// They start with a byte order mark of UTF-16.
    #[error("UTF-16, expected UTF-8 (hint: save the file as UTF-8)")]
    Utf16,
    /// They are not UTF-8.
    #[error("byte {byte:#04x} at offset {offset} is not UTF-8")]
    NotUtf8 {
        /// The offset of the first invalid byte.
        offset: usize,
        /// That byte.
        byte: u8,
    },
}

/// The bytes without their byte order mark.
#[must_use]
pub fn without_bom(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(BOM).unwrap_or(bytes)
}

/// Decodes UTF-8, without its byte order mark.
///
/// # Errors
/// If the bytes are not UTF-8.
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
    fn invalid_utf_8_is_reported_with_its_place() {
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
