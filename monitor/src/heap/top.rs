//! Totals by function.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use serde::Serialize;

use super::profile::Profile;

/// A function's totals. In a difference, they are negative if they fell.
#[expect(clippy::struct_field_names, reason = "as scripts read it")]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Function<'p> {
    pub(crate) function: &'p str,
    /// Empty if unknown.
    pub(crate) file: &'p str,
    /// Allocated by the function itself.
    pub(crate) self_bytes: i64,
    pub(crate) self_objects: i64,
    /// Allocated by it and the functions that it called.
    pub(crate) cumulative_bytes: i64,
}

/// All functions of a profile, the largest change first.
pub(crate) fn functions(profile: &Profile) -> Vec<Function<'_>> {
    let mut functions: HashMap<&str, Function> = HashMap::new();
    for sample in &profile.samples {
        let mut seen = HashSet::new();
        for (depth, frame) in sample.frames().enumerate() {
            let empty = Function { function: &frame.name, file: &frame.file, ..Function::default() };
            let function = functions.entry(&frame.name).or_insert(empty);
            if depth == 0 {
                function.self_bytes = function.self_bytes.saturating_add(sample.bytes);
                function.self_objects = function.self_objects.saturating_add(sample.objects);
            }
            // A recursive function counts once.
            if seen.insert(&frame.name) {
                function.cumulative_bytes = function.cumulative_bytes.saturating_add(sample.bytes);
            }
        }
    }
    let mut functions: Vec<_> = functions.into_values().collect();
    functions.sort_by_key(|it| {
        (Reverse(it.self_bytes.unsigned_abs()), Reverse(it.cumulative_bytes.unsigned_abs()), it.function)
    });
    functions
}

#[cfg(test)]
mod tests {
    use super::super::profile::tests::profile;
    use super::*;

    #[test]
    fn a_recursive_function_counts_once() {
        let profile = profile(&[("main;walk;walk;walk", 1, 100), ("main;walk", 2, 50), ("main", 1, -7)]);
        let shown: Vec<_> = functions(&profile)
            .into_iter()
            .map(|it| (it.function.to_owned(), it.self_bytes, it.self_objects, it.cumulative_bytes))
            .collect();
        assert_eq!(shown, [("walk".to_owned(), 150, 3, 150), ("main".to_owned(), -7, 1, 143)]);
    }
}
