//! What is held, function by function.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use serde::Serialize;

use super::profile::Profile;

/// A function, and what is held by way of it; of a difference below zero where it is less.
#[expect(clippy::struct_field_names, reason = "as scripts read it")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Function<'p> {
    /// Its name.
    pub(crate) function: &'p str,
    /// Its source file.
    pub(crate) file: &'p str,
    /// In what it allocated itself, beside the allocator's own functions.
    pub(crate) self_bytes: i64,
    /// How many objects these are.
    pub(crate) self_objects: i64,
    /// With what functions allocated that it called.
    pub(crate) cumulative_bytes: i64,
}

/// All functions on the way to anything, those first by which most is held.
pub(crate) fn functions(profile: &Profile) -> Vec<Function<'_>> {
    let mut functions: HashMap<&str, Function> = HashMap::new();
    for held in &profile.held {
        let mut seen = HashSet::new();
        for (depth, line) in profile.lines(&held.way).enumerate() {
            let symbol = &profile.symbols[line.symbol];
            let function = functions.entry(&symbol.name).or_insert(Function {
                function: &symbol.name,
                file: &symbol.file,
                self_bytes: 0,
                self_objects: 0,
                cumulative_bytes: 0,
            });
            if depth == 0 {
                function.self_bytes = function.self_bytes.saturating_add(held.bytes);
                function.self_objects = function.self_objects.saturating_add(held.objects);
            }
            // Once, where it called itself.
            if seen.insert(symbol.name.as_str()) {
                function.cumulative_bytes = function.cumulative_bytes.saturating_add(held.bytes);
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
    fn a_function_that_calls_itself_counts_once() {
        let profile = profile(&[("main;walk;walk;walk", 1, 100), ("main;walk", 2, 50), ("main", 1, -7)]);
        let shown: Vec<_> = functions(&profile)
            .into_iter()
            .map(|it| (it.function.to_owned(), it.self_bytes, it.self_objects, it.cumulative_bytes))
            .collect();
        assert_eq!(shown, [("walk".to_owned(), 150, 3, 150), ("main".to_owned(), -7, 1, 143)]);
    }
}
