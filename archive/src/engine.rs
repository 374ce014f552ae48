//! The query engine: `DataFusion` in this process, or a Ballista cluster, over the files that count.

mod errors;
mod views;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::arrow::array::RecordBatch;
use datafusion::config::ConfigNonZeroUsize;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::datasource::{MemTable, TableProvider};
use datafusion::execution::cache::TableScopedPath;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::logical_expr::{LogicalPlan, SortExpr};
use datafusion::physical_plan::{SendableRecordBatchStream, execute_stream};
use datafusion::prelude::{DataFrame, SessionConfig, SessionContext, col};
use futures_util::StreamExt as _;
use object_store::ObjectMeta;

use crate::cluster::Job;
use crate::error::ArchiveError;
use crate::files::{Files, LiveFile};
use crate::location::Location;
use crate::schema::SCHEMA;

/// What a query may use for sorting and grouping if no limit is set.
const POOL_BYTES: usize = 512 << 20;

/// How much of a memory limit goes to the pool: what is read and decoded is not counted by it.
const POOL_PART: f64 = 0.4;

/// Recordings that are merged as streams; more are sorted.
const MAX_MERGED_STREAMS: usize = 64;
/// Rows that are read of each of these streams at once.
const MERGED_BATCH_ROWS: usize = 1024;
/// Longer than any month takes.
const MERGE_TIMEOUT: Duration = Duration::from_hours(12);

/// For the names of all files.
const FILE_LIST_BYTES: usize = 64 << 20;

/// How many consumers an error about memory lists.
const LISTED_CONSUMERS: NonZeroUsize = NonZeroUsize::MIN;

/// A session with the views over an archive.
pub struct Engine {
    context: SessionContext,
    timeout: Duration,
    /// The address of the cluster's scheduler, if queries run there.
    cluster: Option<String>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

/// Where queries run.
#[derive(Debug, Clone)]
pub struct Place {
    /// The address of a cluster's scheduler; none for this process.
    pub cluster: Option<String>,
    /// How long an answer may take.
    pub timeout: Duration,
    /// The memory limit of this process.
    pub limit_bytes: Option<u64>,
}

impl Engine {
    /// A session over these files of an archive.
    ///
    /// # Errors
    /// If the cluster cannot be reached, or a file cannot be read.
    pub async fn open(location: &Location, files: &Files, place: &Place) -> Result<Self, ArchiveError> {
        let runtime = runtime(location, place.limit_bytes)?;
        let context = match &place.cluster {
            None => local(runtime),
            Some(address) => {
                let cluster = crate::cluster::connect(address, location, Arc::clone(&runtime)).await?;
                // A table without files cannot be sent.
                if files.live.is_empty() { local(runtime) } else { cluster }
            }
        };
        let engine = Self { context, timeout: place.timeout, cluster: place.cluster.clone() };
        engine.register("archive_rows", location, &files.live, Vec::new())?;
        for view in views::VIEWS {
            engine.context.sql(view).await?;
        }
        Ok(engine)
    }

    /// A session over recordings, as the table `recordings`, to read them in the order of their rows.
    pub(crate) fn over_recordings(
        location: &Location,
        files: &[LiveFile],
        place: &Place,
    ) -> Result<Self, ArchiveError> {
        let context = local(runtime(location, place.limit_bytes)?);
        let engine = Self { context, timeout: MERGE_TIMEOUT, cluster: None };
        if files.len() <= MAX_MERGED_STREAMS {
            // Each file is a stream of its own, in order, so that merging them needs a batch of each, and no sorting.
            let state = engine.context.state_ref();
            let mut state = state.write();
            let options = state.config_mut().options_mut();
            options.execution.target_partitions = files.len();
            options.execution.batch_size = ConfigNonZeroUsize::try_new(MERGED_BATCH_ROWS)?;
            options.optimizer.repartition_file_scans = false;
            drop(state);
            let order =
                ["track_id", "class_id", "observed_at", "position"].map(|it| col(it).sort(true, false)).to_vec();
            engine.register("recordings", location, files, vec![order])?;
        } else {
            engine.register("recordings", location, files, Vec::new())?;
        }
        Ok(engine)
    }

    /// A session over one file, as the table `recordings`, to read its rows as they are.
    pub(crate) fn over_file(location: &Location, file: &LiveFile) -> Result<Self, ArchiveError> {
        let context = local(runtime(location, None)?);
        context.state_ref().write().config_mut().options_mut().execution.target_partitions = 1;
        let engine = Self { context, timeout: MERGE_TIMEOUT, cluster: None };
        engine.register("recordings", location, std::slice::from_ref(file), Vec::new())?;
        Ok(engine)
    }

    /// Registers these files as a table. `order` is that of the entries in each file; the versions at its end are filtered out before
    /// it matters.
    fn register(
        &self,
        name: &str,
        location: &Location,
        files: &[LiveFile],
        order: Vec<Vec<SortExpr>>,
    ) -> Result<(), ArchiveError> {
        // The engine leaves out empty files without a word.
        if let Some(empty) = files.iter().find(|it| it.bytes == 0) {
            return Err(ArchiveError::Damaged { file: location.name(&empty.path), problem: "empty".to_owned() });
        }
        let table: Arc<dyn TableProvider> = if files.is_empty() {
            Arc::new(MemTable::try_new(Arc::clone(&SCHEMA), vec![vec![]])?)
        } else {
            let urls = files
                .iter()
                .map(|it| ListingTableUrl::try_new(location.url(&it.path), None))
                .collect::<Result<_, _>>()?;
            let options = ListingOptions::new(Arc::new(ParquetFormat::new()))
                .with_file_extension(".parquet")
                .with_file_sort_order(order);
            self.remember(location, files);
            let config = ListingTableConfig::new_with_multi_paths(urls)
                .with_listing_options(options)
                .with_schema(Arc::clone(&SCHEMA));
            Arc::new(ListingTable::try_new(config)?)
        };
        self.context.register_table(name, table)?;
        Ok(())
    }

