//! A service on loopback whose listings a test provides, and a client of it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

use crate::domain::Combination;
use crate::domain::Validators;
use crate::runtime::config::{Config, Upstream};
use crate::runtime::fs;
use crate::store::{BoardEncoder, Buffers, Cache, Entries};
use crate::upstream::{Answer, Client, FetchError, LastPage};

/// A request for a listing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Listing {
    pub(crate) start: usize,
    pub(crate) count: usize,
}

/// A response: its status (by default 200), extra headers, and parts of the body, which are sent one by one.
#[derive(Debug, Default)]
pub(crate) struct Body {
    pub(crate) status: Option<&'static str>,
    pub(crate) headers: Vec<(&'static str, &'static str)>,
    pub(crate) parts: Vec<Vec<u8>>,
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Self { parts: vec![text.into_bytes()], ..Self::default() }
    }
}

/// An entry of a driver.
pub(crate) fn entry(driver: u32, index: usize) -> String {
    format!(r#"{{"driver":{{"name":"D","path":"{driver}"}},"laptime":"1m 25.301s, +{index}s","index":{index}}}"#)
}

/// A page of entries.
pub(crate) fn page(entries: &[String]) -> String {
    format!(r#"{{"context":{{"c":{{"results":[{}]}}}}}}"#, entries.join(","))
}

/// A running service. Dropping it stops it.
pub(crate) struct Service {
    pub(crate) runtime: Runtime,
    pub(crate) client: Arc<Client>,
}

impl Service {
    pub(crate) fn new(answer: impl FnMut(Listing) -> Body + Send + 'static, page_size: usize, attempts: u32) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let config = Upstream {
            base_url: format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap(),
            requests_per_second: 100_000,
            concurrency: 1,
            page_size,
            max_body_mb: 1,
            max_idle_per_host: 0,
            attempts,
            backoff_min: Duration::from_millis(1),
            backoff_max: Duration::from_millis(1),
            ..Config::default().upstream
        };
        runtime.spawn(serve(listener, answer));
        Self { runtime, client: Arc::new(Client::new(&config, 1, SystemTime::now).unwrap()) }
    }

    pub(crate) fn fetch(&self, last_page: LastPage) -> Result<Answer<BoardEncoder>, FetchError> {
        self.runtime.block_on(self.client.fetch(board(), "N", &Validators::default(), last_page))
    }

    /// The entries of the board.
    #[track_caller]
    pub(crate) fn entries(&self) -> Vec<Value> {
        match self.fetch(LastPage::Short).unwrap() {
            Answer::Board(encoder) => entries(*encoder),
            Answer::NotModified => panic!("the request was not conditional"),
        }
    }

    /// Why fetching the board fails.
    #[track_caller]
    pub(crate) fn failure(&self) -> String {
        self.fetch(LastPage::Short).unwrap_err().to_string()
    }
}

fn board() -> Combination {
    "2-3".parse().unwrap()
}

/// The entries of a board, read back from its file.
fn entries(encoder: BoardEncoder) -> Vec<Value> {
    #[derive(Default)]
    struct Read(Vec<Value>);
    impl<'a> Entries<'a> for Read {
        type Entry = &'a serde_json::value::RawValue;
        fn restart(&mut self) {
            self.0.clear();
        }
        fn entry(&mut self, raw: Self::Entry) {
            self.0.push(serde_json::from_str(raw.get()).unwrap());
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::new(folder.path());
    let path = cache.board_path(board());
    fs::create_folders(fs::parent(&path)).unwrap();
    fs::write_whole(&path, &encoder.finish("t").bytes).unwrap();
    let mut read = Read::default();
    cache.read(board(), &mut Buffers::default(), &mut read).unwrap().unwrap();
    read.0
}

/// The drivers of a board.
pub(crate) fn drivers(encoder: BoardEncoder) -> Vec<u32> {
    entries(encoder).iter().map(|it| it["driver"]["path"].as_str().unwrap().parse().unwrap()).collect()
}

/// Serves one request per connection, one connection at a time.
async fn serve(listener: TcpListener, mut answer: impl FnMut(Listing) -> Body) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let head = head(&mut stream).await;
        let listing = || {
            let value = |key: &str| head.split_once(key)?.1.split(['&', ' ']).next()?.parse().ok();
            Some(Listing { start: value("start=")?, count: value("count=")? })
        };
        // Anything else is the page that opens a session.
        let Body { status, headers, parts } = listing().map_or_else(|| "<html>".to_owned().into(), &mut answer);
        let headers = headers.iter().flat_map(|(name, value)| [name, ": ", value, "\r\n"]).collect::<String>();
        let length: usize = parts.iter().map(Vec::len).sum();
        let head = format!(
            "HTTP/1.1 {}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n",
            status.unwrap_or("200 OK")
        );
        stream.set_nodelay(true).unwrap();
        for part in [head.as_bytes()].into_iter().chain(parts.iter().map(Vec::as_slice)) {
            // A client that has read enough closes.
            if stream.write_all(part).await.is_err() || stream.flush().await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
}

/// The head of a request.
async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).unwrap()
}
