//! What is served where.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{ACCEPT, ACCEPT_ENCODING, ALLOW, CONNECTION, HOST, IF_NONE_MATCH, VARY};
use hyper::{Method, Request, StatusCode};
use r3e_common::process::config::Config;
use r3e_common::process::control::{Format, Stats};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::conditions::header;
use super::files::Files;
use super::fresh::Fresh;
use super::hosts::Hosts;
use super::metrics;
use super::page::Page;
use super::reply::{JSON, Reply, refusal, reply, secure, set};
use crate::ask::Question;
use crate::dashboard::{SLOTS, Work, now, past, verdicts};
use crate::history::milliseconds;
use crate::survey::{self, ask_everyone};

/// The spans of time that the page offers: a chart of each is worked out once for all who look at it.
const SPANS: [(&str, Duration); 5] = [
    ("15m", Duration::from_mins(15)),
    ("1h", Duration::from_hours(1)),
    ("6h", Duration::from_hours(6)),
    ("24h", Duration::from_hours(24)),
    ("7d", Duration::from_hours(7 * 24)),
];

/// How long what programs say lasts.
const NOW_LASTS: Duration = Duration::from_secs(1);
/// What jobs did changes slower, and is read from disk.
const WORK_LASTS: Duration = Duration::from_secs(3);
/// Judging takes samples of two days.
const VERDICTS_LAST: Duration = Duration::from_secs(15);
/// A chart of a week changes every three quarters of an hour; nobody waits so long for one.
const MOST_PAST_LASTS: Duration = Duration::from_mins(1);

/// What programs said at one moment.
#[derive(Debug)]
struct Said {
    replies: Vec<survey::Reply<Stats>>,
    at_ms: i64,
    trouble: Option<String>,
}

/// The series of one of the spans.
#[derive(Debug)]
struct Past {
    name: &'static str,
    span: Duration,
    kept: Fresh<Result<Bytes, String>>,
}

/// The site.
#[derive(Debug)]
pub(super) struct Site {
    config: Arc<Config>,
    clock: fn() -> SystemTime,
    hosts: Hosts,
    page: OnceLock<Page>,
    files: Files,
    said: Fresh<(Bytes, Arc<Said>)>,
    work: Fresh<(Bytes, Arc<Work>)>,
    metrics: [(Format, Fresh<Bytes>); 2],
    verdicts: Fresh<Result<Bytes, String>>,
    pasts: Vec<Past>,
    /// Reading the history or the disk is done by one at a time.
    reading: Arc<Semaphore>,
}

impl Site {
    /// With that configuration, at that address.
    pub(super) fn new(config: Config, address: SocketAddr, clock: fn() -> SystemTime) -> Self {
        let past = |(name, span): (&'static str, Duration)| Past {
            name,
            span,
            kept: Fresh::new((span / SLOTS).clamp(NOW_LASTS, MOST_PAST_LASTS)),
        };
        Self {
            clock,
            hosts: Hosts::of(address),
            page: OnceLock::new(),
            files: Files::new(config.cache.dir.clone(), clock),
            said: Fresh::new(NOW_LASTS),
            work: Fresh::new(WORK_LASTS),
            metrics: [Format::OpenMetrics, Format::Text].map(|it| (it, Fresh::new(NOW_LASTS))),
            verdicts: Fresh::new(VERDICTS_LAST),
            pasts: SPANS.into_iter().map(past).collect(),
            reading: Arc::new(Semaphore::new(1)),
            config: Arc::new(config),
        }
    }

