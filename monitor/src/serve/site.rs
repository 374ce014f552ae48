//! What is served where.

use std::fmt::Display;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{ACCEPT, ALLOW, CONNECTION, ETAG, HOST, VARY};
use hyper::{Method, Request, StatusCode};
use r3e_common::runtime::config::Config;
use r3e_common::runtime::control::{Format, Stats};
use serde_json::{Value, json};

use super::conditions::header;
use super::cors;
use super::files::Files;
use super::fresh::Fresh;
use super::hosts::Hosts;
use super::look::Source;
use super::metrics;
use super::page::Page;
use super::preconditions::{Outcome, Validators};
use super::reply::{JSON, Reply, not_modified, precondition_failed, refusal, reply, secure, set};
use crate::ask::Question;
use crate::dashboard::{Origin, SLOTS, Work, now, past, read_runs, read_status, verdicts};
use crate::history::milliseconds;
use crate::sockets;
use crate::survey::{self, ask_all};

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
    /// What is looked at that may never answer.
    sockets: Source,
    runs: Source,
    status: Source,
    history: Source,
}

impl Site {
    /// With that configuration, at that address.
    pub(super) fn new(config: Config, address: SocketAddr, clock: fn() -> SystemTime) -> Self {
        let past = |(name, span): (&'static str, Duration)| Past {
            name,
            span,
            kept: Fresh::fallible((span / SLOTS).clamp(NOW_LASTS, MOST_PAST_LASTS)),
        };
        Self {
            clock,
            hosts: Hosts::of(address),
            page: OnceLock::new(),
            files: Files::new(config.cache.dir.clone(), clock),
            said: Fresh::new(NOW_LASTS),
            work: Fresh::new(WORK_LASTS),
            metrics: [Format::OpenMetrics, Format::Text].map(|it| (it, Fresh::new(NOW_LASTS))),
            verdicts: Fresh::fallible(VERDICTS_LAST),
            pasts: SPANS.into_iter().map(past).collect(),
            sockets: Source::new("sockets"),
            runs: Source::new(Origin::Runs.name()),
            status: Source::new(Origin::Status.name()),
            history: Source::new("history"),
            config: Arc::new(config),
        }
    }

    /// Answers one request.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Reply {
        let mut answer = self.route(&request).await;
        // What has no validators of its own may have been asked for on conditions all the same.
        if answer.status() == StatusCode::OK && !answer.headers().contains_key(ETAG) {
            match Validators::default().evaluate(request.headers()) {
                Outcome::Proceed => {}
                Outcome::NotModified => answer = not_modified(),
                Outcome::Failed => answer = precondition_failed(),
            }
        }
        secure(&mut answer);
        if !request.body().is_end_stream() {
            set(&mut answer, CONNECTION, "close");
        }
        answer
    }

    async fn route(&self, request: &Request<Incoming>) -> Reply {
        let published = request.uri().path().strip_prefix("/cache/");
        let is_options = *request.method() == Method::OPTIONS && published.is_some();
        if !is_options && !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut refusal = refusal(StatusCode::METHOD_NOT_ALLOWED, "nothing can be changed here: GET and HEAD only");
            set(&mut refusal, ALLOW, if published.is_some() { cors::METHODS } else { "GET, HEAD" });
            if published.is_some() {
                cors::for_all_origins(&mut refusal);
            }
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
        if let Some(path) = published {
            let mut answer =
                if is_options { cors::preflight(request.headers()) } else { self.files.answer(request, path).await };
            cors::for_all_origins(&mut answer);
            return answer;
        }
        match request.uri().path() {
            "/metrics" => self.metrics(Format::asked_for(header(request, &ACCEPT).unwrap_or_default())).await,
            "/api/now" => reply(StatusCode::OK, JSON, self.said().await.0),
            "/api/work" => reply(StatusCode::OK, JSON, self.work().await.0),
            "/api/verdicts" => told(self.verdicts().await),
            "/api/past" => self.past(request.uri().query().unwrap_or_default()).await,
            path => self.page(request, path),
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
        let found = page.answer(path, request.headers());
        found.unwrap_or_else(|| refusal(StatusCode::NOT_FOUND, "there are /, /metrics, /api/… and /cache/…"))
    }

    /// Looks at a source; what it tells, or why nothing.
    async fn look<T: Send + 'static, E: Display + Send + 'static>(
        &self,
        source: &Source,
        look: impl FnOnce(&Config) -> Result<T, E> + Send + 'static,
    ) -> Result<T, String> {
        let config = Arc::clone(&self.config);
        let seen = source.look(move || look(&config).map_err(|error| error.to_string())).await;
        seen.unwrap_or_else(|error| Err(error.to_string()))
    }

    async fn said(&self) -> (Bytes, Arc<Said>) {
        let ask = async {
            let sockets = self.look(&self.sockets, |config| sockets::list(&config.runtime.dir)).await;
            let (replies, trouble) = match sockets {
                Ok(sockets) => (ask_all::<Stats>(sockets, Question::Stats).await, None),
                Err(error) => (Vec::new(), Some(error)),
            };
            let said = Said { replies, at_ms: milliseconds((self.clock)()), trouble };
            (json(&now(&said.replies, said.at_ms, said.trouble.as_deref())), Arc::new(said))
        };
        self.said.get(ask).await
    }

    async fn work(&self) -> (Bytes, Arc<Work>) {
        let read = async {
            let (runs, status) = tokio::join!(self.look(&self.runs, read_runs), self.look(&self.status, read_status));
            let work = Work::of(runs, status);
            (json(&work.to_json()), Arc::new(work))
        };
        self.work.get(read).await
    }

    async fn metrics(&self, format: Format) -> Reply {
        let render = async {
            let ((_, said), (_, work)) = tokio::join!(self.said(), self.work());
            let failed = |source: &Source| match source.name() {
                "sockets" => said.trouble.is_some(),
                name => work.trouble.iter().any(|(origin, _)| origin.name() == name),
            };
            let sources = [&self.sockets, &self.runs, &self.status].map(|it| (it.name(), failed(it)));
            Bytes::from(metrics::render(&said.replies, &work, &sources, format))
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
            self.look(&self.history, move |config| verdicts(&config.monitor.history, now_ms)).await.map(|it| json(&it))
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
            self.look(&self.history, read).await.map(|it| json(&it))
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
