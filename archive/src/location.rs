//! Where an archive is, and the store behind it: a folder of this machine, or a bucket.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, S3CopyIfNotExists};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{BackoffConfig, ClientConfigKey, ObjectStore, RetryConfig};
use r3e_common::runtime::config::ArchiveUrl;
use r3e_common::runtime::fs;
use url::Url;

use crate::error::{ArchiveError, StoreError};

/// How long a request that fails is repeated: long enough for an overloaded service, and short enough for a person who waits.
const RETRY_TIMEOUT: Duration = Duration::from_secs(30);
const MAX_BACKOFF: Duration = Duration::from_secs(5);
const MAX_RETRIES: usize = 10;

/// An archive's place.
#[derive(Debug, Clone)]
pub struct Location {
    store: Arc<dyn ObjectStore>,
    /// The root of the store: `file:///` or `s3://bucket`.
    root: Url,
    prefix: Path,
    /// The archive's folder, absolute, unless it is a bucket.
    folder: Option<PathBuf>,
    shown: String,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl Location {
    /// The archive of that address. Nothing is created or read yet.
    ///
    /// # Errors
    /// If the variables for S3 are incomplete or invalid.
    pub fn new(url: &ArchiveUrl) -> Result<Self, ArchiveError> {
        let shown = url.to_string();
        let wrong = |problem: &str| ArchiveError::from(StoreError::configuration(&shown, problem));
        match url {
            ArchiveUrl::Folder(folder) => {
                let folder = std::path::absolute(folder)?;
                let prefix = Path::from_absolute_path(&folder).map_err(|error| wrong(&error.to_string()))?;
                let root = Url::parse("file:///").map_err(|error| wrong(&error.to_string()))?;
                let store = Arc::new(LocalFileSystem::new());
                Ok(Self { store, root, prefix, folder: Some(folder), shown })
            }
            ArchiveUrl::S3 { bucket, prefix } => {
                let store =
                    s3(AmazonS3Builder::from_env().with_bucket_name(bucket)).map_err(|problem| wrong(&problem))?;
                let root = Url::parse(&format!("s3://{bucket}")).map_err(|error| wrong(&error.to_string()))?;
                Ok(Self { store: Arc::new(store), root, prefix: Path::from(prefix.as_str()), folder: None, shown })
            }
        }
    }

    pub(crate) fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// The root of the store, by which a query engine knows it.
    #[must_use]
    pub fn root(&self) -> &Url {
        &self.root
    }

    /// The path in the store of a path in the archive.
    #[must_use]
    pub fn path(&self, relative: &str) -> Path {
        relative.split('/').filter(|it| !it.is_empty()).fold(self.prefix.clone(), Path::join)
    }

    /// The path in the archive of a path in the store.
    #[must_use]
    pub fn relative(&self, path: &Path) -> String {
        let parts = path.prefix_match(&self.prefix).into_iter().flatten();
        parts.map(|it| it.as_ref().to_owned()).collect::<Vec<_>>().join("/")
    }

    /// The URL of a file of the archive.
    #[must_use]
    pub fn url(&self, relative: &str) -> Url {
        let mut url = self.root.clone();
        // Both kinds of root have segments.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.clear().extend(self.path(relative).parts().map(|it| it.as_ref().to_owned()));
        }
        url
    }

    /// What people and other programs call a file of the archive: its path, or its URL in a bucket.
    #[must_use]
    pub fn name(&self, relative: &str) -> String {
        self.folder
            .as_ref()
            .map_or_else(|| self.url(relative).to_string(), |it| it.join(relative).display().to_string())
    }

    /// Whether it is in an object store, which a cluster can read.
    #[must_use]
    pub fn is_remote(&self) -> bool {
        self.folder.is_none()
    }

    /// The files of a folder's subfolder that are being written; the store lists them only once they are whole.
    pub(crate) fn unfinished(&self, subfolder: &str) -> Result<Vec<PathBuf>, ArchiveError> {
        let Some(folder) = &self.folder else { return Ok(Vec::new()) };
        let mut files = fs::list(&folder.join(subfolder))?;
        files.retain(|it| it.to_string_lossy().contains('#'));
        Ok(files)
    }

