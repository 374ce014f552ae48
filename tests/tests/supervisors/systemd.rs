//! The systemd units, checked as far as possible without running them, and the consistency of their limits.

use std::fs;

use r3e_tests::harness::{Place, command, program};

use crate::place::shipped;

const SERVICES: [&str; 5] = [
    "r3e-scheduler.service",
    "r3e-monitor.service",
    "r3e-monitor-serve.service",
    "r3e-loader.service",
    "r3e-refresher.service",
];

/// The worst that `systemd-analyze security` may say of a unit, of 10.
const WORST: f64 = 2.0;

fn unit(name: &str) -> String {
    fs::read_to_string(shipped("systemd").join(name)).unwrap()
}

/// The values of a setting.
fn values(unit: &str, key: &str) -> Vec<String> {
    let given = unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    given.map(ToOwned::to_owned).collect()
}

#[track_caller]
fn value(unit: &str, key: &str) -> String {
    let [value] = values(unit, key).try_into().unwrap_or_else(|all| panic!("{key}: {all:?}"));
    value
}

/// All units in a folder, with the programs where they are here.
fn installed() -> Place {
    let place = Place::new();
    let programs = program("r3e-scheduler").with_file_name("r3e-");
    for name in SERVICES.into_iter().chain(["r3e-refresher.timer"]) {
        let text = unit(name).replace("/usr/bin/r3e-", &programs.to_string_lossy());
        fs::write(place.path(name), text).unwrap();
    }
    place
}

#[test]
fn systemd_finds_nothing_wrong_with_any_unit() {
    let Some(analyze) = r3e_needs::program("systemd-analyze") else { return };
    let place = installed();
    for name in SERVICES.into_iter().chain(["r3e-refresher.timer"]) {
        let path = place.path(name);
        let told = command(&analyze, &place.path("")).args(["verify", "--man=no"]).arg(path).output().unwrap();
        assert!(told.status.success(), "{name}: {told:?}");
        assert_eq!(String::from_utf8_lossy(&told.stderr), "", "{name}");
    }
    // It does tell: one that starts nothing that is there.
    let path = place.path(SERVICES[0]);
    fs::write(&path, unit(SERVICES[0]).replace("/usr/bin/r3e-", "/nowhere/r3e-")).unwrap();
    let told = command(&analyze, &place.path("")).args(["verify", "--man=no"]).arg(path).output().unwrap();
    assert!(String::from_utf8_lossy(&told.stderr).contains("/nowhere/r3e-scheduler"), "{told:?}");
}

#[test]
fn each_service_is_hardened() {
    let Some(analyze) = r3e_needs::program("systemd-analyze") else { return };
    let place = installed();
    for name in SERVICES {
        let security = ["security", "--offline=yes", "--no-pager", name];
        let told = command(&analyze, &place.path("")).args(security).output().unwrap();
        assert!(told.status.success(), "{name}: {told:?}");
        let text = String::from_utf8(told.stdout).unwrap();
        // → Overall exposure level for r3e-monitor.service: 0.7 SAFE
        let line = text.lines().find(|line| line.contains("Overall exposure level")).unwrap();
        let score: f64 = line.rsplit_once(": ").unwrap().1.split_whitespace().next().unwrap().parse().unwrap();
        assert!(score <= WORST, "{line}");
    }
}

#[test]
fn limits_and_times_go_together() {
    for name in SERVICES {
        let unit = unit(name);
        let megabytes = |key| value(&unit, key).strip_suffix('M').unwrap().parse::<u32>().unwrap();
        let environment = value(&unit, "Environment");
        let own: u32 = environment.strip_prefix("MEMORY_LIMIT_MB=").unwrap().parse().unwrap();
        let (high, most) = (megabytes("MemoryHigh"), megabytes("MemoryMax"));
        // The kernel slows a group down at the one and kills at the other: the program has to give way before.
        assert!(own + 16 <= high && high + 32 <= most, "{name}: {own} {high} {most}");
        let stop: u32 = value(&unit, "TimeoutStopSec").strip_suffix('s').unwrap().parse().unwrap();
        assert!(stop > 10 + 5, "{name}: runtime.stop_grace is 10s");
        for (key, shared) in [("RuntimeDirectory", "r3e"), ("RuntimeDirectoryPreserve", "yes"), ("User", "r3e")] {
            assert_eq!(value(&unit, key), shared, "{name}");
        }
        assert_eq!(values(&unit, "PrivateUsers"), Vec::<String>::new(), "{name}: who is seen in /proc");
        let prevented = value(&unit, "RestartPreventExitStatus");
        for code in ["2", "78"] {
            assert!(prevented.split(' ').any(|it| it == code), "{name}: {prevented}");
        }
        for code in ["69", "75"] {
            assert!(!prevented.split(' ').any(|it| it == code), "{name}: {prevented}");
        }
    }
}
