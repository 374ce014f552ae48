//! Enforces the structure described in ARCHITECTURE.md: dependencies between the rooms of `common` point down, and no two
//! files of a program depend on each other.
//!
//! Works on the text of the sources: a path `crate::…` or `super::…` in a file is a dependency on the file that defines
//! that module. A module file that only re-exports its children does not count as a cycle; tests are ignored.
#![expect(clippy::unwrap_used, reason = "all of this file is tests")]
#![expect(clippy::disallowed_methods, reason = "reads the sources")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms that each room may use, besides itself.
const ROOMS: [(&str, &[&str]); 6] = [
    ("runtime", &[]),
    ("domain", &["runtime"]),
    ("store", &["domain", "runtime"]),
    ("upstream", &["domain", "runtime"]),
    ("index", &["store", "domain", "runtime"]),
    ("job", &["index", "upstream", "store", "domain", "runtime"]),
];

/// Each module (e.g. `store::staging`), with the modules that it names.
type Arrows = BTreeMap<String, BTreeSet<String>>;

fn source_of(package: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(package).join("src")
}

/// The text of every module of a package that is not a test, without its unit tests.
fn modules(package: &str) -> BTreeMap<String, String> {
    fn walk(folder: &Path, prefix: &str, modules: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let stem = path.file_stem().unwrap().to_str().unwrap();
            let name = format!("{prefix}{stem}");
            if path.is_dir() {
                walk(&path, &format!("{name}::"), modules);
            } else if path.extension().is_some_and(|it| it == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let code: Vec<&str> = text
                    .split("#[cfg(test)]\nmod tests {")
                    .next()
                    .unwrap()
                    .lines()
                    .filter(|it| !is_comment(it))
                    .collect();
                modules.insert(name, code.join("\n"));
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(&source_of(package), "", &mut found);
    let is_test =
        |it: &str| ["test", "tests", "fuzzing"].contains(&it) || it.starts_with("test_") || it.ends_with("_tests");
    found.retain(|name, _| !name.split("::").any(is_test));
    found
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with("//")
}

/// The paths that a text names, with braces resolved: `crate::a::{b, c::d}` is `crate::a::b` and `crate::a::c::d`.
fn named(text: &str, start: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices(start) {
        let before = text[..at].chars().next_back();
        if before.is_some_and(|it| it.is_alphanumeric() || it == '_' || it == ':') {
            continue;
        }
        let mut rest = &text[at..];
        expand(&mut rest, "", &mut found);
    }
    found
}

/// Reads one path, or the list of a brace, from the beginning of `rest`.
fn expand(rest: &mut &str, prefix: &str, found: &mut Vec<String>) {
    let end = rest.find(|it: char| !(it.is_alphanumeric() || it == '_' || it == ':')).unwrap_or(rest.len());
    let path = format!("{prefix}{}", &rest[..end]);
    *rest = &rest[end..];
    if !rest.starts_with('{') || !path.ends_with("::") {
        found.push(path);
        return;
    }
    *rest = &rest[1..];
    loop {
        *rest = rest.trim_start_matches([',', ' ', '\n', '*']);
        if rest.is_empty() || rest.starts_with('}') {
            *rest = rest.strip_prefix('}').unwrap_or_default();
            return;
        }
        let length = rest.len();
        expand(rest, &path, found);
        if rest.len() == length {
            *rest = &rest[rest.chars().next().map_or(0, char::len_utf8)..];
        }
    }
}

/// The arrows of a package.
fn arrows(package: &str) -> Arrows {
    let modules = modules(package);
    let target = |path: &[&str]| {
        let whole = (1..=path.len()).rev().map(|length| path[..length].join("::"));
        whole.into_iter().find(|it| modules.contains_key(it))
    };
    let mut arrows = Arrows::new();
    for (name, text) in &modules {
        let own: Vec<&str> = name.split("::").collect();
        let of_crate = named(text, "crate::").into_iter().map(|it| it.split("::").skip(1).map(String::from).collect());
        let of_super = named(text, "super::").into_iter().map(|it| {
            let ups = it.split("::").take_while(|it| *it == "super").count();
            let base = own[..own.len().saturating_sub(ups)].iter().map(ToString::to_string);
            base.chain(it.split("::").skip(ups).map(String::from)).collect::<Vec<String>>()
        });
        let named: Vec<Vec<String>> = of_crate.chain(of_super).collect();
        for path in named {
            let path: Vec<&str> = path.iter().map(String::as_str).filter(|it| !it.is_empty()).collect();
            // A module that is named by one of its own children gives them what another child defines.
            if let Some(target) = target(&path).filter(|it| it != name && !name.starts_with(&format!("{it}::"))) {
                arrows.entry(name.clone()).or_default().insert(target);
            }
        }
    }
    arrows
}

/// Whether there is a way from one module to another.
fn reaches(arrows: &Arrows, from: &str, to: &str, seen: &mut BTreeSet<String>) -> bool {
    let Some(next) = arrows.get(from) else { return false };
    next.iter().any(|it| it == to || seen.insert(it.clone()) && reaches(arrows, it, to, seen))
}

#[test]
fn arrows_between_the_rooms_point_down() {
    let room = |module: &str| module.split("::").next().unwrap().to_owned();
    let mut wrong = Vec::new();
    let all = arrows("common");
    for (from, targets) in &all {
        let Some((_, below)) = ROOMS.iter().find(|(name, _)| *name == room(from)) else {
            assert_eq!(from, "lib", "a module in no room");
            continue;
        };
        for to in targets.iter().filter(|to| room(to) != room(from) && !below.contains(&room(to).as_str())) {
            wrong.push(format!("{from} -> {to}"));
        }
    }
    assert!(wrong.is_empty(), "arrows that point up or aside: {wrong:#?}");
    for (name, _) in ROOMS {
        assert!(all.keys().any(|from| room(from) == name), "nothing was read of {name}");
    }
}

#[test]
fn no_two_files_need_each_other() {
    for package in ["common", "loader", "refresher", "scheduler", "monitor"] {
        let arrows = arrows(package);
        assert!(!arrows.is_empty(), "nothing was read of {package}");
        let circles: Vec<&String> = arrows.keys().filter(|it| reaches(&arrows, it, it, &mut BTreeSet::new())).collect();
        assert!(circles.is_empty(), "files of {package} that need each other: {circles:#?}");
    }
}
