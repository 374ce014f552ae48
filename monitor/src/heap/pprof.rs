//! Profiles in the form of `go tool pprof` and its like: `profile.proto`, as one gzip member.
//!
//! The form is described at <https://github.com/google/pprof/blob/main/proto/profile.proto>; of protocol buffers it needs
//! numbers and texts with a length only, so both directions are written here: [`wire`].

mod decode;
mod encode;
mod wire;

pub(crate) use decode::read;
pub(crate) use encode::write;

/// The two values of each sample: how many objects are held, and how many bytes.
const SAMPLE_TYPES: [(&str, &str); 2] = [("inuse_objects", "count"), ("inuse_space", "bytes")];
/// What is shown where nothing else is asked for.
const DEFAULT_SAMPLE_TYPE: &str = "inuse_space";
/// What the distance between samples is counted in.
const PERIOD_TYPE: (&str, &str) = ("space", "bytes");

#[cfg(test)]
mod tests {
    use super::super::profile::tests::profile;
    use super::super::profile::{Module, Profile};
    use super::*;
    use proptest::prelude::*;

    fn example() -> Profile {
        let mut it = profile(&[("main;é<b>::load", 3, 300), ("main;gone", -1, i64::MIN), ("", 0, 1)]);
        let path = "/bin/x".to_owned();
        let module = Module { start: 0x1000, end: 0x9000, offset: 0x200, path, build_id: "01fe".to_owned() };
        it.modules = vec![module];
        it.locations[0].module = Some(0);
        let inlined = it.locations[1].lines[0];
        it.locations[0].lines.push(inlined);
        (it.time_ns, it.comments) = (5, vec!["r3e-test 1".to_owned()]);
        it
    }

    #[test]
    fn what_is_written_reads_back() {
        let written = write(&example()).unwrap();
        assert_eq!(read(&written).unwrap(), example());
        assert_eq!(read(&write(&Profile::default()).unwrap()).unwrap(), Profile::default());
    }

    #[test]
    fn what_is_no_profile_is_told() {
        let message = |bytes: &[u8]| read(bytes).unwrap_err().to_string();
        for bytes in [&b""[..], b"heap_v2/524288\n", b"\x1f\x8b\x08\0\0\0\0\0\0\x03garbage"] {
            assert!(message(bytes).starts_with("no gzip file"), "{}", message(bytes));
        }
        let gzip = |bytes: &[u8]| encode::gzip(bytes).unwrap();
        assert_eq!(message(&gzip(b"hello")), "no profile: a field is cut off or of a kind that is not known");
        assert_eq!(message(&gzip(&[])), "no heap profile: it has values of [], expected inuse_objects and inuse_space");
        let mut whole = example();
        whole.held[0].way.push(0);
        let written = write(&whole).unwrap();
        assert!(message(&written[..written.len() / 2]).starts_with("no gzip file"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(at in 0..4096_usize, with in prop::collection::vec(any::<u8>(), 0..12)) {
            let mut plain = encode::message(&example());
            let at = at % plain.len();
            let end = (at + with.len()).min(plain.len());
            plain.splice(at..end, with);
            if let Ok(profile) = read(&encode::gzip(&plain).unwrap()) {
                // What was accepted is whole: every number leads somewhere.
                let _ways: Vec<_> = profile.held.iter().flat_map(|it| profile.lines(&it.way)).map(|it| &profile.symbols[it.symbol]).collect();
                prop_assert_eq!(&read(&write(&profile).unwrap()).unwrap(), &profile);
            }
        }
    }
}
