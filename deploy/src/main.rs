//! Writes the man pages and shell completions of all programs, for a package or for `/usr/local/share`, and what the source
//! tree has of the table of settings.

use std::path::PathBuf;

use clap::Parser as _;

/// Writes the man pages and the completions for bash, zsh and fish of all programs of r3e-leaderboard
#[derive(Debug, clap::Parser)]
#[command(name = "r3e-deploy", version)]
struct Arguments {
    /// Folder to write them to, laid out as /usr/share
    #[arg(value_name = "DIR", required_unless_present = "settings")]
    share: Option<PathBuf>,
    /// Instead, rewrite the README's table of settings and deploy/r3e.toml in the source tree
    #[arg(long, conflicts_with = "share")]
    settings: bool,
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().share {
        Some(share) => r3e_deploy::write_all(&share),
        None => r3e_deploy::write_sources(),
    }
}
