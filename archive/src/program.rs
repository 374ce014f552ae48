//! From the command line to the exit code.

use std::ffi::OsString;
use std::fmt::Display;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use jiff::{SignedDuration, Timestamp};
use r3e_archive_cli::{
    AnswerArguments, Arguments, BoardArguments, Command, EngineArguments, Format, SqlArguments, Until,
};
use r3e_common::job::load_catalog;
use r3e_common::runtime::config::Loaded;
use r3e_common::runtime::control::{Control, Facts};
use r3e_common::runtime::exit::{Exit, Failure, Fatal as _};
use r3e_common::runtime::memory::limit::Limits;
use r3e_common::runtime::memory::limiter::MemoryLimiter;
use r3e_common::runtime::memory::pressure::Role;
use r3e_common::runtime::output::print;
use r3e_common::runtime::program::{self, configure, parse};
use r3e_common::runtime::run_record::RunRecorder;
use r3e_common::runtime::shutdown::Shutdown;
use r3e_common::runtime::tasks;
use r3e_common::runtime::{fs, memory};
use r3e_common::store::Cache;
use serde::Serialize;
use serde_json::{Map, json};
use tokio_util::sync::CancellationToken;

use crate::answer::answer;
use crate::engine::{Engine, Place};
use crate::error::ArchiveError;
use crate::location::Location;
use crate::record::Source;
use crate::stats::Stats;
use crate::{compact, questions, record, restore, verify};

const PROGRAM: &str = "r3e-archive";

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// The longest statement that is read from a file or standard input.
const MAX_STATEMENT_BYTES: u64 = 1 << 20;

/// Runs the program: results to standard output, everything else to standard error.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    // Not generic from here on, so that the query engine is compiled into this library, not into each program anew.
    let arguments = arguments.into_iter().collect();
    program::run(|| run(arguments))
}

fn run(arguments: Vec<OsString>) -> Result<Exit, Exit> {
    let arguments: Arguments = parse(arguments)?;
    let loaded = configure(&arguments.config, arguments.own_flags())?;
    let report = |error: ArchiveError| Failure::from(error).report();
    memory::warn_if_not_tuned();
    let shutdown = Shutdown::listen(loaded.config.runtime.stop_grace).map_err(|error| report(error.into()))?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().on_thread_park(memory::flush_if_asked).build();
    let runtime = runtime.map_err(|error| report(error.into()))?;
    let limits = Limits::of(&loaded);
    let limit_bytes = limits.as_ref().map(Limits::smallest_bytes);
    let started = SystemTime::now();
    let facts = Arc::new(Facts::new(PROGRAM, started, runtime.handle().clone(), limit_bytes));
    facts.set_phase(doing(&arguments.command));
    let control = Control::open_or_warn(&loaded.config.runtime.dir, Arc::clone(&facts));
    let stop = shutdown.token().clone();
    let limiter = MemoryLimiter::start(limits, Role::Job { boards: 1 }, runtime.handle().clone(), stop.clone())
        .map_err(|error| report(error.into()))?;
    let work = Work { loaded: &loaded, limit_bytes, stop: &stop };
    let begun = Instant::now();
    let result = runtime.block_on(async {
        let work = work.run(&arguments.command);
        // Whatever is written is written to staging, so it can end anywhere.
        Box::pin(stop.run_until_cancelled(work)).await.unwrap_or(Err(ArchiveError::Stopped))
    });
    let tasks_left = tasks::left(&runtime);
    runtime.shutdown_timeout(Duration::from_secs(1));
    let exit = match (&result, limiter.reached(), shutdown.exit()) {
        (Err(ArchiveError::Stopped), Some(limit), _) => {
            tracing::error!("{limit}");
            Exit::TryAgain
        }
        (Err(ArchiveError::Stopped), None, stopped) => stopped.unwrap_or(Exit::Terminated),
        (Err(error), ..) => error.exit(),
        (Ok(done), ..) => done.exit,
    };
    if writes(&arguments.command) {
        let outcome = result.as_ref().map_or_else(ToString::to_string, |_| "done".to_owned());
        let recorder = RunRecorder { program: PROGRAM, doing: doing(&arguments.command).to_owned(), started };
        recorder.record(begun.elapsed(), outcome, exit, Map::new(), tasks_left, &loaded.config.runtime.dir);
    }
    drop(control);
    match result {
        Ok(done) => Ok(print(&done.text, exit)),
        Err(ArchiveError::Stopped) => Ok(exit),
        Err(error) => Err(report(error)),
    }
}