    /// Answers one request.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Reply {
        let mut answer = self.route(&request).await;
        secure(&mut answer);
        if !request.body().is_end_stream() {
            set(&mut answer, CONNECTION, "close");
        }
        answer
    }

    async fn route(&self, request: &Request<Incoming>) -> Reply {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut refusal = refusal(StatusCode::METHOD_NOT_ALLOWED, "nothing can be changed here: GET and HEAD only");
            set(&mut refusal, ALLOW, "GET, HEAD");
            return refusal;
        }
        if !request.body().is_end_stream() {
            return refusal(StatusCode::PAYLOAD_TOO_LARGE, "a request has no body here");
        }
        if let Some(name) = self.foreign_host(request) {
            return refusal(
                StatusCode::MISDIRECTED_REQUEST,
                format_args!("this is not {name:?}; hint: a proxy in front has to ask for localhost"),
            );
        }
        match request.uri().path() {
            "/metrics" => self.metrics(Format::asked_for(header(request, &ACCEPT).unwrap_or_default())).await,
            "/api/now" => reply(StatusCode::OK, JSON, self.said().await.0),
            "/api/work" => reply(StatusCode::OK, JSON, self.work().await.0),
            "/api/verdicts" => told(self.verdicts().await),
            "/api/past" => self.past(request.uri().query().unwrap_or_default()).await,
            path => match path.strip_prefix("/cache/") {
                Some(path) => self.files.answer(request, path).await,
                None => self.page(request, path),
            },
        }
    }

    /// The name by which we are called, where it is not ours. A client of HTTP/1.0 may have none; a browser always has.
    fn foreign_host(&self, request: &Request<Incoming>) -> Option<String> {
        let headers = request.headers().get_all(HOST).iter();
        let headers = headers.map(|it| String::from_utf8_lossy(it.as_bytes()).into_owned());
        let asked = request.uri().authority().map(ToString::to_string);
        let foreign = headers.chain(asked).find(|it| !self.hosts.allow(it))?;
        Some(foreign.chars().take(100).collect())
    }

    fn page(&self, request: &Request<Incoming>, path: &str) -> Reply {
        let page = match self.page.get() {
            Some(page) => page,
            None => match Page::new() {
                Ok(page) => self.page.get_or_init(|| page),
                Err(error) => return refusal(StatusCode::INTERNAL_SERVER_ERROR, error),
            },
        };
        let found = page.answer(path, header(request, &ACCEPT_ENCODING), header(request, &IF_NONE_MATCH));
        found.unwrap_or_else(|| refusal(StatusCode::NOT_FOUND, "there are /, /metrics, /api/… and /cache/…"))
    }

    /// Work that may block, one at a time; it goes on to its end also where nobody waits for it any more.
    async fn read<T: Send + 'static>(&self, work: impl FnOnce(&Config) -> T + Send + 'static) -> Result<T, String> {
        let turn = Arc::clone(&self.reading).acquire_owned().await.map_err(|error| error.to_string())?;
        let config = Arc::clone(&self.config);
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work(&config)
        });
        done.await.map_err(|error| error.to_string())
    }

    async fn said(&self) -> (Bytes, Arc<Said>) {
        let ask = async {
            let asked = ask_everyone::<Stats>(&self.config.runtime.dir, Question::Stats).await;
            let at_ms = milliseconds((self.clock)());
            let (replies, trouble) = match asked {
                Ok(replies) => (replies, None),
                Err(error) => (Vec::new(), Some(error.to_string())),
            };
            let said = Said { replies, at_ms, trouble };
            (json(&now(&said.replies, said.at_ms, said.trouble.as_deref())), Arc::new(said))
        };
        self.said.get(ask).await
    }

    async fn work(&self) -> (Bytes, Arc<Work>) {
        let read = async {
            let work = self.read(Work::read).await;
            let work = work.unwrap_or_else(|error| Work { runs: Vec::new(), status: None, trouble: vec![error] });
            (json(&work.to_json()), Arc::new(work))
        };
        self.work.get(read).await
    }

    async fn metrics(&self, format: Format) -> Reply {
        let render = async {
            let ((_, said), (_, work)) = (self.said().await, self.work().await);
            Bytes::from(metrics::render(&said.replies, &work, format))
        };
        let [(first, open), (_, text)] = &self.metrics;
        let kept = if *first == format { open } else { text };
        let mut answer = reply(StatusCode::OK, format.content_type(), kept.get(render).await);
        set(&mut answer, VARY, "accept");
        answer
    }

    async fn verdicts(&self) -> Result<Bytes, String> {
        let now_ms = milliseconds((self.clock)());
        let read = async {
            let found = self.read(move |config| verdicts(&config.monitor.history, now_ms)).await?;
            found.map(|it| json(&it)).map_err(|error| error.to_string())
        };
        self.verdicts.get(read).await
    }

    async fn past(&self, query: &str) -> Reply {
        let since = query.split('&').find_map(|it| it.strip_prefix("since=")).unwrap_or("1h");
        let Some(Past { span, kept, .. }) = self.pasts.iter().find(|it| it.name == since) else {
            let names = SPANS.map(|(name, _)| name).join(", ");
            return refusal(StatusCode::BAD_REQUEST, format_args!("since={since:.20}: expected one of {names}"));
        };
        let (span, now_ms) = (*span, milliseconds((self.clock)()));
        let read = async {
            let read = move |config: &Config| past(&config.monitor.history, span, now_ms, config.monitor.every);
            self.read(read).await?.map(|it| json(&it)).map_err(|error| error.to_string())
        };
        let answer = told(kept.get(read).await);
        for past in &self.pasts {
            past.kept.forget_old();
        }
        answer
    }
}

fn json(value: &Value) -> Bytes {
    let mut text = value.to_string().into_bytes();
    text.push(b'\n');
    text.shrink_to_fit();
    text.into()
}

/// What was read; or why it was not, which the page shows.
fn told(read: Result<Bytes, String>) -> Reply {
    match read {
        Ok(json) => reply(StatusCode::OK, JSON, json),
        Err(error) => {
            tracing::debug!(error, "an answer could not be read");
            reply(StatusCode::SERVICE_UNAVAILABLE, JSON, json(&json!({ "error": error })))
        }
    }
}
