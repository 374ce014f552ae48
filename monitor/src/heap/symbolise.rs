//! Turns the addresses of a dump into functions, files and lines, from the debug information of the executable and
//! libraries that were mapped.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use addr2line::{Loader, demangle_auto};
use r3e_common::runtime::fs;
use r3e_common::runtime::memory::profile::Executable;

use super::allocator::is_allocator;
use super::dump::Dump;
use super::name::in_module;
use super::profile::{Frame, Location, Mapping, Profile, Sample, Summary};

/// Symbolises a dump. Addresses without symbols are shown as their file. Logs a warning for each file without symbols.
pub(crate) fn symbolise(dump: &Dump) -> (Profile, Summary) {
    let mut symbols: HashMap<&str, Option<Symbols>> = HashMap::new();
    let mut frames: HashMap<u64, Vec<Frame>> = HashMap::new();
    for address in dump.samples.iter().flat_map(|it| &it.addresses) {
        let call = call(*address);
        let Some(mapping) = mapping_of(dump, call).map(|index| &dump.mappings[index]) else { continue };
        let symbols = symbols.entry(&mapping.path).or_insert_with(|| {
            let warn = |reason: &String| tracing::warn!(file = mapping.path, reason, "a mapped file has no symbols");
            Symbols::open(dump.origin.pid, mapping).inspect_err(warn).ok()
        });
        if let Some(symbols) = symbols {
            frames.entry(call).or_insert_with(|| symbols.frames(call - mapping.start + mapping.offset));
        }
    }
    assemble(dump, &frames)
}

/// A stack has return addresses; the byte before one belongs to the call.
fn call(return_address: u64) -> u64 {
    return_address.saturating_sub(1)
}

fn mapping_of(dump: &Dump, address: u64) -> Option<usize> {
    let index = dump.mappings.partition_point(|it| it.end <= address);
    dump.mappings.get(index).filter(|it| it.start <= address).map(|_| index)
}

/// The debug information of a file.
struct Symbols {
    executable: Executable,
    loader: Loader,
}

impl Symbols {
    fn open(pid: u32, mapping: &Mapping) -> Result<Self, String> {
        let path = mapped_file(pid, mapping)?;
        let describe = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let executable = Executable::read(&path).map_err(|error| error.to_string())?;
        let executable = executable.ok_or_else(|| describe(&"not a 64-bit ELF file"))?;
        let (found, expected) = (executable.build_id(), &mapping.build_id);
        if !expected.is_empty() && found != expected {
            return Err(describe(&format_args!("invalid build id: expected {expected}, found {found}")));
        }
        let loader = Loader::new(&path).map_err(|error| describe(&error))?;
        Ok(Self { executable, loader })
    }

    /// The functions at an offset in the file, innermost first. Empty if there is no symbol.
    fn frames(&self, offset: u64) -> Vec<Frame> {
        let Some(address) = self.executable.address_of(offset) else { return Vec::new() };
        let mut frames = self.inlined(address);
        // Line tables have the bare name of a function; the symbol table has the full name of the outermost one.
        if let Some(symbol) = self.loader.find_symbol(address) {
            if frames.is_empty() {
                frames.push(Frame::default());
            }
            if let Some(outermost) = frames.last_mut() {
                outermost.name = demangle_auto(symbol.into(), None).into_owned();
                symbol.clone_into(&mut outermost.system_name);
            }
        }
        frames
    }

    fn inlined(&self, address: u64) -> Vec<Frame> {
        let mut frames = Vec::new();
        let Ok(mut found) = self.loader.find_frames(address) else { return frames };
        while let Ok(Some(frame)) = found.next() {
            let Some(name) = frame.function.as_ref().and_then(|it| it.raw_name().ok()) else { continue };
            let (file, line) = frame.location.map_or(("", 0), |it| (it.file.unwrap_or(""), it.line.unwrap_or(0)));
            let demangled = demangle_auto(name.clone(), None);
            let readable = if demangled == name { in_module(&name, file) } else { demangled.into_owned() };
            frames.push(Frame { name: readable, system_name: name.into_owned(), file: file.to_owned(), line });
        }
        frames
    }
}

