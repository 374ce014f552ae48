//! The memory limits of this process's control group and of those above it, and how much of each is in use. Both versions
//! of control groups are read, and hybrid set-ups of the two: `cgroups(7)`, and the kernel's `cgroup-v1/memory.rst` and
//! `cgroup-v2.rst`.
//!
//! Version 2 limits by `memory.max` (above it the kernel kills) and `memory.high` (above it the kernel slows down), version 1
//! by `memory.limit_in_bytes`.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use super::usage::{Limit, Origin};
use crate::runtime::fs::{self, FsError};

/// A limit of version 1 this large is none: it is the largest number of bytes in whole pages, and pages have up to 64 KiB.
const UNLIMITED: u64 = 0x7fff_ffff_ffff_0000;

/// The most bytes of one of the kernel's files.
const MAX_BYTES: u64 = 1 << 20;

/// How a version of control groups names things.
#[derive(Debug)]
struct Version {
    /// The file system's type in `mountinfo`.
    filesystem: &'static str,
    /// The controller, as `/proc/self/cgroup` and the mount's options name it. Version 2 names none.
    controller: &'static str,
    /// The files that limit a group.
    limits: &'static [&'static str],
    /// The file with the bytes in use, page cache included.
    usage: &'static str,
    /// What of it the kernel takes back when it needs it: lines of `memory.stat`.
    reclaimable: &'static [&'static str],
    /// The file with the bytes in use by the kernel for the group, where `memory.stat` does not tell which of them it can take
    /// back: nearly all are, for they are the entries of directories and the inodes of files that were read.
    kernel: Option<&'static str>,
}

const VERSIONS: [Version; 2] = [
    Version {
        filesystem: "cgroup2",
        controller: "",
        limits: &["memory.max", "memory.high"],
        usage: "memory.current",
        reclaimable: &["active_file", "inactive_file", "slab_reclaimable"],
        kernel: None,
    },
    Version {
        filesystem: "cgroup",
        controller: "memory",
        limits: &["memory.limit_in_bytes"],
        usage: "memory.usage_in_bytes",
        reclaimable: &["total_active_file", "total_inactive_file"],
        kernel: Some("memory.kmem.usage_in_bytes"),
    },
];

/// A group that has a limit: the one of this process, or one above it.
#[derive(Debug, Clone)]
pub(super) struct Group {
    /// The smallest of its limits.
    pub(super) limit: Limit,
    /// Where its files are.
    folder: PathBuf,
    version: &'static Version,
}

impl Group {
    /// The bytes that processes of the group hold between them and the kernel cannot take back: its working set. None are
    /// where the group has gone.
    ///
    /// # Errors
    /// When the kernel's files are there and cannot be read.
    pub(super) fn used_bytes(&self) -> Result<u64, FsError> {
        let Version { usage, reclaimable, kernel, .. } = self.version;
        let number = |name| Ok(read(&self.folder.join(name))?.as_deref().and_then(number).unwrap_or(0));
        let usage: u64 = number(*usage)?;
        let stat = read(&self.folder.join("memory.stat"))?.unwrap_or_default();
        let stat: BTreeMap<&str, &str> = stat.lines().filter_map(|line| line.split_once(' ')).collect();
        let reclaimable: u64 = reclaimable.iter().filter_map(|name| self::number(stat.get(name)?)).sum();
        let kernel = kernel.map_or(Ok(0), number)?;
        Ok(usage.saturating_sub(reclaimable).saturating_sub(kernel))
    }
}

