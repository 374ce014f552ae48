//! Kernel files of different machines, and the limits that are found in them.

use super::*;

const V2: &Version = &VERSIONS[0];
const V1: &Version = &VERSIONS[1];

/// systemd with version 2 only, as Debian 12 has it.
const UNIFIED: &str = "\
22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
24 22 0:22 / /proc rw,nosuid - proc proc rw
28 25 0:25 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot
";

/// systemd in its hybrid mode, as Debian 10 has it: version 2 without controllers beside version 1.
const HYBRID: &str = "\
25 22 0:23 / /sys/fs/cgroup ro,nosuid,nodev,noexec shared:8 - tmpfs tmpfs ro,mode=755
26 25 0:24 / /sys/fs/cgroup/unified rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw
27 25 0:25 / /sys/fs/cgroup/systemd rw,nosuid,nodev,noexec,relatime shared:10 - cgroup cgroup rw,xattr,name=systemd
34 25 0:32 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid,nodev,noexec,relatime shared:17 - cgroup cgroup rw,cpu,cpuacct
35 25 0:33 / /sys/fs/cgroup/memory rw,nosuid,nodev,noexec,relatime shared:18 - cgroup cgroup rw,memory
";
const HYBRID_GROUPS: &str = "\
9:memory:/user.slice/user-1000.slice/session-3.scope
4:cpu,cpuacct:/user.slice
1:name=systemd:/user.slice/user-1000.slice/session-3.scope
0::/user.slice/user-1000.slice/session-3.scope
";

/// A container of Docker on version 1, without a namespace of control groups: its own group is mounted.
const DOCKER_1: &str = "\
1061 1055 0:113 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime - tmpfs tmpfs rw,mode=755
1068 1061 0:33 /docker/6e5b /sys/fs/cgroup/memory ro,nosuid,nodev,noexec,relatime master:18 - cgroup cgroup rw,memory
";

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

/// The limits found with these contents of `/proc/self/cgroup` and `/proc/self/mountinfo`, and these files in `/sys/fs/cgroup`.
fn found(groups: &str, mounts: &str, files: &[(&str, &str)]) -> Vec<String> {
    let root = root(&[("proc/self/cgroup", groups), ("proc/self/mountinfo", mounts)]);
    for (path, text) in files {
        let path = root.path().join("sys/fs/cgroup").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, format!("{text}\n")).unwrap();
    }
    let groups = limited_groups(root.path()).unwrap();
    groups.iter().map(|group| group.limit.to_string().replace("/sys/fs/cgroup/", "")).collect()
}

#[test]
fn limits_on_common_systems() {
    const NONE: &str = "9223372036854771712";
    let check = |what: &str, groups, mounts, files: &[(&str, &str)], expected: &[&str]| {
        assert_eq!(found(groups, mounts, files), expected, "{what}");
    };
    let together = HYBRID.replace("rw,memory", "rw,cpu,memory");
    let service = "0::/system.slice/r3e-scheduler.service\n";
    check(
        "a service of systemd: the smaller of two limits, and that of its slice",
        service,
        UNIFIED,
        &[
            ("system.slice/r3e-scheduler.service/memory.max", "67108864"),
            ("system.slice/r3e-scheduler.service/memory.high", "50331648"),
            ("system.slice/memory.max", "1073741824"),
            ("system.slice/memory.high", "max"),
            ("system.slice/other.service/memory.max", "1"),
        ],
        &[
            "system.slice/r3e-scheduler.service/memory.high = 50331648 (48 MB)",
            "system.slice/memory.max = 1073741824 (1024 MB)",
        ],
    );
    check(
        "a user's session: only the slice of all users has a limit",
        "0::/user.slice/user-1000.slice/session-3.scope\n",
        UNIFIED,
        &[
            ("user.slice/user-1000.slice/session-3.scope/memory.max", "max"),
            ("user.slice/user-1000.slice/memory.max", "max"),
            ("user.slice/memory.max", "536870912"),
        ],
        &["user.slice/memory.max = 536870912 (512 MB)"],
    );
    check(
        "a container on version 2: its group is the root of a namespace",
        "0::/\n",
        "612 600 0:29 / /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 cgroup rw,nsdelegate\n",
        &[("memory.max", "67108864"), ("memory.high", "max")],
        &["memory.max = 67108864 (64 MB)"],
    );
    check(
        "a shell moved into a container's namespace: only the mount is visible",
        "0::/../../system.slice/ssh.service\n",
        "612 600 0:29 / /sys/fs/cgroup ro - cgroup2 cgroup rw\n",
        &[("memory.max", "67108864")],
        &["memory.max = 67108864 (64 MB)"],
    );
    check(
        "hybrid: the controller is version 1's",
        HYBRID_GROUPS,
        HYBRID,
        &[
            ("memory/user.slice/user-1000.slice/session-3.scope/memory.limit_in_bytes", NONE),
            ("memory/user.slice/user-1000.slice/memory.limit_in_bytes", "268435456"),
            ("memory/user.slice/memory.limit_in_bytes", NONE),
            ("memory/memory.limit_in_bytes", NONE),
        ],
        &["memory/user.slice/user-1000.slice/memory.limit_in_bytes = 268435456 (256 MB)"],
    );
    check(
        "Docker on version 1",
        "9:memory:/docker/6e5b\n1:name=systemd:/docker/6e5b\n0::/system.slice/containerd.service\n",
        DOCKER_1,
        &[("memory/memory.limit_in_bytes", "67108864")],
        &["memory/memory.limit_in_bytes = 67108864 (64 MB)"],
    );
    check(
        "Kubernetes on version 1, seen from the node: container, pod and class of service",
        "11:cpu,memory:/kubepods/burstable/pod7f/9c\n",
        &together,
        &[
            ("memory/kubepods/burstable/pod7f/9c/memory.limit_in_bytes", "100663296"),
            ("memory/kubepods/burstable/pod7f/memory.limit_in_bytes", "134217728"),
            ("memory/kubepods/burstable/memory.limit_in_bytes", NONE),
        ],
        &[
            "memory/kubepods/burstable/pod7f/9c/memory.limit_in_bytes = 100663296 (96 MB)",
            "memory/kubepods/burstable/pod7f/memory.limit_in_bytes = 134217728 (128 MB)",
        ],
    );
    check(
        "Kubernetes on version 2 with a namespace",
        "0::/\n",
        "612 600 0:29 / /sys/fs/cgroup ro - cgroup2 cgroup rw\n",
        &[("memory.max", "100663296")],
        &["memory.max = 100663296 (96 MB)"],
    );
    check(
        "pages of 64 KiB: without a limit",
        "9:memory:/\n",
        HYBRID,
        &[("memory/memory.limit_in_bytes", "9223372036854710272")],
        &[],
    );
    let files = [("system.slice/r3e-scheduler.service/memory.max", "1")];
    check("no mount", service, "", &files, &[]);
    check("version 2 only, and a process of version 1", "4:memory:/a\n", UNIFIED, &files, &[]);
    check("garbage", "garbage\n:::\n0:\n", "a b c\n - cgroup2\n1 2 - cgroup2 x\n", &files, &[]);
}

