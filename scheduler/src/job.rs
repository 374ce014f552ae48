//! The jobs there are, and the command that starts each: the programs of the workspace, with this program's configuration.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use r3e_common::runtime::config::{Config, ConfigArgs, Loaded};
use r3e_common::runtime::fs::{self, FsError};
use r3e_common::runtime::logging::Format;
use tokio::process::Command;

/// Hidden, in the staging folder: the configuration that jobs are started with.
const IN_FORCE: &str = ".scheduler.toml";

/// What makes the scheduler start a refresh of everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// It is due.
    Due,
    /// It was due while nobody was there to start it.
    Missed,
    /// The trigger file asks for everything.
    Trigger,
}

/// A job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Job {
    /// The loader: promotes what is staged, and fetches what is missing or old.
    Load,
    /// The refresher, for every board.
    Refresh(Reason),
    /// The refresher, for the boards that the trigger file names.
    Boards,
}

impl Job {
    /// The program that does it.
    pub(crate) fn program(self) -> &'static str {
        match self {
            Self::Load => "r3e-loader",
            Self::Refresh(_) | Self::Boards => "r3e-refresher",
        }
    }

    /// What a process that starts it is at, in a word.
    pub(crate) fn phase(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Refresh(_) => "refresh",
            Self::Boards => "boards",
        }
    }

    /// Whether the other one does the same.
    pub(crate) fn is_like(self, other: Self) -> bool {
        std::mem::discriminant(&self) == std::mem::discriminant(&other)
    }

    /// Whether nothing is left of the other one to do when this is done: a refresh does all that a load does.
    pub(crate) fn does_the_work_of(self, other: Self) -> bool {
        self.is_like(other) || (matches!(self, Self::Refresh(_)) && other == Self::Load)
    }
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Load => "load",
            Self::Refresh(Reason::Due) => "refresh",
            Self::Refresh(Reason::Missed) => "refresh that was missed",
            Self::Refresh(Reason::Trigger) => "refresh of everything, as the trigger file asks",
            Self::Boards => "refresh of the boards that the trigger file names",
        })
    }
}

/// Where the programs of jobs are, and what all of them are started with.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    /// The folder they are in; none for that of this program, or else the search path.
    pub(crate) folder: Option<PathBuf>,
    /// This program's own flags.
    pub(crate) arguments: ConfigArgs,
    /// Variables that are this process's own and not its jobs'.
    pub(crate) not_inherited: &'static [&'static str],
}

impl Programs {
    /// Writes down the configuration in force, by which jobs are started: one that is changed has to be read again here first,
    /// and one that is wrong is wrong for nobody.
    ///
    /// # Errors
    /// When the file system refuses.
    pub(crate) fn put_in_force(loaded: &Loaded) -> Result<(), FsError> {
        fs::write_whole(&in_force(&loaded.config), loaded.to_toml().as_bytes())
    }

    /// The command that starts the job, reading the trigger file's content at `taken`. A refresh that was due so long ago resumes
    /// an earlier one only if that was at work since.
    ///
    /// What only a start can change is told beside the configuration in force, as this process has it.
    pub(crate) fn command(&self, job: Job, config: &Config, taken: &Path, due_since: Option<Duration>) -> Command {
        let arguments = ConfigArgs {
            config: Some(in_force(config).into()),
            cache: Some(config.cache.dir.clone().into()),
            staging: Some(config.cache.staging_dir.clone().into()),
            ..self.arguments.clone()
        };
        let mut command = Command::new(self.path(job.program()));
        match job {
            Job::Load => {}
            Job::Refresh(_) => {
                command.arg("full");
            }
            Job::Boards => {
                let mut from = OsString::from("--from=");
                from.push(taken);
                command.arg("boards").arg(from);
            }
        }
        // Another writer, such as the job of a scheduler that was killed, has this long to be gone.
        let wait = config.runtime.stop_grace + Duration::from_secs(5);
        command.arg(format!("--wait={}ms", wait.as_millis()));
        command.arg(format!("--parent={}", std::process::id()));
        if config.log.format == Format::Json {
            command.arg("--json");
        }
        command.args(arguments.to_arguments());
        command.env("R3E_RUNTIME__DIR", &config.runtime.dir);
        command.env("R3E_RUNTIME__STOP_GRACE", format!("{}ns", config.runtime.stop_grace.as_nanos()));
        command.env("R3E_LOG__LEVEL", config.log.level.to_string());
        command.env("R3E_LOG__FORMAT", config.log.format.to_string());
        if let Some(since) = due_since.filter(|since| *since < config.refresh.resume_within) {
            command.env("R3E_REFRESH__RESUME_WITHIN", format!("{}ms", since.as_millis()));
        }
        for name in self.not_inherited {
            command.env_remove(name);
        }
        command
    }

