//! From addresses in a process to names: which file each address is in, whether that file is still the one that is mapped,
//! and what its tables say.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use r3e_common::runtime::fs;

use super::dump::{Dump, Mapping};
use super::machinery::is_machinery;
use super::profile::{Account, Held, Line, Location, Module, Profile, Symbol};
use super::symbols::Tables;

/// The largest file that is read for its tables: an executable with line tables has some tens of megabytes.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// The functions at addresses.
type Named = HashMap<u64, Vec<(Symbol, u32)>>;

/// Names everything in a dump. What cannot be named is shown by its file, and why is told in the messages.
pub(crate) fn symbolise(dump: &Dump) -> (Profile, Account, Vec<String>) {
    let mut messages = Vec::new();
    // What is there is where a function goes on when the one that it called returns: the call stands before.
    let calls: BTreeSet<u64> =
        dump.samples.iter().flat_map(|it| &it.addresses).map(|it| it.saturating_sub(1)).collect();
    let mut named = Named::new();
    let mut files: Vec<&str> = dump.mappings.iter().map(|it| it.path.as_str()).collect();
    files.sort_unstable();
    files.dedup();
    for path in files {
        let mappings: Vec<&Mapping> = dump.mappings.iter().filter(|it| it.path == path).collect();
        let within = |call: &u64| mappings.iter().find(|it| (it.start..it.end).contains(call)).copied();
        let places: Vec<(u64, &Mapping)> = calls.iter().filter_map(|call| Some((*call, within(call)?))).collect();
        if let Err(why) = name_all(dump, path, &places, &mut named) {
            messages.push(format!("functions of {path} have no names: {why}"));
        }
    }
    let (profile, account) = assemble(dump, &named);
    (profile, account, messages)
}

/// Names these places in one file.
fn name_all(dump: &Dump, path: &str, places: &[(u64, &Mapping)], named: &mut Named) -> Result<(), String> {
    let Some((_, mapping)) = places.first() else { return Ok(()) };
    let mut file = Vec::new();
    let from = readable(dump.origin.pid, mapping)?;
    let read = fs::read_into(&from, &mut file, MAX_FILE_BYTES).map_err(|error| error.to_string())?;
    if read.is_none() || file.len() as u64 > MAX_FILE_BYTES {
        return Err(format!("{} is not there, or too large", from.display()));
    }
    let tables = Tables::new(&file).map_err(|error| format!("{}: {error}", from.display()))?;
    let (found, expected) = (tables.build_id(), dump.origin.build_ids.get(path).map_or("", String::as_str));
    if !expected.is_empty() && found != expected {
        return Err(format!("{} is of build {found}, the process is of build {expected}", from.display()));
    }
    for (call, mapping) in places {
        if let Some(address) = tables.address_of(call - mapping.start + mapping.offset) {
            named.insert(*call, tables.functions_at(address));
        }
    }
    Ok(())
}

/// Where the very file can be read that is mapped there: that of the process itself through the kernel, which keeps it even
/// where another stands at its path by now; others at their path as the process sees it, if it is the same file still.
fn readable(pid: u32, mapping: &Mapping) -> Result<PathBuf, String> {
    let process = PathBuf::from(format!("/proc/{pid}"));
    let own = process.join("exe");
    if fs::link_target(&own).ok().flatten().as_deref() == Some(Path::new(&mapping.path)) {
        return Ok(own);
    }
    let file = process.join("root").join(mapping.path.trim_start_matches('/'));
    match fs::identity(&file).map_err(|error| error.to_string())? {
        Some(found) if found.inode() == mapping.inode => Ok(file),
        Some(_) => Err("another file stands there by now".to_owned()),
        None => Err("no file stands there any more".to_owned()),
    }
}

/// Puts names and numbers together, without the allocator's own functions at the end of each way.
fn assemble(dump: &Dump, named: &Named) -> (Profile, Account) {
    let origin = &dump.origin;
    let mut profile = Profile {
        modules: modules(dump),
        time_ns: i64::try_from(origin.at_ms).unwrap_or(0).saturating_mul(1_000_000),
        period: i64::try_from(dump.sample_bytes).unwrap_or(i64::MAX),
        comments: vec![format!("{} {} (process {})", origin.program, origin.version, origin.pid)],
        ..Profile::default()
    };
    let mut symbols = HashMap::new();
    let mut locations: HashMap<(u64, usize), usize> = HashMap::new();
    for sample in &dump.samples {
        let mut way = Vec::with_capacity(sample.addresses.len());
        for address in &sample.addresses {
            let call = address.saturating_sub(1);
            let functions = named.get(&call).filter(|it| !it.is_empty()).cloned();
            let functions = functions.unwrap_or_else(|| vec![(nameless(dump, call), 0)]);
            // Only at the end, and never all: something has to be shown.
            let skipped = if way.is_empty() {
                functions.iter().take_while(|it| is_machinery(&it.0.name, &it.0.file)).count()
            } else {
                0
            };
            if skipped == functions.len() {
                continue;
            }
            let location = *locations.entry((call, skipped)).or_insert_with(|| {
                let lines = functions.into_iter().skip(skipped).map(|(symbol, line)| {
                    let symbol = profile.intern(&mut symbols, symbol);
                    Line { symbol, line }
                });
                let lines = lines.collect();
                let module = profile.modules.iter().position(|it| (it.start..it.end).contains(&call));
                profile.locations.push(Location { module, address: call, lines });
                profile.locations.len() - 1
            });
            way.push(location);
        }
        if sample.sampled > 0 {
            profile.held.push(Held { way, objects: whole(sample.objects), bytes: whole(sample.bytes) });
        }
    }
    let (inuse_objects, inuse_bytes) = profile.total();
    let variance: f64 = dump.samples.iter().map(|it| it.variance).sum();
    let account = Account {
        inuse_objects,
        inuse_bytes,
        standard_error_bytes: whole(variance.sqrt()).unsigned_abs(),
        sampled_objects: dump.samples.iter().fold(0, |sum, it| sum.saturating_add(it.sampled)),
        live_bytes: origin.allocated_bytes.saturating_sub(origin.thread_cache_bytes),
    };
    (profile, account)
}

