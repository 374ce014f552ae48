//! Completes the names of inlined functions. Line tables have only the bare name of those; the module follows from the
//! source file.

/// A bare function name with the module of its file: `push` in `common/src/index/shard.rs` is `r3e_common::index::shard::push`.
pub(super) fn in_module(name: &str, file: &str) -> String {
    match module(file) {
        Some(module) => format!("{module}::{name}"),
        None => name.to_owned(),
    }
}

fn module(file: &str) -> Option<String> {
    let (folder, within) = file.strip_suffix(".rs")?.rsplit_once("/src/")?;
    let folder = folder.rsplit('/').next()?;
    // The folder of a crate from the registry ends with its version; other folders belong to the standard library or to
    // this workspace.
    let versioned = folder.rsplit_once('-').filter(|(_, version)| version.starts_with(|it: char| it.is_ascii_digit()));
    let is_library = file.contains("/rustc/") || file.starts_with("library/") || file.contains("/library/");
    let package = match versioned {
        Some((package, _)) => package.to_owned(),
        None if is_library || folder.starts_with("r3e") => folder.to_owned(),
        None => format!("r3e-{folder}"),
    };
    let within = within.split('/').filter(|it| !matches!(*it, "mod" | "lib" | "main"));
    Some(std::iter::once(package.replace('-', "_").as_str()).chain(within).collect::<Vec<_>>().join("::"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_name_is_completed_from_its_file() {
        let full = |file| in_module("push<u8>", file);
        assert_eq!(full("/rustc/598/library/alloc/src/vec/mod.rs"), "alloc::vec::push<u8>");
        assert_eq!(full("/root/.cargo/registry/src/x/hashbrown-0.17.0/src/raw/mod.rs"), "hashbrown::raw::push<u8>");
        assert_eq!(full("/home/x/common/src/index/shard.rs"), "r3e_common::index::shard::push<u8>");
        assert_eq!(full("loader/src/main.rs"), "r3e_loader::push<u8>");
        assert_eq!(full("main.rs"), "push<u8>", "nothing tells the crate");
        assert_eq!(full("crypto/mem.c"), "push<u8>");
    }
}
