//! Completions, where each shell looks for them below `/usr/share`.

use std::path::Path;

use anyhow::{Context as _, Result};
use clap_complete::Shell;
use r3e_common::store::fs;

use crate::commands;

/// Writes them for all programs and shells.
pub(crate) fn write(share: &Path) -> Result<()> {
    for mut command in commands() {
        let name = command.get_name().to_owned();
        for (shell, folder, file) in [
            (Shell::Bash, "bash-completion/completions", name.clone()),
            (Shell::Zsh, "zsh/vendor-completions", format!("_{name}")),
            (Shell::Fish, "fish/vendor_completions.d", format!("{name}.fish")),
        ] {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut command, &name, &mut text);
            let folder = share.join(folder);
            fs::create_folders(&folder)?;
            fs::write_whole(&folder.join(file), &text).with_context(|| format!("the completion of {name}"))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn each_shell_that_is_here_understands_them() {
        let share = tempfile::tempdir().unwrap();
        write(share.path()).unwrap();
        for (shell, folder, file) in [
            ("bash", "bash-completion/completions", "r3e-monitor"),
            ("zsh", "zsh/vendor-completions", "_r3e-monitor"),
            ("fish", "fish/vendor_completions.d", "r3e-monitor.fish"),
        ] {
            let path = share.path().join(folder).join(file);
            let text = std::fs::read_to_string(&path).unwrap();
            for part in ["history-file", "watch", "purge", "print-config"] {
                assert!(text.contains(part), "{part} in {}", path.display());
            }
            match Command::new(shell).arg("-n").arg(&path).output() {
                Ok(ran) => assert!(ran.status.success(), "{shell}: {}", String::from_utf8_lossy(&ran.stderr)),
                Err(error) => eprintln!("{shell} is not here, so its completion is not checked: {error}"),
            }
        }
    }

    /// Completes in a real bash: what a user would see.
    #[test]
    fn bash_completes_commands_and_flags() {
        let share = tempfile::tempdir().unwrap();
        write(share.path()).unwrap();
        let script = format!(
            "source {}/bash-completion/completions/r3e-monitor
             COMP_WORDS=(r3e-monitor \"$1\"); COMP_CWORD=1; _r3e__monitor r3e-monitor \"$1\" r3e-monitor
             printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            share.path().display()
        );
        let complete = |word: &str| {
            let ran = Command::new("bash").args(["-c", &script, "bash", word]).output().unwrap();
            String::from_utf8(ran.stdout).unwrap()
        };
        assert_eq!(complete("wat"), "watch\n");
        assert_eq!(complete("--history"), "--history-file\n");
    }
}
