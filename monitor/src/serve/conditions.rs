//! What a request makes its answer depend on: the codings it takes, and which part it wants. Pure functions over headers, by
//! RFC 9110; preconditions have a module of their own.

use hyper::Request;
use hyper::header::HeaderName;

/// A header of a request, if it is text.
pub(super) fn header<'r, B>(request: &'r Request<B>, name: &HeaderName) -> Option<&'r str> {
    request.headers().get(name)?.to_str().ok()
}

/// The form in which something that lies there compressed is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    /// As it lies there.
    Gzip,
    /// Decompressed.
    Identity,
}

/// The coding that an `Accept-Encoding` header asks for: gzip where it is taken and plain text is not liked better; none where
/// both are refused. Who sends no such header gets plain text.
pub(super) fn coding(accept: Option<&str>) -> Option<Coding> {
    let Some(accept) = accept else { return Some(Coding::Identity) };
    let (mut gzip, mut identity, mut others) = (None, None, None);
    for part in accept.split(',') {
        let mut parameters = part.split(';').map(str::trim);
        let place = match parameters.next().map(str::to_ascii_lowercase).as_deref() {
            Some("gzip" | "x-gzip") => &mut gzip,
            Some("identity") => &mut identity,
            Some("*") => &mut others,
            _ => continue,
        };
        let quality = parameters.find_map(|it| it.strip_prefix("q=").or_else(|| it.strip_prefix("Q=")));
        *place = Some(quality.map_or(1000, thousandths));
    }
    let gzip = gzip.or(others).unwrap_or(0);
    // Plain text is taken unless it is refused, but then liked no better than what is named.
    let wants_identity = identity;
    let takes_identity = identity.or(others.filter(|it| *it == 0)) != Some(0);
    if gzip > 0 && wants_identity.is_none_or(|it| it <= gzip) {
        Some(Coding::Gzip)
    } else {
        takes_identity.then_some(Coding::Identity)
    }
}

/// A quality value in thousandths; 0 for one that is none.
fn thousandths(text: &str) -> u32 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|it| it.is_ascii_digit()) {
        return 0;
    }
    let fraction: u32 = format!("{fraction:0<3}").parse().unwrap_or(0);
    match whole {
        "0" => fraction,
        "1" if fraction == 0 => 1000,
        _ => 0,
    }
}

/// Selector part is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// All: none was named, or several, or in a way that is not understood.
    All,
    /// So many bytes from there on, at least one.
    Bytes {
        /// The first.
        first: u64,
        /// How many.
        count: u64,
    },
    /// One that is not there.
    Nowhere,
}

/// The part of something of that length that a `Range` header names.
pub(super) fn part(range: Option<&str>, length: u64) -> Part {
    let named = range.and_then(|it| it.split_once('=')).filter(|(unit, _)| unit.trim().eq_ignore_ascii_case("bytes"));
    let Some((first, last)) = named.and_then(|(_, it)| it.trim().split_once('-')) else { return Part::All };
    let number = |text: &str| -> Option<u64> {
        let digits = !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
        // A number that is too large is farther than any file goes.
        digits.then(|| text.parse().unwrap_or(u64::MAX))
    };
    match (number(first), number(last)) {
        (Some(first), None) if last.is_empty() => from(first, u64::MAX, length),
        (Some(first), Some(last)) if first <= last => from(first, last, length),
        (None, Some(count)) if first.is_empty() => {
            let count = count.min(length);
            if count == 0 { Part::Nowhere } else { Part::Bytes { first: length - count, count } }
        }
        _ => Part::All,
    }
}

fn from(first: u64, last: u64, length: u64) -> Part {
    if first >= length {
        return Part::Nowhere;
    }
    Part::Bytes { first, count: last.min(length - 1) - first + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_goes_to_those_who_take_it() {
        use Coding::{Gzip, Identity};
        for (accept, expected) in [
            (None, Some(Identity)),
            (Some(""), Some(Identity)),
            (Some("gzip"), Some(Gzip)),
            (Some("gzip, deflate, br, zstd"), Some(Gzip)),
            (Some("br"), Some(Identity)),
            (Some("*"), Some(Gzip)),
            (Some("X-GZIP ; Q=0.001"), Some(Gzip)),
            (Some("gzip;q=0"), Some(Identity)),
            (Some("gzip;q=0.000, *"), Some(Identity)),
            (Some("*;q=0, gzip;q=1.0"), Some(Gzip)),
            (Some("gzip;q=0.5, identity;q=0.9"), Some(Identity)),
            (Some("gzip;q=0.5, identity;q=0.5"), Some(Gzip)),
            (Some("identity;q=0"), None),
            (Some("*;q=0"), None),
            (Some("identity;q=0, gzip"), Some(Gzip)),
            (Some("gzip;q=2"), Some(Identity)),
            (Some("gzip;q=x"), Some(Identity)),
            (Some("gzipped, ngzip"), Some(Identity)),
        ] {
            assert_eq!(coding(accept), expected, "{accept:?}");
        }
    }

    #[test]
    fn parts_are_within_what_there_is() {
        let bytes = |first, count| Part::Bytes { first, count };
        for (range, expected) in [
            (None, Part::All),
            (Some("bytes=0-0"), bytes(0, 1)),
            (Some("bytes=0-"), bytes(0, 10)),
            (Some("Bytes = 3-5 "), bytes(3, 3)),
            (Some("bytes=9-99999999999999999999999"), bytes(9, 1)),
            (Some("bytes=10-"), Part::Nowhere),
            (Some("bytes=99999999999999999999999-"), Part::Nowhere),
            (Some("bytes=-3"), bytes(7, 3)),
            (Some("bytes=-99"), bytes(0, 10)),
            (Some("bytes=-0"), Part::Nowhere),
            (Some("bytes=5-3"), Part::All),
            (Some("bytes=0-1,3-4"), Part::All),
            (Some("bytes=-"), Part::All),
            (Some("bytes=a-b"), Part::All),
            (Some("bytes=+1-2"), Part::All),
            (Some("lines=1-2"), Part::All),
            (Some("bytes"), Part::All),
        ] {
            assert_eq!(part(range, 10), expected, "{range:?}");
        }
        for range in ["bytes=0-", "bytes=-1", "bytes=0-0"] {
            assert_eq!(part(Some(range), 0), Part::Nowhere, "{range} of nothing");
        }
    }
}
