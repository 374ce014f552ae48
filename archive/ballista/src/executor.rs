//! Ballista's executor, with Ballista's own flags, and S3 by the usual AWS variables.

use std::sync::Arc;

use ballista_core::error::Result;
use ballista_core::object_store::{runtime_env_with_s3_support, session_config_with_s3_support};
use ballista_executor::config::Config;
use ballista_executor::executor_process::{ExecutorProcessConfig, start_executor_process};
use clap::Parser as _;

fn main() -> Result<()> {
    tracing_subscriber::fmt().with_ansi(false).with_writer(std::io::stderr).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut config = ExecutorProcessConfig::try_from(Config::parse())?;
    config.override_config_producer = Some(Arc::new(session_config_with_s3_support));
    config.override_runtime_producer = Some(Arc::new(runtime_env_with_s3_support));
    runtime.block_on(start_executor_process(Arc::new(config)))
}
