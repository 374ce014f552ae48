//! Recognises the allocator's own functions, which are innermost in each stack and do not show which code holds memory.

use super::profile::Frame;

/// jemalloc's functions, and those between it and a collection in the standard library.
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

pub(super) fn is_allocator(frame: &Frame) -> bool {
    let name = frame.name.trim_start_matches('<');
    frame.file.contains("/jemalloc/") || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collections_do_not_belong_to_the_allocator() {
        let is = |name: &str, file: &str| {
            is_allocator(&Frame { name: name.to_owned(), file: file.to_owned(), ..Frame::default() })
        };
        for name in ["_rjem_malloc", "__rustc::__rust_alloc", "<tikv_jemallocator::Jemalloc as GlobalAlloc>::alloc"] {
            assert!(is(name, ""), "{name}");
        }
        assert!(is("any", "/build/jemalloc/src/prof.c"));
        for name in ["alloc::vec::Vec<T>::push", "r3e_common::index::shard::Shard::add", "main", "profile::x"] {
            assert!(!is(name, "/work/x.rs"), "{name}");
        }
    }
}
