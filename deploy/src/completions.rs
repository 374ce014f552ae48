//! Completions, where each shell looks for them below `/usr/share`.

use std::path::Path;

use anyhow::{Context as _, Result};
use clap_complete::Shell;
use r3e_common::runtime::fs;

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

    const FILES: [(&str, &str); 3] = [
        ("bash", "bash-completion/completions/r3e-monitor"),
        ("zsh", "zsh/vendor-completions/_r3e-monitor"),
        ("fish", "fish/vendor_completions.d/r3e-monitor.fish"),
    ];

    #[test]
    fn completions_have_commands_and_flags() {
        let share = tempfile::tempdir().unwrap();
        write(share.path()).unwrap();
        for (shell, file) in FILES {
            let text = std::fs::read_to_string(share.path().join(file)).unwrap();
            for part in ["history-file", "watch", "purge", "print-config"] {
                assert!(text.contains(part), "{part} in that of {shell}");
            }
        }
    }

    fn is_understood(shell: &str) {
        let Some(program) = r3e_needs::program(shell) else { return };
        let share = tempfile::tempdir().unwrap();
        write(share.path()).unwrap();
        let (_, file) = FILES.into_iter().find(|it| it.0 == shell).unwrap();
        let ran = Command::new(program).arg("-n").arg(share.path().join(file)).output().unwrap();
        assert!(ran.status.success(), "{shell}: {}", String::from_utf8_lossy(&ran.stderr));
    }

    #[test]
    fn bash_understands_them() {
        is_understood("bash");
    }

    #[test]
    fn zsh_understands_them() {
        is_understood("zsh");
    }

    #[test]
    fn fish_understands_them() {
        is_understood("fish");
    }

    /// Completes in a real bash: what a user would see.
    #[test]
    fn bash_completes_commands_and_flags() {
        let Some(bash) = r3e_needs::program("bash") else { return };
        let share = tempfile::tempdir().unwrap();
        write(share.path()).unwrap();
        let script = format!(
            "source {}/bash-completion/completions/r3e-monitor
             COMP_WORDS=(r3e-monitor \"$1\"); COMP_CWORD=1; _r3e__monitor r3e-monitor \"$1\" r3e-monitor
             printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            share.path().display()
        );
        let complete = |word: &str| {
            let ran = Command::new(&bash).args(["-c", &script, "bash", word]).output().unwrap();
            String::from_utf8(ran.stdout).unwrap()
        };
        assert_eq!(complete("wat"), "watch\n");
        assert_eq!(complete("--history"), "--history-file\n");
    }
}
