//! Where the file is found, and what happens when it cannot be read.

use super::*;

fn level(world: &World, arguments: &[&str]) -> String {
    world.load_with(arguments).unwrap().log.level.to_string()
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
fn a_named_file_that_is_missing_is_told_with_who_named_it() {
    let world = World::with_file("").variable("R3E_CONFIG", "gone.toml");
    insta::assert_snapshot!(world.mistakes(&[]), @r#"R3E_CONFIG: cannot read the file "gone.toml": No such file or directory (os error 2)"#);
    insta::assert_snapshot!(world.mistakes(&["--config", "lost.toml"]), @r#"--config: cannot read the file "lost.toml": No such file or directory (os error 2)"#);
    insta::assert_snapshot!(world.mistakes(&["--config="]), @r#"--config: cannot read the file "": the name is empty: expected the path of a file"#);
}

#[test]
fn a_file_that_is_there_but_cannot_be_read_is_an_error() {
    let world = World::new();
    std::os::unix::fs::symlink("nowhere", world.folder.path().join("r3e.toml")).unwrap();
    insta::assert_snapshot!(world.mistakes(&[]), @"./r3e.toml: cannot be read: No such file or directory (os error 2)");

    let world = World::new();
    std::fs::create_dir(world.folder.path().join("r3e.toml")).unwrap();
    insta::assert_snapshot!(world.mistakes(&[]), @"./r3e.toml: cannot be read: Is a directory (os error 21)");

    let world = World::with_file(" ".repeat((64 << 10) + 1));
    insta::assert_snapshot!(world.mistakes(&[]), @"./r3e.toml: cannot be read: larger than 65536 bytes");
}
