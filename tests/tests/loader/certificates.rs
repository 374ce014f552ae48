//! Services with untrusted certificates: no request is sent, and the cache does not change.

use std::fs;
use std::time::Duration;

use r3e_tests::harness::{Invocation, Place, age, board_file, grid, read_status, snapshot};
use r3e_tests::sim::{BadCertificate, SimOptions, Simulator, Stats, Tls};

fn service(bad_certificate: Option<BadCertificate>) -> Simulator {
    let (catalog, tls) = (grid(6, 5), Some(Tls::Both));
    let options = SimOptions { catalog, entries: 600, drivers: 90, tls, bad_certificate, ..SimOptions::default() };
    Simulator::start(options).unwrap()
}

/// A loader that is to trust that file, and is not patient.
fn loader(place: &Place, sim: &Simulator, authority: &str) -> Invocation {
    place.loader(&sim.base_url()).variable("SSL_CERT_FILE", authority).set("upstream.attempts", "2")
}

/// A cache that has all boards, each of which is due.
fn loaded() -> Place {
    let place = Place::with_catalog(&grid(6, 5));
    let sim = service(None);
    let _ended = loader(&place, &sim, &place.authority(&sim)).run().with_code(0);
    for board in sim.world().catalog().combinations() {
        age(&board_file(&place.cache(), board), Duration::from_hours(30));
    }
    place
}

/// Runs a loader that does not get through; it has to name the address and each of the words.
fn refused(place: &Place, sim: &Simulator, authority: &str, words: &[&str]) -> Stats {
    let before = snapshot(&place.cache());
    let ended = loader(place, sim, authority).run().with_code(69);
    let address = sim.addr().to_string();
    for word in words.iter().copied().chain([address.as_str()]) {
        assert!(ended.stderr.contains(word), "{word:?} in {}", ended.stderr);
    }
    assert_eq!(ended.json()["outcome"], "unavailable");
    assert_eq!(snapshot(&place.cache()), before, "the cache stays as it was");
    assert_eq!(read_status(&place.cache())["total_fetched_combinations"], 30);
    let stats = sim.stats();
    assert_eq!((stats.requests, stats.tls_handshakes), (0, 0), "nothing is sent to who cannot be trusted");
    stats
}

#[test]
fn an_invalid_certificate_is_refused_with_the_reason() {
    let place = loaded();
    let kinds = [
        (BadCertificate::Expired, "expired"),
        (BadCertificate::OtherHost, "other.example"),
        (BadCertificate::SelfSigned, "SSL_CERT_FILE"),
    ];
    for (kind, words) in kinds {
        let sim = service(Some(kind));
        let stats = refused(&place, &sim, &place.authority(&sim), &[words]);
        assert!(stats.tls_handshakes_failed > 0, "{kind:?}: {stats:?}");
    }
}

#[test]
fn an_authority_that_is_not_named_is_not_trusted() {
    let (place, sim, other) = (loaded(), service(None), service(None));
    refused(&place, &sim, &place.authority(&other), &["SSL_CERT_FILE"]);
    let stats = sim.stats();
    assert!(stats.tls_handshakes_failed > 0, "{stats:?}");
}

#[test]
fn a_file_without_certificates_trusts_no_server() {
    let (place, sim) = (loaded(), service(None));
    let (empty, missing) = (place.path("empty.pem"), place.path("missing.pem"));
    fs::write(&empty, "").unwrap();
    for file in [empty, missing] {
        refused(&place, &sim, &file.to_string_lossy(), &["SSL_CERT_FILE"]);
    }
}
