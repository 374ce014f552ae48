//! Making a process one that can be profiled: the allocator reads its settings before `main`, so the program replaces itself.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use super::super::MemoryError;

/// Whether heap profiles can be had of a program: `memory.profile`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profiling {
    /// No; it costs nothing.
    Off,
    /// They can be switched on while it runs, and then show what is allocated from then on.
    Ready,
    /// They are on from the first allocation.
    On,
}

impl Profiling {
    /// All of them, the cheapest first.
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

/// Where the allocator looks for settings beside those compiled in.
const VARIABLE: &str = "_RJEM_MALLOC_CONF";

/// A sample for each half a megabyte: of 50 MB in small objects, the profile's total is within 5 MB in two cases of three.
const READY: &str = "prof:true,prof_active:false,lg_prof_sample:19";
const ON: &str = "prof:true,prof_active:true,lg_prof_sample:19";

/// Makes this process one that can be profiled, if that is wanted and it is none yet: the program begins anew, as the same
/// process with the same arguments, and this does not return. So nothing may be open or begun that matters. A process
/// whose variable says so already is not begun again. Programs that this one starts inherit the variable.
///
/// # Errors
/// When the program cannot begin anew, or did and the allocator still has no profiles.
pub fn prepare(wanted: Profiling) -> Result<(), MemoryError> {
    let settings = match wanted {
        Profiling::Off => return Ok(()),
        Profiling::Ready => READY,
        Profiling::On => ON,
    };
    let state = super::state()?;
    if state.available {
        // Who set the variable by hand has their own idea of when it is on, unless it is to be.
        return if wanted == Profiling::On && !state.active { super::set_active(true) } else { Ok(()) };
    }
    let refused = |why: String| MemoryError::Allocator { what: "heap profiles", why };
    let set = std::env::var_os(VARIABLE).unwrap_or_default();
    let Some(settings) = with(&set, settings) else {
        return Err(refused(format!("{VARIABLE} is {}, and did nothing", set.display())));
    };
    let program = std::env::current_exe().map_err(|error| refused(format!("where is this program? {error}")))?;
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_else(|| program.clone().into_os_string());
    let error = Command::new(&program).arg0(name).args(arguments).env(VARIABLE, settings).exec();
    Err(refused(format!("cannot begin anew as {}: {error}", program.display())))
}

/// These settings behind those that are set, so that they win; none where they are set already.
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
    fn what_is_set_by_hand_stays_and_nothing_is_set_twice() {
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
