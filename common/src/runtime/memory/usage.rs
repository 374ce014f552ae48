//! How much of each memory limit is in use, and whether more fits. Pure.

use std::fmt;
use std::path::PathBuf;

use super::mb;

/// A limit of memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// The limit in bytes.
    pub bytes: u64,
    /// Who sets it.
    pub origin: Origin,
}

/// Who sets a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// `memory.limit_mb`, and where that is set.
    Configured(String),
    /// This file of a control group.
    ControlGroup(PathBuf),
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limit_mb = mb(self.bytes);
        match &self.origin {
            Origin::Configured(place) => write!(f, "memory.limit_mb = {limit_mb} ({place})"),
            Origin::ControlGroup(file) => write!(f, "{} = {} ({limit_mb} MB)", file.display(), self.bytes),
        }
    }
}

/// Whose memory counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// What this process has resident (`VmRSS`).
    Process,
    /// What all processes of the control group hold, without page cache.
    ControlGroup,
}

/// How much of a limit is in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Used {
    /// The bytes in use.
    pub bytes: u64,
    /// Whose memory that is.
    pub scope: Scope,
    /// The limit.
    pub limit: Limit,
}

impl fmt::Display for Used {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.scope {
            Scope::Process => "resident",
            Scope::ControlGroup => "in use by all processes of the control group",
        };
        write!(f, "{} MB {what}, {}", mb(self.bytes), self.limit)
    }
}

impl Used {
    /// The share of the limit, in percent.
    #[must_use]
    pub fn percent(&self) -> u64 {
        let percent = (u128::from(self.bytes) * 100).checked_div(self.limit.bytes.into());
        percent.and_then(|it| it.try_into().ok()).unwrap_or(u64::MAX)
    }

    /// How many bytes are left for planned work.
    #[must_use]
    pub fn headroom_bytes(&self) -> u64 {
        planned(self.limit.bytes).saturating_sub(self.bytes)
    }
}

/// How much of a limit planned work, such as an index, may take. A fifth is left to everything else, so that planned work alone never
/// causes more than a purge.
fn planned(limit_bytes: u64) -> u64 {
    limit_bytes - limit_bytes / 5
}

/// How much of each limit is in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// Resident memory of this process, against the smallest limit.
    pub own: Used,
    /// Memory of each control group that has a limit, against that limit.
    pub groups: Vec<Used>,
}

impl Usage {
    /// The control group closest to its limit.
    #[must_use]
    pub fn group(&self) -> Option<&Used> {
        self.groups.iter().max_by_key(|used| used.percent())
    }

    /// Whichever is closest to its limit: this process, or a control group.
    #[must_use]
    pub fn nearest(&self) -> &Used {
        self.group().filter(|group| group.percent() > self.own.percent()).unwrap_or(&self.own)
    }

    /// How many bytes planned work may still take.
    #[must_use]
    pub fn headroom_bytes(&self) -> u64 {
        self.groups.iter().chain([&self.own]).map(Used::headroom_bytes).min().unwrap_or_default()
    }
}

/// There is too little memory for the index.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InsufficientMemory {
    /// The index would not fit even if nothing else used memory.
    #[error("the memory limit is too small to make the index: {limit}; expected at least {needed_mb} MB")]
    LimitTooSmall {
        /// The limit.
        limit: Limit,
        /// A limit that is enough. If boards are small, a little less may be.
        needed_mb: u64,
    },
    /// The limit would be enough, but this process or others in the control group use too much of it now.
    #[error("not enough memory left to make the index: {used}; it needs {needed_mb} MB for itself")]
    InUse {
        /// What is in use.
        used: Used,
        /// How much this process needs.
        needed_mb: u64,
    },
}

impl Usage {
    /// The error for an index of that size, which does not fit.
    #[must_use]
    pub fn insufficient(&self, index_bytes: u64) -> InsufficientMemory {
        let with = |rss_bytes| needed_mb(index_bytes, rss_bytes);
        let needed_mb = with(self.own.bytes);
        // Without what is resident only now, such as boards in flight.
        if with(0) <= mb(self.own.limit.bytes) {
            InsufficientMemory::InUse { used: self.nearest().clone(), needed_mb }
        } else {
            InsufficientMemory::LimitTooSmall { limit: self.own.limit.clone(), needed_mb }
        }
    }
}

