//! Why a job failed, and its exit code.

use std::path::PathBuf;

use crate::domain::CatalogError;
use crate::index::IndexError;
use crate::job::{FetcherError, PublishError};
use crate::runtime::exit::{Exit, Fatal};
use crate::runtime::fs::FsError;
use crate::runtime::limits::THREADS_HINT;
use crate::runtime::memory::MemoryError;
use crate::runtime::memory::usage::InsufficientMemory;
use crate::runtime::tasks::BlockingError;
use crate::store::{LockError, StagingError};
use crate::upstream::SetupError;

/// Why a job failed.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The catalogue is invalid.
    #[error("catalog.path = {}: {cause}", path.display())]
    Catalog {
        /// The catalogue's file.
        path: PathBuf,
        /// What is wrong with it.
        cause: CatalogError,
    },
    /// The catalogue cannot be read.
    #[error("catalog.path: {0}")]
    CatalogFile(FsError),
    /// Another writer is at work, or locking failed.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The system refused a thread for the memory limiter.
    #[error("cannot enforce the memory limit: {0}")]
    MemoryLimiter(std::io::Error),
    /// The memory limits leave too little for the index.
    #[error(transparent)]
    Memory(InsufficientMemory),
    /// There is a memory limit, and memory use cannot be determined.
    #[error("cannot enforce the memory limit: {0}")]
    Figures(MemoryError),
    /// Stopped while waiting for the writer's lock.
    #[error("stopped while waiting for another writer")]
    StoppedWaiting,
    /// A newer version wrote the staging folder.
    #[error(transparent)]
    Newer(StagingError),
    /// The file system failed.
    #[error(transparent)]
    Store(#[from] FsError),
    /// No board can be read.
    #[error(transparent)]
    NoBoards(PublishError),
    /// The index cannot be made.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The client cannot be set up.
    #[error(transparent)]
    Client(#[from] SetupError),
    /// The system refused a thread.
    #[error("cannot start a thread: {cause} (hint: {THREADS_HINT})", cause = .0)]
    NoThread(std::io::Error),
    /// A task panicked.
    #[error("a task panicked: {0}")]
    Panicked(String),
}

impl From<FetcherError> for JobError {
    fn from(error: FetcherError) -> Self {
        match error {
            FetcherError::Store(error) => error.into(),
            FetcherError::Panicked(error) => Self::Panicked(error.to_string()),
        }
    }
}

impl From<BlockingError> for JobError {
    fn from(error: BlockingError) -> Self {
        match error {
            BlockingError::NoThread(error) => Self::NoThread(error),
            BlockingError::Panicked(message) => Self::Panicked(message),
        }
    }
}

impl From<PublishError> for JobError {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::Store(error) | PublishError::Index(IndexError::Store(error)) => error.into(),
            PublishError::Index(error) => error.into(),
            PublishError::NoBoards { .. } => Self::NoBoards(error),
        }
    }
}

impl From<StagingError> for JobError {
    fn from(error: StagingError) -> Self {
        match error {
            StagingError::Store(error) => error.into(),
            StagingError::Newer { .. } => Self::Newer(error),
        }
    }
}

