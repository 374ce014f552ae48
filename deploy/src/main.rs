//! Writes the man pages and shell completions of all programs, for a package or for `/usr/local/share`.

use std::path::PathBuf;

use clap::Parser as _;

/// Writes the man pages and the completions for bash, zsh and fish of all programs of r3e-leaderboard
#[derive(Debug, clap::Parser)]
#[command(name = "r3e-deploy", version)]
struct Arguments {
    /// The folder to write them in, laid out as /usr/share is
    #[arg(value_name = "DIR")]
    share: PathBuf,
}

fn main() -> anyhow::Result<()> {
    r3e_deploy::write_all(&Arguments::parse().share)
}
