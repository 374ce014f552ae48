//! A control group with a memory limit, created for one test.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::processes::{command, program_beside};
use r3e_needs::until;

/// A child of this process's control group. Dropping it removes it.
#[derive(Debug)]
pub struct ControlGroup {
    folder: PathBuf,
    limit: &'static str,
    limit_bytes: u64,
}

impl ControlGroup {
    /// Creates one with this limit. If that is not allowed (it usually needs root), returns `None` and records a skipped
    /// test.
    #[track_caller]
    #[must_use]
    pub fn with_limit(limit_bytes: u64) -> Option<Self> {
        let group = Self::make(limit_bytes);
        if group.is_none() {
            r3e_needs::missing("control groups that may be made and limited");
        }
        group
    }

    fn make(limit_bytes: u64) -> Option<Self> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("r3e-tests-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
        let own = |line: &str, mount: &str| Path::new(mount).join(line.trim_start_matches('/'));
        let first = groups.lines().find_map(|line| {
            let (controllers, group) = line.split_once(':')?.1.split_once(':')?;
            controllers.split(',').any(|it| it == "memory").then(|| own(group, "/sys/fs/cgroup/memory"))
        });
        let second = groups.lines().find_map(|line| Some(own(line.strip_prefix("0::")?, "/sys/fs/cgroup")));
        // A v2 group with processes cannot enable controllers for its children, so fall back to its parent.
        let above = second.as_deref().and_then(Path::parent).map(Path::to_owned);
        let places = [(first, "memory.limit_in_bytes"), (second, "memory.max"), (above, "memory.max")];
        places.into_iter().find_map(|(place, limit)| {
            let folder = place?.join(&name);
            fs::create_dir(&folder).ok()?;
            let file = folder.join(limit);
            if file.exists() && fs::write(&file, limit_bytes.to_string()).is_ok() {
                return Some(Self { folder, limit, limit_bytes });
            }
            fs::remove_dir(&folder).unwrap();
            None
        })
    }

    /// The file with its limit.
    #[must_use]
    pub fn limit_file(&self) -> PathBuf {
        self.folder.join(self.limit)
    }

    /// Its `cgroup.procs`, to which joining processes write.
    #[must_use]
    pub fn processes(&self) -> PathBuf {
        self.folder.join("cgroup.procs")
    }

    /// The memory of its processes that the kernel cannot reclaim, in percent of its limit.
    fn percent(&self) -> u64 {
        let is_first = self.limit == "memory.limit_in_bytes";
        let names = if is_first { ["total_rss", "total_shmem"] } else { ["anon", "shmem"] };
        let stat = fs::read_to_string(self.folder.join("memory.stat")).unwrap();
        let lines = stat.lines().filter_map(|line| line.split_once(' '));
        let counted = lines.filter(|(name, _)| names.contains(name));
        counted.map(|(_, bytes)| bytes.parse::<u64>().unwrap()).sum::<u64>() * 100 / self.limit_bytes
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        // An ended process leaves the group with a short delay.
        until("the control group is empty", || fs::remove_dir(&self.folder).is_ok() || std::thread::panicking());
    }
}

/// A process in a control group that holds memory, until it is dropped.
#[derive(Debug)]
pub struct Ballast<'g> {
    group: &'g ControlGroup,
    child: Child,
    answers: BufReader<ChildStdout>,
    megabytes: u64,
}

impl<'g> Ballast<'g> {
    /// Starts one in this folder, without ballast yet.
    #[must_use]
    pub fn start(group: &'g ControlGroup, folder: &Path) -> Self {
        let mut command = command(&program_beside("r3e-in-group"), folder);
        command.arg(group.processes()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Self { group, child, answers, megabytes: 0 }
    }

    /// Allocates until the group reaches this share of its limit.
    pub fn fill_to(&mut self, percent: u64) {
        self.hold(0);
        self.top_up_to(percent);
    }

    /// Allocates more if the group has fallen below this share of its limit.
    pub fn top_up_to(&mut self, percent: u64) {
        while self.group.percent() < percent {
            self.hold(self.megabytes + 1);
        }
    }

    /// Sets how much it holds.
    fn hold(&mut self, megabytes: u64) {
        self.megabytes = megabytes;
        writeln!(self.child.stdin.as_mut().unwrap(), "{megabytes}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        assert_eq!(answer, "held\n", "the process that holds memory was killed");
    }
}

impl Drop for Ballast<'_> {
    fn drop(&mut self) {
        // It may already have been killed.
        let _ended = self.child.kill().and_then(|()| self.child.wait());
    }
}
