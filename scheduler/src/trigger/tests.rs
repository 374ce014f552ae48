//! Taking, finishing and refusing trigger files.

use super::*;

fn trigger() -> (tempfile::TempDir, Trigger, PathBuf) {
    let cache = tempfile::tempdir().unwrap();
    let (trigger, path) = (Trigger::new(cache.path()), cache.path().join(NAME));
    (cache, trigger, path)
}

/// The result of the second check.
fn settled(trigger: &mut Trigger) -> Found {
    assert_eq!(trigger.check().unwrap(), Found::Settling);
    trigger.check().unwrap()
}

#[test]
fn an_unchanged_file_is_taken() {
    let (_cache, mut trigger, path) = trigger();
    assert_eq!(trigger.check().unwrap(), Found::Nothing);
    std::fs::write(&path, "").unwrap();
    assert_eq!(trigger.check().unwrap(), Found::Settling);
    std::fs::write(&path, "1693").unwrap();
    assert_eq!(settled(&mut trigger), Found::Taken(Request::Boards));
    assert!(!path.exists());
    assert_eq!(std::fs::read_to_string(trigger.taken_path()).unwrap(), "1693");
    assert!(!trigger.finish().unwrap() && !trigger.taken_path().exists());
}

#[test]
fn white_space_requests_everything() {
    let (_cache, mut trigger, path) = trigger();
    for text in ["", "\n", " \t\r\n"] {
        std::fs::write(&path, text).unwrap();
        assert_eq!(settled(&mut trigger), Found::Taken(Request::All), "{text:?}");
        assert!(!trigger.finish().unwrap());
    }
}

#[test]
fn a_byte_order_mark_and_crlf_are_accepted() {
    let (_cache, mut trigger, path) = trigger();
    for (text, request) in
        [("\u{feff}", Request::All), ("\u{feff}\r\n", Request::All), ("\u{feff}1693\r\n5276-8600\r\n", Request::Boards)]
    {
        std::fs::write(&path, text).unwrap();
        assert_eq!(settled(&mut trigger), Found::Taken(request), "{text:?}");
        assert!(!trigger.finish().unwrap());
    }
    std::fs::write(&path, b"\xff\xfe1\x006\x009\x003\x00").unwrap();
    assert_eq!(settled(&mut trigger), Found::Nothing, "UTF-16 is refused");
    assert!(path.exists());
}

#[test]
fn nothing_written_during_a_job_is_lost() {
    use std::io::Write as _;
    let (_cache, mut trigger, path) = trigger();
    let mut slow = std::fs::File::create(&path).unwrap();
    slow.write_all(b"1693 ").unwrap();
    assert_eq!(settled(&mut trigger), Found::Taken(Request::Boards));
    std::fs::write(&path, "5276-8600").unwrap();
    slow.write_all(b"1778").unwrap();
    assert!(trigger.finish().unwrap());
    assert_eq!(settled(&mut trigger), Found::Taken(Request::Boards));
    assert!(!trigger.finish().unwrap());
    assert_eq!(settled(&mut trigger), Found::Taken(Request::Boards));
    assert_eq!(std::fs::read_to_string(trigger.taken_path()).unwrap(), "5276-8600");
}

#[test]
fn a_restarted_scheduler_finds_the_taken_file() {
    let (cache, mut trigger, path) = trigger();
    std::fs::write(&path, "1693").unwrap();
    assert_eq!(settled(&mut trigger), Found::Taken(Request::Boards));
    assert_eq!(settled(&mut Trigger::new(cache.path())), Found::Taken(Request::Boards));
}

#[test]
fn a_rewritten_taken_file_is_read_again() {
    let (_cache, mut trigger, path) = trigger();
    std::fs::write(&path, "5276-8600").unwrap();
    assert_eq!(settled(&mut trigger), Found::Taken(Request::Boards));
    std::fs::write(trigger.taken_path(), "1693").unwrap();
    assert!(trigger.finish().unwrap(), "it changed");
    assert_eq!(settled(&mut trigger), Found::Taken(Request::Boards));
    assert!(!trigger.finish().unwrap());
}

#[test]
fn an_invalid_file_is_refused_and_stays() {
    let (cache, mut trigger, path) = trigger();
    let secret = cache.path().join("secret");
    std::fs::write(&secret, "1693").unwrap();
    std::os::unix::fs::symlink(&secret, &path).unwrap();
    assert_eq!((trigger.check().unwrap(), trigger.check().unwrap()), (Found::Nothing, Found::Nothing));
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert_eq!((trigger.check().unwrap(), trigger.check().unwrap()), (Found::Nothing, Found::Nothing));
    std::fs::remove_dir(&path).unwrap();
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_eq!((trigger.check().unwrap(), trigger.check().unwrap()), (Found::Nothing, Found::Nothing));
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, vec![b' '; 1 + usize::try_from(MAX_BYTES).unwrap()]).unwrap();
    assert_eq!((trigger.check().unwrap(), trigger.check().unwrap()), (Found::Nothing, Found::Nothing));
    std::fs::write(&path, b"\xff\xfe").unwrap();
    assert_eq!(settled(&mut trigger), Found::Nothing);
    assert!(path.exists() && !trigger.taken_path().exists());
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "1693").unwrap();
    assert_eq!(settled(&mut trigger), Found::Taken(Request::Boards));
}

#[test]
fn an_invalid_taken_file_is_moved_aside() {
    let (cache, mut trigger, _) = trigger();
    std::os::unix::fs::symlink("/etc/passwd", trigger.taken_path()).unwrap();
    assert_eq!(settled(&mut trigger), Found::Settling);
    assert_eq!(trigger.check().unwrap(), Found::Nothing);
    assert!(cache.path().join(".refresh_now.refused").is_symlink());
}
