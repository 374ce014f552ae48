//! Parses a heap dump as `GET /heap` returns it: jemalloc's `heap_v2` text, the process's memory mappings and its
//! [`Origin`].
//!
//! The allocator samples. An object of size s is sampled with probability 1 - exp(-s / interval), so each count is scaled
//! up by that, as `jeprof` does.

use std::str::FromStr;

use r3e_common::runtime::memory::profile::{ORIGIN_MARK, Origin};

use super::profile::Mapping;

/// Upper bound for a dump: about a hundred thousand stacks.
pub(crate) const MAX_DUMP_BYTES: usize = 64 << 20;

/// jemalloc records no deeper stacks.
const MAX_FRAMES: usize = 1024;

const MAPPINGS: &str = "MAPPED_LIBRARIES:\n";

/// The text is not a heap dump.
#[derive(Debug, thiserror::Error)]
#[error("invalid heap profile: expected {expected}, found {found:?}")]
pub(crate) struct DumpError {
    expected: &'static str,
    found: String,
}

/// Live objects that were allocated from one call stack.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sample {
    /// Return addresses, innermost first.
    pub(crate) addresses: Vec<u64>,
    /// Objects that were sampled.
    pub(crate) sampled: u64,
    /// Estimated number of objects.
    pub(crate) objects: f64,
    /// Estimated size of all.
    pub(crate) bytes: f64,
    /// Variance of that estimate, in bytes squared.
    pub(crate) variance: f64,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Dump {
    /// Mean number of bytes between two samples.
    pub(crate) sample_bytes: u64,
    /// One for each call stack.
    pub(crate) samples: Vec<Sample>,
    /// By address.
    pub(crate) mappings: Vec<Mapping>,
    pub(crate) origin: Origin,
}

fn invalid(expected: &'static str, found: &str) -> DumpError {
    DumpError { expected, found: found.lines().next().unwrap_or_default().chars().take(80).collect() }
}

impl FromStr for Dump {
    type Err = DumpError;

    fn from_str(text: &str) -> Result<Self, DumpError> {
        let (head, rest) = text.split_once('\n').unwrap_or((text, ""));
        let interval = head.strip_prefix("heap_v2/").and_then(|it| it.trim().parse().ok()).filter(|it| *it > 0);
        let sample_bytes = interval.ok_or_else(|| invalid("heap_v2/ and a number of bytes", head))?;
        let (stacks, rest) = rest.split_once(MAPPINGS).ok_or_else(|| invalid("a line MAPPED_LIBRARIES:", rest))?;
        let (maps, origin) = rest.split_once(ORIGIN_MARK).ok_or_else(|| invalid("a line R3E_ORIGIN:", rest))?;
        // The totals come before the first stack.
        let samples = stacks.split('@').skip(1).map(|stack| sample(stack, sample_bytes)).collect::<Result<_, _>>()?;
        let origin: Origin = serde_json::from_str(origin).map_err(|_| invalid("the origin as JSON", origin))?;
        let mut mappings: Vec<Mapping> = maps.lines().filter_map(|line| mapping(line, &origin)).collect();
        mappings.sort_by_key(|it| it.start);
        Ok(Self { sample_bytes, samples, mappings, origin })
    }
}

/// ` 0x5010 0x5020\n  t*: 13: 6688 [0: 0]\n  t1: …`: a stack, its total, then a line for each thread.
fn sample(text: &str, interval: u64) -> Result<Sample, DumpError> {
    let (stack, counts) = text.split_once('\n').unwrap_or((text, ""));
    let addresses: Option<Vec<u64>> = stack.split_whitespace().map(hexadecimal).collect();
    let addresses =
        addresses.filter(|it| it.len() <= MAX_FRAMES).ok_or_else(|| invalid("hexadecimal addresses", stack))?;
    let (sampled, bytes) = total(counts).ok_or_else(|| invalid("t*: objects: bytes", counts))?;
    Ok(estimate(addresses, sampled, bytes, interval))
}

fn total(counts: &str) -> Option<(u64, u64)> {
    let (objects, rest) = counts.trim_start().strip_prefix("t*: ")?.split_once(": ")?;
    Some((objects.parse().ok()?, rest.split_whitespace().next()?.parse().ok()?))
}

fn hexadecimal(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x").unwrap_or(text), 16).ok()
}