    /// Makes the content of a file of a folder durable. A bucket does it by itself.
    pub(crate) fn sync_file(&self, path: &Path) -> Result<(), ArchiveError> {
        self.on_disk(path, fs::sync_file)
    }

    /// Makes the name of a file of a folder durable.
    pub(crate) fn sync_folder_of(&self, path: &Path) -> Result<(), ArchiveError> {
        self.on_disk(path, |path| {
            let night = fs::parent(path);
            fs::sync_folder(night)?;
            fs::sync_folder(fs::parent(night))
        })
    }

    pub(crate) fn create_folder_of(&self, path: &Path) -> Result<(), ArchiveError> {
        self.on_disk(path, |path| fs::create_folders(fs::parent(path)))
    }

    /// Removes the folder that had a file, unless there are others in it. A bucket has no folders.
    pub(crate) fn remove_empty_folder_of(&self, path: &Path) -> Result<(), ArchiveError> {
        self.on_disk(path, |path| fs::remove_empty_folder(fs::parent(path)).map(drop))
    }

    /// Does something to a file of a folder, where the system may make it wait for the disk.
    fn on_disk(
        &self,
        path: &Path,
        work: impl FnOnce(&std::path::Path) -> Result<(), fs::FsError>,
    ) -> Result<(), ArchiveError> {
        if self.folder.is_none() {
            return Ok(());
        }
        let path = PathBuf::from(format!("/{path}"));
        Ok(tokio::task::block_in_place(|| work(&path))?)
    }
}

/// An S3 bucket, by the usual variables.
fn s3(builder: AmazonS3Builder) -> Result<AmazonS3, String> {
    use AmazonS3ConfigKey::{
        AccessKeyId, ContainerCredentialsFullUri, ContainerCredentialsRelativeUri, Endpoint, MetadataEndpoint,
        S3Endpoint, SecretAccessKey, SkipSignature, WebIdentityTokenFile,
    };
    let is_set = |key| builder.get_config_value(&key).is_some_and(|it| !it.is_empty() && it != "false");
    let others = [
        ContainerCredentialsFullUri,
        ContainerCredentialsRelativeUri,
        MetadataEndpoint,
        SkipSignature,
        WebIdentityTokenFile,
    ];
    match (is_set(AccessKeyId), is_set(SecretAccessKey)) {
        (true, false) => return Err("AWS_SECRET_ACCESS_KEY is not set".to_owned()),
        (false, true) => return Err("AWS_ACCESS_KEY_ID is not set".to_owned()),
        // Without keys, the store would ask a metadata service that only EC2 has, and wait for it.
        (false, false) if !others.into_iter().any(is_set) => {
            return Err("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set \
                        (hint: AWS_METADATA_ENDPOINT=http://169.254.169.254 uses the role of an EC2 instance)"
                .to_owned());
        }
        _ => {}
    }
    let endpoint =
        builder.get_config_value(&S3Endpoint).or_else(|| builder.get_config_value(&Endpoint)).unwrap_or_default();
    let retries = RetryConfig {
        backoff: BackoffConfig { max_backoff: MAX_BACKOFF, ..BackoffConfig::default() },
        max_retries: MAX_RETRIES,
        retry_timeout: RETRY_TIMEOUT,
    };
    let builder = builder.with_copy_if_not_exists(S3CopyIfNotExists::Multipart).with_retry(retries);
    // Plain HTTP shows data to others, except on this machine.
    let builder = if is_loopback(&endpoint) { builder.with_allow_http(true) } else { builder };
    let allows_http = builder.get_config_value(&AmazonS3ConfigKey::Client(ClientConfigKey::AllowHttp));
    if endpoint.starts_with("http://") && allows_http.as_deref() != Some("true") {
        return Err(format!("AWS_ENDPOINT {endpoint}: plain HTTP needs AWS_ALLOW_HTTP=true, except on this machine"));
    }
    builder.build().map_err(|error| error.to_string())
}

fn is_loopback(endpoint: &str) -> bool {
    let url = Url::parse(endpoint).ok();
    url.and_then(|it| it.host().map(|host| host.to_owned())).is_some_and(|host| match host {
        url::Host::Domain(name) => name == "localhost",
        url::Host::Ipv4(address) => address.is_loopback(),
        url::Host::Ipv6(address) => address.is_loopback(),
    })
}
