//! Leaks on purpose, which the soak must find: builds programs that have one.

use std::path::PathBuf;
use std::str::FromStr;
use std::{fmt, io};

use crate::programs;

/// The programs of an installation.
pub(super) const PROGRAMS: [&str; 4] = ["r3e-scheduler", "r3e-monitor", "r3e-loader", "r3e-refresher"];

const KINDS: [&str; 4] = ["bytes", "task", "descriptor", "file"];

/// Which program leaks what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PlantedLeak {
    /// Its full name.
    pub(super) program: String,
    /// `bytes`, `task`, `descriptor` or `file`.
    pub(super) kind: String,
}

impl PlantedLeak {
    /// The variable that a program with the feature `planted-leaks` reads: what [`PlantedLeak`]
    /// displays, a colon, and the folder of the sockets.
    pub(super) const VARIABLE: &'static str = "PLANTED_LEAK";

    /// The processes and the resources in the report that show the leak.
    #[must_use]
    pub(super) fn is_shown_by(&self, process: &str, resource: &str) -> bool {
        let of_program = match &*self.program {
            "r3e-scheduler" => process == "scheduler" || process == "r3e-scheduler",
            "r3e-monitor" => ["watch", "serve", "r3e-monitor"].contains(&process),
            program => process.starts_with(program.trim_start_matches("r3e-")) || process == program,
        };
        let of_kind: &[&str] = match &*self.kind {
            "bytes" => &["allocated", "resident", "allocated at the end", "allocated at the end, by work"],
            "task" => &["tasks", "tasks at the end"],
            "descriptor" => &["descriptors", "descriptors at the end", "descriptors at the end, by work"],
            _ => &["files"],
        };
        of_program && of_kind.contains(&resource)
    }
}

impl fmt::Display for PlantedLeak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.program, self.kind)
    }
}

impl FromStr for PlantedLeak {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (program, kind) = text.split_once(':').ok_or("expected PROGRAM:KIND")?;
        let program =
            PROGRAMS.into_iter().find(|it| it.trim_start_matches("r3e-") == program.trim_start_matches("r3e-"));
        let program = program.ok_or_else(|| format!("expected one of {}", PROGRAMS.join(", ")))?.to_owned();
        if !KINDS.contains(&kind) {
            return Err(format!("expected one of {}", KINDS.join(", ")));
        }
        Ok(Self { program, kind: kind.to_owned() })
    }
}

/// Builds the programs as they ship, and returns their folder. With a leak they are built into a folder of their own, so that
/// none is ever taken for one that ships.
///
/// # Errors
/// If cargo fails.
pub(super) fn build(plant: Option<&PlantedLeak>) -> io::Result<PathBuf> {
    let mut arguments: Vec<&str> = PROGRAMS.into_iter().flat_map(|it| ["--bin", it]).collect();
    if plant.is_some() {
        arguments.extend(["--features", "r3e-common/planted-leaks"]);
    }
    programs::build(&arguments, plant.map(|_| "planted"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leak_is_named_by_program_and_kind() {
        let read = |text: &str| text.parse::<PlantedLeak>().map(|it| it.to_string());
        assert_eq!(read("loader:bytes"), Ok("r3e-loader:bytes".to_owned()));
        assert_eq!(read("r3e-monitor:file"), Ok("r3e-monitor:file".to_owned()));
        for wrong in ["loader", "loader:bits", "r3e-sim:bytes", ""] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
