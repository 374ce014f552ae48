//! Draws a profile as a flame graph, with `inferno`.

use std::collections::BTreeMap;
use std::io;

use inferno::flamegraph::color::{MultiPalette, Palette};
use inferno::flamegraph::{Options, from_lines};

use super::profile::Profile;

/// A flame graph as one self-contained SVG file. For a difference, it shows what grew.
pub(crate) fn draw(profile: &Profile, title: &str) -> io::Result<Vec<u8>> {
    let mut stacks: BTreeMap<String, u64> = BTreeMap::new();
    for sample in &profile.samples {
        let Some(bytes) = u64::try_from(sample.bytes).ok().filter(|bytes| *bytes > 0) else { continue };
        // A `;` separates functions, and occurs in names such as `[u8; 4]`.
        let functions: Vec<String> = sample.frames().rev().map(|it| it.name.replace(';', ",")).collect();
        let total = stacks.entry(functions.join(";")).or_default();
        *total = total.saturating_add(bytes);
    }
    if stacks.is_empty() {
        // inferno treats an empty graph as an error; here it is valid.
        stacks.insert("nothing".to_owned(), 1);
    }
    let lines: Vec<String> = stacks.iter().map(|(stack, bytes)| format!("{stack} {bytes}")).collect();
    let mut options = Options::default();
    title.clone_into(&mut options.title);
    "bytes".clone_into(&mut options.count_name);
    options.colors = Palette::Multi(MultiPalette::Rust);
    options.deterministic = true;
    let mut svg = Vec::new();
    from_lines(&mut options, lines.iter().map(String::as_str), &mut svg)?;
    Ok(svg)
}

#[cfg(test)]
mod tests {
    use super::super::profile::tests::profile;
    use super::*;

    fn svg(stacks: &[(&str, i64, i64)]) -> String {
        String::from_utf8(draw(&profile(stacks), "a < b").unwrap()).unwrap()
    }

    #[test]
    fn frames_have_their_bytes_and_what_shrank_is_left_out() {
        let svg = svg(&[
            ("main;r3e_x::load<T>", 1, 600),
            ("main;r3e_x::load<T>;alloc::push", 1, 300),
            ("main;\"quoted\" & more", 1, 100),
            ("less", 1, -500),
        ]);
        for part in [
            "main (1,000 bytes, 100.00%)",
            "r3e_x::load&lt;T&gt; (900 bytes, 90.00%)",
            "alloc::push (300 bytes, 30.00%)",
            "&amp; more (100 bytes, 10.00%)",
            "a &lt; b",
        ] {
            assert!(svg.contains(part), "{part} in {svg}");
        }
        assert!(!svg.contains("less ("), "{svg}");
    }

    #[test]
    fn an_empty_profile_and_a_deep_stack_can_be_drawn() {
        assert!(svg(&[]).contains("<svg"));
        let deep = vec!["again"; 2000].join(";");
        assert_eq!(svg(&[(&deep, 1, 1)]).matches("<title>again (").count(), 2000);
    }
}
