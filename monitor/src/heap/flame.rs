//! A flame graph as one SVG file that needs nothing else: a box for each function, as wide as what is held by way of it,
//! below the function that called it. A browser shows name, bytes and share of the box under the pointer.

use std::fmt::Write as _;

use super::flame_tree::tree;
use super::profile::Profile;

const WIDTH: f64 = 1200.0;
const ROW: usize = 18;
const TOP: usize = 40;
/// What is narrower cannot be seen.
const NARROWEST: f64 = 0.5;
/// About the width of a letter.
const LETTER: f64 = 6.6;

/// Draws a profile.
pub(crate) fn draw(profile: &Profile, title: &str, bytes: impl Fn(u64) -> String) -> String {
    let nodes = tree(profile);
    let total = nodes[0].bytes;
    let mut boxes = String::new();
    let mut deepest = 0;
    // A list instead of calls: ways may be thousands of functions long.
    let mut waiting = vec![(0_usize, 0_usize, 0.0_f64)];
    while let Some((index, depth, left)) = waiting.pop() {
        let node = &nodes[index];
        let share = share(node.bytes, total);
        let width = share * WIDTH;
        if width < NARROWEST {
            continue;
        }
        deepest = deepest.max(depth);
        let (name, file) = node.symbol.map_or(("all", ""), |it| {
            let symbol = &profile.symbols[it];
            (&*symbol.name, &*symbol.file)
        });
        let told = format!(
            "{name}: {}, {:.1} %{}{file}",
            bytes(node.bytes),
            share * 100.0,
            if file.is_empty() { "" } else { "\n" }
        );
        one(&mut boxes, (left, depth, width), (name, &told, colour(name)));
        let mut left = left;
        for call in &node.calls {
            waiting.push((*call, depth + 1, left));
            left += WIDTH * self::share(nodes[*call].bytes, total);
        }
    }
    let height = TOP + (deepest + 1) * ROW + 8;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"ui-monospace, monospace\" font-size=\"11\">\n\
         <style>rect {{ stroke: #fff; stroke-width: .5 }} g:hover rect {{ stroke: #000; stroke-width: 1 }}</style>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"8\" y=\"24\" font-size=\"14\">{}</text>\n{boxes}</svg>\n",
        escaped(title)
    )
}

/// Adds one box.
fn one(boxes: &mut String, (left, depth, width): (f64, usize, f64), (name, told, fill): (&str, &str, String)) {
    let top = TOP + depth * ROW;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 1200 units wide")]
    let letters = ((width - 6.0) / LETTER).max(0.0) as usize;
    let shown = shortened(name, letters);
    // Writing into a text does not fail.
    let _written = writeln!(
        boxes,
        "<g><title>{}</title><rect x=\"{left:.2}\" y=\"{top}\" width=\"{width:.2}\" height=\"{}\" fill=\"{fill}\"/>\
         <text x=\"{:.2}\" y=\"{}\">{}</text></g>",
        escaped(told),
        ROW - 1,
        left + 3.0,
        top + 12,
        escaped(&shown)
    );
}

#[expect(clippy::cast_precision_loss, reason = "a width")]
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// The end of a path tells more than its beginning.
fn shortened(name: &str, letters: usize) -> String {
    let length = name.chars().count();
    match letters {
        0..3 => String::new(),
        _ if length <= letters => name.to_owned(),
        _ => std::iter::once('…').chain(name.chars().skip(length + 1 - letters)).collect(),
    }
}

/// Our own functions stand out; others have a shade of their own by their crate.
fn colour(name: &str) -> String {
    let name = name.trim_start_matches('<');
    let (package, _) = name.split_once("::").unwrap_or((name, ""));
    let shade = package.bytes().fold(0_u32, |sum, byte| (sum * 31 + u32::from(byte)) % 997) % 40;
    match package {
        _ if package.starts_with("r3e_") => format!("hsl({}, 85%, 68%)", 10 + shade % 35),
        "std" | "core" | "alloc" | "hashbrown" => format!("hsl({}, 40%, 80%)", 190 + shade),
        _ => format!("hsl({}, 35%, 78%)", 70 + shade * 2),
    }
}

/// As text in XML.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(character),
            // XML has no way to write them.
            _ if character.is_control() => escaped.push('\u{fffd}'),
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::profile::tests::profile;
    use super::*;

    #[test]
    fn boxes_are_as_wide_as_what_is_held_and_stand_below_who_called() {
        let profile = profile(&[
            ("main;r3e_x::load<T>", 1, 600),
            ("main;r3e_x::load<T>;alloc::push", 1, 300),
            ("main;\"quoted\" & more", 1, 100),
            ("less", 1, -500),
        ]);
        let svg = draw(&profile, "a < b", |bytes| format!("{bytes} B"));
        for part in [
            "<title>all: 1000 B, 100.0 %</title><rect x=\"0.00\" y=\"40\" width=\"1200.00\"",
            "<title>main: 1000 B, 100.0 %\nmain.rs</title><rect x=\"0.00\" y=\"58\" width=\"1200.00\"",
            "r3e_x::load&lt;T&gt;: 900 B, 90.0 %",
            "<rect x=\"120.00\" y=\"76\" width=\"1080.00\"",
            "alloc::push: 300 B, 30.0 %",
            "&quot;quoted&quot; &amp; more: 100 B",
            ">a &lt; b</text>",
        ] {
            assert!(svg.contains(part), "{part} in {svg}");
        }
        assert!(!svg.contains("less"), "{svg}");
        assert_eq!(svg.matches("<g>").count(), 5);
    }

    #[test]
    fn nothing_held_and_endless_ways_can_be_drawn() {
        assert!(draw(&Profile::default(), "", |_| String::new()).starts_with("<svg"));
        let long = vec!["again"; 20_000].join(";");
        let svg = draw(&profile(&[(&long, 1, 1)]), "", |_| String::new());
        assert_eq!(svg.matches("<title>again: ").count(), 20_000);
    }

    #[test]
    fn names_are_shortened_at_their_beginning() {
        let shown: Vec<String> = [0, 2, 3, 8, 20].map(|letters| shortened("r3e_é::load", letters)).into();
        assert_eq!(shown, ["", "", "…ad", "…é::load", "r3e_é::load"]);
    }
}