#[test]
fn without_the_kernels_files_there_is_no_limit() {
    assert!(limited_groups(root(&[]).path()).unwrap().is_empty());
    assert!(limited_groups(root(&[("proc/self/cgroup", "0::/\n")]).path()).unwrap().is_empty());
}

#[test]
fn the_own_group_is_on_the_line_of_the_version() {
    let groups = "9:memory:/old\n0::/user.slice/a:b.scope\n2:cpuset,memory:/other\n";
    assert_eq!(own_group(groups, V2), Some("/user.slice/a:b.scope"));
    assert_eq!(own_group(groups, V1), Some("/old"));
    assert_eq!(own_group("3:memory_x:/old\n1:name=memory:/x\n", V1), None);
    assert_eq!(own_group("4:memory:/old\n", V2), None);
}

#[test]
fn the_mount_that_shows_the_group_is_chosen() {
    let mounts = "\
30 1 0:28 /docker/x /mnt/x rw - cgroup2 cgroup2 rw
31 1 0:28 / /mnt/c\\040d\\134 rw - cgroup2 none\\040such rw
";
    let at = |own| mount(mounts, own, V2).unwrap().point;
    assert_eq!(at("/docker/x/y"), "/mnt/x");
    assert_eq!(at("/docker/xy"), "/mnt/c d\\");
    assert_eq!(mount(&mounts.replace("cgroup2", "cgroup"), "/", V2), None);
    assert_eq!(unescaped("a\\040\\x\\0é\\"), "a \\x\\0é\\");
}

#[test]
fn folders_go_from_the_group_up_to_the_mount() {
    let folders = |own, group: &str| {
        let folders = folders(own, &Mount { group: group.to_owned(), point: "/c".to_owned() });
        folders.into_iter().map(|it| it.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(folders("/a/b", "/"), "/c/a/b /c/a /c/");
    assert_eq!(folders("/", "/"), "/c/");
    assert_eq!(folders("/docker/1/b", "/docker/1"), "/c/b /c/");
    assert_eq!(folders("/docker/1", "/docker/1"), "/c/");
    assert_eq!(folders("/../other", "/"), "/c/");
}

#[test]
fn a_huge_number_is_no_limit() {
    assert_eq!(limit("268435456\n"), Some(268_435_456));
    assert_eq!(limit("0\n"), Some(0));
    for none in ["max\n", "", "-1\n", "lots", "9223372036854771712\n", "18446744073709551615"] {
        assert_eq!(limit(none), None, "{none}");
    }
}

#[test]
fn usage_excludes_what_the_kernel_can_reclaim() {
    let used = |version, files: &[(&str, &str)]| {
        let root = root(files);
        let limit = Limit { bytes: 1 << 30, origin: Origin::ControlGroup(PathBuf::new()) };
        Group { limit, folder: root.path().to_owned(), version }.used_bytes().unwrap()
    };
    let stat = "anon 31457280\nfile 41943040\nkernel_stack 131072\nactive_file 10000000\ninactive_file 30000000\n\
                slab_reclaimable 5000000\nslab_unreclaimable 900000\nslab 5900000\nworkingset_refault_file 7\n";
    assert_eq!(used(V2, &[("memory.current", "80000000\n"), ("memory.stat", stat)]), 35_000_000);
    // In version 1 only the `total_` figures include the groups below.
    let stat = "cache 100\nrss 200\nactive_file 1\ninactive_file 2\ntotal_active_file 10000000\ntotal_inactive_file 30000000\n";
    let kernel = ("memory.kmem.usage_in_bytes", "6000000\n");
    assert_eq!(used(V1, &[("memory.usage_in_bytes", "80000000\n"), ("memory.stat", stat), kernel]), 34_000_000);
    assert_eq!(used(V1, &[("memory.usage_in_bytes", "80000000\n"), ("memory.stat", stat)]), 40_000_000);
    // The figures are read one after another, and the group may be gone.
    assert_eq!(used(V2, &[("memory.current", "1\n"), ("memory.stat", "active_file 2\n")]), 0);
    assert_eq!(used(V2, &[]), 0);
}

#[test]
fn the_groups_of_this_machine_can_be_read() {
    for group in limited_groups(Path::new("/")).unwrap() {
        assert!(group.used_bytes().unwrap() > 0, "{group:?}");
    }
}
