//! What can go wrong, and the exit code for it.

use std::error::Error;
use std::sync::Arc;

use datafusion::error::DataFusionError;
use datafusion::parquet::errors::ParquetError;
use jiff::Timestamp;
use r3e_common::runtime::exit::{Exit, Fatal};
use r3e_common::runtime::fs::FsError;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The folder or the object store failed.
    #[error("{0}")]
    Store(StoreError),
    /// A file of the archive, or of the cache, cannot be read or written.
    #[error(transparent)]
    File(#[from] FsError),
    /// A file of the archive is damaged or of another version.
    #[error("{file}: {problem}")]
    Damaged {
        /// Its path in the archive.
        file: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A file or a result cannot be encoded.
    #[error("cannot encode: {0}")]
    Encode(String),
    /// A statement is invalid, or would write.
    #[error("{0}")]
    Statement(String),
    /// The query engine failed.
    #[error("the query failed: {0}")]
    Query(String),
    /// The query needs more memory than it may use, even by spilling.
    #[error("the query needs more memory: {0} (hint: raise memory.limit_mb)")]
    Memory(String),
    /// The cluster cannot be reached, or has no executors.
    #[error("{0}")]
    Cluster(String),
    /// No answer within `--timeout`.
    #[error("no answer within {0:?} (hint: raise --timeout)")]
    Timeout(std::time::Duration),
    /// The command line asks for what cannot be.
    #[error("{0}")]
    Usage(String),
    /// Another process did the same at the same time.
    #[error("{0}")]
    Contended(String),
    /// The catalogue cannot be used.
    #[error("{1}")]
    Catalog(Exit, String),
    /// The cache is not the one that was recorded.
    #[error("{0}")]
    NoCache(String),
    /// The program is to stop.
    #[error("stopped")]
    Stopped,
    /// The system refused a thread or a signal handler, or a result cannot be written.
    #[error("{0}")]
    System(#[from] std::io::Error),
}

impl ArchiveError {
    /// Whether a file is missing, which another process has removed.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_missing)
    }
}

impl Fatal for ArchiveError {
    fn exit(&self) -> Exit {
        match self {
            Self::Store(error) => error.exit,
            Self::Catalog(exit, _) => *exit,
            Self::NoCache(_) => Exit::Configuration,
            Self::File(error) => error.exit(),
            Self::System(error) => error.exit(),
            Self::Damaged { .. } => Exit::Disk,
            Self::Encode(_) | Self::Query(_) => Exit::Unexpected,
            Self::Statement(_) | Self::Usage(_) => Exit::Usage,
            Self::Cluster(_) | Self::Timeout(_) => Exit::Unavailable,
            Self::Memory(_) | Self::Contended(_) => Exit::TryAgain,
            Self::Stopped => Exit::Terminated,
        }
    }
}

/// The folder or the object store failed.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct StoreError {
    exit: Exit,
    message: String,
    is_missing: bool,
}

/// What S3 services answer to settings that are wrong, what to say of it, and whether the configuration is to blame.
const S3_HINTS: [(&str, &str); 8] = [
    ("NoSuchBucket", "there is no such bucket"),
    ("InvalidBucketName", "there is no such bucket"),
    ("InvalidAccessKeyId", "AWS_ACCESS_KEY_ID is not a key of this service"),
    ("SignatureDoesNotMatch", "AWS_SECRET_ACCESS_KEY does not belong to AWS_ACCESS_KEY_ID"),
    ("RequestTimeTooSkewed", "the clock of this machine is wrong"),
    ("AccessDenied", "the key may not do this"),
    ("ExpiredToken", "AWS_SESSION_TOKEN has expired"),
    ("AuthorizationHeaderMalformed", "AWS_REGION is not the region of the bucket"),
];

/// What Ballista 55 cannot run, by its error, and what to do instead.
const CLUSTER_LIMITS: [(&str, &str); 3] = [
    (
        "Expects PARTITION BY expression to be ordered",
        "a window with PARTITION BY a column that WHERE fixes to one value (hint: leave the column out of PARTITION BY)",
    ),
    ("expected Dictionary(", "sorting or grouping by a Dictionary column (hint: cast it to VARCHAR)"),
    ("reads information_schema together", "a query of information_schema together with other tables"),
];

/// How errors of a cluster that has gone look.
const CLUSTER_GONE: [&str; 5] = [
    "executors were lost",
    "h2 protocol error",
    "tcp connect error",
    "transport error",
    "Stream closed without job completing",
];

