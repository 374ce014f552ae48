//! Reading a body within bounds: of bytes here, of time by the client's time-out.

use super::retry::{Failure, chain};
use std::time::Duration;

/// Reads the whole body, of at most `limit` bytes after decompression. A bomb is given up when it passes the limit, not
/// when it is through.
pub(super) async fn read(mut answer: reqwest::Response, limit: usize, timeout: Duration) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| failure(&error, timeout))? {
        if body.len() + chunk.len() > limit {
            return Err(Failure::BodyTooLarge { limit });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// What a transport error means.
pub(super) fn failure(error: &reqwest::Error, timeout: Duration) -> Failure {
    if error.is_connect() {
        Failure::Connect(chain(error))
    } else if error.is_timeout() {
        Failure::TimedOut(timeout)
    } else {
        Failure::Broken(chain(error))
    }
}
