//! The memory limits of this process's control group and of those above it, and how much of each is in use. Reads both versions of
//! control groups, and hybrids: `cgroups(7)`, and the kernel's `cgroup-v1/memory.rst` and `cgroup-v2.rst`.
//!
//! Version 2 has `memory.max`, above which the kernel kills, and `memory.high`, above which it throttles. Version 1 has
//! `memory.limit_in_bytes`.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use super::usage::{Limit, Origin};
use crate::runtime::fs::{self, FsError};

/// Version 1 writes no limit as the largest number of bytes in whole pages. Pages have up to 64 KiB.
const UNLIMITED: u64 = 0x7fff_ffff_ffff_0000;

/// The maximum size of a file that is read here.
const MAX_BYTES: u64 = 1 << 20;

/// The names that a version of control groups uses.
#[derive(Debug)]
struct Version {
    /// The file system's type in `mountinfo`.
    filesystem: &'static str,
    /// The controller in `/proc/self/cgroup` and in the mount options; empty in version 2.
    controller: &'static str,
    /// The files with a group's limits.
    limits: &'static [&'static str],
    /// The file with the group's usage, page cache included.
    usage: &'static str,
    /// The parts of the usage that the kernel can reclaim: lines of `memory.stat`.
    reclaimable: &'static [&'static str],
    /// The file with kernel memory of the group, if `memory.stat` does not say how much of it is reclaimable. Nearly all is: it
    /// consists of cached directory entries and inodes.
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

/// A control group with a limit.
#[derive(Debug, Clone)]
pub(super) struct Group {
    /// The smallest of its limits.
    pub(super) limit: Limit,
    /// The folder of its files.
    folder: PathBuf,
    version: &'static Version,
}

impl Group {
    /// The working set of the group: what its processes use and the kernel cannot reclaim. 0 if the group is gone.
    ///
    /// # Errors
    /// If the kernel's files exist and cannot be read.
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

/// The visible groups with a limit among this process's group and those above it, from the kernel's files below `root`.
///
/// # Errors
/// If the kernel's files exist and cannot be read.
pub(super) fn limited_groups(root: &Path) -> Result<Vec<Group>, FsError> {
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

/// Reads a file; `None` if it does not exist.
fn read(path: &Path) -> Result<Option<String>, FsError> {
    let mut bytes = Vec::new();
    let found = fs::read_into(path, &mut bytes, MAX_BYTES)?;
    Ok(found.map(|_| String::from_utf8_lossy(&bytes).into_owned()))
}

/// The group of this process in `/proc/self/cgroup`: `hierarchy:controller,…:/group`. Version 2 is hierarchy 0.
fn own_group<'a>(text: &'a str, version: &Version) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (hierarchy, rest) = line.split_once(':')?;
        let (controllers, group) = rest.split_once(':')?;
        let is_version = (hierarchy == "0") == version.controller.is_empty();
        (is_version && controllers.split(',').any(|it| it == version.controller)).then_some(group)
    })
}

/// A mount of control groups.
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    /// The group at the mount point.
    group: String,
    point: String,
}

/// The mount that shows the group, from `/proc/self/mountinfo`: `id parent device root point options… - type source options`.
/// If none does, the first one, which may show a group above it.
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
    let shows_own = mounts.iter().position(|it| Path::new(own).starts_with(&it.group));
    (!mounts.is_empty()).then(|| mounts.swap_remove(shows_own.unwrap_or(0)))
}

/// Decodes a path of `mountinfo`, in which a space is `\040`, for example.
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

/// The mounted folders of the group and of all above it.
fn folders(group: &str, mount: &Mount) -> Vec<PathBuf> {
    let below = Path::new(group).strip_prefix(&mount.group).unwrap_or(Path::new(group));
    let names: Vec<Component<'_>> = below.components().filter(|it| *it != Component::RootDir).collect();
    // A group outside the mounted one is not visible; only the mounted one itself is.
    let visible = if names.iter().all(|it| matches!(it, Component::Normal(_))) { names.len() } else { 0 };
    (0..=visible).rev().map(|depth| Path::new(&mount.point).join(names[..depth].iter().collect::<PathBuf>())).collect()
}

fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// The limit in a file, in bytes; `None` for `max` and for a number that means no limit.
fn limit(text: &str) -> Option<u64> {
    number(text).filter(|bytes| *bytes < UNLIMITED)
}

#[cfg(test)]
mod tests;
