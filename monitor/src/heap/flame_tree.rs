//! The tree behind a flame graph: what is held by way of each function, called by those before it.

use std::collections::HashMap;

use super::profile::Profile;

/// A function as called on one way.
#[derive(Debug)]
pub(super) struct Node {
    /// Which of the profile's functions; none for all together.
    pub(super) symbol: Option<usize>,
    /// What is held by way of it.
    pub(super) bytes: u64,
    /// What it called, by name.
    pub(super) calls: Vec<usize>,
}

/// The nodes, all together first. They refer to each other by number, as ways may be thousands of functions long.
pub(super) fn tree(profile: &Profile) -> Vec<Node> {
    let mut nodes = vec![Node { symbol: None, bytes: 0, calls: Vec::new() }];
    let mut known: HashMap<(usize, &str), usize> = HashMap::new();
    for held in &profile.held {
        // Of a difference only what grew: what is less has no width.
        let Some(bytes) = u64::try_from(held.bytes).ok().filter(|bytes| *bytes > 0) else { continue };
        let mut at = 0;
        nodes[at].bytes = nodes[at].bytes.saturating_add(bytes);
        for line in profile.lines(&held.way).rev() {
            let next = *known.entry((at, &profile.symbols[line.symbol].name)).or_insert_with(|| {
                nodes.push(Node { symbol: Some(line.symbol), bytes: 0, calls: Vec::new() });
                nodes.len() - 1
            });
            if nodes[next].bytes == 0 {
                nodes[at].calls.push(next);
            }
            nodes[next].bytes = nodes[next].bytes.saturating_add(bytes);
            at = next;
        }
    }
    let names: Vec<&str> =
        nodes.iter().map(|it| it.symbol.map_or("", |symbol| profile.symbols[symbol].name.as_str())).collect();
    for node in &mut nodes {
        node.calls.sort_by_key(|call| names[*call]);
    }
    nodes
}
