//! Leaks on purpose, in builds with the feature `planted-leaks` only: the soak must find them.
//!
//! The variable `PLANTED_LEAK` names program, kind and folder (`r3e-loader:bytes:/run/r3e`). A daemon leaks at each purge through its control socket, a
//! job for each board that it has fetched.

use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::runtime::Handle;

/// What leaks at once where bytes leak.
const BYTES: usize = 32 << 10;

/// Leaks once, if this program is to; a task on that runtime.
pub fn leak(program: &str, runtime: &Handle) {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let planted = std::env::var("PLANTED_LEAK").unwrap_or_default();
    let mut parts = planted.splitn(3, ':');
    let (named, kind) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    if named != program {
        return;
    }
    match kind {
        "bytes" => std::mem::forget(vec![1_u8; BYTES]),
        "task" => drop(runtime.spawn(std::future::pending::<()>())),
        #[expect(clippy::disallowed_methods, reason = "a leak on purpose")]
        "descriptor" => std::mem::forget(File::open("/dev/null")),
        "file" => {
            let number = COUNT.fetch_add(1, Ordering::Relaxed);
            let name = format!(".{program}-{}-{number}.planted", std::process::id());
            #[expect(clippy::disallowed_methods, reason = "a leak on purpose")]
            let created = File::create(Path::new(parts.next().unwrap_or_default()).join(name));
            tracing::debug!(?created, "planted a file");
        }
        _ => tracing::error!(planted, "no such leak"),
    }
}
