//! Checks that the allocator uses the compiled-in options: jemalloc ignores a misspelt one, which would only show months later.

use super::{MemoryError, raw};

/// Checks that the allocator uses the compiled-in options.
///
/// # Errors
/// If it does not, unless the environment (`_RJEM_MALLOC_CONF`) overrides them.
pub fn check_tuning() -> Result<(), MemoryError> {
    // A reference keeps the linker from dropping the symbol.
    std::hint::black_box(&raw::SETTINGS);
    let narenas: u32 = raw::read("opt.narenas")?;
    let background: bool = raw::read("background_thread")?;
    let overridden = std::env::var_os("_RJEM_MALLOC_CONF").is_some();
    if overridden || (narenas == 2 && background) {
        return Ok(());
    }
    let why = format!("narenas:{narenas}, background_thread:{background}; expected {}", raw::tuning());
    Err(MemoryError::Allocator { what: "its options".to_owned(), why })
}

/// Logs a warning if the allocator does not use them.
pub fn warn_if_not_tuned() {
    if let Err(error) = check_tuning() {
        tracing::warn!(%error, "jemalloc does not use the compiled-in options; freed memory may be returned late");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_allocator_uses_the_options() {
        check_tuning().unwrap();
    }
}
