//! The memory limits of this process, and how much of each is in use.
//!
//! Resident memory of this process counts against the smallest limit there is, whether configured or of a control group. Memory of all
//! processes in a control group together counts against the group's limit, so a daemon and a job that share a group share its limit.

use std::path::Path;

use super::cgroup::{self, Group};
use super::usage::{Limit, Origin, Scope, Usage, Used};
use super::{MemoryError, rss_bytes};
use crate::runtime::config::Loaded;

/// All limits in force for this process; at least one.
#[derive(Debug, Clone)]
pub struct Limits {
    smallest: Limit,
    groups: Vec<Group>,
}

impl Limits {
    /// The limits of a program with that configuration; `None` if it has none.
    #[must_use]
    pub fn of(loaded: &Loaded) -> Option<Self> {
        let configured = loaded.config.memory.limit_bytes().map(|bytes| {
            let place = loaded.origin("memory.limit_mb").unwrap_or_default().to_owned();
            Limit { bytes, origin: Origin::Configured(place) }
        });
        Self::find(configured, Path::new("/"))
    }

    /// The configured limit, and those of this process's control group and the groups above it, from the kernel's files below `root`.
    fn find(configured: Option<Limit>, root: &Path) -> Option<Self> {
        let groups = cgroup::limited_groups(root).unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot read the memory limits of the control group; only memory.limit_mb applies");
            Vec::new()
        });
        let limits = configured.into_iter().chain(groups.iter().map(|group| group.limit.clone()));
        let smallest = limits.min_by_key(|limit| limit.bytes)?;
        Some(Self { smallest, groups })
    }

    /// A single limit, on resident memory of this process.
    #[cfg(test)]
    pub(super) fn only(smallest: Limit) -> Self {
        Self { smallest, groups: Vec::new() }
    }

    /// The smallest limit.
    #[must_use]
    pub fn smallest(&self) -> &Limit {
        &self.smallest
    }

    /// The smallest limit in bytes.
    #[must_use]
    pub fn smallest_bytes(&self) -> u64 {
        self.smallest.bytes
    }

    /// How much of each limit is in use now.
    ///
    /// # Errors
    /// If the kernel's figures cannot be read.
    pub fn usage(&self) -> Result<Usage, MemoryError> {
        let own = Used { bytes: rss_bytes()?, scope: Scope::Process, limit: self.smallest.clone() };
        let of_group = |group: &Group| {
            Ok(Used { bytes: group.used_bytes()?, scope: Scope::ControlGroup, limit: group.limit.clone() })
        };
        Ok(Usage { own, groups: self.groups.iter().map(of_group).collect::<Result<_, MemoryError>>()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configured(bytes: u64) -> Limit {
        Limit { bytes, origin: Origin::Configured("MEMORY_LIMIT_MB".to_owned()) }
    }

    #[test]
    fn the_smaller_of_the_configured_and_the_group_limit_applies() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let smallest = |configured_mb: Option<u64>| {
            let limits = Limits::find(configured_mb.map(|it| configured(it << 20)), root.path());
            limits.map(|limits| limits.smallest().to_string())
        };
        assert_eq!(smallest(None), None);
        assert_eq!(smallest(Some(48)).unwrap(), "memory.limit_mb = 48 (MEMORY_LIMIT_MB)");
        write("proc/self/cgroup", "0::/a\n");
        write("proc/self/mountinfo", "41 31 0:38 / /cg rw - cgroup2 cgroup2 rw\n");
        write("cg/a/memory.max", "67108864\n");
        let of_group = "/cg/a/memory.max = 67108864 (64 MB)";
        for (configured_mb, expected) in [
            (None, of_group),
            (Some(256), of_group),
            (Some(65), of_group),
            (Some(63), "memory.limit_mb = 63 (MEMORY_LIMIT_MB)"),
        ] {
            assert_eq!(smallest(configured_mb).unwrap(), expected);
        }
        // Both still apply: other processes may fill the group.
        write("cg/a/memory.current", "50000000\n");
        write("cg/a/memory.stat", "inactive_file 7000000\nactive_file 3000000\n");
        let usage = Limits::find(Some(configured(1 << 40)), root.path()).unwrap().usage().unwrap();
        assert_eq!(usage.group().unwrap().bytes, 40_000_000);
        assert_eq!(usage.own.limit, usage.group().unwrap().limit);
        let usage = Limits::find(Some(configured(1 << 20)), root.path()).unwrap().usage().unwrap();
        assert_eq!((usage.own.limit.bytes, usage.group().unwrap().limit.bytes), (1 << 20, 64 << 20));
    }
}