/// Resident memory of the loader beside the index, with all boards and a margin for variation.
const JOB_BYTES: u64 = 20 << 20;

/// The smallest limit, in whole MB, for an index of that size while everything else has `rss_bytes` resident.
fn needed_mb(index_bytes: u64, rss_bytes: u64) -> u64 {
    let planned = index_bytes.saturating_add(rss_bytes.max(JOB_BYTES));
    // The inverse of `planned()`.
    planned.saturating_add(planned.div_ceil(4)).div_ceil(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configured(bytes: u64) -> Limit {
        Limit { bytes, origin: Origin::Configured("MEMORY_LIMIT_MB".to_owned()) }
    }

    fn used(scope: Scope, bytes: u64, limit: u64) -> Used {
        Used { bytes, scope, limit: configured(limit) }
    }

    #[test]
    fn headroom_is_what_the_tightest_limit_leaves_of_four_fifths() {
        let headroom = |own, groups: &[(u64, u64)]| {
            let groups = groups.iter().map(|&(bytes, limit)| used(Scope::ControlGroup, bytes, limit)).collect();
            Usage { own: used(Scope::Process, own, 100), groups }.headroom_bytes()
        };
        assert_eq!([0, 30, 80, 81, 1000].map(|rss| headroom(rss, &[])), [80, 50, 0, 0, 0]);
        // A job of 30 in a group of 100 that uses 60, of which others use 30.
        assert_eq!(headroom(30, &[(60, 100)]), 20);
        assert_eq!(headroom(30, &[(60, 100), (90, 1000), (10, 20)]), 6);
        assert_eq!(headroom(30, &[(95, 100)]), 0);
    }

    #[test]
    fn the_closest_to_its_limit_counts() {
        let usage = |own, group| Usage {
            own: used(Scope::Process, own, 100),
            groups: vec![used(Scope::ControlGroup, 1, 100), used(Scope::ControlGroup, group, 200)],
        };
        assert_eq!(usage(40, 100).nearest(), &used(Scope::ControlGroup, 100, 200));
        assert_eq!(usage(60, 100).nearest(), &used(Scope::Process, 60, 100));
        assert_eq!(used(Scope::Process, 1, 0).percent(), u64::MAX);
        assert_eq!(
            used(Scope::ControlGroup, 9 << 20, 10 << 20).to_string(),
            "9 MB in use by all processes of the control group, memory.limit_mb = 10 (MEMORY_LIMIT_MB)"
        );
    }

    #[test]
    fn either_the_limit_is_too_small_or_others_use_too_much_of_it() {
        let usage = |limit_mb: u64, group_mb: u64| Usage {
            own: used(Scope::Process, 10 << 20, limit_mb << 20),
            groups: vec![used(Scope::ControlGroup, group_mb << 20, 100 << 20)],
        };
        let message = |usage: Usage| usage.insufficient(24 << 20).to_string();
        assert_eq!(
            message(usage(54, 10)),
            "the memory limit is too small to make the index: memory.limit_mb = 54 (MEMORY_LIMIT_MB); expected at least 55 MB"
        );
        assert_eq!(
            message(usage(55, 90)),
            "not enough memory left to make the index: 90 MB in use by all processes of the control group, \
             memory.limit_mb = 100 (MEMORY_LIMIT_MB); it needs 55 MB for itself"
        );
    }

    #[test]
    fn the_limit_that_is_needed_leaves_enough_headroom() {
        for index_bytes in [0, 1, 9 << 20, 12_345_678, 300 << 20] {
            for rss_bytes in [0, 15 << 20, 16 << 20, 17_000_001, 99_999_999] {
                let limit = needed_mb(index_bytes, rss_bytes) << 20;
                let headroom = used(Scope::Process, rss_bytes.max(JOB_BYTES), limit).headroom_bytes();
                assert!(
                    headroom >= index_bytes && headroom < index_bytes + (1 << 20),
                    "{index_bytes} {rss_bytes}: {headroom}"
                );
            }
        }
    }
}
