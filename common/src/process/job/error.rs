//! Why a job did not do its work, and the exit code that tells it.

use std::path::PathBuf;

use crate::domain::CatalogError;
use crate::index::IndexError;
use crate::pipeline::{FetchFault, PublishError};
use crate::process::exit::Exit;
use crate::store::{LockError, StagingError, StoreError};
use crate::upstream::SetupError;

/// Why a job did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The catalogue cannot be used.
    #[error("catalog.path = {}: {cause}", path.display())]
    Catalog {
        /// The catalogue's file.
        path: PathBuf,
        /// What is wrong with it.
        cause: CatalogError,
    },
    /// The catalogue cannot be read.
    #[error("catalog.path: {0}")]
    CatalogFile(StoreError),
    /// Another writer is at work, or the lock could not be taken.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The system gives no thread to keep the memory limit.
    #[error("the memory limit cannot be kept: {0}")]
    Guard(std::io::Error),
    /// It was asked to stop while it waited for another writer.
    #[error("stopped while waiting for another writer")]
    StoppedWaiting,
    /// A newer version of these programs has written the staging folder.
    #[error(transparent)]
    Newer(StagingError),
    /// The file system refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no index.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The client cannot be set up.
    #[error(transparent)]
    Client(#[from] SetupError),
    /// A task of the job panicked; its message stands above.
    #[error("a task panicked: {0}")]
    Panicked(tokio::task::JoinError),
}

impl From<FetchFault> for JobError {
    fn from(error: FetchFault) -> Self {
        match error {
            FetchFault::Store(error) => error.into(),
            FetchFault::Panicked(error) => Self::Panicked(error),
        }
    }
}

impl From<PublishError> for JobError {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::Store(error) | PublishError::Index(IndexError::Store(error)) => error.into(),
            PublishError::Index(error) => error.into(),
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

impl JobError {
    /// The exit code that tells this error.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Catalog { .. } | Self::CatalogFile(_) | Self::Newer(_) | Self::Client(SetupError::Proxy(_)) => {
                Exit::Configuration
            }
            Self::Lock(LockError::Busy { .. }) | Self::Index(IndexError::BudgetTooSmall { .. }) => Exit::TryAgain,
            Self::StoppedWaiting => Exit::Terminated,
            Self::Lock(LockError::Store(_)) | Self::Store(_) | Self::Index(IndexError::Store(_)) => Exit::Disk,
            Self::Index(IndexError::Stopped | IndexError::TooMany(_))
            | Self::Client(SetupError::Client(_))
            | Self::Panicked(_)
            | Self::Guard(_) => Exit::Unexpected,
        }
    }
}
