//! A proxy before the S3 server, which answers some requests with errors, late, or not at all.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long a slow answer takes.
const DELAY: Duration = Duration::from_millis(200);

/// What happens to requests.
#[derive(Debug, Clone, Copy)]
pub enum Faults {
    /// This many of a hundred get a fault, chosen by the seed.
    Some { percent: u64, seed: u64 },
    /// All are passed on, late.
    Slow(Duration),
    /// All get S3's answer to a setting that is wrong: its code, with status 403.
    Refused(&'static str),
}

/// What happens to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    Nothing,
    Internal,
    SlowDown,
    Delayed,
    /// The connection is cut before the server has the request.
    CutBefore,
    /// The connection is cut after the server has done what was asked.
    CutAfter,
}

/// A running proxy. Its threads end with the test program.
pub struct Proxy {
    pub port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    server: u16,
    faults: Faults,
    random: Mutex<u64>,
    counts: Mutex<BTreeMap<Fault, usize>>,
}

impl Proxy {
    /// A proxy before the server at this port of this machine.
    pub fn start(server: u16, faults: Faults) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let seed = if let Faults::Some { seed, .. } = faults { seed } else { 0 };
        let shared = Shared { server, faults, random: Mutex::new(seed | 1), counts: Mutex::default() };
        let shared = Arc::new(shared);
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let shared = Arc::clone(&accepting);
                // A client that is killed in the middle is no error.
                std::thread::spawn(move || client.and_then(|it| shared.serve(&it)));
            }
        });
        Self { port, shared }
    }

    /// How many requests there were.
    pub fn requests(&self) -> usize {
        self.shared.counts.lock().unwrap().values().sum()
    }

    /// Checks that each kind of fault happened.
    pub fn assert_all_kinds_happened(&self) {
        let counts = self.shared.counts.lock().unwrap();
        eprintln!("requests: {counts:?}");
        for fault in [Fault::Internal, Fault::SlowDown, Fault::Delayed, Fault::CutBefore, Fault::CutAfter] {
            assert!(counts.contains_key(&fault), "{fault:?} never happened: {counts:?}");
        }
    }
}

impl Shared {
    /// One request; the server closes the connection after its answer too.
    fn serve(&self, mut client: &TcpStream) -> std::io::Result<()> {
        let request = read_request(client)?;
        if request.is_empty() {
            return Ok(());
        }
        if let Faults::Refused(code) = self.faults {
            return refuse(client, "403 Forbidden", code);
        }
        let fault = self.next();
        if let Faults::Slow(delay) = self.faults {
            std::thread::sleep(delay);
        }
        match fault {
            Fault::Internal => return refuse(client, "500 Internal Server Error", "InternalError"),
            Fault::SlowDown => return refuse(client, "503 Slow Down", "SlowDown"),
            Fault::Delayed => std::thread::sleep(DELAY),
            Fault::CutBefore => return client.shutdown(Shutdown::Both),
            Fault::Nothing | Fault::CutAfter => {}
        }
        let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, self.server))?;
        server.write_all(&request)?;
        let mut answer = Vec::new();
        server.read_to_end(&mut answer)?;
        if fault == Fault::CutAfter {
            return client.shutdown(Shutdown::Both);
        }
        client.write_all(&answer)
    }

    fn next(&self) -> Fault {
        let Faults::Some { percent, .. } = self.faults else {
            *self.counts.lock().unwrap().entry(Fault::Nothing).or_default() += 1;
            return Fault::Nothing;
        };
        let mut random = self.random.lock().unwrap();
        let mut below = |limit: u64| {
            // xorshift
            *random ^= *random << 13;
            *random ^= *random >> 7;
            *random ^= *random << 17;
            *random % limit
        };
        let fault = match (below(100) < percent, below(5)) {
            (false, _) => Fault::Nothing,
            (true, 0) => Fault::Internal,
            (true, 1) => Fault::SlowDown,
            (true, 2) => Fault::Delayed,
            (true, 3) => Fault::CutBefore,
            (true, _) => Fault::CutAfter,
        };
        *self.counts.lock().unwrap().entry(fault).or_default() += 1;
        fault
    }
}

/// A whole request; empty if the client has left.
fn read_request(mut client: &TcpStream) -> std::io::Result<Vec<u8>> {
    let (mut request, mut part) = (Vec::new(), vec![0; 64 << 10]);
    loop {
        let head = request.windows(4).position(|it| it == b"\r\n\r\n");
        if let Some(head) = head
            && request.len() >= head + 4 + content_length(&request[..head])
        {
            return Ok(request);
        }
        match client.read(&mut part)? {
            0 => return Ok(Vec::new()),
            read => request.extend_from_slice(&part[..read]),
        }
    }
}

fn content_length(head: &[u8]) -> usize {
    let head = String::from_utf8_lossy(head).to_lowercase();
    let length = head.lines().find_map(|it| it.strip_prefix("content-length:"));
    length.map_or(0, |it| it.trim().parse().unwrap())
}

/// An error as S3 sends it.
fn refuse(mut client: &TcpStream, status: &str, code: &str) -> std::io::Result<()> {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>Refused</Message></Error>"
    );
    let length = body.len();
    write!(
        client,
        "HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}
