//! Enables heap profiling: the allocator reads its options before `main`, so the program executes itself again.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use super::super::MemoryError;

/// Whether a program can be profiled: `memory.profile`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profiling {
    /// Not at all, at no cost.
    Off,
    /// Sampling can be switched on while it runs, and shows later allocations.
    Ready,
    /// Sampling is on from the first allocation.
    On,
}

impl Profiling {
    /// All values, the cheapest first.
    pub const ALL: [Self; 3] = [Self::Off, Self::Ready, Self::On];
}

impl fmt::Display for Profiling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "off",
            Self::Ready => "ready",
            Self::On => "on",
        })
    }
}

/// The variable with options for the allocator.
const VARIABLE: &str = "_RJEM_MALLOC_CONF";

/// One sample per half megabyte: for 50 MB in small objects, the estimate is within 5 MB in two cases of three.
const READY: &str = "prof:true,prof_active:false,lg_prof_sample:19";
const ON: &str = "prof:true,prof_active:true,lg_prof_sample:19";

/// Enables profiling if it is wanted. If it is not enabled yet, this does not return: the program executes itself again, as the same
/// process with the same arguments. So nothing that matters may be open. Child processes inherit the variable.
///
/// # Errors
/// If the program cannot be executed again, or it was and the allocator still has no profiling.
pub fn prepare(wanted: Profiling) -> Result<(), MemoryError> {
    let settings = match wanted {
        Profiling::Off => return Ok(()),
        Profiling::Ready => READY,
        Profiling::On => ON,
    };
    let state = super::state()?;
    if state.available {
        // If the user set the variable, it decides, except that `on` always samples.
        return if wanted == Profiling::On && !state.active { super::set_active(true) } else { Ok(()) };
    }
    let refused = |why: String| MemoryError::Allocator { what: "heap profiles".to_owned(), why };
    let set = std::env::var_os(VARIABLE).unwrap_or_default();
    let Some(settings) = with(&set, settings) else {
        return Err(refused(format!("{VARIABLE} is {}, without effect", set.display())));
    };
    let program = std::env::current_exe().map_err(|error| refused(format!("cannot find this program: {error}")))?;
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_else(|| program.clone().into_os_string());
    let error = Command::new(&program).arg0(name).args(arguments).env(VARIABLE, settings).exec();
    Err(refused(format!("cannot execute {} again: {error}", program.display())))
}

/// Appends options, so that they take precedence. `None` if they are there already.
fn with(set: &OsStr, settings: &str) -> Option<OsString> {
    if set.as_bytes().ends_with(settings.as_bytes()) {
        return None;
    }
    let mut both = set.to_owned();
    if !both.is_empty() {
        both.push(",");
    }
    both.push(settings);
    Some(both)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_the_user_stay_and_none_is_set_twice() {
        let with = |set: &str, settings| with(OsStr::new(set), settings).map(|it| it.into_string().unwrap());
        assert_eq!(with("", ON), Some(ON.to_owned()));
        let both = with("narenas:1", READY).unwrap();
        assert_eq!(both, format!("narenas:1,{READY}"));
        assert_eq!(with(&both, READY), None);
    }

    #[test]
    fn off_does_nothing() {
        prepare(Profiling::Off).unwrap();
    }
}
