//! A heap profile with symbols, and the difference between two.

use std::collections::HashMap;
use std::rc::Rc;

/// A function at a source line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Frame {
    /// Demangled.
    pub(crate) name: String,
    /// The name in the symbol table.
    pub(crate) system_name: String,
    /// Empty if unknown.
    pub(crate) file: String,
    /// 0 if unknown.
    pub(crate) line: u32,
}

/// A call site.
#[derive(Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Location {
    /// Index among the profile's mappings.
    pub(crate) mapping: Option<usize>,
    /// The address in the process; 0 if unknown.
    pub(crate) address: u64,
    /// The function there, after those inlined into it: innermost first.
    pub(crate) frames: Vec<Frame>,
}

/// An executable mapping of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Mapping {
    /// First address.
    pub(crate) start: u64,
    /// Address after the last.
    pub(crate) end: u64,
    /// Offset in the file of the first address.
    pub(crate) offset: u64,
    /// Inode of the file. Not saved with a profile.
    pub(crate) inode: u64,
    pub(crate) path: String,
    /// Build id of the file in hexadecimal; empty if it has none.
    pub(crate) build_id: String,
}

/// Live objects that were allocated from one call stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sample {
    /// Innermost first.
    pub(crate) stack: Vec<Rc<Location>>,
    /// Negative in a difference if there are fewer.
    pub(crate) objects: i64,
    pub(crate) bytes: i64,
}

impl Sample {
    /// The functions of the call stack, innermost first, inlined ones included.
    pub(crate) fn frames(&self) -> impl DoubleEndedIterator<Item = &Frame> {
        self.stack.iter().flat_map(|it| &it.frames)
    }
}

/// The totals of a profile beside the allocator's own figures. Not saved with it.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize)]
pub(crate) struct Summary {
    pub(crate) inuse_objects: i64,
    pub(crate) inuse_bytes: i64,
    /// Standard error of `inuse_bytes`.
    pub(crate) standard_error_bytes: u64,
    pub(crate) sampled_objects: u64,
    /// Allocated bytes by the allocator's count, without thread caches.
    pub(crate) live_bytes: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Profile {
    /// One for each call stack.
    pub(crate) samples: Vec<Sample>,
    /// That of the program itself first.
    pub(crate) mappings: Vec<Mapping>,
    /// Nanoseconds since 1970.
    pub(crate) time_ns: i64,
    /// Mean number of bytes between two samples.
    pub(crate) period: i64,
    /// Program, version and process.
    pub(crate) comments: Vec<String>,
}

impl Profile {
    /// Total of objects and bytes.
    pub(crate) fn total(&self) -> (i64, i64) {
        self.samples.iter().fold((0, 0), |(objects, bytes), it| {
            (i64::saturating_add(objects, it.objects), i64::saturating_add(bytes, it.bytes))
        })
    }

    /// What grew since an earlier profile, by call stack. Stacks are compared by their functions, as addresses and lines
    /// differ between processes and builds.
    pub(crate) fn minus(&self, earlier: &Self) -> Self {
        let mut stacks: HashMap<Vec<Frame>, (i64, i64)> = HashMap::new();
        for (profile, sign) in [(self, 1), (earlier, -1)] {
            for sample in &profile.samples {
                let functions = sample.frames().map(|it| Frame { line: 0, ..it.clone() }).collect();
                let (objects, bytes) = stacks.entry(functions).or_default();
                *objects = objects.saturating_add(sample.objects.saturating_mul(sign));
                *bytes = bytes.saturating_add(sample.bytes.saturating_mul(sign));
            }
        }
        stacks.retain(|_, change| *change != (0, 0));
        let location = |frame| Rc::new(Location { frames: vec![frame], ..Location::default() });
        let sample = |(functions, (objects, bytes)): (Vec<Frame>, _)| Sample {
            stack: functions.into_iter().map(location).collect(),
            objects,
            bytes,
        };
        Self {
            samples: stacks.into_iter().map(sample).collect(),
            mappings: Vec::new(),
            time_ns: self.time_ns,
            period: self.period,
            comments: [self, earlier].into_iter().flat_map(|it| it.comments.iter().cloned()).collect(),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A profile of call stacks, each written outermost first, as in `main;load;read`.
    pub(crate) fn profile(stacks: &[(&str, i64, i64)]) -> Profile {
        let location = |(address, name): (u64, &str)| {
            let name = name.to_owned();
            let frame = Frame { system_name: name.clone(), file: format!("{name}.rs"), name, line: 7 };
            Rc::new(Location { mapping: None, address, frames: vec![frame] })
        };
        let samples = stacks.iter().map(|(names, objects, bytes)| Sample {
            stack: (0x1000..).zip(names.rsplit(';')).map(location).collect(),
            objects: *objects,
            bytes: *bytes,
        });
        Profile { samples: samples.collect(), period: 524_288, ..Profile::default() }
    }

    #[test]
    fn a_difference_has_the_stacks_that_changed() {
        let before = profile(&[("main;a", 1, 100), ("main;b", 2, 200), ("main;same", 3, 300), ("main;a", 1, 11)]);
        let after = profile(&[("main;new", 4, 400), ("main;b", 5, 250), ("main;same", 3, 300)]);
        let difference = after.minus(&before);
        let shown = |it: &Sample| {
            let names: Vec<_> = it.frames().rev().map(|frame| &*frame.name).collect();
            format!("{} {} {}", names.join(";"), it.objects, it.bytes)
        };
        let mut shown: Vec<String> = difference.samples.iter().map(shown).collect();
        shown.sort();
        assert_eq!(shown, ["main;a -2 -111", "main;b 3 50", "main;new 4 400"]);
        assert_eq!(difference.total(), (5, 339));
        assert!(after.minus(&after).samples.is_empty());
    }
}
