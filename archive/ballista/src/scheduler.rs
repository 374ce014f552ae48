//! Ballista's scheduler, with Ballista's own flags, and S3 by the usual AWS variables.

use std::sync::Arc;

use ballista_core::error::{BallistaError, Result};
use ballista_core::object_store::{session_config_with_s3_support, session_state_with_s3_support};
use ballista_scheduler::cluster::BallistaCluster;
use ballista_scheduler::config::{Config, SchedulerConfig};
use ballista_scheduler::scheduler_process::start_server;
use clap::Parser as _;

/// Planning recurses deeply; Ballista's own binary uses as much.
const STACK_BYTES: usize = 32 << 20;

fn main() -> Result<()> {
    let flags = Config::parse();
    if flags.log_dir.is_some() {
        return Err(BallistaError::Configuration("--log-dir: this scheduler logs to standard error".to_owned()));
    }
    let filter = tracing_subscriber::EnvFilter::new(&flags.log_level_setting);
    tracing_subscriber::fmt().with_ansi(false).with_writer(std::io::stderr).with_env_filter(filter).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_stack_size(STACK_BYTES).build()?;
    runtime.block_on(async {
        let address = format!("{}:{}", flags.bind_host, flags.bind_port);
        let address = address.parse().map_err(|error| BallistaError::Configuration(format!("{address}: {error}")))?;
        let config = SchedulerConfig::try_from(flags)?
            .with_override_config_producer(Arc::new(session_config_with_s3_support))
            .with_override_session_builder(Arc::new(session_state_with_s3_support));
        start_server(BallistaCluster::new_from_config(&config).await?, address, Arc::new(config)).await
    })
}