/// What a command does, for `r3e-monitor`.
fn doing(command: &Command) -> &'static str {
    match command {
        Command::Record(_) => "recording",
        Command::Compact(_) => "compacting",
        Command::Verify(_) => "verifying",
        Command::Restore(_) => "restoring",
        _ => "querying",
    }
}

/// Whether the command does more than answer a question.
fn writes(command: &Command) -> bool {
    doing(command) != "querying"
}

/// What a command has printed, or is to print, and how it ended.
struct Done {
    text: String,
    exit: Exit,
}

impl Done {
    /// A result, as text or JSON.
    fn result(json: bool, result: &(impl Display + Serialize)) -> Self {
        // Texts and numbers always have a JSON form.
        let text = if json { format!("{}\n", json!(result)) } else { result.to_string() };
        Self { text, exit: Exit::Done }
    }

    /// An answer that is printed already.
    const PRINTED: Self = Self { text: String::new(), exit: Exit::Done };
}

/// Names, one a line.
#[derive(Serialize)]
struct Names(Vec<String>);

impl Display for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|it| writeln!(f, "{it}"))
    }
}

/// What all commands need.
struct Work<'a> {
    loaded: &'a Loaded,
    limit_bytes: Option<u64>,
    stop: &'a CancellationToken,
}

impl Work<'_> {
    async fn run(&self, command: &Command) -> Result<Done, ArchiveError> {
        let location = Location::new(&self.loaded.config.archive.url)?;
        match command {
            Command::Record(it) => {
                let result = record::record(&location, &self.source(it.at)?, &self.here(), self.stop).await?;
                let done = Done::result(it.output.json, &result);
                Ok(if result.damaged > 0 { Done { exit: Exit::SomeBoardsFailed, ..done } } else { done })
            }
            Command::Board(it) => self.board(&location, it).await,
            Command::Driver(it) => {
                let driver = match (&it.name, it.id) {
                    (Some(name), _) => questions::Driver::Name(name.clone()),
                    (None, Some(id)) => questions::Driver::Id(id),
                    (None, None) => return Err(ArchiveError::Usage("expected a name or --id".to_owned())),
                };
                self.ask(&location, &it.answer, &questions::driver(&driver)).await
            }
            Command::Records(it) => self.ask(&location, &it.answer, &questions::records(it.board)).await,
            Command::Changes(it) => {
                self.ask(&location, &it.answer, &questions::changes(it.since.before(Timestamp::now()))).await
            }
            Command::Stats(it) => {
                let files = location.files().await?;
                if it.files {
                    let names: Vec<String> = files.live.iter().map(|it| location.name(&it.path)).collect();
                    return Ok(Done::result(it.output.json, &Names(names)));
                }
                let stats = Stats::of(&Engine::open(&location, &files, &self.here()).await?, &files).await?;
                Ok(Done::result(it.output.json, &stats))
            }
            Command::Sql(it) => self.sql(&location, it).await,
            Command::Compact(it) => {
                let result = compact::compact(&location, &self.here(), it.keep, Timestamp::now(), self.stop).await?;
                Ok(Done::result(it.output.json, &result))
            }
            Command::Verify(it) => {
                let result = verify::verify(&location, self.stop).await?;
                let done = Done::result(it.json, &result);
                Ok(if result.damage.is_empty() { done } else { Done { exit: Exit::SomeBoardsFailed, ..done } })
            }
            Command::Restore(it) => {
                let engine = Engine::open(&location, &location.files().await?, &self.here()).await?;
                let result = restore::restore(&engine, it.at.0, &it.into, self.stop).await?;
                Ok(Done::result(it.output.json, &result))
            }
        }
    }

    /// This process, within a day.
    fn here(&self) -> Place {
        Place { cluster: None, timeout: Duration::from_hours(24), limit_bytes: self.limit_bytes }
    }

    async fn engine(&self, location: &Location, arguments: &EngineArguments) -> Result<Engine, ArchiveError> {
        let EngineArguments { cluster, timeout } = arguments;
        let place = Place { cluster: cluster.clone(), timeout: *timeout, limit_bytes: self.limit_bytes };
        Engine::open(location, &location.files().await?, &place).await
    }

    fn source(&self, at: Option<Until>) -> Result<Source, ArchiveError> {
        let config = &self.loaded.config;
        let catalog = load_catalog(config).map_err(|error| ArchiveError::Catalog(error.exit(), error.to_string()))?;
        let now = Timestamp::now();
        let at = at.map_or(now, |it| it.0);
        if at > now + DAY {
            return Err(ArchiveError::Usage(format!("--at {at}: expected no time after today")));
        }
        Ok(Source { cache: Cache::new(&config.cache.dir), catalog, at })
    }

    async fn board(&self, location: &Location, asked: &BoardArguments) -> Result<Done, ArchiveError> {
        // Without a time, the version that was recorded last, whatever the clock says.
        let at = asked.at.map_or(Timestamp::MAX, |it| it.0);
        let engine = self.engine(location, &asked.answer.engine).await?;
        let versions = engine.rows(&questions::version_at(asked.board, at)).await?;
        let observed_ms = first_time(&versions);
        if observed_ms.is_none() {
            tracing::warn!(board = %asked.board, %at, "no version was recorded by then");
        }
        let query = engine.plan(&questions::board(asked.board, observed_ms.unwrap_or(i64::MIN))).await?;
        answer(&engine, query, format(&asked.answer), None).await.map(|()| Done::PRINTED)
    }

    async fn ask(&self, location: &Location, how: &AnswerArguments, statement: &str) -> Result<Done, ArchiveError> {
        let engine = self.engine(location, &how.engine).await?;
        let query = engine.plan(statement).await?;
        answer(&engine, query, format(how), None).await.map(|()| Done::PRINTED)
    }

    async fn sql(&self, location: &Location, asked: &SqlArguments) -> Result<Done, ArchiveError> {
        let statement = match (&asked.statement, &asked.file) {
            (Some(statement), _) => statement.clone(),
            (None, Some(file)) => fs::read_text(file, MAX_STATEMENT_BYTES)?,
            (None, None) => fs::read_standard_input(MAX_STATEMENT_BYTES).map_err(|error| {
                ArchiveError::Usage(format!("cannot read the statement from standard input: {error}"))
            })?,
        };
        let engine = self.engine(location, &asked.engine).await?;
        engine.collect_statistics();
        let query = engine.plan(&statement).await?;
        let query = if asked.explain { query.explain(false, asked.engine.cluster.is_none())? } else { query };
        answer(&engine, query, asked.format, asked.output.as_deref()).await.map(|()| Done::PRINTED)
    }
}

fn format(how: &AnswerArguments) -> Format {
    match (how.json, how.csv) {
        (true, _) => Format::Json,
        (_, true) => Format::Csv,
        _ => Format::Table,
    }
}

/// The time in the first column of the first row.
fn first_time(rows: &[datafusion::arrow::array::RecordBatch]) -> Option<i64> {
    use datafusion::arrow::array::{Array as _, AsArray as _};
    use datafusion::arrow::datatypes::TimestampMillisecondType;
    let times = rows.iter().find(|it| it.num_rows() > 0)?.column(0).as_primitive::<TimestampMillisecondType>();
    times.is_valid(0).then(|| times.value(0))
}
