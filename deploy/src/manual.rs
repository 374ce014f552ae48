//! The man pages and their paths.

use std::path::Path;

use anyhow::{Context as _, Result};
use clap::Command;
use r3e_common::runtime::fs;

use crate::{commands, pages, settings};

/// Writes section 1 (a page for each program and each of its commands) and `r3e.toml` of section 5.
pub(crate) fn write(man: &Path) -> Result<()> {
    let (one, five) = (man.join("man1"), man.join("man5"));
    fs::create_folders(&one)?;
    fs::create_folders(&five)?;
    for command in commands() {
        let mut command = command.disable_help_subcommand(true);
        command.build();
        let program = command.get_name().to_owned();
        write_command(&one, &command, &program)?;
    }
    fs::write_whole(&five.join("r3e.toml.5"), settings::page().as_bytes()).context("the page of r3e.toml")
}

/// The page of a command, and those of its subcommands.
fn write_command(folder: &Path, command: &Command, program: &str) -> Result<()> {
    let page = pages::page(command, program)?;
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    fs::write_whole(&folder.join(format!("{name}.1")), &page).with_context(|| format!("the page of {name}"))?;
    command.get_subcommands().try_for_each(|it| write_command(folder, it, program))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command as Process;

    #[test]
    fn there_is_a_page_for_each_command() {
        let man = tempfile::tempdir().unwrap();
        write(man.path()).unwrap();
        for name in [
            "man1/r3e-loader.1",
            "man1/r3e-loader-catalog-import.1",
            "man1/r3e-refresher-full.1",
            "man1/r3e-scheduler-next.1",
            "man1/r3e-monitor-watch.1",
            "man1/r3e-archive-restore.1",
            "man5/r3e.toml.5",
        ] {
            assert!(man.path().join(name).is_file(), "{name}");
        }
    }

    #[test]
    fn groff_reads_every_page_without_a_warning() {
        let Some(groff) = r3e_needs::program("groff") else { return };
        let man = tempfile::tempdir().unwrap();
        write(man.path()).unwrap();
        for section in ["man1", "man5"] {
            for page in std::fs::read_dir(man.path().join(section)).unwrap() {
                let page = page.unwrap().path();
                let ran =
                    Process::new(&groff).args(["-man", "-Kutf8", "-Tutf8", "-ww", "-z"]).arg(&page).output().unwrap();
                assert!(ran.status.success() && ran.stderr.is_empty(), "{}: {ran:?}", page.display());
            }
        }
    }

    #[test]
    fn a_page_has_examples_line_by_line_and_exit_codes() {
        let man = tempfile::tempdir().unwrap();
        write(man.path()).unwrap();
        let page = std::fs::read_to_string(man.path().join("man1/r3e-loader.1")).unwrap();
        for part in [
            ".SH EXAMPLES\n.nf\n",
            "r3e\\-loader \\-\\-cached\\-only \\-\\-json",
            ".SH \"EXIT STATUS\"\n",
            "78 invalid configuration",
            ".SH \"SEE ALSO\"\n",
            "r3e.toml(5)",
        ] {
            assert!(page.contains(part), "{part} in {page}");
        }
    }
}
