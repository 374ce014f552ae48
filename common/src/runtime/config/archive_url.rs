//! Where an archive is.

use std::fmt;
use std::path::PathBuf;

use super::kind::{Kind, path};

/// The place of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArchiveUrl {
    /// A folder.
    Folder(PathBuf),
    /// A bucket of an S3 service.
    S3 {
        /// The bucket's name.
        bucket: String,
        /// The prefix of all keys, without slashes at its ends; may be empty.
        prefix: String,
    },
}

impl fmt::Display for ArchiveUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => folder.display().fmt(f),
            Self::S3 { bucket, prefix } if prefix.is_empty() => write!(f, "s3://{bucket}"),
            Self::S3 { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
        }
    }
}

/// A folder, or `s3://bucket/prefix`. Other URLs are refused: they would be taken for folders.
pub(super) fn archive_url() -> Kind<ArchiveUrl> {
    path().expecting("a folder, or s3://bucket/prefix").and_then(|path| {
        match path.to_str().and_then(|it| it.split_once("://")) {
            None => Some(ArchiveUrl::Folder(path)),
            Some(("s3", rest)) => {
                let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
                let is_name =
                    |part: &str| !part.is_empty() && !part.starts_with('.') && !part.contains(['?', '#', '*', ' ']);
                let prefix = prefix.trim_matches('/');
                let is_valid = is_name(bucket) && (prefix.is_empty() || prefix.split('/').all(is_name));
                is_valid.then(|| ArchiveUrl::S3 { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
            }
            Some(_) => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use toml::Value;

    #[test]
    fn folders_and_buckets_are_accepted() {
        let read = |text: &str| (archive_url().parse)(&Value::from(text)).map(|it| it.to_string());
        for (given, meant) in [
            ("/var/lib/r3e/archive", "/var/lib/r3e/archive"),
            ("archive", "archive"),
            ("s3://leaderboards", "s3://leaderboards"),
            ("s3://leaderboards/", "s3://leaderboards"),
            ("s3://leaderboards/r3e/eu/", "s3://leaderboards/r3e/eu"),
        ] {
            assert_eq!(read(given).as_deref(), Some(meant));
        }
        for wrong in [
            "",
            "s3://",
            "s3:///x",
            "gs://bucket",
            "https://host/x",
            "s3://bucket/a//b",
            "s3://bucket/?x",
            "s3://b/../c",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
