//! Bodies that are not what their headers say, through all of the client.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};

use crate::upstream::test_service::{Body, Listing, Service, page};

const NAME: &str = "Jürgen Räikkönen";

fn text() -> String {
    page(&[format!(r#"{{"driver":{{"name":"{NAME}"}}}}"#)])
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn service(headers: &[(&'static str, &'static str)], parts: &[&[u8]]) -> Service {
    let (headers, parts) = (headers.to_vec(), parts.iter().map(|it| it.to_vec()).collect::<Vec<_>>());
    Service::new(move |_: Listing| Body { status: None, headers: headers.clone(), parts: parts.clone() }, 50, 2)
}

#[track_caller]
fn reads(headers: &[(&'static str, &'static str)], parts: &[&[u8]]) {
    let entries = service(headers, parts).entries();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0]["driver"]["name"], NAME);
}

#[track_caller]
fn fails(headers: &[(&'static str, &'static str)], body: &[u8], why: &str) {
    let failure = service(headers, &[body]).failure();
    assert!(failure.contains(why) && failure.ends_with("(after 2 attempts)"), "{why:?} in {failure:?}");
}

const GZIP: (&str, &str) = ("Content-Encoding", "gzip");

#[test]
fn names_are_read_whatever_a_page_is_written_in() {
    let text = text();
    reads(&[], &[text.as_bytes()]);
    reads(&[GZIP], &[&gzip(text.as_bytes())]);
    reads(&[], &[b"\xef\xbb\xbf", text.as_bytes()]);
    let latin1: Vec<u8> = text.chars().map(|it| u8::try_from(u32::from(it)).unwrap()).collect();
    reads(&[("Content-Type", "application/json; charset=ISO-8859-1")], &[&latin1]);
    reads(&[("Content-Type", "application/json; charset=ISO-8859-1"), GZIP], &[&gzip(&latin1)]);
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    reads(&[("Content-Type", "application/json; charset=utf-16le")], &[&utf16]);
    reads(&[], &[b"\xff\xfe", &utf16]);
}

#[test]
fn a_character_that_arrives_in_two_parts_is_whole() {
    let text = text();
    let middle = text.find('ü').unwrap() + 1;
    assert!(!text.is_char_boundary(middle));
    let (first, second) = text.as_bytes().split_at(middle);
    reads(&[], &[first, second]);
    let every: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
    reads(&[], &every);
}

#[test]
fn bytes_that_are_not_what_their_headers_say_fail_with_a_message() {
    let text = text();
    let latin1: Vec<u8> = text.chars().map(|it| u8::try_from(u32::from(it)).unwrap()).collect();
    fails(&[], &latin1, "not text: not valid UTF-8");
    fails(&[("Content-Type", "application/json; charset=utf-8")], &latin1, "not valid UTF-8");
    fails(&[("Content-Type", "application/json; charset=x-none")], text.as_bytes(), "unknown charset \"x-none\"");
    fails(&[], text.replace("Jürgen", "J\0rgen").as_bytes(), "not a leaderboard page: control character");
    let cut = text.find('ü').unwrap() + 1;
    fails(&[], &text.as_bytes()[..cut], "not valid UTF-8");
}

#[test]
fn compression_that_is_not_what_its_header_says_fails_with_a_message() {
    let text = text();
    let zipped = gzip(text.as_bytes());
    fails(&[GZIP], text.as_bytes(), "gzip");
    fails(&[GZIP], &zipped[..zipped.len() / 2], "the response broke off");
    fails(&[GZIP], &zipped[..zipped.len() - 3], "the response broke off");
    let mut damaged = zipped.clone();
    let checksum = damaged.len() - 8;
    damaged[checksum] ^= 1;
    fails(&[GZIP], &damaged, "the response broke off");
    fails(&[GZIP], &gzip(&zipped), "gzip data that Content-Encoding does not declare");
    fails(&[], &zipped, "gzip data that Content-Encoding does not declare");
    fails(
        &[("Content-Encoding", "gzip, gzip")],
        &gzip(&zipped),
        "Content-Encoding is \"gzip, gzip\", expected gzip or none",
    );
    fails(&[("Content-Encoding", "br")], text.as_bytes(), "Content-Encoding is \"br\", expected gzip or none");
    let mut deflate = ZlibEncoder::new(Vec::new(), Compression::fast());
    deflate.write_all(text.as_bytes()).unwrap();
    let deflated = deflate.finish().unwrap();
    fails(&[("Content-Encoding", "deflate")], &deflated, "Content-Encoding is \"deflate\", expected gzip or none");
}
