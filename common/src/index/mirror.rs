//! `index/mirror.json.gz`: every key and every alias of a driver's name, for front ends to search in.

use super::blocks::{Work, Workers};
use super::drivers::Drivers;
use super::error::IndexError;
use super::names::{alias_chars, key_chars};
use super::output::Output;
use super::rows::text_bytes;
use super::staged::Staged;

/// Names in a block.
const BLOCK: usize = 1 << 15;

/// A name in the file: the number of its identity, and whether accents are kept.
type Name = (u32, bool);

/// Writes the distinct names of all identities, sorted bytewise.
pub(super) fn write(
    drivers: &Drivers,
    workers: &Workers<'_>,
    held: usize,
    staged: &mut Staged,
) -> Result<(), IndexError> {
    let names = names(drivers);
    let of_block = |block: usize| &names[block * BLOCK..names.len().min((block + 1) * BLOCK)];
    let blocks = names.len().div_ceil(BLOCK).max(1);
    let work = Work {
        blocks,
        held: held + names.capacity() * size_of::<Name>(),
        keep_text: false,
        max_bytes: |block| {
            2 + of_block(block).iter().map(|(it, _)| 3 + 2 * text_bytes(drivers.name(*it))).sum::<usize>()
        },
        text: |block, out: &mut Vec<u8>| {
            let mut text = String::new();
            for (number, name) in of_block(block).iter().enumerate() {
                out.push(if block + number == 0 { b'[' } else { b',' });
                text.clear();
                text.extend(chars(drivers, *name));
                super::rows::write_json(&text, out);
            }
            if block + 1 == blocks {
                out.extend_from_slice(if names.is_empty() { b"[]" } else { b"]" });
            }
        },
    };
    let mut output = Output::new(staged, "index/mirror.json", false)?;
    workers.make(&work, |_, block, text| Ok(output.block(staged, block, text)?))?;
    output.end(staged, None)?;
    Ok(())
}

/// Distinct names, sorted bytewise.
fn names(drivers: &Drivers) -> Vec<Name> {
    let has_alias = |&number: &u32| {
        let name = drivers.name(number);
        !key_chars(name).eq(alias_chars(name))
    };
    let aliases = drivers.sorted().iter().copied().filter(has_alias).map(|it| (it, true));
    let mut names: Vec<Name> = drivers.sorted().iter().map(|&it| (it, false)).chain(aliases).collect();
    let compare = |a: &Name, b: &Name| chars(drivers, *a).cmp(chars(drivers, *b));
    // Keys are sorted already, which makes this sort fast.
    names.sort_by(compare);
    names.dedup_by(|a, b| compare(a, b).is_eq());
    names
}

fn chars(drivers: &Drivers, (number, is_alias): Name) -> impl Iterator<Item = char> {
    let name = drivers.name(number);
    let (alias, key) = (is_alias.then(|| alias_chars(name)), (!is_alias).then(|| key_chars(name)));
    alias.into_iter().flatten().chain(key.into_iter().flatten())
}
