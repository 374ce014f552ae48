//! What a process dumped: the allocator's text `heap_v2`, the kernel's list of what is mapped, and the origin.
//!
//! The allocator counts what it sampled. What that stands for is its own formula, which `jeprof` uses too: objects of mean
//! size s are sampled with a chance of 1 - exp(-s / distance).

use std::str::{FromStr, SplitWhitespace};

use r3e_common::runtime::memory::profile::{ORIGIN_MARK, Origin};

/// The most bytes of a dump: a hundred thousand ways to what is held.
pub(crate) const MAX_DUMP_BYTES: usize = 64 << 20;

/// The allocator records no more.
const MOST_FRAMES: usize = 1024;

/// A text that is no dump.
#[derive(Debug, thiserror::Error)]
#[error("not understood as a heap profile: line {line} is {found:?}, expected {expected}")]
pub(crate) struct DumpError {
    line: usize,
    found: String,
    expected: &'static str,
}

/// A way to what is held, and how much that is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sample {
    /// Where each function on the way was to go on, the innermost first.
    pub(crate) addresses: Vec<u64>,
    /// How many objects were sampled.
    pub(crate) sampled: u64,
    /// How many there are, as estimated.
    pub(crate) objects: f64,
    /// How many bytes there are in them, as estimated.
    pub(crate) bytes: f64,
    /// The variance of that estimate, in bytes squared.
    pub(crate) variance: f64,
}

/// A part of a file that is mapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mapping {
    /// Where it begins in memory.
    pub(crate) start: u64,
    /// Where it ends.
    pub(crate) end: u64,
    /// Where it begins in the file.
    pub(crate) offset: u64,
    /// The file's number on its file system.
    pub(crate) inode: u64,
    /// The file.
    pub(crate) path: String,
}

/// A dump.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Dump {
    /// The mean of the bytes between two samples.
    pub(crate) sample_bytes: u64,
    /// What was sampled and is held.
    pub(crate) samples: Vec<Sample>,
    /// The code that is mapped, by address.
    pub(crate) mappings: Vec<Mapping>,
    /// Whose it is.
    pub(crate) origin: Origin,
}

/// The lines with their numbers.
struct Lines<'t> {
    rest: std::iter::Enumerate<std::str::Lines<'t>>,
    at: (usize, &'t str),
}

impl<'t> Lines<'t> {
    fn next(&mut self) -> Option<&'t str> {
        let (index, line) = self.rest.next()?;
        self.at = (index + 1, line);
        Some(line)
    }

    fn expected(&self, expected: &'static str) -> DumpError {
        let found = self.at.1.chars().take(80).collect();
        DumpError { line: self.at.0, found, expected }
    }
}

impl FromStr for Dump {
    type Err = DumpError;

    fn from_str(text: &str) -> Result<Self, DumpError> {
        let mut lines = Lines { rest: text.lines().enumerate(), at: (1, "") };
        let head = lines.next().and_then(|line| line.strip_prefix("heap_v2/")?.trim().parse().ok());
        let distance = head.filter(|it| *it > 0).ok_or_else(|| lines.expected("heap_v2/ and a number of bytes"))?;
        let mut samples: Vec<Sample> = Vec::new();
        let mut addresses = None;
        loop {
            let Some(line) = lines.next() else { return Err(lines.expected("MAPPED_LIBRARIES: somewhere below")) };
            if let Some(way) = line.strip_prefix('@') {
                addresses = Some(way_of(way).ok_or_else(|| lines.expected("@ and addresses in hexadecimal"))?);
            } else if let Some(counts) = line.trim_start().strip_prefix("t*: ") {
                // What stands before the first way is the sum of all.
                let Some(addresses) = addresses.take() else { continue };
                let (objects, bytes) = counts_of(counts).ok_or_else(|| lines.expected("t*: objects: bytes"))?;
                samples.push(estimate(addresses, objects, bytes, distance));
            } else if line == "MAPPED_LIBRARIES:" {
                break;
            } else if !line.is_empty() && !line.trim_start().starts_with('t') {
                return Err(lines.expected("a way, counts, or MAPPED_LIBRARIES:"));
            }
        }
        let mut mappings = Vec::new();
        loop {
            let Some(line) = lines.next() else { return Err(lines.expected("R3E_ORIGIN: somewhere below")) };
            if let Some(origin) = line.strip_prefix(ORIGIN_MARK) {
                let origin = serde_json::from_str(origin).map_err(|_| lines.expected("the origin as JSON"))?;
                mappings.sort_by_key(|it: &Mapping| it.start);
                return Ok(Self { sample_bytes: distance, samples, mappings, origin });
            }
            mappings.extend(mapping(line));
        }
    }
}

fn way_of(text: &str) -> Option<Vec<u64>> {
    let addresses: Option<Vec<u64>> = text.split_whitespace().map(hexadecimal).collect();
    addresses.filter(|it| it.len() <= MOST_FRAMES)
}

fn hexadecimal(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x").unwrap_or(text), 16).ok()
}

/// `13: 6688 [0: 0]`
fn counts_of(text: &str) -> Option<(u64, u64)> {
    let (objects, rest) = text.split_once(": ")?;
    Some((objects.parse().ok()?, rest.split(' ').next()?.parse().ok()?))
}