/// What stands for a function without a name: the file that it is in, or at least its address.
fn nameless(dump: &Dump, call: u64) -> Symbol {
    let mapping = dump.mappings.iter().find(|it| (it.start..it.end).contains(&call));
    let file = mapping.and_then(|it| Path::new(&it.path).file_name());
    let name = file.map_or_else(|| format!("{call:#x}"), |it| format!("[{}]", it.display()));
    Symbol { name, ..Symbol::default() }
}

/// The files of code, that of the program first: readers take the first for it.
fn modules(dump: &Dump) -> Vec<Module> {
    let mut modules: Vec<Module> = dump
        .mappings
        .iter()
        .map(|it| Module {
            start: it.start,
            end: it.end,
            offset: it.offset,
            path: it.path.clone(),
            build_id: dump.origin.build_ids.get(&it.path).cloned().unwrap_or_default(),
        })
        .collect();
    let is_program = |it: &Module| Path::new(&it.path).file_name().is_some_and(|name| name == &*dump.origin.program);
    modules.sort_by_key(|it| (!is_program(it), it.start));
    modules
}

#[expect(clippy::cast_possible_truncation, reason = "an estimate, and saturating")]
fn whole(estimate: f64) -> i64 {
    estimate.round() as i64
}

#[cfg(test)]
mod tests {
    use super::super::dump::tests::TEXT;
    use super::*;

    fn symbol(name: &str) -> (Symbol, u32) {
        (Symbol { name: name.to_owned(), system_name: name.to_owned(), file: "x.rs".to_owned() }, 3)
    }

    #[test]
    fn the_allocators_own_functions_are_left_out_and_what_has_no_name_is_its_file() {
        let dump: Dump = TEXT.parse().unwrap();
        let named = Named::from([
            (0x500f, vec![symbol("_rjem_malloc"), symbol("alloc::alloc::alloc"), symbol("a::reads")]),
            (0x501f, vec![symbol("alloc::alloc::is_not_at_the_end"), symbol("main")]),
            (0x502f, vec![symbol("_rjem_malloc")]),
        ]);
        let (profile, account) = assemble(&dump, &named);
        let ways: Vec<Vec<&str>> = profile
            .held
            .iter()
            .map(|it| profile.lines(&it.way).map(|line| &*profile.symbols[line.symbol].name).collect())
            .collect();
        assert_eq!(ways, [vec!["a::reads", "alloc::alloc::is_not_at_the_end", "main", "[libc.so]"], vec![]]);
        assert_eq!((account.sampled_objects, account.live_bytes), (3, 8));
        assert_eq!(account.inuse_bytes, profile.held.iter().map(|it| it.bytes).sum::<i64>());
        assert!(account.standard_error_bytes > 700_000 && account.standard_error_bytes < 800_000, "{account:?}");
    }

    #[test]
    fn a_file_that_is_another_by_now_is_not_taken_for_it() {
        let path = std::env::current_exe().unwrap().display().to_string();
        let mut dump: Dump = TEXT.parse().unwrap();
        dump.origin.pid = std::process::id();
        let library = dump.mappings.pop().unwrap();
        dump.mappings.push(Mapping { path: "/etc/passwd".to_owned(), inode: 1, ..library });
        dump.mappings[0].path.clone_from(&path);
        dump.origin.build_ids.insert(path.clone(), "00".to_owned());
        let (profile, _, messages) = symbolise(&dump);
        assert_eq!(messages.len(), 2, "{messages:?}");
        assert!(messages.iter().any(|it| it.contains("/etc/passwd") && it.contains("another file")), "{messages:?}");
        assert!(messages.iter().any(|it| it.contains(&path) && it.contains("process is of build 00")), "{messages:?}");
        assert!(profile.symbols.iter().all(|it| it.name.starts_with('[')), "{profile:?}");
    }
}
