//! Functions' names as people read them.
//!
//! Line tables have the full name of a function that was compiled by itself, and the bare one of a function that was
//! inlined. The bare one is completed with its module, which is told by its file.

/// A linker's name as people read it, without its hash.
pub(super) fn demangled(name: &str) -> String {
    // LLVM names parts of functions so.
    let whole = name.split_once(".llvm.").map_or(name, |(name, _)| name);
    format!("{:#}", rustc_demangle::demangle(whole))
}

/// A function's bare name with the module of its file in front: `shard.rs` in `common/src/index` is `r3e_common::index::shard`.
pub(super) fn in_module(name: &str, file: &str) -> String {
    match module(file) {
        Some(module) => format!("{module}::{name}"),
        None => name.to_owned(),
    }
}

fn module(file: &str) -> Option<String> {
    let (folder, within) = file.strip_suffix(".rs")?.rsplit_once("/src/")?;
    let folder = folder.rsplit('/').next()?;
    // Those that were fetched have their version behind the name; the standard library is where it was built; others are
    // this project's own.
    let fetched = folder.rsplit_once('-').filter(|(_, version)| version.starts_with(|it: char| it.is_ascii_digit()));
    let library = file.contains("/rustc/") || file.starts_with("library/") || file.contains("/library/");
    let package = match fetched {
        Some((package, _)) => package.to_owned(),
        None if library || folder.starts_with("r3e") => folder.to_owned(),
        None => format!("r3e-{folder}"),
    };
    let within = within.split('/').filter(|it| !matches!(*it, "mod" | "lib" | "main"));
    Some(std::iter::once(package.replace('-', "_").as_str()).chain(within).collect::<Vec<_>>().join("::"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_name_is_completed_by_its_file() {
        let full = |file| in_module("push<u8>", file);
        assert_eq!(full("/rustc/598/library/alloc/src/vec/mod.rs"), "alloc::vec::push<u8>");
        assert_eq!(full("/root/.cargo/registry/src/x/hashbrown-0.17.0/src/raw/mod.rs"), "hashbrown::raw::push<u8>");
        assert_eq!(full("/home/x/common/src/index/shard.rs"), "r3e_common::index::shard::push<u8>");
        assert_eq!(full("loader/src/main.rs"), "r3e_loader::push<u8>");
        assert_eq!(full("main.rs"), "push<u8>", "nothing tells whose that is");
        assert_eq!(full("crypto/mem.c"), "push<u8>");
    }

    #[test]
    fn a_linkers_name_is_shown_without_its_hash() {
        assert_eq!(demangled("_ZN10r3e_loader7program3run17h881eb2c7274c6b35E"), "r3e_loader::program::run");
        assert_eq!(demangled("_ZN1a1b17h881eb2c7274c6b35E.llvm.123"), "a::b");
        assert_eq!(demangled("main"), "main");
    }
}
