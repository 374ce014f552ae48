//! Wrong commands and flags: exit 2, and a message that names the thing.

use r3e_tests::harness::Place;

#[test]
fn an_invalid_command_line_exits_2() {
    let place = Place::new();
    let cases: [(&[&str], &[&str]); 11] = [
        (&[], &["Usage", "full", "incremental"]),
        (&["refresh"], &["refresh", "COMMAND"]),
        (&["full", "1693"], &["1693"]),
        (&["full", "--limit", "3"], &["--limit"]),
        (&["incremental", "--limit", "0"], &["--limit", "0"]),
        (&["incremental", "--limit", "many"], &["--limit", "many"]),
        (&["incremental", "--budget", "30"], &["--budget", "30"]),
        (&["incremental", "--track", "Spa"], &["--track", "Spa"]),
        (&["incremental", "--track", "77"], &["--track", "77"]),
        (&["full", "--wait", "soon"], &["--wait", "soon"]),
        (&["full", "--fresh", "--fresh"], &["--fresh"]),
    ];
    for (arguments, parts) in cases {
        let ended = place.refresher("http://127.0.0.1:9", &[]).arguments(arguments).run().with_code(2).naming(parts);
        assert_eq!(ended.stdout, "");
    }
    assert!(!place.cache().exists(), "nothing is made before it is known what is asked");
}

#[test]
fn flags_are_understood_before_and_behind_the_command() {
    let place = Place::new();
    for arguments in
        [&["--print-config", "--concurrency", "7", "full"][..], &["full", "--concurrency", "7", "--print-config"]]
    {
        let ended = place.refresher("http://127.0.0.1:9", arguments).run().with_code(0);
        assert!(ended.stdout.contains("concurrency = 7"), "{}", ended.stdout);
    }
    let help = place.refresher("http://127.0.0.1:9", &["--help"]).run().with_code(0);
    assert!(help.stdout.contains("Examples:") && help.stdout.contains("Exit codes:"), "{}", help.stdout);
}
