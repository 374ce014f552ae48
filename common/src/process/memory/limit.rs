//! The most that this process may hold, and where that is said.

use std::fmt;
use std::path::{Path, PathBuf};

use super::{cgroup, mb};

/// A limit of resident memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// The most bytes resident.
    pub bytes: u64,
    /// Who says so.
    pub origin: Origin,
}

/// Who sets a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The configuration: `memory.limit_mb`.
    Configured,
    /// A control group: this file of the kernel's.
    ControlGroup(PathBuf),
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} MB by ", mb(self.bytes))?;
        match &self.origin {
            Origin::Configured => f.write_str("memory.limit_mb"),
            Origin::ControlGroup(file) => write!(f, "{}", file.display()),
        }
    }
}

impl Limit {
    /// The limit in force: the configured one, else the smallest `memory.max` or `memory.high` of this process's control
    /// group and those above it, else none. Kernel files are looked for below `root`, which is `/` outside of tests.
    #[must_use]
    pub fn find(configured_bytes: Option<u64>, root: &Path) -> Option<Self> {
        if let Some(bytes) = configured_bytes {
            return Some(Self { bytes, origin: Origin::Configured });
        }
        match cgroup::smallest(root) {
            Ok(found) => found.map(|(bytes, file)| Self { bytes, origin: Origin::ControlGroup(file) }),
            Err(error) => {
                tracing::warn!(%error, "whether a control group limits the memory is not known");
                None
            }
        }
    }

    /// How many bytes more something may hold that comes to stay for a while, an index for example, when `rss_bytes` are
    /// resident: a fifth of the limit is left to what else is going on, so that none of the harder steps is taken on account
    /// of work that was planned. Zero where there is no room.
    #[must_use]
    pub fn room_bytes(&self, rss_bytes: u64) -> u64 {
        (self.bytes - self.bytes / 5).saturating_sub(rss_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_configured_counts_before_what_the_kernel_says() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        assert_eq!(Limit::find(None, root.path()), None);
        write("proc/self/cgroup", "0::/a\n");
        write("proc/self/mountinfo", "41 31 0:38 / /cg rw - cgroup2 cgroup2 rw\n");
        write("cg/a/memory.max", "67108864\n");
        let found = Limit::find(None, root.path()).unwrap();
        assert_eq!(found.to_string(), "64 MB by /cg/a/memory.max");
        let found = Limit::find(Some(256 << 20), root.path()).unwrap();
        assert_eq!(found.to_string(), "256 MB by memory.limit_mb");
    }

    #[test]
    fn the_room_is_what_is_left_of_four_fifths() {
        let limit = Limit { bytes: 100, origin: Origin::Configured };
        assert_eq!([0, 30, 80, 81, 1000].map(|rss| limit.room_bytes(rss)), [80, 50, 0, 0, 0]);
        let none = Limit { bytes: 0, origin: Origin::Configured };
        assert_eq!(none.room_bytes(1), 0);
    }
}
