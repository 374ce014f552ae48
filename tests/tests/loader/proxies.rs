//! Proxies: working, unreachable, refusing, or not a proxy at all.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use r3e_tests::harness::{Differences, Invocation, Place, assert_serves, driver_index, simulated};
use r3e_tests::sim::{SimOptions, Simulator, Tls};

/// A proxy that opens tunnels, or refuses them with that status line. Its threads end with their connections.
struct Proxy {
    address: SocketAddr,
    /// The heads of all requests.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    fn start(refusal: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, asked) = (listener.local_addr().unwrap(), Arc::<Mutex<Vec<String>>>::default());
        let heads = Arc::clone(&asked);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let heads = Arc::clone(&heads);
                thread::spawn(move || tunnel(client, refusal, &heads));
            }
        });
        Self { address, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn tunnel(mut client: TcpStream, refusal: Option<&str>, heads: &Mutex<Vec<String>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if client.read(&mut byte).unwrap_or(0) == 0 {
            return;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let target = head.split(' ').nth(1).unwrap().to_owned();
    heads.lock().unwrap().push(head);
    if let Some(refusal) = refusal {
        write!(client, "HTTP/1.1 {refusal}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
        return;
    }
    let server = TcpStream::connect(target).unwrap();
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
    let back = (server.try_clone().unwrap(), client.try_clone().unwrap());
    let copies = [(client, server), back].map(|(mut from, mut to)| {
        thread::spawn(move || {
            let _broken = std::io::copy(&mut from, &mut to);
            let _gone = to.shutdown(Shutdown::Write);
        })
    });
    for copy in copies {
        copy.join().unwrap();
    }
}

fn service() -> (Simulator, Place) {
    simulated(6, 5, SimOptions { entries: 600, drivers: 90, tls: Some(Tls::Http2), ..SimOptions::default() })
}

fn loader(place: &Place, sim: &Simulator, variable: &str, proxy: &str) -> Invocation {
    let trusting = place.loader(&sim.base_url()).variable("SSL_CERT_FILE", &place.authority(sim));
    trusting.variable(variable, proxy).set("upstream.attempts", "2")
}

#[test]
fn all_boards_arrive_through_a_tunnel() {
    for variable in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"] {
        let ((sim, place), proxy) = (service(), Proxy::start(None));
        let _ended = loader(&place, &sim, variable, &format!("http://me:secret@{}", proxy.address)).run().with_code(0);
        assert_serves(&driver_index(&place.cache()), sim.world(), &Differences::default());
        let asked = proxy.asked();
        assert_eq!(asked.len() as u64, sim.stats().connections_accepted, "every connection goes through it");
        // `me:secret` in base 64.
        let tunnel = format!("CONNECT {} HTTP/1.1\r\n", sim.addr());
        assert!(asked.iter().all(|it| it.starts_with(&tunnel) && it.contains("Basic bWU6c2VjcmV0")), "{asked:?}");
    }
}

#[test]
fn hosts_in_no_proxy_are_contacted_directly() {
    let ((sim, place), proxy) = (service(), Proxy::start(None));
    let loader = loader(&place, &sim, "HTTPS_PROXY", &format!("http://{}", proxy.address));
    let _ended = loader.variable("NO_PROXY", "other.example,127.0.0.1").run().with_code(0);
    assert!(proxy.asked().is_empty() && sim.stats().requests > 30);
}

#[test]
fn a_failing_proxy_is_named_without_its_password() {
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refusing = [Proxy::start(Some("407 Proxy Authentication Required")), Proxy::start(Some("502 Bad Gateway"))];
    for address in refusing.iter().map(|it| it.address).chain([dead]) {
        let (sim, place) = service();
        let ended = loader(&place, &sim, "HTTPS_PROXY", &format!("http://me:secret@{address}")).run().with_code(69);
        let told = &ended.stderr;
        assert!(told.contains("HTTPS_PROXY") && told.contains(&address.to_string()), "{told}");
        assert!(!told.contains("secret") && !ended.stdout.contains("secret"), "{told}");
        assert_eq!(sim.stats().connections_accepted, 0);
    }
}

#[test]
fn an_invalid_proxy_variable_is_a_configuration_error() {
    for wrong in ["socks5://me:secret@127.0.0.1:1080", "http://me:secret@", "http://me:secret@127.0.0.1:99999"] {
        let (sim, place) = service();
        let ended = loader(&place, &sim, "HTTPS_PROXY", wrong).run().with_code(78);
        assert!(ended.stderr.contains("HTTPS_PROXY") && !ended.stderr.contains("secret"), "{}", ended.stderr);
        assert_eq!(sim.stats().connections_accepted, 0);
    }
}
