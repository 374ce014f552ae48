//! Where the file is found, and what happens when it cannot be read.

use super::*;

fn level(world: &World, arguments: &[&str]) -> String {
    world.load_with(arguments).unwrap().config.log.level.to_string()
}

#[test]
fn the_file_is_the_first_that_is_named_or_found() {
    let text = |level: &str| format!("log.level = '{level}'");
    let world = World::new();
    assert_eq!(level(&world, &[]), "info");
    world.write("etc/r3e.toml", text("error"));
    assert_eq!(level(&world, &[]), "error");
    world.write("r3e.toml", text("warn"));
    assert_eq!(level(&world, &[]), "warn");
    world.write("by variable.toml", text("debug"));
    let world = world.variable("R3E_CONFIG", "by variable.toml");
    assert_eq!(level(&world, &[]), "debug");
    world.write("by/flag.toml", text("trace"));
    assert_eq!(level(&world, &["--config", "by/flag.toml"]), "trace");
}

#[test]
fn a_named_file_that_is_missing_is_an_error_of_the_flag_or_variable() {
    let world = World::with_file("").variable("R3E_CONFIG", "gone.toml");
    for (arguments, place, name) in [
        (&[][..], "R3E_CONFIG", "\"gone.toml\""),
        (&["--config", "lost.toml"], "--config", "\"lost.toml\""),
        (&["--config="], "--config", "\"\""),
    ] {
        let [error] = world.errors(arguments).try_into().unwrap();
        assert_eq!(error.place, place);
        assert!(error.problem.contains(name), "{error}");
    }
}

#[test]
fn a_file_that_exists_but_cannot_be_read_is_an_error() {
    let dangling = World::new();
    std::os::unix::fs::symlink("nowhere", dangling.folder.path().join("r3e.toml")).unwrap();
    let folder = World::new();
    std::fs::create_dir(folder.folder.path().join("r3e.toml")).unwrap();
    let large = World::with_file(" ".repeat((64 << 10) + 1));
    for world in [dangling, folder, large] {
        assert_eq!(world.wrong(&[]), ["./r3e.toml"]);
    }
}
