//! Man pages of section 1, generated from the definitions behind `--help`.

use anyhow::Result;
use clap::Command;
use clap_mangen::Man;
use roff::{Roff, bold, italic, roman};

/// The page of one command of a program.
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
    let mut ending = Roff::new();
    if let Some(help) = command.get_after_help() {
        after_help(&mut ending, &help.to_string());
    }
    see_also(&mut ending, program);
    ending.to_writer(&mut page)?;
    Ok(page)
}

/// The text below the flags in `--help`: examples, exit codes and notes.
fn after_help(page: &mut Roff, help: &str) {
    for block in help.split("\n\n") {
        if let Some(lines) = block.strip_prefix("Examples:\n") {
            page.control("SH", ["EXAMPLES"]).control("nf", []).text([roman(lines.trim_end())]).control("fi", []);
        } else if let Some(codes) = block.strip_prefix("Exit codes: ") {
            page.control("SH", ["EXIT STATUS"]).text([roman(codes.trim())]);
        } else {
            page.control("PP", []).text([roman(block.trim())]);
        }
    }
}

/// The files and pages that concern all programs.
fn see_also(page: &mut Roff, program: &str) {
    let pages =
        ["r3e-archive(1)", "r3e-loader(1)", "r3e-monitor(1)", "r3e-refresher(1)", "r3e-scheduler(1)", "r3e.toml(5)"];
    let others: Vec<_> = pages.iter().filter(|page| !page.starts_with(&format!("{program}("))).copied().collect();
    page.control("SH", ["FILES"]).control("TP", []).text([italic("/etc/r3e/r3e.toml")]);
    page.text([roman("The configuration; see "), bold("r3e.toml"), roman("(5).")]);
    page.control("SH", ["SEE ALSO"]).text([roman(others.join(", "))]);
}
