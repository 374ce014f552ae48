//! The cache and exports that the older program wrote: the same drivers, results, combinations and counts.

use std::path::{Path, PathBuf};
use std::process::Command;

use r3e_common::domain::{Catalog, Ordinal};
use r3e_tests::harness::{Index, Loader, index_of, json_file};
use serde_json::Value;

/// The folder of shared trials, where there is one.
fn shared() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let there = folder.join("golden/reference-cache.tar.xz").exists();
    if !there {
        eprintln!("skipped: no {}", folder.display());
    }
    there.then_some(folder)
}

fn unpacked(into: &Path) -> Option<PathBuf> {
    let archive = shared()?.join("golden/reference-cache.tar.xz");
    assert!(Command::new("tar").arg("-xJf").arg(archive).arg("-C").arg(into).status().unwrap().success());
    Some(into.join("cache"))
}

/// Results in an order of their own, so that only their content is compared.
fn sorted(results: &[Value]) -> Vec<String> {
    let mut texts: Vec<String> = results.iter().map(ToString::to_string).collect();
    texts.sort();
    texts
}

#[test]
fn the_reference_cache_gives_what_the_older_program_exported() {
    let folder = tempfile::tempdir().unwrap();
    let Some(cache) = unpacked(folder.path()) else { return };
    let (old, old_top, old_status) =
        (index_of(&cache), json_file(&cache.join("top_combinations.json")), json_file(&cache.join("status.json")));

    let loader = Loader::new(folder.path()).arg("--cached-only");
    let run = loader.run().ended(0);
    assert_eq!((run.number("/boards/cached"), run.number("/requests/sent")), (14_703, 0));
    let new = index_of(&cache);

    // Under full Unicode rules İ becomes i with a dot above; the older program left the dot out.
    let renamed = |key: &str| key.contains('\u{307}');
    let plain = |key: &str| key.replace('\u{307}', "");
    assert_eq!(new.keys().filter(|key| renamed(key)).count(), 26);
    let by_old_key: Index = new.iter().map(|(key, results)| (plain(key), results.clone())).collect();
    assert_eq!(by_old_key.keys().collect::<Vec<_>>(), old.keys().collect::<Vec<_>>());
    for (key, results) in &old {
        assert_eq!(sorted(&by_old_key[key]), sorted(results), "{key}");
    }
    for (key, results) in &new {
        assert!(results.iter().all(|it| it["name"].as_str().unwrap().to_lowercase() == *key), "{key}");
        assert_eq!(renamed(key), results.iter().any(|it| it["name"].as_str().unwrap().contains('İ')), "{key}");
    }

    let top = json_file(&cache.join("top_combinations.json"));
    let rows = |top: &Value| sorted(top["results"].as_array().unwrap());
    assert_eq!((rows(&top), &top["count"]), (rows(&old_top), &old_top["count"]));
    let status = json_file(&cache.join("status.json"));
    for key in ["track_count", "total_fetched_combinations", "total_unique_tracks", "total_drivers", "total_entries"] {
        assert_eq!(status[key], old_status[key], "{key}");
    }
    for key in old_status.as_object().unwrap().keys() {
        assert!(status.get(key).is_some(), "{key}");
    }
    assert_eq!(status["last_scrape_start"], old_status["last_scrape_start"], "nothing was fetched");
}

#[test]
fn its_order_is_that_of_the_contract_and_does_not_depend_on_threads() {
    let folder = tempfile::tempdir().unwrap();
    let Some(cache) = unpacked(folder.path()) else { return };
    let loader = Loader::new(folder.path()).arg("--cached-only").set("index.plain", "true");
    let _done = loader.run().ended(0);
    let bytes = |name: &str| std::fs::read(cache.join(name)).unwrap();
    let (gzip, text) = (bytes("driver_index.json.gz"), bytes("driver_index.json"));

    let catalog = Catalog::builtin();
    let place = |it: &Value| -> (Option<Ordinal>, u64) {
        let board = format!("{}-{}", it["track_id"].as_str().unwrap(), it["class_id"].as_str().unwrap());
        (catalog.ordinal(board.parse().unwrap()), it["position"].as_u64().unwrap())
    };
    for (key, results) in index_of(&cache) {
        assert!(results.is_sorted_by_key(place), "{key}");
    }
    let mut in_string = false;
    let keys_in_order = serde_json::from_slice::<serde_json::Map<String, Value>>(&text).unwrap();
    assert!(keys_in_order.keys().is_sorted());
    for pair in text.windows(2) {
        in_string ^= pair[1] == b'"' && pair[0] != b'\\';
        assert!(in_string || !pair[1].is_ascii_whitespace());
    }
    let top = json_file(&cache.join("top_combinations.json"));
    let largest_first = |it: &Value| {
        let board = format!("{}-{}", it["track_id"].as_str().unwrap(), it["class_id"].as_str().unwrap());
        (std::cmp::Reverse(it["entry_count"].as_u64().unwrap()), catalog.ordinal(board.parse().unwrap()))
    };
    assert!(top["results"].as_array().unwrap().is_sorted_by_key(largest_first));

    std::fs::remove_file(cache.join("driver_index.json.gz")).unwrap();
    let mut on_one_core = std::process::Command::new("taskset");
    let command = loader.command();
    on_one_core.args(["-c", "0"]).arg(command.get_program()).args(command.get_args()).current_dir(folder.path());
    assert!(on_one_core.env_clear().output().unwrap().status.success());
    assert!(bytes("driver_index.json.gz") == gzip, "other bytes on one core");
}