    /// Lets the engine know which files there are. It treats a missing file as an empty folder; knowing that there was a
    /// file, it fails if somebody has removed it meanwhile.
    #[allow(
        clippy::default_trait_access,
        reason = "the type of the time belongs to a crate that is no dependency of ours"
    )]
    fn remember(&self, location: &Location, files: &[LiveFile]) {
        let Some(cache) = self.context.runtime_env().cache_manager.get_list_files_cache() else { return };
        for file in files {
            let path = location.path(&file.path);
            let meta = ObjectMeta {
                location: path.clone(),
                last_modified: Default::default(),
                size: file.bytes,
                e_tag: None,
                version: None,
            };
            cache.put(&TableScopedPath { table: None, path }, vec![meta].into());
        }
    }

    /// Collects statistics of the files before each query, so that joins hold the smaller side in memory. It takes as long as a short query.
    pub fn collect_statistics(&self) {
        self.context.state_ref().write().config_mut().options_mut().execution.collect_statistics = true;
    }

    /// A statement that only reads.
    ///
    /// # Errors
    /// If it is invalid, with its place, or would write.
    pub async fn plan(&self, statement: &str) -> Result<DataFrame, ArchiveError> {
        let options = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        let planned = tokio::time::timeout(self.timeout, self.context.sql_with_options(statement, options)).await;
        let planned = planned.map_err(|_| ArchiveError::Timeout(self.timeout))?;
        let query = planned.map_err(|error| errors::of_statement(statement, error))?;
        if let LogicalPlan::DescribeTable(_) = query.logical_plan() {
            // It needs no cluster, and cannot be sent to one.
            let plan = query.logical_plan().clone();
            return Ok(DataFrame::new(SessionContext::new().state(), plan));
        }
        Ok(query)
    }

    /// The rows of a query, as they come.
    ///
    /// # Errors
    /// If it cannot be planned, or does not begin within the time limit.
    pub async fn stream(&self, query: DataFrame) -> Result<SendableRecordBatchStream, ArchiveError> {
        let started = tokio::time::timeout(self.timeout, query.execute_stream()).await;
        Ok(started.map_err(|_| ArchiveError::Timeout(self.timeout))??)
    }

    /// Passes on the rows of a query as they come.
    ///
    /// # Errors
    /// If the query fails, waiting for it takes longer than the time limit, or `each` fails. The time that `each` takes does not count: it
    /// may write to a pipe that is read slowly.
    pub async fn for_each(
        &self,
        query: DataFrame,
        mut each: impl FnMut(RecordBatch) -> Result<(), ArchiveError>,
    ) -> Result<(), ArchiveError> {
        let mut left = self.timeout;
        let context = Arc::new(query.task_ctx());
        let plan = self.within(&mut left, query.create_physical_plan()).await??;
        let job = self.cluster.as_ref().map(|it| Job::new(it, &plan));
        let mut rows = execute_stream(plan, context)?;
        let ended = loop {
            match self.within(&mut left, rows.next()).await? {
                Some(Ok(batch)) => each(batch)?,
                Some(Err(error)) => break Err(error.into()),
                None => break Ok(()),
            }
        };
        if let Some(job) = job {
            job.end();
        }
        ended
    }

    /// Waits for what the engine does, within what is left of the time limit.
    async fn within<T>(&self, left: &mut Duration, work: impl Future<Output = T>) -> Result<T, ArchiveError> {
        let begun = Instant::now();
        let done = tokio::time::timeout(*left, work).await.map_err(|_| ArchiveError::Timeout(self.timeout))?;
        *left = left.saturating_sub(begun.elapsed());
        Ok(done)
    }

    /// The rows of a query of our own.
    ///
    /// # Errors
    /// As [`Engine::for_each`].
    pub async fn rows(&self, statement: &str) -> Result<Vec<RecordBatch>, ArchiveError> {
        let mut rows = Vec::new();
        let query = self.plan(statement).await?;
        self.for_each(query, |batch| {
            rows.push(batch);
            Ok(())
        })
        .await?;
        Ok(rows)
    }
}

/// What queries of this process use: the store, and memory, beyond which sorting and grouping spill to disk.
fn runtime(location: &Location, limit_bytes: Option<u64>) -> Result<Arc<RuntimeEnv>, ArchiveError> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a part of a limit"
    )]
    let pool = limit_bytes.map_or(POOL_BYTES, |limit| (limit as f64 * POOL_PART) as usize);
    let pool = TrackConsumersPool::new(FairSpillPool::new(pool), LISTED_CONSUMERS);
    let spill = DiskManagerBuilder::default().with_mode(DiskManagerMode::OsTmpDirectory);
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(pool))
        .with_disk_manager_builder(spill)
        .with_object_list_cache_limit(FILE_LIST_BYTES)
        .build()?;
    runtime.register_object_store(location.root(), Arc::clone(location.store()));
    Ok(Arc::new(runtime))
}

/// A session in this process.
fn local(runtime: Arc<RuntimeEnv>) -> SessionContext {
    let mut config = SessionConfig::new().with_information_schema(true);
    let options = config.options_mut();
    options.sql_parser.collect_spans = true;
    options.execution.parquet.pushdown_filters = true;
    options.execution.parquet.reorder_filters = true;
    // What can be skipped is found in the footers; to collect statistics, the page index of each file is read too.
    options.execution.collect_statistics = false;
    SessionContext::new_with_config_rt(config, runtime)
}
