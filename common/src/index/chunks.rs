//! A list that grows by one chunk at a time and never copies its items, so growing needs memory for only one more chunk.

use std::ops::Index;

/// Items in a chunk.
const CHUNK: usize = 1024;

/// A list of chunks, all full but the last.
#[derive(Debug)]
pub(super) struct Chunks<T> {
    chunks: Vec<Vec<T>>,
    length: usize,
}

impl<T: Copy> Chunks<T> {
    pub(super) const fn new() -> Self {
        Self { chunks: Vec::new(), length: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.length
    }

    pub(super) fn push(&mut self, item: T) {
        match self.chunks.last_mut() {
            Some(last) if last.len() < CHUNK => last.push(item),
            _ => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(item);
                self.chunks.push(chunk);
            }
        }
        self.length += 1;
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().flatten()
    }

    pub(super) fn truncate(&mut self, length: usize) {
        if length >= self.length {
            return;
        }
        self.chunks.truncate(length.div_ceil(CHUNK));
        if let Some(last) = self.chunks.last_mut()
            && !length.is_multiple_of(CHUNK)
        {
            last.truncate(length % CHUNK);
        }
        self.length = length;
    }

    /// Replaces each item by the result of `keep`, and removes items for which that is `None`. Keeps the order.
    pub(super) fn filter_map(&mut self, mut keep: impl FnMut(T) -> Option<T>) {
        let mut kept = 0;
        for number in 0..self.length {
            if let Some(item) = keep(self[number]) {
                self.chunks[kept / CHUNK][kept % CHUNK] = item;
                kept += 1;
            }
        }
        self.truncate(kept);
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        self.chunks.len() * CHUNK * size_of::<T>()
    }
}

impl<T> Index<usize> for Chunks<T> {
    type Output = T;

    fn index(&self, number: usize) -> &T {
        &self.chunks[number / CHUNK][number % CHUNK]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_holds_what_a_vector_would(length in 0usize..5000, cut in 0usize..6000, of in 1usize..7) {
            let (mut chunks, mut vector) = (Chunks::new(), Vec::new());
            for number in 0..length {
                chunks.push(number);
                vector.push(number);
            }
            chunks.filter_map(|it| it.is_multiple_of(of).then_some(it + 1));
            vector = vector.into_iter().filter(|it| it.is_multiple_of(of)).map(|it| it + 1).collect();
            for more in [cut, 7, 8] {
                chunks.truncate(cut);
                vector.truncate(cut);
                chunks.push(more);
                vector.push(more);
            }
            prop_assert_eq!(chunks.len(), vector.len());
            prop_assert_eq!(chunks.bytes(), vector.len().div_ceil(CHUNK) * CHUNK * 8);
            prop_assert!((0..vector.len()).all(|it| chunks[it] == vector[it]));
            prop_assert_eq!(chunks.iter().copied().collect::<Vec<_>>(), vector);
        }
    }
}
