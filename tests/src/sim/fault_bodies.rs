//! Hostile bodies: truncated, slow, endless, or a gzip bomb.

use std::io::{self, Write as _};
use std::sync::OnceLock;
use std::time::Duration;

use axum::body::{Body, Bytes};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::stream;
use tokio::time::Instant;

const BEFORE: &[u8] = br#"{"context":{"c":{"results":["#;
const BEHIND: &[u8] = b"]}}}";
/// The filler of endless bodies: white space, which is valid between any two JSON tokens.
static BLANKS: [u8; 64 * 1024] = [b' '; 64 * 1024];
/// The size of the exploding body once inflated.
pub(super) const BOMB_BYTES: usize = 256 << 20;

fn broken(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, why)
}

/// The first half of the bytes, then the connection is closed.
pub(super) fn cut(bytes: &Bytes) -> Body {
    let half = bytes.slice(..bytes.len() / 2);
    Body::from_stream(stream::unfold(Some(half), |half| async {
        // The server flushes when the next part is not ready, so this part is sent before the connection closes.
        let Some(half) = half else {
            tokio::task::yield_now().await;
            return Some((Err(broken("cut on purpose")), None));
        };
        Some((Ok(half), None))
    }))
}

/// One byte at a time, and never the last byte. After `longest`, the connection is closed.
pub(super) fn drip(mut bytes: Bytes, every: Duration, longest: Duration) -> Body {
    let until = Instant::now() + longest;
    let _never_sent = bytes.split_off(bytes.len().saturating_sub(1));
    Body::from_stream(stream::unfold(bytes, move |mut bytes| async move {
        if bytes.is_empty() {
            tokio::time::sleep_until(until).await;
        } else {
            tokio::time::sleep_until(until.min(Instant::now() + every)).await;
        }
        if Instant::now() >= until {
            return Some((Err(broken("dripped long enough")), bytes));
        }
        Some((Ok(bytes.split_to(1)), bytes))
    }))
}

/// The beginning of a page, then white space until the client disconnects or `most` bytes were sent.
pub(super) fn endless(most: u64) -> Body {
    let parts = stream::unfold(0u64, move |sent| async move {
        let part = match sent {
            0 => Bytes::from_static(BEFORE),
            _ if sent < most => Bytes::from_static(&BLANKS),
            _ => {
                tokio::task::yield_now().await;
                return Some((Err(broken("endless enough")), sent));
            }
        };
        let sent = sent + part.len() as u64;
        Some((Ok(part), sent))
    });
    Body::from_stream(parts)
}

/// A page of [`BOMB_BYTES`] white space, compressed; made once.
pub(super) fn bomb() -> Bytes {
    static BOMB: OnceLock<Bytes> = OnceLock::new();
    BOMB.get_or_init(|| {
        let blanks = (0..BOMB_BYTES / BLANKS.len()).map(|_| &BLANKS[..]);
        gzip_parts([BEFORE].into_iter().chain(blanks).chain([BEHIND]), Compression::default())
    })
    .clone()
}

/// The bytes compressed.
pub(super) fn gzip(bytes: &[u8]) -> Bytes {
    gzip_parts([bytes].into_iter(), Compression::fast())
}

fn gzip_parts<'a>(mut parts: impl Iterator<Item = &'a [u8]>, level: Compression) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), level);
    let written: io::Result<()> = parts.try_for_each(|part| encoder.write_all(part));
    // Writing to memory does not fail; if it did, an empty body would be noticed by any test.
    written.and_then(|()| encoder.finish()).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn the_bomb_is_small_and_inflates_to_a_valid_page() {
        let bomb = bomb();
        assert!(bomb.len() < 1 << 20, "{}", bomb.len());
        let mut buffer = vec![0u8; 1 << 20];
        let mut decoder = flate2::read::GzDecoder::new(&bomb[..]);
        let (mut size, mut others) = (0, Vec::<u8>::new());
        loop {
            let read = decoder.read(&mut buffer).unwrap();
            if read == 0 {
                break;
            }
            size += read;
            others.extend(buffer[..read].iter().filter(|&&byte| byte != b' '));
        }
        assert!(size > BOMB_BYTES);
        assert_eq!(others, br#"{"context":{"c":{"results":[]}}}"#);
    }
}
