//! How much of a memory limit is in use, and whether something more fits into the rest. Pure.

use std::fmt;
use std::path::PathBuf;

use super::mb;

/// A limit of memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// The most bytes.
    pub bytes: u64,
    /// Who says so.
    pub origin: Origin,
}

/// Who sets a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The configuration, `memory.limit_mb`, with where that is set.
    Configured(String),
    /// A control group: this file of the kernel's.
    ControlGroup(PathBuf),
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limit_mb = mb(self.bytes);
        match &self.origin {
            Origin::Configured(by) => write!(f, "memory.limit_mb = {limit_mb} ({by})"),
            Origin::ControlGroup(file) => write!(f, "{} = {} ({limit_mb} MB)", file.display(), self.bytes),
        }
    }
}

/// Whose memory counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// What this process has resident (`VmRSS`).
    Process,
    /// What all processes of the control group hold, without page cache.
    ControlGroup,
}

/// How much of a limit is in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Used {
    /// So many bytes.
    pub bytes: u64,
    /// By whom.
    pub by: By,
    /// Of this limit.
    pub limit: Limit,
}

impl fmt::Display for Used {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.by {
            By::Process => "resident",
            By::ControlGroup => "in use by all processes of the control group",
        };
        write!(f, "{} MB {what}, {}", mb(self.bytes), self.limit)
    }
}

impl Used {
    /// What share of the limit that is, in percent.
    #[must_use]
    pub fn percent(&self) -> u64 {
        let percent = (u128::from(self.bytes) * 100).checked_div(self.limit.bytes.into());
        percent.and_then(|it| it.try_into().ok()).unwrap_or(u64::MAX)
    }

    /// How many bytes are left to planned work.
    #[must_use]
    pub fn headroom_bytes(&self) -> u64 {
        planned(self.limit.bytes).saturating_sub(self.bytes)
    }
}

/// What of a limit planned work may take, an index for example: a fifth is left to what else is going on, so that none of the
/// harder steps is taken on account of work that was planned.
fn planned(limit_bytes: u64) -> u64 {
    limit_bytes - limit_bytes / 5
}

/// How much of each limit is in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// What this process has resident, of the smallest limit.
    pub own: Used,
    /// What each control group that has a limit holds, of that limit.
    pub groups: Vec<Used>,
}

impl Usage {
    /// The control group that is nearest to its limit.
    #[must_use]
    pub fn group(&self) -> Option<&Used> {
        self.groups.iter().max_by_key(|used| used.percent())
    }

    /// Whichever is nearest to its limit: this process, or a control group.
    #[must_use]
    pub fn nearest(&self) -> &Used {
        self.group().filter(|group| group.percent() > self.own.percent()).unwrap_or(&self.own)
    }

    /// How many bytes more something may hold that comes to stay for a while. Zero where there is no room.
    #[must_use]
    pub fn headroom_bytes(&self) -> u64 {
        self.groups.iter().chain([&self.own]).map(Used::headroom_bytes).min().unwrap_or_default()
    }
}

/// Why an index is not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotEnough {
    /// The limit is smaller than what the index takes, whatever else is going on.
    #[error("the memory limit is too small to make the index: {limit}; expected at least {needed_mb} MB")]
    LimitTooSmall {
        /// The limit.
        limit: Limit,
        /// One that is enough. A little less may do where boards are small.
        needed_mb: u64,
    },
    /// The limit would be enough, but for now too much of it is held: by this process, or by others in the control group.
    #[error("not enough memory left to make the index: {used}; it needs {needed_mb} MB for itself")]
    InUse {
        /// What is in use of it.
        used: Used,
        /// How much this process needs of it.
        needed_mb: u64,
    },
}

impl Usage {
    /// The error for an index that takes so many bytes, which are not there.
    #[must_use]
    pub fn not_enough(&self, index_bytes: u64) -> NotEnough {
        let with = |rss_bytes| needed_mb(index_bytes, rss_bytes);
        let needed_mb = with(self.own.bytes);
        // Without what is resident for the moment, such as boards in flight.
        if with(0) <= mb(self.own.limit.bytes) {
            NotEnough::InUse { used: self.nearest().clone(), needed_mb }
        } else {
            NotEnough::LimitTooSmall { limit: self.own.limit.clone(), needed_mb }
        }
    }
}