/// The error of a job on a cluster, which is known by its text only; none if the text says nothing more.
fn of_cluster(text: &str) -> Option<ArchiveError> {
    if let Some((_, limit)) = CLUSTER_LIMITS.iter().find(|(error, _)| text.contains(error)) {
        return Some(ArchiveError::Statement(format!("the cluster cannot run {limit}")));
    }
    if CLUSTER_GONE.iter().any(|it| text.contains(it)) {
        return Some(ArchiveError::Cluster(format!("lost the connection to the cluster: {}", first_line(text))));
    }
    let (code, hint) = S3_HINTS.iter().find(|(code, _)| text.contains(&format!("<Code>{code}")))?;
    let message = format!("the cluster cannot read the archive: {hint} ({code}): {}", first_line(text));
    Some(StoreError { exit: Exit::Configuration, message, is_missing: false }.into())
}

impl StoreError {
    /// An error of a store whose address is `archive`, while `doing` something.
    pub(crate) fn new(archive: &str, doing: &str, error: &object_store::Error) -> Self {
        let text = error.to_string();
        if let Some((code, hint)) = S3_HINTS.iter().find(|(code, _)| text.contains(code)) {
            return Self {
                exit: Exit::Configuration,
                message: format!("{archive}: cannot {doing}: {hint} ({code}): {}", first_line(&text)),
                is_missing: false,
            };
        }
        let is_missing = matches!(error, object_store::Error::NotFound { .. });
        let mut cause = Some(error as &(dyn Error + 'static));
        while let Some(it) = cause {
            if let Some(error) = it.downcast_ref::<std::io::Error>()
                && archive.split_once("://").is_none()
            {
                let exit = FsError::new("use", archive.as_ref(), copy_of(error)).exit();
                let message = format!("{archive}: cannot {doing}: {}", first_line(&text));
                return Self { exit, message, is_missing };
            }
            cause = it.source();
        }
        let exit = if archive.contains("://") { Exit::Unavailable } else { Exit::Disk };
        Self { exit, message: format!("{archive}: cannot {doing}: {}", first_line(&text)), is_missing }
    }

    /// Credentials or an endpoint that cannot be used.
    pub(crate) fn configuration(archive: &str, problem: &str) -> Self {
        Self { exit: Exit::Configuration, message: format!("{archive}: {problem}"), is_missing: false }
    }
}

fn copy_of(error: &std::io::Error) -> std::io::Error {
    error.raw_os_error().map_or_else(|| error.kind().into(), std::io::Error::from_raw_os_error)
}

/// Object stores answer with whole pages.
fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().take(400).collect()
}

/// The store's error behind an error of the query engine or of a Parquet file.
fn of_store<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a object_store::Error> {
    let mut cause = Some(error);
    while let Some(it) = cause {
        if let Some(error) = it.downcast_ref() {
            return Some(error);
        }
        // These two do not name what they hold as their source.
        let shared = it.downcast_ref::<Arc<DataFusionError>>().map(|it| it.as_ref() as &(dyn Error + 'static));
        let inner = it.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref).map(|it| it as _);
        cause = shared.or(inner).or_else(|| it.source());
    }
    None
}

/// An error while writing a Parquet file. Its cause may be the store or the disk.
impl From<ParquetError> for ArchiveError {
    fn from(error: ParquetError) -> Self {
        if let Some(cause) = of_store(&error) {
            return Self::Store(StoreError::new("the archive", "write", cause));
        }
        match error {
            ParquetError::External(cause) => match cause.downcast() {
                Ok(cause) => Self::System(*cause),
                Err(cause) => Self::Encode(cause.to_string()),
            },
            other => Self::Encode(other.to_string()),
        }
    }
}

impl From<StoreError> for ArchiveError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// The time of a row, from milliseconds since 1970.
pub(crate) fn timestamp(ms: i64) -> Result<Timestamp, ArchiveError> {
    Timestamp::from_millisecond(ms)
        .map_err(|error| ArchiveError::Damaged { file: "a time in the archive".to_owned(), problem: error.to_string() })
}

impl From<DataFusionError> for ArchiveError {
    fn from(error: DataFusionError) -> Self {
        if let Some(cause) = of_store(&error) {
            return Self::Store(StoreError::new("the archive", "read", cause));
        }
        match error.find_root() {
            DataFusionError::ResourcesExhausted(text) => Self::Memory(first_line(text)),
            DataFusionError::ParquetError(cause) => {
                Self::Damaged { file: "a file of the archive".to_owned(), problem: cause.to_string() }
            }
            root => {
                let text = root.strip_backtrace();
                of_cluster(&text).unwrap_or(Self::Query(text))
            }
        }
    }
}
