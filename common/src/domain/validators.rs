//! The version of a board as the service states it (`ETag`, `Last-Modified`), for conditional requests.
//!
//! Only boards of one page have one: the version of a page says nothing about the pages that follow.

use serde::{Deserialize, Serialize};

/// Longer values are ignored.
const MAX_BYTES: usize = 256;

/// The values of both headers, if they were sent: visible ASCII, sent back unchanged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validators {
    /// `ETag`, sent back as `If-None-Match`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// `Last-Modified`, sent back as `If-Modified-Since`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<String>,
}

impl Validators {
    /// Keeps the values that are visible ASCII and not too long.
    #[must_use]
    pub fn new(etag: Option<&str>, last_modified: Option<&str>) -> Self {
        let kept = |value: Option<&str>| {
            let visible = |it: &&str| it.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
            value.filter(|it| !it.is_empty() && it.len() <= MAX_BYTES).filter(visible).map(str::to_owned)
        };
        Self { etag: kept(etag), last_modified: kept(last_modified) }
    }

    /// Whether neither header is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_header_value_is_not_kept() {
        let long = "x".repeat(MAX_BYTES + 1);
        for wrong in ["", "a\nb", "ü", &long] {
            assert!(Validators::new(Some(wrong), Some(wrong)).is_empty(), "{wrong:?}");
        }
    }
}
