//! Leaks on purpose, which the soak must find. They exist only in builds with the feature `planted-leaks`.
//!
//! The variable `PLANTED_LEAK` names program, kind and folder (`r3e-loader:bytes:/run/r3e`). A daemon leaks one unit at each purge
//! through its control socket, a job one for each board that it has fetched.

use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::runtime::Handle;

/// Bytes per leak.
const BYTES: usize = 32 << 10;

/// Leaks this many units if `PLANTED_LEAK` names this program; tasks are spawned on `runtime`. Without the feature
/// `planted-leaks`, does nothing.
pub(crate) fn leak(program: &str, units: usize, runtime: &Handle) {
    if !cfg!(feature = "planted-leaks") {
        return;
    }
    let planted = std::env::var("PLANTED_LEAK").unwrap_or_default();
    let mut parts = planted.splitn(3, ':');
    let mut next = || parts.next().unwrap_or_default();
    let (named, kind, folder) = (next(), next(), next());
    if named == program {
        (0..units).for_each(|_| leak_one(program, kind, Path::new(folder), runtime));
    }
}

fn leak_one(program: &str, kind: &str, folder: &Path, runtime: &Handle) {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    #[expect(clippy::disallowed_methods, reason = "a leak on purpose")]
    let file = match kind {
        "bytes" => return std::mem::forget(vec![1_u8; BYTES]),
        "task" => return drop(runtime.spawn(std::future::pending::<()>())),
        "descriptor" => File::open("/dev/null").map(std::mem::forget),
        "file" => {
            let number = COUNT.fetch_add(1, Ordering::Relaxed);
            File::create(folder.join(format!(".{program}-{}-{number}.planted", std::process::id()))).map(drop)
        }
        _ => return tracing::error!(kind, "unknown kind of planted leak"),
    };
    if let Err(error) = file {
        tracing::error!(%error, kind, "cannot plant a leak");
    }
}
