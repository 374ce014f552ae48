//! Queries on a Ballista cluster, which reads the same object store.

use std::sync::Arc;

use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionContext;

use crate::error::ArchiveError;
use crate::location::Location;

/// How long the scheduler may take to answer, and executors to take a first trivial query.
#[cfg(feature = "cluster")]
const CONNECT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);
#[cfg(feature = "cluster")]
const PROBE_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(20);
#[cfg(feature = "cluster")]
const CANCEL_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(2);

/// A session on the cluster, which has shown that it answers. `runtime` is for what this process reads itself.
#[cfg(feature = "cluster")]
pub(crate) async fn connect(
    address: &str,
    location: &Location,
    runtime: Arc<RuntimeEnv>,
) -> Result<SessionContext, ArchiveError> {
    use ballista::prelude::SessionContextExt as _;
    use ballista_core::object_store::{session_config_with_s3_support, session_state_with_s3_support};
    use datafusion::execution::SessionStateBuilder;

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
    // By polling, which takes up to a tenth of a second more, the id of a job is known from the beginning, so that it can be cancelled.
    let config = config.set_bool(ballista_core::config::BALLISTA_CLIENT_PULL, true);
    let state = SessionStateBuilder::new_from_existing(session_state_with_s3_support(config)?)
        .with_runtime_env(runtime)
        .build();
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

/// A query on a cluster. Unless it has ended, it is cancelled when nobody waits for it any more: by itself, Ballista goes on to the end.
pub(crate) struct Job {
    #[cfg_attr(not(feature = "cluster"), allow(dead_code, reason = "there is no job without a cluster"))]
    running: Option<(String, Arc<dyn ExecutionPlan>)>,
}

impl Job {
    /// The job that a plan will be at the scheduler of this address.
    pub(crate) fn new(address: &str, plan: &Arc<dyn ExecutionPlan>) -> Self {
        Self { running: Some((address.to_owned(), Arc::clone(plan))) }
    }

    /// It has ended.
    pub(crate) fn end(mut self) {
        self.running = None;
    }
}

#[cfg(feature = "cluster")]
impl Drop for Job {
    fn drop(&mut self) {
        let Some((address, plan)) = self.running.take() else { return };
        let cancelled = tokio::time::timeout(CANCEL_TIMEOUT, cancel(&address, &plan));
        // The program may be about to end, so this cannot be left to a task.
        let cancelled = tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(cancelled));
        let problem = match cancelled {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {CANCEL_TIMEOUT:?}"),
        };
        tracing::warn!(cluster = address, error = problem, "cannot cancel the query; it continues on the cluster");
    }
}

#[cfg(feature = "cluster")]
async fn cancel(address: &str, plan: &Arc<dyn ExecutionPlan>) -> Result<(), Box<dyn std::error::Error>> {
    use ballista_core::execution_plans::DistributedQueryExec;
    use ballista_core::serde::protobuf::CancelJobParams;
    use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
    use datafusion_proto::protobuf::LogicalPlanNode;

    // None if it was not accepted yet, or runs here.
    let job = plan.downcast_ref::<DistributedQueryExec<LogicalPlanNode>>().and_then(DistributedQueryExec::job_id);
    let Some(job) = job else { return Ok(()) };
    let endpoint = ballista_core::utils::create_grpc_client_endpoint(address.to_owned(), None)?;
    let mut scheduler = SchedulerGrpcClient::new(endpoint.connect().await?);
    scheduler.cancel_job(CancelJobParams { job_id: job.to_string() }).await?;
    Ok(())
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
pub(crate) async fn connect(
    _address: &str,
    _location: &Location,
    _runtime: Arc<RuntimeEnv>,
) -> Result<SessionContext, ArchiveError> {
    Err(ArchiveError::Usage(
        "--cluster: this build has no client for clusters; build it with --features cluster".to_owned(),
    ))
}
