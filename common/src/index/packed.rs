//! Lap times and dates as numbers: nearly every one is distinct, so storing each as a string would double the index.
//!
//! A text is packed only if unpacking gives the same text again, so nothing is lost on forms not thought of here.

use std::io::Write as _;

/// The most milliseconds that fit (298 hours).
const MS_BITS: u32 = 30;
const MS_MASK: u64 = (1 << MS_BITS) - 1;
const HAS_GAP: u64 = 1 << (2 * MS_BITS);
const US_DATE: u64 = 1 << 62;

/// Packs `1m 23.414s` or `1m 25.301s, +01.887s` into 61 bits.
pub(super) fn pack_laptime(text: &str) -> Option<u64> {
    let packed = match text.split_once(", +") {
        Some((lap, gap)) => HAS_GAP | milliseconds(gap)? << MS_BITS | milliseconds(lap)?,
        None => milliseconds(text)?,
    };
    let mut again = Vec::with_capacity(32);
    write_laptime(packed, &mut again);
    (again == text.as_bytes()).then_some(packed)
}

/// Appends the text that [`pack_laptime`] packed.
pub(super) fn write_laptime(packed: u64, out: &mut Vec<u8>) {
    write_time(packed & MS_MASK, true, out);
    if packed & HAS_GAP != 0 {
        let gap = packed >> MS_BITS & MS_MASK;
        out.extend_from_slice(b", +");
        write_time(gap, gap >= 60_000, out);
    }
}

/// Milliseconds of `23.414s` or `1m 23.414s`, as far as they fit.
fn milliseconds(text: &str) -> Option<u64> {
    let text = text.strip_suffix('s')?;
    let (minutes, rest) = text.split_once("m ").unwrap_or(("0", text));
    let (seconds, thousandths) = rest.split_once('.')?;
    let minutes: u64 = minutes.parse().ok().filter(|&it| it < 1 << 20)?;
    if (seconds.len(), thousandths.len()) != (2, 3) {
        return None;
    }
    let total = minutes * 60_000 + u64::from(seconds.parse::<u8>().ok()?) * 1000 + thousandths.parse::<u64>().ok()?;
    (total <= MS_MASK).then_some(total)
}

fn write_time(ms: u64, minutes: bool, out: &mut Vec<u8>) {
    let written = if minutes {
        write!(out, "{}m {:02}.{:03}s", ms / 60_000, ms / 1000 % 60, ms % 1000)
    } else {
        write!(out, "{:02}.{:03}s", ms / 1000, ms % 1000)
    };
    debug_assert!(written.is_ok(), "writing to a Vec cannot fail");
}

/// The two forms that dates come in, digits as `0`.
const ISO: &[u8; 19] = b"0000-00-00T00:00:00";
const US: &[u8; 19] = b"00/00/0000 00:00:00";

/// Packs `2025-01-15T14:30:00` or `01/15/2025 14:30:00` into 63 bits: their fourteen digits, and which form it is.
pub(super) fn pack_date(text: &str) -> Option<u64> {
    let bytes: &[u8; 19] = text.as_bytes().try_into().ok()?;
    let (form, flag) = if bytes[2] == b'/' { (US, US_DATE) } else { (ISO, 0) };
    let mut digits = 0;
    for (&byte, &expected) in bytes.iter().zip(form) {
        match (byte, expected) {
            (b'0'..=b'9', b'0') => digits = digits * 10 + u64::from(byte - b'0'),
            _ if byte == expected => {}
            _ => return None,
        }
    }
    Some(digits | flag)
}

/// Appends the text that [`pack_date`] packed.
pub(super) fn write_date(packed: u64, out: &mut Vec<u8>) {
    let mut text = if packed & US_DATE == 0 { *ISO } else { *US };
    let mut digits = packed & !US_DATE;
    for byte in text.iter_mut().rev().filter(|byte| **byte == b'0') {
        *byte += u8::try_from(digits % 10).unwrap_or_default();
        digits /= 10;
    }
    out.extend_from_slice(&text);
}

/// Year, month, day, hour, minute and second of a date that [`pack_date`] packed; they may be no day of the calendar.
pub(super) fn date_fields(packed: u64) -> [i16; 6] {
    let mut digits = packed & !US_DATE;
    let mut last = |count| {
        let field = digits % count;
        digits /= count;
        i16::try_from(field).unwrap_or_default()
    };
    let (second, minute, hour) = (last(100), last(100), last(100));
    if packed & US_DATE == 0 {
        let (day, month) = (last(100), last(100));
        [last(10_000), month, day, hour, minute, second]
    } else {
        let (year, day) = (last(10_000), last(100));
        [year, last(100), day, hour, minute, second]
    }
}

/// Packs seconds that are whole milliseconds below 2^31; other seconds are not packed.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the result is compared with what went in")]
pub(super) fn pack_seconds(seconds: f64) -> Option<u32> {
    let packed = (seconds * 1000.0).round() as u32;
    (packed < 1 << 31 && unpack_seconds(packed).to_bits() == seconds.to_bits()).then_some(packed)
}

/// The seconds that [`pack_seconds`] packed: the division is rounded to the very number a reader of the decimal gets.
pub(super) fn unpack_seconds(packed: u32) -> f64 {
    f64::from(packed) / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn laptime(text: &str) -> Option<String> {
        let mut out = Vec::new();
        write_laptime(pack_laptime(text)?, &mut out);
        Some(String::from_utf8(out).unwrap())
    }

    fn date(text: &str) -> Option<String> {
        let mut out = Vec::new();
        write_date(pack_date(text)?, &mut out);
        Some(String::from_utf8(out).unwrap())
    }

    #[test]
    fn the_usual_forms_are_packed() {
        for text in ["1m 23.414s", "1m 25.301s, +01.887s", "0m 59.000s", "12m 00.001s, +1m 02.345s"] {
            assert_eq!(laptime(text).as_deref(), Some(text));
        }
        for text in ["2025-01-15T14:30:00", "01/15/2025 14:30:00"] {
            assert_eq!(date(text).as_deref(), Some(text));
        }
    }

    #[test]
    fn other_forms_are_not() {
        for text in ["", "23.414s", "01m 23.414s", "1m 3.414s", "1m 23.41s", "+1m 23.414s", "1m 99.000s", "1m 23.414s "]
        {
            assert_eq!(laptime(text), None, "{text}");
        }
        for text in ["", "2025-01-15T14:30", "2025-01-15 14:30:00", "2025-01-15T14:30:0x", "2025-01-15T14:30:00Z"] {
            assert_eq!(date(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_packed_reads_back(text in "([0-9]{1,3}m )?[0-9]{2}\\.[0-9]{3}s(, \\+([0-9]m )?[0-9]{2}\\.[0-9]{3}s)?") {
            if let Some(again) = laptime(&text) {
                prop_assert_eq!(again, text);
            }
        }

        #[test]
        fn any_text_reads_back_or_is_not_packed(text in "[0-9ms.,+ :/T-]{0,24}") {
            prop_assert!(laptime(&text).is_none_or(|again| again == text));
            prop_assert!(date(&text).is_none_or(|again| again == text));
        }

        #[test]
        fn every_gap_in_milliseconds_is_packed_exactly(ms in 0u32..1 << 31) {
            let seconds: f64 = format!("{}.{:03}", ms / 1000, ms % 1000).parse().unwrap();
            prop_assert_eq!(pack_seconds(seconds), Some(ms));
        }
    }
}
