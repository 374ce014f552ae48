use super::*;
use proptest::prelude::*;

fn found(paths: &[&str]) -> Vec<Found> {
    paths.iter().map(|it| Found { path: (*it).to_owned(), bytes: 1, written: Timestamp::UNIX_EPOCH }).collect()
}

fn merged(month: &str, first: u64, last: u64) -> LiveFile {
    LiveFile { path: merged_path(month, first, last, 7), bytes: 1, first, last }
}

fn live(files: &Files) -> Vec<&str> {
    files.live.iter().map(|it| it.path.as_str()).collect()
}

#[test]
fn a_compaction_counts_instead_of_its_recordings() {
    let compaction = Compaction { files: vec![merged("2026-10", 1, 2)], made_ms: 0 };
    let all = found(&[
        "compactions/00000001.json",
        "compactions/00000002.json",
        "month=2026-10/00000001-00000002-7.parquet",
        "month=2026-10/00000001-00000001-6.parquet",
        "night=2026-10-30/00000001.parquet",
        "night=2026-10-31/00000002.parquet",
        "night=2026-10-31/00000003.parquet",
        "night=2026-11-01/00000004.parquet",
        ".staging/1-2.parquet",
        "numbers/00000002",
        "numbers/00000003",
        "notes.txt",
    ]);
    let files = Files::of(2, compaction, all);
    assert_eq!(
        live(&files),
        [
            "month=2026-10/00000001-00000002-7.parquet",
            "night=2026-10-31/00000003.parquet",
            "night=2026-11-01/00000004.parquet"
        ]
    );
    assert_eq!((files.last(), files.recordings().len(), files.missing()), (4, 2, None));
    let replaced = [
        "compactions/00000001.json",
        "night=2026-10-30/00000001.parquet",
        "night=2026-10-31/00000002.parquet",
        "numbers/00000002",
    ];
    assert_eq!(files.replaced, replaced);
    let unlisted: Vec<&str> = files.unlisted.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(unlisted, [".staging/1-2.parquet", "month=2026-10/00000001-00000001-6.parquet"]);
}

#[test]
fn what_is_missing_is_named() {
    let files = |paths: &[&str]| Files::of(0, Compaction::default(), found(paths)).missing();
    assert_eq!(files(&["night=2026-10-31/00000002.parquet"]), Some("recordings 1 to 1".to_owned()));
    let lost = Files::of(1, Compaction { files: vec![merged("2026-10", 1, 2)], made_ms: 0 }, Vec::new());
    assert_eq!(lost.missing(), Some("month=2026-10/00000001-00000002-7.parquet".to_owned()));
}

proptest! {
    #[test]
    fn each_recording_counts_once_whatever_was_merged(numbers in 1..60u64, merged_up_to in 0..60u64, removed in any::<u64>()) {
        let merged_up_to = merged_up_to.min(numbers);
        let compaction = Compaction {
            files: (merged_up_to > 0).then(|| merged("2026-10", 1, merged_up_to)).into_iter().collect(),
            made_ms: 0,
        };
        // Merged recordings are removed one by one.
        let paths: Vec<String> = (1..=numbers)
            .filter(|it| *it > merged_up_to || removed >> (it % 64) & 1 == 0)
            .map(|it| recording_path("2026-10-05", it))
            .collect();
        let files = Files::of(1, compaction, found(&paths.iter().map(String::as_str).collect::<Vec<_>>()));
        let counted: Vec<u64> = files.live.iter().flat_map(|it| it.first..=it.last).collect();
        prop_assert_eq!(counted, (1..=numbers).collect::<Vec<_>>());
    }
}
