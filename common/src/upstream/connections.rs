//! How many connections there are at a time: never more than requests in flight, and never more idle than configured.
//!
//! A pool alone keeps neither bound when seen from the service. It closes what is above its idle slots after the fact,
//! and it opens a connection when the one just used is on its way back. So requests that find every idle slot spoken
//! for ask the service to close their connection with the answer, and the others give a returning connection a
//! moment before a new one is opened.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use reqwest::header::{CONNECTION, HeaderValue};
use tokio::sync::{Semaphore, SemaphorePermit};
use tower::{BoxError, Layer, Service};

/// How long a request waits for a connection that is on its way back. It takes microseconds, unless the machine is busy;
/// and few connections are opened in a run.
pub(super) const ON_ITS_WAY: Duration = Duration::from_millis(20);

/// The connections of a client.
#[derive(Debug)]
pub(super) struct Connections {
    /// Keeps its connections, as many as there are slots.
    kept: reqwest::Client,
    slots: Semaphore,
    /// Keeps none.
    single: reqwest::Client,
}

/// A request's way to the service, to be held until its answer has been read.
#[derive(Debug)]
pub(super) struct Way<'c> {
    client: &'c reqwest::Client,
    slot: Option<SemaphorePermit<'c>>,
}

impl Connections {
    /// Builds both clients by `settings`; `most_idle` connections are kept for `idle_timeout`.
    pub(super) fn new(
        settings: impl Fn() -> reqwest::ClientBuilder,
        most_idle: usize,
        idle_timeout: Duration,
    ) -> Result<Self, reqwest::Error> {
        let kept = settings()
            .pool_max_idle_per_host(most_idle)
            .pool_idle_timeout(idle_timeout)
            .connector_layer(Patient)
            .build()?;
        let single = settings().pool_max_idle_per_host(0).build()?;
        Ok(Self { kept, slots: Semaphore::new(most_idle), single })
    }

    /// The way of the next request.
    pub(super) fn way(&self) -> Way<'_> {
        let slot = self.slots.try_acquire().ok();
        Way { client: if slot.is_some() { &self.kept } else { &self.single }, slot }
    }
}

impl Way<'_> {
    /// A GET request on this way.
    pub(super) fn get(&self, address: reqwest::Url) -> reqwest::RequestBuilder {
        let request = self.client.get(address);
        if self.slot.is_some() { request } else { request.header(CONNECTION, HeaderValue::from_static("close")) }
    }
}

/// Waits a moment before connecting.
#[derive(Debug, Clone)]
struct Patient;

impl<S> Layer<S> for Patient {
    type Service = PatientConnector<S>;

    fn layer(&self, connect: S) -> PatientConnector<S> {
        PatientConnector { connect }
    }
}

#[derive(Debug, Clone)]
struct PatientConnector<S> {
    connect: S,
}

impl<S, Request> Service<Request> for PatientConnector<S>
where
    S: Service<Request, Error = BoxError> + Clone + Send + 'static,
    S::Future: Send,
    Request: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.connect.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        // The clone that was polled ready does the work.
        let next = self.connect.clone();
        let mut connect = std::mem::replace(&mut self.connect, next);
        let asked_by = tokio::task::try_id();
        Box::pin(async move {
            tokio::time::sleep(ON_ITS_WAY).await;
            // When a connection came back meanwhile, the pool lets this go on in a task of its own, to fill the pool:
            // that is the connection too many.
            if tokio::task::try_id() != asked_by {
                return Err("another connection came back first".into());
            }
            connect.call(request).await
        })
    }
}