impl Fatal for JobError {
    fn exit(&self) -> Exit {
        match self {
            // A later attempt would fail too.
            Self::Memory(InsufficientMemory::LimitTooSmall { .. })
            | Self::Index(IndexError::HeadroomTooSmall { .. })
            | Self::Catalog { .. }
            | Self::CatalogFile(_)
            | Self::Newer(_)
            | Self::Client(SetupError::Proxy(_)) => Exit::Configuration,
            Self::Lock(LockError::Busy { .. })
            | Self::Memory(InsufficientMemory::InUse { .. })
            | Self::Index(IndexError::Changed(_)) => Exit::TryAgain,
            Self::StoppedWaiting => Exit::Terminated,
            Self::Lock(LockError::Store(error)) | Self::Store(error) | Self::Index(IndexError::Store(error)) => {
                error.exit()
            }
            Self::NoBoards(_) => Exit::Disk,
            Self::MemoryLimiter(error) | Self::NoThread(error) => error.exit(),
            Self::Index(IndexError::Stopped | IndexError::TooMany(_) | IndexError::NotCompressed(_))
            | Self::Figures(_)
            | Self::Client(SetupError::Client(_))
            | Self::Panicked(_) => Exit::Unexpected,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Catalog;
    use crate::index::Headroom;
    use crate::runtime::memory::usage::{Limit, Origin, Scope, Used};
    use crate::store::Holder;
    use crate::upstream::ProxyError;
    use std::io;
    use std::path::Path;

    /// Fails to compile if a variant is missing, so that new errors get into the table.
    fn name(error: &JobError) -> &'static str {
        match error {
            JobError::Catalog { .. } => "Catalog",
            JobError::CatalogFile(_) => "CatalogFile",
            JobError::Lock(LockError::Busy { .. }) => "Lock(Busy)",
            JobError::Lock(LockError::Store(_)) => "Lock(Store)",
            JobError::MemoryLimiter(_) => "MemoryLimiter",
            JobError::Memory(InsufficientMemory::LimitTooSmall { .. }) => "Memory(LimitTooSmall)",
            JobError::Memory(InsufficientMemory::InUse { .. }) => "Memory(InUse)",
            JobError::Figures(_) => "Figures",
            JobError::StoppedWaiting => "StoppedWaiting",
            JobError::Newer(_) => "Newer",
            JobError::Store(_) => "Store",
            JobError::NoBoards(_) => "NoBoards",
            JobError::NoThread(_) => "NoThread",
            JobError::Index(IndexError::Store(_)) => "Index(Store)",
            JobError::Index(IndexError::Stopped) => "Index(Stopped)",
            JobError::Index(IndexError::TooMany(_)) => "Index(TooMany)",
            JobError::Index(IndexError::NotCompressed(_)) => "Index(NotCompressed)",
            JobError::Index(IndexError::HeadroomTooSmall { .. }) => "Index(HeadroomTooSmall)",
            JobError::Index(IndexError::Changed(_)) => "Index(Changed)",
            JobError::Client(SetupError::Client(_)) => "Client(Client)",
            JobError::Client(SetupError::Proxy(_)) => "Client(Proxy)",
            JobError::Panicked(_) => "Panicked",
        }
    }

    fn store() -> FsError {
        FsError::new("write", Path::new("/x"), io::ErrorKind::StorageFull.into())
    }

    fn no_thread() -> io::Error {
        io::Error::from_raw_os_error(nix::errno::Errno::EAGAIN as i32)
    }

    fn every_error() -> Vec<JobError> {
        let limit = Limit { bytes: 1, origin: Origin::Configured(String::new()) };
        let used = Used { bytes: 1, scope: Scope::ControlGroup, limit: limit.clone() };
        let holder = Holder { program: "p".into(), pid: 1, since: String::new(), doing: String::new() };
        vec![
            JobError::Catalog { path: "c".into(), cause: Catalog::from_toml("?").unwrap_err() },
            JobError::CatalogFile(store()),
            LockError::Busy { folder: "f".into(), holder: Some(holder) }.into(),
            LockError::Store(store()).into(),
            JobError::MemoryLimiter(no_thread()),
            JobError::Memory(InsufficientMemory::LimitTooSmall { limit, needed_mb: 2 }),
            JobError::Memory(InsufficientMemory::InUse { used, needed_mb: 2 }),
            JobError::Figures(MemoryError::Kernel(store())),
            JobError::StoppedWaiting,
            StagingError::Newer { folder: "f".into(), found: 9 }.into(),
            StagingError::Store(store()).into(),
            PublishError::NoBoards("x".to_owned()).into(),
            BlockingError::NoThread(no_thread()).into(),
            PublishError::Index(IndexError::Store(store())).into(),
            FetcherError::Store(store()).into(),
            IndexError::Store(store()).into(),
            IndexError::Stopped.into(),
            IndexError::TooMany(1).into(),
            IndexError::Changed("class_1.json.gz".into()).into(),
            IndexError::NotCompressed(crate::index::NotCompressed::default()).into(),
            IndexError::HeadroomTooSmall { needed: Headroom::least(&Catalog::builtin()), given: 0 }.into(),
            SetupError::Client("no certificates".to_owned()).into(),
            SetupError::Proxy(ProxyError::default()).into(),
            JobError::Panicked(String::new()),
        ]
    }

    #[test]
    fn every_error_has_its_exit_code() {
        let mut table: Vec<String> = Vec::new();
        for error in every_error() {
            assert!(!error.to_string().is_empty());
            table.push(format!("{:>3} {}", error.exit().code(), name(&error)));
        }
        table.sort();
        table.dedup();
        insta::assert_snapshot!(table.join("\n"), @"
          1 Client(Client)
          1 Figures
          1 Index(NotCompressed)
          1 Index(Stopped)
          1 Index(TooMany)
          1 Panicked
         74 Index(Store)
         74 Lock(Store)
         74 NoBoards
         74 Store
         75 Index(Changed)
         75 Lock(Busy)
         75 Memory(InUse)
         75 MemoryLimiter
         75 NoThread
         78 Catalog
         78 CatalogFile
         78 Client(Proxy)
         78 Index(HeadroomTooSmall)
         78 Memory(LimitTooSmall)
         78 Newer
        143 StoppedWaiting
        ");
    }
}
