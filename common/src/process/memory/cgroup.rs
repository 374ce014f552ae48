//! The memory limits of this process's control group and of those above it, where there is the second version of
//! control groups: `cgroups(7)`, and `memory.max`, `memory.high` of the kernel's `cgroup-v2.rst`.

use std::path::{Component, Path, PathBuf};

use crate::store::fs::{self, StoreError};

/// The files of a group that limit its memory: above the first the kernel kills, above the second it slows down.
const FILES: [&str; 2] = ["memory.max", "memory.high"];

/// The smallest limit in force, with the file that says so.
///
/// # Errors
/// When the kernel's files are there and cannot be read.
pub(super) fn smallest(root: &Path) -> Result<Option<(u64, PathBuf)>, StoreError> {
    let Some(groups) = read(&root.join("proc/self/cgroup"))? else { return Ok(None) };
    let Some(mounts) = read(&root.join("proc/self/mountinfo"))? else { return Ok(None) };
    let (Some(group), Some(mount)) = (own_group(&groups), mount(&mounts)) else { return Ok(None) };
    let mut smallest = None;
    for folder in folders(group, &mount) {
        for name in FILES {
            let file = folder.join(name);
            let below_root = file.strip_prefix("/").unwrap_or(&file);
            let limit = read(&root.join(below_root))?.as_deref().and_then(limit);
            smallest = smallest.into_iter().chain(limit.map(|bytes| (bytes, file))).min();
        }
    }
    Ok(smallest)
}

/// A file of the kernel's; none where it has no such file.
fn read(path: &Path) -> Result<Option<String>, StoreError> {
    let mut bytes = Vec::new();
    let there = fs::read_into(path, &mut bytes, 1 << 20)?;
    Ok(there.map(|_| String::from_utf8_lossy(&bytes).into_owned()))
}

/// The group of this process in the second version, by `/proc/self/cgroup`: the line of hierarchy 0.
fn own_group(text: &str) -> Option<&str> {
    text.lines().find_map(|line| line.strip_prefix("0::"))
}

/// Where groups of the second version are mounted.
#[derive(Debug, PartialEq, Eq)]
struct Mount<'a> {
    /// The group that is seen at the mount point.
    group: &'a str,
    point: &'a str,
}

/// The mount of the second version, by `/proc/self/mountinfo`: `id parent device root point options… - type …`.
fn mount(text: &str) -> Option<Mount<'_>> {
    text.lines().find_map(|line| {
        let (mount, kind) = line.split_once(" - ")?;
        let mut fields = mount.split(' ').skip(3);
        let (group, point) = (fields.next()?, fields.next()?);
        (kind.split(' ').next() == Some("cgroup2")).then_some(Mount { group, point })
    })
}

/// The folders of the group and of all above it, as far as they are mounted here.
fn folders(group: &str, mount: &Mount<'_>) -> Vec<PathBuf> {
    let below = Path::new(group).strip_prefix(mount.group).unwrap_or(Path::new(group));
    let names: Vec<Component<'_>> = below.components().filter(|it| *it != Component::RootDir).collect();
    // A group beside the one that is mounted is not seen: what is mounted is all there is to see.
    let seen = if names.iter().all(|it| matches!(it, Component::Normal(_))) { names.len() } else { 0 };
    (0..=seen).rev().map(|depth| Path::new(mount.point).join(names[..depth].iter().collect::<PathBuf>())).collect()
}

/// What a file says: a number of bytes, or `max` for none.
fn limit(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw
";

    #[test]
    fn the_own_group_is_that_of_hierarchy_0() {
        assert_eq!(own_group("4:memory:/old\n0::/user.slice/a.scope\n"), Some("/user.slice/a.scope"));
        assert_eq!(own_group("0::/\n"), Some("/"));
        assert_eq!(own_group("4:memory:/old\n"), None);
    }

    #[test]
    fn the_mount_is_known_by_its_type() {
        assert_eq!(mount(MOUNTS), Some(Mount { group: "/", point: "/sys/fs/cgroup/unified" }));
        assert_eq!(mount(&MOUNTS.replace("cgroup2", "cgroup")), None);
        for damaged in ["", " - cgroup2", "1 2 - cgroup2 x", "garbage"] {
            assert_eq!(mount(damaged), None, "{damaged}");
        }
    }

    #[test]
    fn folders_go_from_the_group_up_to_the_mount() {
        let folders = |group, root| {
            let folders = folders(group, &Mount { group: root, point: "/c" });
            folders.into_iter().map(|it| it.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(folders("/a/b", "/"), "/c/a/b /c/a /c/");
        assert_eq!(folders("/", "/"), "/c/");
        // In a container without a namespace of its own, its group is mounted at the root.
        assert_eq!(folders("/docker/1/b", "/docker/1"), "/c/b /c/");
        assert_eq!(folders("/docker/1", "/docker/1"), "/c/");
        assert_eq!(folders("/../other", "/"), "/c/");
    }

    #[test]
    fn a_limit_is_a_number() {
        assert_eq!(limit("268435456\n"), Some(268_435_456));
        assert_eq!(limit("0\n"), Some(0));
        for none in ["max\n", "", "-1\n", "lots"] {
            assert_eq!(limit(none), None, "{none}");
        }
    }

    /// A root with these files.
    fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        root
    }

    const CGROUP: (&str, &str) = ("proc/self/cgroup", "0::/a/b\n");
    const MOUNTINFO: (&str, &str) = ("proc/self/mountinfo", MOUNTS);

    #[test]
    fn the_smallest_of_all_counts() {
        let max = ("sys/fs/cgroup/unified/a/b/memory.max", "300\n");
        let high = ("sys/fs/cgroup/unified/a/b/memory.high", "200\n");
        let above = ("sys/fs/cgroup/unified/a/memory.max", "100\n");
        let (none, beside) =
            (("sys/fs/cgroup/unified/a/memory.high", "max\n"), ("sys/fs/cgroup/unified/a/c/memory.max", "1\n"));
        let smallest = |files: &[(&str, &str)]| {
            let root = root(files);
            super::smallest(root.path()).unwrap().map(|(bytes, file)| (bytes, file.to_string_lossy().into_owned()))
        };
        let is = |bytes, file: &str| Some((bytes, format!("/sys/fs/cgroup/unified/{file}")));
        assert_eq!(smallest(&[CGROUP, MOUNTINFO, max, none, beside]), is(300, "a/b/memory.max"));
        assert_eq!(smallest(&[CGROUP, MOUNTINFO, max, high]), is(200, "a/b/memory.high"));
        assert_eq!(smallest(&[CGROUP, MOUNTINFO, max, high, above]), is(100, "a/memory.max"));
        assert_eq!(smallest(&[CGROUP, MOUNTINFO, none]), None);
        assert_eq!(smallest(&[CGROUP]), None);
        assert_eq!(smallest(&[max]), None);
        assert_eq!(smallest(&[("proc/self/cgroup", "4:memory:/a/b\n"), MOUNTINFO, max]), None);
    }

    #[test]
    fn this_machine_can_be_asked() {
        super::smallest(Path::new("/")).unwrap();
    }
}
