//! Sorted runs of records on disk, and reading them one record at a time.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::order::push_key;
use super::record::{NAME, Numbers, Reading, Record, TEXTS, key_prefix};
use crate::runtime::fs::FsError;
use crate::runtime::fs::Scratch;

/// The name, in the folder for them, under which each file of runs begins its life.
const FILE: &str = ".index_runs.tmp";

/// Makes files for runs.
#[derive(Debug)]
pub(super) struct Place(Mutex<PathBuf>);

impl Place {
    pub(super) fn new(folder: &std::path::Path) -> Self {
        Self(Mutex::new(folder.join(FILE)))
    }

    /// A new file. One at a time, for all have the same name for a moment.
    pub(super) fn file(&self) -> Result<Arc<Scratch>, FsError> {
        let path = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Scratch::create(&path).map(Arc::new)
    }
}

/// A run: a part of a file.
#[derive(Debug, Clone)]
pub(super) struct Run {
    file: Arc<Scratch>,
    start: u64,
    pub(super) end: u64,
    /// The bytes of its largest record.
    pub(super) largest: usize,
}

/// Writes one run.
#[derive(Debug)]
pub(super) struct RunWriter {
    run: Run,
    buffer: Vec<u8>,
    before: [String; TEXTS],
}

impl RunWriter {
    /// Begins a run at an offset of a file; what is written waits in `buffer` until that is full.
    pub(super) fn new(file: Arc<Scratch>, start: u64, mut buffer: Vec<u8>) -> Self {
        buffer.clear();
        Self { run: Run { file, start, end: start, largest: 0 }, buffer, before: Default::default() }
    }

    /// Appends the record that comes next in the order.
    pub(super) fn push(&mut self, record: &Record<'_>) -> Result<(), FsError> {
        if self.buffer.len() + record.most_bytes() > self.buffer.capacity() {
            self.flush()?;
        }
        let start = self.buffer.len();
        record.write(&self.before, &mut self.buffer);
        self.run.largest = self.run.largest.max(self.buffer.len() - start);
        for (before, text) in self.before.iter_mut().zip(record.texts) {
            if before != text {
                text.clone_into(before);
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), FsError> {
        self.run.file.write_at(&self.buffer, self.run.end)?;
        self.run.end += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Ends the run; the buffer can be used again.
    pub(super) fn end(mut self) -> Result<(Run, Vec<u8>), FsError> {
        self.flush()?;
        Ok((self.run, self.buffer))
    }
}

/// Reads one run.
#[derive(Debug)]
pub(super) struct Cursor {
    run: Run,
    /// What was read of the file and not yet of the run: `buffer[at..]`.
    buffer: Vec<u8>,
    at: usize,
    prefix: u64,
    key: String,
    numbers: Numbers,
    texts: [String; TEXTS],
}

impl Cursor {
    /// What reading one run with this buffer holds, where no record of it is larger than `largest`: each text that has
    /// grown by doubling, and the key, which may be longer than its name.
    pub(super) const fn cost(buffer_bytes: usize, largest: usize) -> usize {
        size_of::<Self>() + if buffer_bytes > largest { buffer_bytes } else { largest } + 5 * largest + 512
    }

    /// Stands before the first record.
    pub(super) fn new(run: Run, buffer_bytes: usize) -> Self {
        let size = buffer_bytes.max(run.largest);
        let (buffer, numbers) = (vec![0; size], Numbers::default());
        Self { run, at: buffer.len(), buffer, prefix: 0, key: String::new(), numbers, texts: Default::default() }
    }

    /// Goes to the next record; says whether there is one.
    pub(super) fn advance(&mut self) -> Result<bool, FsError> {
        if self.buffer.len() - self.at < self.run.largest {
            self.fill()?;
        }
        if self.at == self.buffer.len() {
            return Ok(false);
        }
        self.read().ok_or_else(|| self.garbled()).map(|()| true)
    }

    /// The error for bytes that are not those that were written.
    pub(super) fn garbled(&self) -> FsError {
        self.run.file.garbled()
    }

    /// Reads on in the file, as far as there is room.
    fn fill(&mut self) -> Result<(), FsError> {
        if self.run.start == self.run.end {
            return Ok(());
        }
        let kept = self.buffer.len() - self.at;
        self.buffer.copy_within(self.at.., 0);
        // The buffer's length is the room there is, until the run's end comes into sight.
        let rest = usize::try_from(self.run.end - self.run.start).unwrap_or(usize::MAX);
        let read = rest.min(self.buffer.len() - kept);
        self.run.file.read_at(&mut self.buffer[kept..kept + read], self.run.start)?;
        self.run.start += read as u64;
        if rest == read {
            self.buffer.truncate(kept + read);
        }
        self.at = 0;
        Ok(())
    }

    fn read(&mut self) -> Option<()> {
        let Self { buffer, at, texts, .. } = self;
        let bytes = &buffer[*at..];
        let reading = Reading::new(bytes)?;
        self.numbers = reading.numbers;
        let mut renamed = false;
        let rest = reading.texts(|number, text| {
            renamed |= number == NAME;
            text.clone_into(&mut texts[number]);
        })?;
        *at = buffer.len() - rest.len();
        if renamed {
            self.key.clear();
            push_key(&self.texts[NAME], &mut self.key);
            self.prefix = key_prefix(self.key.as_bytes());
        }
        Some(())
    }

    /// The record's numbers.
    pub(super) fn numbers(&self) -> &Numbers {
        &self.numbers
    }

    /// The key of the record's name.
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// The record itself.
    pub(super) fn record(&self) -> Record<'_> {
        Record { numbers: self.numbers, texts: std::array::from_fn(|number| self.texts[number].as_str()) }
    }

    fn rank(&self) -> (u64, &str, u32, u32, u32) {
        let Numbers { ordinal, position, number, .. } = self.numbers;
        (self.prefix, &self.key, ordinal, position, number)
    }
}

/// By the record each stands on.
impl Ord for Cursor {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl PartialOrd for Cursor {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Cursor {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Cursor {}
