//! Checking that the allocator took its settings: a misspelt one would only show in a figure, months later.

use super::{MemoryError, raw, refused};

/// Checks that the allocator took the settings compiled in.
///
/// # Errors
/// When it did not, unless the environment (`_RJEM_MALLOC_CONF`) has overridden them.
pub fn check_tuning() -> Result<(), MemoryError> {
    // Naming the symbol here keeps the linker from leaving it out.
    std::hint::black_box(&raw::SETTINGS);
    let narenas: u32 = refused("opt.narenas", jemalloc_ctl::opt::narenas::read())?;
    let background = refused("background_thread", jemalloc_ctl::background_thread::read())?;
    let overridden = std::env::var_os("_RJEM_MALLOC_CONF").is_some();
    if overridden || (narenas == 2 && background) {
        return Ok(());
    }
    let why = format!("narenas:{narenas}, background_thread:{background}; expected {}", raw::tuning());
    Err(MemoryError::Allocator { what: "its settings", why })
}

/// Logs a warning if the allocator did not take them: the program works without.
pub fn warn_if_not_tuned() {
    if let Err(error) = check_tuning() {
        tracing::warn!(%error, "jemalloc does not use the compiled-in options; freed memory may be returned late");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_allocator_took_its_settings() {
        check_tuning().unwrap();
    }
}