/// `55d0-55d1 r-xp 00001000 fe:01 1234    /usr/bin/x`; `None` unless it is executable and of a file.
fn mapping(line: &str, origin: &Origin) -> Option<Mapping> {
    let path = &line[line.find('/')?..];
    let build_id = origin.build_ids.get(path).cloned().unwrap_or_default();
    let mut words = line.split_whitespace();
    let [range, permissions, offset, _device, inode] = std::array::from_fn(|_| words.next().unwrap_or_default());
    let (start, end) = range.split_once('-')?;
    let (start, end) = (hexadecimal(start)?, hexadecimal(end)?);
    let (offset, inode) = (hexadecimal(offset)?, inode.parse().ok()?);
    let is_executable = permissions.contains('x') && start < end;
    is_executable.then(|| Mapping { start, end, offset, inode, path: path.to_owned(), build_id })
}

#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn estimate(addresses: Vec<u64>, sampled: u64, bytes: u64, interval: u64) -> Sample {
    if sampled == 0 {
        return Sample { addresses, sampled, objects: 0.0, bytes: 0.0, variance: 0.0 };
    }
    let (count, bytes) = (sampled as f64, bytes as f64);
    let size = bytes / count;
    // An object of size 0 is sampled like one of one byte.
    let probability = -(-size.max(1.0) / interval as f64).exp_m1();
    let variance = count * size * size * (1.0 - probability) / (probability * probability);
    Sample { addresses, sampled, objects: count / probability, bytes: bytes / probability, variance }
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
    fn samples_are_scaled_up() {
        let dump: Dump = TEXT.parse().unwrap();
        assert_eq!((dump.sample_bytes, dump.origin.pid, dump.samples.len()), (524_288, 7, 2));
        let paths: Vec<_> = dump.mappings.iter().map(|it| (it.start, it.offset, it.inode, it.path.as_str())).collect();
        assert_eq!(paths, [(0x5000, 0x1000, 12, "/bin/with space"), (0x7f00, 0, 13, "/lib/libc.so")]);
        let small = &dump.samples[0];
        assert_eq!(small.addresses, [0x5010, 0x5020, 0x7f01]);
        // One in 128.5 objects of a page is sampled.
        assert!((small.objects - 257.0).abs() < 0.1 && (small.bytes - 257.0 * 4096.0).abs() < 500.0, "{small:?}");
        // Nearly each object of many times the interval.
        let large = &dump.samples[1];
        assert!((large.objects - 1.0).abs() < 0.001 && large.variance < small.variance / 10.0, "{large:?}");
    }

    #[test]
    fn an_invalid_dump_is_refused_with_what_was_found() {
        let cases = [
            (String::new(), ""),
            ("<html>".to_owned(), "<html>"),
            (TEXT.replace("524288", "0"), "heap_v2/0"),
            (TEXT.replace("0x5020", "where"), " 0x5010 where 0x7f01"),
            (TEXT.replace("2: 8192", "2: many"), "  t*: 2: many [0: 0]"),
            (TEXT.replace("  t*: 2: 8192 [0: 0]\n", ""), "  t1: 2: 8192 [0: 0]"),
            (TEXT.replace("MAPPED_LIBRARIES:", ""), "  t*: 3: 600000 [0: 0]"),
            (TEXT.replace("\"pid\"", "\"dip\""), "{\"program\":"),
            ("x".repeat(5000), "xxx"),
        ];
        for (text, found) in cases {
            let error = text.parse::<Dump>().unwrap_err();
            assert!(error.found.starts_with(found) && error.found.len() <= 80, "{error:?}");
        }
        assert!(TEXT.replace("R3E_ORIGIN", "OTHER").parse::<Dump>().is_err());
    }

    proptest! {
        #[test]
        fn estimates_of_any_text_are_finite(at in 0..TEXT.len(), length in 0..20_usize, with in "\\PC{0,8}|[@t*:/ 0-9\n-]{0,8}") {
            let text = format!("{}{with}{}", &TEXT[..at], &TEXT[(at + length).min(TEXT.len())..]);
            if let Ok(dump) = text.parse::<Dump>() {
                prop_assert!(dump.samples.iter().all(|it| it.bytes.is_finite() && it.variance >= 0.0));
            }
        }
    }
}