/// The group of this process and those above it, as far as they are seen from here and have a limit. The kernel's files are
/// looked for below `root`.
///
/// # Errors
/// When the kernel's files are there and cannot be read.
pub(super) fn limited(root: &Path) -> Result<Vec<Group>, FsError> {
    let Some(own) = read(&root.join("proc/self/cgroup"))? else { return Ok(Vec::new()) };
    let Some(mounts) = read(&root.join("proc/self/mountinfo"))? else { return Ok(Vec::new()) };
    let mut groups = Vec::new();
    for version in &VERSIONS {
        let Some(own) = own_group(&own, version) else { continue };
        let Some(mount) = mount(&mounts, own, version) else { continue };
        for folder in folders(own, &mount) {
            let below_root = root.join(folder.strip_prefix("/").unwrap_or(&folder));
            let mut smallest = None;
            for name in version.limits {
                let bytes = read(&below_root.join(name))?.as_deref().and_then(limit);
                smallest = smallest.into_iter().chain(bytes.map(|bytes| (bytes, folder.join(name)))).min();
            }
            groups.extend(smallest.map(|(bytes, file)| Group {
                limit: Limit { bytes, origin: Origin::ControlGroup(file) },
                folder: below_root,
                version,
            }));
        }
    }
    Ok(groups)
}

/// A file of the kernel's; none where it has no such file.
fn read(path: &Path) -> Result<Option<String>, FsError> {
    let mut bytes = Vec::new();
    let there = fs::read_into(path, &mut bytes, MAX_BYTES)?;
    Ok(there.map(|_| String::from_utf8_lossy(&bytes).into_owned()))
}

/// The group of this process, by `/proc/self/cgroup`: `hierarchy:controller,…:/group`. Version 2 is hierarchy 0.
fn own_group<'a>(text: &'a str, version: &Version) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (hierarchy, rest) = line.split_once(':')?;
        let (controllers, group) = rest.split_once(':')?;
        let is_first = (hierarchy == "0") == version.controller.is_empty();
        (is_first && controllers.split(',').any(|it| it == version.controller)).then_some(group)
    })
}

/// Where groups are mounted.
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    /// The group that is seen at the mount point.
    group: String,
    point: String,
}

/// The mount in which the group is seen, by `/proc/self/mountinfo`: `id parent device root point options… - type source options`.
/// Where it is seen in none, the first mount there is: a group above it may be seen there.
fn mount(text: &str, own: &str, version: &Version) -> Option<Mount> {
    let mounts = text.lines().filter_map(|line| {
        let (mount, kind) = line.split_once(" - ")?;
        let mut kind = kind.split(' ');
        let (filesystem, options) = (kind.next()?, kind.nth(1).unwrap_or_default());
        let has_controller = version.controller.is_empty() || options.split(',').any(|it| it == version.controller);
        let mut fields = mount.split(' ').skip(3);
        let (group, point) = (unescaped(fields.next()?), unescaped(fields.next()?));
        (filesystem == version.filesystem && has_controller).then_some(Mount { group, point })
    });
    let mut mounts: Vec<Mount> = mounts.collect();
    let sees_own = mounts.iter().position(|it| Path::new(own).starts_with(&it.group));
    (!mounts.is_empty()).then(|| mounts.swap_remove(sees_own.unwrap_or(0)))
}

/// A path of `mountinfo`, where a space is `\040`, for example.
fn unescaped(path: &str) -> String {
    let mut parts = path.split('\\');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let escaped = part.split_at_checked(3).and_then(|(code, rest)| Some((u8::from_str_radix(code, 8).ok()?, rest)));
        match escaped {
            Some((character, rest)) => text.extend([&char::from(character).to_string(), rest]),
            None => text.extend(["\\", part]),
        }
    }
    text
}

/// The folders of the group and of all above it, as far as they are mounted here.
fn folders(group: &str, mount: &Mount) -> Vec<PathBuf> {
    let below = Path::new(group).strip_prefix(&mount.group).unwrap_or(Path::new(group));
    let names: Vec<Component<'_>> = below.components().filter(|it| *it != Component::RootDir).collect();
    // A group beside the one that is mounted is not seen: what is mounted is all there is to see.
    let seen = if names.iter().all(|it| matches!(it, Component::Normal(_))) { names.len() } else { 0 };
    (0..=seen).rev().map(|depth| Path::new(&mount.point).join(names[..depth].iter().collect::<PathBuf>())).collect()
}

/// A number of bytes.
fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// What a file limits to: a number of bytes; `max` and what is as good as infinite are none.
fn limit(text: &str) -> Option<u64> {
    number(text).filter(|bytes| *bytes < UNLIMITED)
}

#[cfg(test)]
mod tests;