/// Where the mapped file can be read. The kernel keeps the executable of a process even if another file is at its path by now; a
/// library is read at its path if its inode is the same.
fn mapped_file(pid: u32, mapping: &Mapping) -> Result<PathBuf, String> {
    let process = PathBuf::from(format!("/proc/{pid}"));
    let executable = process.join("exe");
    if fs::link_target(&executable).ok().flatten().as_deref() == Some(Path::new(&mapping.path)) {
        return Ok(executable);
    }
    let file = process.join("root").join(mapping.path.trim_start_matches('/'));
    match fs::identity(&file).map_err(|error| error.to_string())? {
        Some(found) if found.inode() == mapping.inode => Ok(file),
        Some(_) => Err("the file was replaced".to_owned()),
        None => Err("the file was removed".to_owned()),
    }
}

/// Builds the profile, without the allocator's own functions at the innermost end of each stack.
fn assemble(dump: &Dump, frames: &HashMap<u64, Vec<Frame>>) -> (Profile, Summary) {
    let origin = &dump.origin;
    let is_program = |it: &Mapping| Path::new(&it.path).file_name().is_some_and(|name| name == &*origin.program);
    // Readers take the first mapping for the program.
    let mut order: Vec<usize> = (0..dump.mappings.len()).collect();
    order.sort_by_key(|index| !is_program(&dump.mappings[*index]));
    let mut locations: HashMap<(u64, usize), Rc<Location>> = HashMap::new();
    let mut samples = Vec::new();
    for sample in dump.samples.iter().filter(|it| it.sampled > 0) {
        let mut stack = Vec::with_capacity(sample.addresses.len());
        for address in &sample.addresses {
            let address = call(*address);
            let mapping = mapping_of(dump, address);
            let unknown = [unknown(mapping.map(|index| &dump.mappings[index]), address)];
            let frames = frames.get(&address).filter(|it| !it.is_empty()).map_or(&unknown[..], Vec::as_slice);
            let inner = if stack.is_empty() { frames.iter().take_while(|it| is_allocator(it)).count() } else { 0 };
            if inner < frames.len() {
                let location = locations.entry((address, inner)).or_insert_with(|| {
                    let mapping = mapping.and_then(|index| order.iter().position(|it| *it == index));
                    Rc::new(Location { mapping, address, frames: frames[inner..].to_vec() })
                });
                stack.push(Rc::clone(location));
            }
        }
        samples.push(Sample { stack, objects: rounded(sample.objects), bytes: rounded(sample.bytes) });
    }
    let profile = Profile {
        samples,
        mappings: order.iter().map(|index| dump.mappings[*index].clone()).collect(),
        time_ns: i64::try_from(origin.at_ms).unwrap_or(0).saturating_mul(1_000_000),
        period: i64::try_from(dump.sample_bytes).unwrap_or(i64::MAX),
        comments: vec![format!("{} {} (process {})", origin.program, origin.version, origin.pid)],
    };
    let (inuse_objects, inuse_bytes) = profile.total();
    let variance: f64 = dump.samples.iter().map(|it| it.variance).sum();
    let summary = Summary {
        inuse_objects,
        inuse_bytes,
        standard_error_bytes: rounded(variance.sqrt()).unsigned_abs(),
        sampled_objects: dump.samples.iter().fold(0, |sum, it| sum.saturating_add(it.sampled)),
        live_bytes: origin.allocated_bytes.saturating_sub(origin.thread_cache_bytes),
    };
    (profile, summary)
}

