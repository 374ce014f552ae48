//! Queries on a Ballista cluster, which reads the same object store.

use datafusion::prelude::SessionContext;

use crate::error::ArchiveError;
use crate::location::Location;

/// How long the scheduler may take to answer, and executors to take a first trivial query.
#[cfg(feature = "cluster")]
const CONNECT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);
#[cfg(feature = "cluster")]
const PROBE_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(20);

/// A session on the cluster, which has shown that it answers.
#[cfg(feature = "cluster")]
pub(crate) async fn connect(address: &str, location: &Location) -> Result<SessionContext, ArchiveError> {
    use ballista::prelude::SessionContextExt as _;
    use ballista_core::object_store::{session_config_with_s3_support, session_state_with_s3_support};

    let (host, port) = host_and_port(address)?;
    if !location.is_remote() {
        let problem = format!("a cluster reads object stores, but the archive is the folder {location} (archive.url)");
        return Err(ArchiveError::Usage(problem));
    }
    // Ballista itself waits for long for a scheduler that is down.
    let reached = tokio::time::timeout(CONNECT_TIMEOUT, tokio::net::TcpStream::connect((host.as_str(), port))).await;
    let failed = |problem: String| ArchiveError::Cluster(format!("cannot reach the scheduler at {address}: {problem}"));
    reached
        .map_err(|_| failed(format!("no answer within {CONNECT_TIMEOUT:?}")))?
        .map_err(|error| failed(error.to_string()))?;
    let mut config = session_config_with_s3_support();
    config.options_mut().sql_parser.collect_spans = true;
    let state = session_state_with_s3_support(config)?;
    let context = SessionContext::remote_with_state(&format!("df://{host}:{port}"), state).await?;
    // Without an executor, a query waits for ever.
    let probe = async { context.sql("SELECT 1").await?.collect().await };
    match tokio::time::timeout(PROBE_TIMEOUT, probe).await {
        Ok(Ok(_)) => Ok(context),
        Ok(Err(error)) => Err(failed(error.strip_backtrace())),
        Err(_) => Err(ArchiveError::Cluster(format!(
            "no executor of the cluster at {address} took a query within {PROBE_TIMEOUT:?}"
        ))),
    }
}

/// The address of the scheduler: `http://host:50050`.
#[cfg(feature = "cluster")]
fn host_and_port(address: &str) -> Result<(String, u16), ArchiveError> {
    let url = url::Url::parse(address).ok().filter(|it| matches!(it.scheme(), "http" | "df"));
    let parts = url.as_ref().and_then(|it| Some((it.host_str()?.to_owned(), it.port()?)));
    parts.ok_or_else(|| {
        ArchiveError::Usage(format!("--cluster {address}: expected an address such as http://host:50050"))
    })
}

/// This build has no client for clusters.
#[cfg(not(feature = "cluster"))]
#[expect(clippy::unused_async, reason = "as with the feature")]
pub(crate) async fn connect(_address: &str, _location: &Location) -> Result<SessionContext, ArchiveError> {
    Err(ArchiveError::Usage(
        "--cluster: this build has no client for clusters; build it with --features cluster".to_owned(),
    ))
}