/// `55d0-55d1 r-xp 00001000 fe:01 1234    /usr/bin/x`, of code in a file only.
fn mapping(line: &str) -> Option<Mapping> {
    let mut words = line.split_whitespace();
    let mut next = || SplitWhitespace::next(&mut words);
    let (range, rights, offset, _device, inode) = (next()?, next()?, next()?, next()?, next()?);
    let path = &line[line.find('/')?..];
    let (start, end) = range.split_once('-')?;
    let (start, end) = (hexadecimal(start)?, hexadecimal(end)?);
    let code = rights.contains('x') && start < end;
    code.then_some(Mapping {
        start,
        end,
        offset: hexadecimal(offset)?,
        inode: inode.parse().ok()?,
        path: path.to_owned(),
    })
}

#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn estimate(addresses: Vec<u64>, sampled: u64, bytes: u64, sample_bytes: u64) -> Sample {
    if sampled == 0 {
        return Sample { addresses, sampled, objects: 0.0, bytes: 0.0, variance: 0.0 };
    }
    let (count, bytes) = (sampled as f64, bytes as f64);
    let size = bytes / count;
    // At least what one byte has, where nothing was asked for.
    let chance = -(-size.max(1.0) / sample_bytes as f64).exp_m1();
    let variance = count * size * size * (1.0 - chance) / (chance * chance);
    Sample { addresses, sampled, objects: count / chance, bytes: bytes / chance, variance }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) const TEXT: &str = "heap_v2/524288
  t*: 3: 600000 [0: 0]
  t1: 3: 600000 [0: 0]
@ 0x5010 0x5020 0x7f01
  t*: 2: 8192 [0: 0]
  t1: 2: 8192 [0: 0]
@ 0x5030
  t*: 1: 4194304 [0: 0]

MAPPED_LIBRARIES:
5000-6000 r-xp 00001000 fe:01 12                  /bin/with space
6000-7000 rw-p 00002000 fe:01 12                  /bin/with space
7000-8000 r-xp 00000000 00:00 0                   [vdso]
7f00-7fff r-xp 00000000 fe:01 13                  /lib/libc.so

R3E_ORIGIN: {\"program\":\"r3e-test\",\"version\":\"1\",\"pid\":7,\"at_ms\":5,\"active\":true,\"allocated_bytes\":9,\"thread_cache_bytes\":1,\"build_ids\":{}}
";

    #[test]
    fn a_dump_is_read_and_its_samples_stand_for_more() {
        let dump: Dump = TEXT.parse().unwrap();
        assert_eq!((dump.sample_bytes, dump.origin.pid, dump.samples.len()), (524_288, 7, 2));
        let paths: Vec<_> = dump.mappings.iter().map(|it| (it.start, it.offset, it.inode, it.path.as_str())).collect();
        assert_eq!(paths, [(0x5000, 0x1000, 12, "/bin/with space"), (0x7f00, 0, 13, "/lib/libc.so")]);
        let small = &dump.samples[0];
        assert_eq!(small.addresses, [0x5010, 0x5020, 0x7f01]);
        // One in 128.5 objects of a page is sampled.
        assert!((small.objects - 257.0).abs() < 0.1 && (small.bytes - 257.0 * 4096.0).abs() < 500.0, "{small:?}");
        // Nearly each object of many times the distance.
        let large = &dump.samples[1];
        assert!((large.objects - 1.0).abs() < 0.001 && large.variance < small.variance / 10.0, "{large:?}");
    }

    #[test]
    fn what_is_no_dump_is_told_with_its_line() {
        let message = |text: &str| text.parse::<Dump>().unwrap_err().to_string();
        let cases = [
            (String::new(), "line 1 is \"\", expected heap_v2/"),
            ("<html>".to_owned(), "line 1 is \"<html>\", expected heap_v2/"),
            (TEXT.replace("524288", "0"), "line 1"),
            (TEXT.replace("0x5020", "where"), "line 4 is \"@ 0x5010 where 0x7f01\", expected @ and addresses"),
            (TEXT.replace("2: 8192", "2: many"), "line 5"),
            (TEXT.replace("@ 0x5030", "nonsense"), "line 7 is \"nonsense\""),
            (TEXT.replace("MAPPED_LIBRARIES:", ""), "expected a way, counts, or MAPPED_LIBRARIES:"),
            (TEXT.replace("R3E_ORIGIN", "OTHER"), "expected R3E_ORIGIN: somewhere below"),
            (TEXT.replace("\"pid\"", "\"dip\""), "expected the origin as JSON"),
            ("x".repeat(5000), "line 1 is \"xxx"),
        ];
        for (text, expected) in cases {
            let message = message(&text);
            assert!(message.contains(expected) && message.len() < 300, "{expected:?} in {message}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(at in 0..TEXT.len(), length in 0..20_usize, with in "\\PC{0,8}|[@t*:/ 0-9\n-]{0,8}") {
            let text = format!("{}{with}{}", &TEXT[..at], &TEXT[(at + length).min(TEXT.len())..]);
            if let Ok(dump) = text.parse::<Dump>() {
                prop_assert!(dump.samples.iter().all(|it| it.bytes.is_finite() && it.variance >= 0.0));
            }
        }
    }
}
