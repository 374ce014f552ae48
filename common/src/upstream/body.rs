//! Reading a body within bounds: of bytes here, of time by the client's time-out.

use super::failure::Failure;

/// How much of a body is put into one allocation: most bodies fit into one.
const PIECE: usize = 256 << 10;

/// Reads the whole body, of at most `limit` bytes after decompression. A bomb is given up when it passes the limit, not
/// when it is through.
pub(super) async fn read(
    mut answer: reqwest::Response,
    limit: usize,
    failure: impl Fn(&reqwest::Error) -> Failure,
) -> Result<Vec<u8>, Failure> {
    // In pieces until it is whole: a buffer that doubles would hold, or have just freed, three times as much.
    let mut pieces: Vec<Vec<u8>> = Vec::new();
    let mut length = 0;
    while let Some(chunk) = answer.chunk().await.map_err(|error| failure(&error))? {
        length += chunk.len();
        if length > limit {
            return Err(Failure::BodyTooLarge { limit });
        }
        match pieces.last_mut() {
            Some(last) if last.capacity() - last.len() >= chunk.len() => last.extend_from_slice(&chunk),
            _ => {
                let mut piece = Vec::with_capacity(PIECE.max(chunk.len()));
                piece.extend_from_slice(&chunk);
                pieces.push(piece);
            }
        }
    }
    Ok(if pieces.len() == 1 { pieces.swap_remove(0) } else { pieces.concat() })
}
