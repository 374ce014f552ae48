//! Ballista's executor, with Ballista's own flags, and S3 by the usual AWS variables.

use std::sync::Arc;

use ballista_core::error::{BallistaError, Result};
use ballista_core::object_store::{runtime_env_with_s3_support, session_config_with_s3_support};
use ballista_executor::config::Config;
use ballista_executor::executor_process::{ExecutorProcessConfig, start_executor_process};
use ballista_executor::health::spawn_health_server;
use clap::Parser as _;

fn main() -> Result<()> {
    let flags = Config::parse();
    if flags.log_dir.is_some() {
        return Err(BallistaError::Configuration("--log-dir: this executor logs to standard error".to_owned()));
    }
    let filter = tracing_subscriber::EnvFilter::new(&flags.log_level_setting);
    tracing_subscriber::fmt().with_ansi(false).with_writer(std::io::stderr).with_env_filter(filter).init();
    let health_address = format!("{}:{}", flags.bind_host, flags.bind_health_port);
    let health_address =
        health_address.parse().map_err(|error| BallistaError::Configuration(format!("{health_address}: {error}")))?;
    let mut config = ExecutorProcessConfig::try_from(flags)?;
    config.override_config_producer = Some(Arc::new(session_config_with_s3_support));
    config.override_runtime_producer = Some(Arc::new(runtime_env_with_s3_support));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let (_stop, stopped) = tokio::sync::oneshot::channel();
        let health = spawn_health_server(health_address, config.health.clone(), stopped);
        let executor = start_executor_process(Arc::new(config));
        tokio::select! {
            result = executor => result,
            Ok(Err(error)) = health => Err(error),
        }
    })
}
