//! Writes JSON by hand, because the order of keys, the escapes and the oddities are part of the simulation.

use std::fmt::Write as _;

/// How a text is escaped; the service uses both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escapes {
    /// Only what JSON requires.
    Needed,
    /// Everything outside ASCII as `\u`, and slashes too.
    All,
}

/// Writes a JSON string.
pub(super) fn string(out: &mut String, text: &str, escapes: Escapes) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\t' => out.push_str("\\t"),
            '/' if escapes == Escapes::All => out.push_str("\\/"),
            c if c < ' ' || (!c.is_ascii() && escapes == Escapes::All) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // Writing to a String cannot fail.
                    let _infallible = write!(out, "\\u{unit:04x}");
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Writes a number.
pub(super) fn number(out: &mut String, number: impl Into<u64>) {
    let mut digits = [0u8; 20];
    let mut rest: u64 = number.into();
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = b'0' + (rest % 10).to_le_bytes()[0];
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend(digits[first..].iter().map(|&digit| char::from(digit)));
}

/// Writes a number with leading zeros, at least `width` digits.
pub(super) fn padded(out: &mut String, value: u32, width: u32) {
    for place in (1..width).rev() {
        if value < 10u32.pow(place) {
            out.push('0');
        }
    }
    number(out, value);
}

/// Writes a lap time in the service's form: `1m 23.414s`, `59.020s`.
pub(super) fn duration(out: &mut String, millis: u32) {
    let (minutes, seconds, millis) = (millis / 60_000, millis / 1000 % 60, millis % 1000);
    if minutes > 0 {
        number(out, minutes);
        out.push_str("m ");
    }
    padded(out, seconds, 2);
    out.push('.');
    padded(out, millis, 3);
    out.push('s');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(write: impl FnOnce(&mut String)) -> String {
        let mut out = String::new();
        write(&mut out);
        out
    }

    #[test]
    fn durations_have_the_services_form() {
        let cases = [(83_414, "1m 23.414s"), (1887, "01.887s"), (59_020, "59.020s"), (120_000, "2m 00.000s")];
        for (millis, text) in cases {
            assert_eq!(written(|out| duration(out, millis)), text);
        }
    }

    proptest! {
        #[test]
        fn any_string_reads_back(text in any::<String>()) {
            for escapes in [Escapes::Needed, Escapes::All] {
                let json = written(|out| string(out, &text, escapes));
                prop_assert!(escapes == Escapes::Needed || json.is_ascii());
                prop_assert_eq!(&serde_json::from_str::<String>(&json).unwrap(), &text);
            }
        }

        #[test]
        fn numbers_are_decimal(value in any::<u32>(), width in 1u32..8) {
            prop_assert_eq!(written(|out| number(out, value)), value.to_string());
            prop_assert_eq!(written(|out| padded(out, value, width)), format!("{value:0width$}", width = width as usize));
        }
    }
}
