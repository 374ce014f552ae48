//! In which pid namespace this process is: with a process id, and when it began, that tells one process of a machine from all
//! others, also where containers share a folder.

use std::path::Path;

use crate::runtime::fs;

/// That of a machine's first process (`PROC_PID_INIT_INO` of the kernel).
pub const INITIAL: u64 = 0xEFFF_FFFC;

/// The number of this process's pid namespace, see `pid_namespaces(7)`; none where the kernel does not tell.
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
    fn it_is_what_the_kernel_numbers_it() {
        assert_eq!(pid_namespace(), Some(std::fs::metadata("/proc/self/ns/pid").unwrap().ino()));
    }
}