/// Memory that a job has resident beside its index, in the loader's full size, and what that varies by: what a limit has to leave
/// to it.
const JOB_BYTES: u64 = 20 << 20;

/// The smallest limit, in whole megabytes, of a job whose index takes so many bytes while the rest has `rss_bytes` resident.
fn needed_mb(index_bytes: u64, rss_bytes: u64) -> u64 {
    let planned = index_bytes.saturating_add(rss_bytes.max(JOB_BYTES));
    // The inverse of `planned`.
    planned.saturating_add(planned.div_ceil(4)).div_ceil(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configured(bytes: u64) -> Limit {
        Limit { bytes, origin: Origin::Configured("MEMORY_LIMIT_MB".to_owned()) }
    }

    fn used(by: By, bytes: u64, limit: u64) -> Used {
        Used { bytes, by, limit: configured(limit) }
    }

    #[test]
    fn the_room_is_what_the_tightest_leaves_of_four_fifths() {
        let room = |own, groups: &[(u64, u64)]| {
            let groups = groups.iter().map(|&(bytes, limit)| used(By::ControlGroup, bytes, limit)).collect();
            Usage { own: used(By::Process, own, 100), groups }.headroom_bytes()
        };
        assert_eq!([0, 30, 80, 81, 1000].map(|rss| room(rss, &[])), [80, 50, 0, 0, 0]);
        // A job of 30 in a group of 100 that holds 60: others have 30 of that.
        assert_eq!(room(30, &[(60, 100)]), 20);
        assert_eq!(room(30, &[(60, 100), (90, 1000), (10, 20)]), 6);
        assert_eq!(room(30, &[(95, 100)]), 0);
    }

    #[test]
    fn the_nearest_to_its_limit_is_the_one_that_counts() {
        let usage = |own, group| Usage {
            own: used(By::Process, own, 100),
            groups: vec![used(By::ControlGroup, 1, 100), used(By::ControlGroup, group, 200)],
        };
        assert_eq!(usage(40, 100).nearest(), &used(By::ControlGroup, 100, 200));
        assert_eq!(usage(60, 100).nearest(), &used(By::Process, 60, 100));
        assert_eq!(used(By::Process, 1, 0).percent(), u64::MAX);
        assert_eq!(
            used(By::ControlGroup, 9 << 20, 10 << 20).to_string(),
            "9 MB in use by all processes of the control group, memory.limit_mb = 10 (MEMORY_LIMIT_MB)"
        );
    }

    #[test]
    fn a_limit_is_too_small_or_others_hold_too_much_of_it() {
        let usage = |limit_mb: u64, group_mb: u64| Usage {
            own: used(By::Process, 10 << 20, limit_mb << 20),
            groups: vec![used(By::ControlGroup, group_mb << 20, 100 << 20)],
        };
        let told = |usage: Usage| usage.not_enough(24 << 20).to_string();
        assert_eq!(
            told(usage(54, 10)),
            "the memory limit is too small to make the index: memory.limit_mb = 54 (MEMORY_LIMIT_MB); expected at least 55 MB"
        );
        assert_eq!(
            told(usage(55, 90)),
            "not enough memory left to make the index: 90 MB in use by all processes of the control group, \
             memory.limit_mb = 100 (MEMORY_LIMIT_MB); it needs 55 MB for itself"
        );
    }

    #[test]
    fn a_limit_that_is_needed_leaves_the_room_that_is_needed() {
        for index_bytes in [0, 1, 9 << 20, 12_345_678, 300 << 20] {
            for rss_bytes in [0, 15 << 20, 16 << 20, 17_000_001, 99_999_999] {
                let limit = needed_mb(index_bytes, rss_bytes) << 20;
                let room = used(By::Process, rss_bytes.max(JOB_BYTES), limit).headroom_bytes();
                assert!(room >= index_bytes && room < index_bytes + (1 << 20), "{index_bytes} {rss_bytes}: {room}");
            }
        }
    }
}
