//! The pid namespace of this process. Together with process id and start time it identifies a process, even if containers share a
//! folder.

use std::path::Path;

use crate::runtime::fs;

/// The initial namespace of a machine (the kernel's `PROC_PID_INIT_INO`).
pub const INITIAL: u64 = 0xEFFF_FFFC;

/// The number of this process's pid namespace, see `pid_namespaces(7)`; `None` if the kernel does not report it.
#[must_use]
pub fn pid_namespace() -> Option<u64> {
    let link = fs::link_target(Path::new("/proc/self/ns/pid")).ok()??;
    link.to_str()?.strip_prefix("pid:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt as _;

    #[test]
    fn it_is_the_inode_of_the_namespace() {
        assert_eq!(pid_namespace(), Some(std::fs::metadata("/proc/self/ns/pid").unwrap().ino()));
    }
}