    fn path(&self, program: &str) -> PathBuf {
        if let Some(folder) = &self.folder {
            return folder.join(program);
        }
        let beside = std::env::current_exe().map(|own| own.with_file_name(program));
        beside.ok().filter(|path| path.is_file()).unwrap_or_else(|| program.into())
    }
}

fn in_force(config: &Config) -> PathBuf {
    config.cache.staging_dir.join(IN_FORCE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use r3e_common::runtime::config::Environment;

    #[test]
    fn commands_carry_the_configuration_and_the_folders_in_force() {
        let arguments = ConfigArgs { config: Some("my.toml".into()), verbose: 2, ..ConfigArgs::default() };
        let environment = Environment::bare("/".into(), 7);
        let config =
            ConfigArgs { cache: Some("/c".into()), ..ConfigArgs::default() }.load(&environment).unwrap().config;
        let programs = Programs { folder: Some("/opt".into()), arguments, not_inherited: &["NOTIFY_SOCKET"] };
        let told = |job| {
            let command = programs.command(job, &config, Path::new("/c/.taken"), None);
            let command = command.as_std();
            let words = command.get_args().map(|it| it.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ");
            let variables = command.get_envs().map(|(name, value)| (name.to_owned(), value.map(ToOwned::to_owned)));
            assert!(variables.into_iter().any(|it| it == ("NOTIFY_SOCKET".into(), None)));
            format!("{} {words}", command.get_program().display()).replace(&std::process::id().to_string(), "PID")
        };
        let all = [Job::Load, Job::Refresh(Reason::Due), Job::Boards].map(told).join("\n");
        insta::assert_snapshot!(all, @"
        /opt/r3e-loader --wait=15000ms --parent=PID --config=/c_temp/.scheduler.toml --cache=/c --staging=/c_temp --verbose --verbose
        /opt/r3e-refresher full --wait=15000ms --parent=PID --config=/c_temp/.scheduler.toml --cache=/c --staging=/c_temp --verbose --verbose
        /opt/r3e-refresher boards --from=/c/.taken --wait=15000ms --parent=PID --config=/c_temp/.scheduler.toml --cache=/c --staging=/c_temp --verbose --verbose
        ");
    }

    #[test]
    fn a_due_refresh_resumes_only_what_was_at_work_since_it_was_due() {
        let config = Config::default();
        let programs = Programs { folder: None, arguments: ConfigArgs::default(), not_inherited: &[] };
        let resume_within = |since| {
            let command = programs.command(Job::Refresh(Reason::Due), &config, Path::new("/taken"), since);
            let mut variables = command.as_std().get_envs();
            let found = variables.find(|(name, _)| *name == "R3E_REFRESH__RESUME_WITHIN")?.1?;
            Some(found.to_str()?.to_owned())
        };
        assert_eq!(resume_within(Some(Duration::ZERO)).as_deref(), Some("0ms"));
        assert_eq!(resume_within(Some(Duration::from_mins(20))).as_deref(), Some("1200000ms"));
        assert_eq!(resume_within(Some(config.refresh.resume_within)), None);
        assert_eq!(resume_within(None), None);
    }
}
