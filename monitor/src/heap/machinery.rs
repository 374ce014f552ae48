//! Which functions are the way into the allocator itself, and say nothing of who holds what.

/// What such functions' names begin with: the allocator's, and what the standard library has between it and a collection.
const PREFIXES: [&str; 16] = [
    "_rjem_",
    "prof_",
    "je_",
    "imalloc",
    "ialloc",
    "iralloc",
    "do_rallocx",
    "do_realloc",
    "tikv_jemallocator::",
    "tikv_jemalloc_sys::",
    "__rust_",
    "__rustc::__rust_",
    "__rustc::__rdl_",
    "alloc::alloc::",
    "alloc::raw_vec::",
    "r3e_common::runtime::memory::raw::",
];

/// Whether a function is one of them, by its name and file.
pub(super) fn is_machinery(name: &str, file: &str) -> bool {
    let name = name.trim_start_matches('<');
    file.contains("/jemalloc/") || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collections_are_not_among_them() {
        for name in ["_rjem_malloc", "__rustc::__rust_alloc", "<tikv_jemallocator::Jemalloc as GlobalAlloc>::alloc"] {
            assert!(is_machinery(name, ""), "{name}");
        }
        assert!(is_machinery("any", "/build/jemalloc/src/prof.c"));
        for name in ["alloc::vec::Vec<T>::push", "r3e_common::index::shard::Shard::add", "main", "profile::x"] {
            assert!(!is_machinery(name, "/work/x.rs"), "{name}");
        }
    }
}
