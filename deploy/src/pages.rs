//! A man page of section 1, made of the definitions that `--help` shows.

use anyhow::Result;
use clap::Command;
use clap_mangen::Man;

use crate::roff::{escaped, paragraph, section, verbatim};

/// The page of a command of that program.
pub(crate) fn page(command: &Command, program: &str) -> Result<Vec<u8>> {
    let man = Man::new(command.clone()).manual("r3e-leaderboard");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    if command.get_arguments().any(|it| !it.is_hide_set()) {
        man.render_options_section(&mut page)?;
    }
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    if let Some(help) = command.get_after_help() {
        page.extend(after_help(&help.to_string()).into_bytes());
    }
    page.extend(ending(program).into_bytes());
    Ok(page)
}

/// What stands below the flags in `--help`: a block of lines under `Examples:`, one paragraph of exit codes, and notes.
fn after_help(help: &str) -> String {
    let mut out = String::new();
    for block in help.split("\n\n") {
        if let Some(lines) = block.strip_prefix("Examples:\n") {
            out += &section("Examples");
            out += &verbatim(lines);
        } else if let Some(codes) = block.strip_prefix("Exit codes: ") {
            out += &section("Exit status");
            out += &paragraph(codes);
        } else {
            out += &paragraph(block);
        }
    }
    out
}

/// The files and pages that all programs have.
fn ending(program: &str) -> String {
    let pages = ["r3e-loader(1)", "r3e-monitor(1)", "r3e-refresher(1)", "r3e-scheduler(1)", "r3e.toml(5)"];
    let others: Vec<_> = pages.iter().filter(|page| !page.starts_with(&format!("{program}("))).copied().collect();
    let files = ".TP\n\\fI/etc/r3e/r3e.toml\\fR\nThe configuration; see \\fBr3e.toml\\fR(5).\n";
    format!("{}{files}{}{}\n", section("Files"), section("See also"), escaped(&others.join(", ")))
}
