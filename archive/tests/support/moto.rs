//! An S3 server of its own for a test: moto's, from `PyPI`.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::Place;
use super::proxy::Proxy;

/// The bucket that the server has.
pub const BUCKET: &str = "boards";

/// Where archives are in it.
const PREFIX: &str = "some/r3e";

/// Serves on a free port, until standard input ends: so it also ends with a test program that is killed.
const SERVER: &str = "
import os, sys, threading
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
from moto.server import main
main(['-H', '127.0.0.1', '-p', '0'])
";

/// A running server.
pub struct Moto {
    server: Child,
    pub port: u16,
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ended = self.server.kill();
        let _ended = self.server.wait();
    }
}

impl Moto {
    /// A server with an empty bucket; none without the Python that has it, which is an error only with `CI=true`.
    pub fn start(test: &str) -> Option<Self> {
        let python = python(test)?;
        let mut server = Command::new(python)
            .args(["-c", SERVER])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(server.stderr.take().unwrap());
        let (mut line, mut port) = (String::new(), None);
        while port.is_none() {
            line.clear();
            assert!(log.read_line(&mut line).unwrap() > 0, "moto's server ended");
            let address = line.trim().strip_prefix("* Running on http://127.0.0.1:");
            port = address.map(|it| it.parse().unwrap());
        }
        // A full pipe would stop the server.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        let moto = Self { server, port: port.unwrap() };
        moto.create_bucket();
        Some(moto)
    }

    fn create_bucket(&self) {
        self.put(BUCKET, b"");
    }

    /// Puts an object, or creates a bucket.
    fn put(&self, path: &str, content: &[u8]) {
        let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        let length = content.len();
        write!(
            connection,
            "PUT /{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        connection.write_all(content).unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
    }

    /// Moves the archive of a place, which is a folder, to this server.
    pub fn upload(&self, place: Place) -> Place {
        let folder = PathBuf::from(&place.archive);
        let mut waiting = vec![folder.clone()];
        while let Some(path) = waiting.pop() {
            if path.is_dir() {
                waiting.extend(std::fs::read_dir(path).unwrap().map(|it| it.unwrap().path()));
            } else {
                let name = path.strip_prefix(&folder).unwrap().display();
                self.put(&format!("{BUCKET}/{PREFIX}/{name}"), &std::fs::read(&path).unwrap());
            }
        }
        let Place { archive, variables, .. } = on_s3(self.port);
        Place { archive, variables, ..place }
    }

    /// A place with its archive on this server.
    pub fn place(&self) -> Place {
        on_s3(self.port)
    }
}

impl Proxy {
    /// A place with its archive on the server behind.
    pub fn place(&self) -> Place {
        Place { unreliable: true, ..on_s3(self.port) }
    }
}

/// A place with its archive on the S3 server at this port.
pub fn on_s3(port: u16) -> Place {
    let mut place = Place::new();
    place.archive = format!("s3://{BUCKET}/{PREFIX}");
    place.variables = [
        ("AWS_ENDPOINT", format!("http://127.0.0.1:{port}").as_str()),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    place
}

/// The Python that has the packages of `tests/python`.
pub fn python(test: &str) -> Option<PathBuf> {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/python/bin/python");
    let given = std::env::var_os("R3E_PYTHON").map(PathBuf::from);
    let python = given.or_else(|| ours.exists().then_some(ours));
    if python.is_none() {
        let problem =
            format!("{test}: not run, since there is no Python with moto: run archive/tests/python, or set R3E_PYTHON");
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{problem}");
        eprintln!("{problem}");
    }
    python
}