/// Stands for a function without a symbol.
fn unknown(mapping: Option<&Mapping>, address: u64) -> Frame {
    let file = mapping.and_then(|it| Path::new(&it.path).file_name());
    let name = file.map_or_else(|| format!("{address:#x}"), |it| format!("[{}]", it.display()));
    Frame { name, ..Frame::default() }
}

#[expect(clippy::cast_possible_truncation, reason = "saturates")]
fn rounded(estimate: f64) -> i64 {
    estimate.round() as i64
}

#[cfg(test)]
mod tests {
    use super::super::dump::tests::TEXT;
    use super::*;

    fn frame(name: &str) -> Frame {
        Frame { name: name.to_owned(), system_name: name.to_owned(), file: "x.rs".to_owned(), line: 3 }
    }

    #[test]
    fn the_allocators_own_functions_are_left_out_and_unknown_ones_are_their_file() {
        let dump: Dump = TEXT.parse().unwrap();
        let frames = HashMap::from([
            (0x500f, vec![frame("_rjem_malloc"), frame("alloc::alloc::alloc"), frame("a::reads")]),
            (0x501f, vec![frame("alloc::alloc::is_not_innermost"), frame("main")]),
            (0x502f, vec![frame("_rjem_malloc")]),
        ]);
        let (profile, summary) = assemble(&dump, &frames);
        let stacks: Vec<Vec<&str>> =
            profile.samples.iter().map(|it| it.frames().map(|frame| &*frame.name).collect()).collect();
        assert_eq!(stacks, [vec!["a::reads", "alloc::alloc::is_not_innermost", "main", "[libc.so]"], vec![]]);
        assert_eq!((summary.sampled_objects, summary.live_bytes), (3, 8));
        assert_eq!(summary.inuse_bytes, profile.samples.iter().map(|it| it.bytes).sum::<i64>());
        assert!((700_000..800_000).contains(&summary.standard_error_bytes), "{summary:?}");
    }

    /// A dump of this process with one sample, whose mapping is that of this test.
    fn own_dump() -> Dump {
        let path = std::env::current_exe().unwrap().display().to_string();
        let mut dump: Dump = TEXT.parse().unwrap();
        dump.origin.pid = std::process::id();
        dump.mappings[0].path = path;
        dump
    }

    #[test]
    fn this_test_is_found_with_its_file_and_line() {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let here = this_test_is_found_with_its_file_and_line as fn() as usize as u64;
        let text = TEXT.replace("0x5010", &format!("{:#x}", here + 2));
        let (head, tail) = text.split_once("MAPPED_LIBRARIES:\n").unwrap();
        let origin = tail.split_once("\n\n").unwrap().1;
        let mut dump: Dump = format!("{head}MAPPED_LIBRARIES:\n{maps}\n{origin}").parse().unwrap();
        dump.origin.pid = std::process::id();
        let (profile, _) = symbolise(&dump);
        let found = profile.samples[0].frames().find(|it| it.name.contains("this_test_is_found")).unwrap();
        assert!(found.name.starts_with("r3e_monitor::heap::symbolise::tests::this_test"), "{found:?}");
        assert!(found.file.ends_with("heap/symbolise.rs") && found.line > 100, "{found:?}");
    }

    #[test]
    fn a_replaced_file_and_another_build_give_no_symbols() {
        let mut dump = own_dump();
        let library = dump.mappings.pop().unwrap();
        dump.mappings.push(Mapping { path: "/etc/passwd".to_owned(), inode: 1, ..library });
        dump.mappings[0].build_id = "00".to_owned();
        let reasons = dump.mappings.iter().map(|it| Symbols::open(dump.origin.pid, it).err().unwrap());
        let reasons: Vec<String> = reasons.collect();
        assert!(reasons[0].contains("invalid build id") && reasons[1].contains("replaced"), "{reasons:?}");
        let (profile, _) = symbolise(&dump);
        assert!(profile.samples.iter().flat_map(Sample::frames).all(|it| it.name.starts_with('[')), "{profile:?}");
    }
}
