//! Reads a body of bounded size. The request's timeout bounds the time.

use super::failure::Failure;

/// The size of a buffer; most bodies fit into one.
const PIECE: usize = 256 << 10;

/// Reads the whole body, of at most `limit` bytes after decompression. Fails as soon as the limit is exceeded.
pub(super) async fn read(
    mut answer: reqwest::Response,
    limit: usize,
    failure: impl Fn(&reqwest::Error) -> Failure,
) -> Result<Vec<u8>, Failure> {
    // Pieces, because growing one buffer would take up to three times the memory.
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
