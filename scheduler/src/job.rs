//! The jobs, and the commands that start them with the scheduler's configuration.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use r3e_common::runtime::config::{Config, ConfigArgs, Loaded};
use r3e_common::runtime::fs::{self, FsError};
use r3e_common::runtime::logging::Format;
use tokio::process::Command;

/// The configuration of jobs, in the staging folder.
const CONFIGURATION: &str = ".scheduler.toml";

/// Why a full refresh is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// It is due.
    Due,
    /// It was missed, because the scheduler was not running.
    Missed,
    /// The trigger file requests it.
    Trigger,
}

/// A job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Job {
    /// The loader, which fetches missing and old boards.
    Load,
    /// The refresher, for all boards.
    Refresh(Reason),
    /// The refresher, for the boards in the trigger file.
    Boards,
}

impl Job {
    /// The program.
    pub(crate) fn program(self) -> &'static str {
        match self {
            Self::Load => "r3e-loader",
            Self::Refresh(_) | Self::Boards => "r3e-refresher",
        }
    }

    /// The phase of the scheduler during this job.
    pub(crate) fn phase(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Refresh(_) => "refresh",
            Self::Boards => "boards",
        }
    }

    /// Whether the other job is of the same kind.
    pub(crate) fn is_like(self, other: Self) -> bool {
        std::mem::discriminant(&self) == std::mem::discriminant(&other)
    }

    /// Whether this job also does the work of the other: a full refresh does all that a load does.
    pub(crate) fn covers(self, other: Self) -> bool {
        self.is_like(other) || (matches!(self, Self::Refresh(_)) && other == Self::Load)
    }
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Load => "load",
            Self::Refresh(Reason::Due) => "refresh",
            Self::Refresh(Reason::Missed) => "missed refresh",
            Self::Refresh(Reason::Trigger) => "triggered refresh",
            Self::Boards => "refresh of some boards",
        })
    }
}

/// The programs of jobs, and what all jobs are started with.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    /// Their folder; by default the scheduler's own, else the search path.
    pub(crate) folder: Option<PathBuf>,
    /// The scheduler's flags.
    pub(crate) arguments: ConfigArgs,
    /// Variables that jobs must not inherit.
    pub(crate) not_inherited: &'static [&'static str],
}

impl Programs {
    /// Writes the configuration file of jobs. They do not read the original, which may have been changed and be invalid.
    ///
    /// # Errors
    /// If the file system fails.
    pub(crate) fn write_configuration(loaded: &Loaded) -> Result<(), FsError> {
        fs::write_whole(&configuration_path(&loaded.config), loaded.to_toml().as_bytes())
    }

    /// The command of a job. `taken` is the taken trigger file. A refresh that was due `due_since` ago resumes an earlier one only
    /// if that made progress since.
    ///
    /// Settings that only a restart can change are passed as flags and variables.
    pub(crate) fn command(&self, job: Job, config: &Config, taken: &Path, due_since: Option<Duration>) -> Command {
        let arguments = ConfigArgs {
            config: Some(configuration_path(config).into()),
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
        // The job of a killed scheduler may still be stopping.
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

    /// A command of `schedule.after`. Its environment names the cache, the publication, and the configuration file if the scheduler was
    /// given one.
    pub(crate) fn after(&self, words: &[String], generation: &str, config: &Config) -> Command {
        let program = words.first().map_or("", String::as_str);
        let found = self.path(program);
        // A name that is found nowhere else is left to the search path.
        let mut command =
            if program.contains('/') || !found.is_file() { Command::new(program) } else { Command::new(found) };
        command.args(words.iter().skip(1));
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        command.env("R3E_CACHE__DIR", absolute(&config.cache.dir)).env("R3E_GENERATION", generation);
        if let Some(file) = &self.arguments.config {
            command.env("R3E_CONFIG", absolute(Path::new(file)));
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

fn configuration_path(config: &Config) -> PathBuf {
    config.cache.staging_dir.join(CONFIGURATION)
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
        let command_line = |job| {
            let command = programs.command(job, &config, Path::new("/c/.taken"), None);
            let command = command.as_std();
            let words = command.get_args().map(|it| it.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ");
            let variables = command.get_envs().map(|(name, value)| (name.to_owned(), value.map(ToOwned::to_owned)));
            assert!(variables.into_iter().any(|it| it == ("NOTIFY_SOCKET".into(), None)));
            format!("{} {words}", command.get_program().display()).replace(&std::process::id().to_string(), "PID")
        };
        let all = [Job::Load, Job::Refresh(Reason::Due), Job::Boards].map(command_line).join("\n");
        insta::assert_snapshot!(all, @"
        /opt/r3e-loader --wait=15000ms --parent=PID --config=/c_temp/.scheduler.toml --cache=/c --staging=/c_temp --verbose --verbose
        /opt/r3e-refresher full --wait=15000ms --parent=PID --config=/c_temp/.scheduler.toml --cache=/c --staging=/c_temp --verbose --verbose
        /opt/r3e-refresher boards --from=/c/.taken --wait=15000ms --parent=PID --config=/c_temp/.scheduler.toml --cache=/c --staging=/c_temp --verbose --verbose
        ");
    }

    #[test]
    fn a_command_is_found_like_a_job_or_by_the_shell_and_knows_the_publication() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("r3e-archive"), "").unwrap();
        let arguments = ConfigArgs { config: Some("my.toml".into()), ..ConfigArgs::default() };
        let programs = Programs { folder: Some(folder.path().into()), arguments, not_inherited: &["NOTIFY_SOCKET"] };
        let command = |program: &str| {
            let words = [program, "a b", ""].map(str::to_owned);
            programs.after(&words, "0000beef-7", &Config::default()).into_std()
        };
        for (program, found) in [
            ("r3e-archive", folder.path().join("r3e-archive")),
            ("sh", "sh".into()),
            ("./x", "./x".into()),
            ("/x", "/x".into()),
        ] {
            assert_eq!(command(program).get_program(), found, "{program}");
        }
        let command = command("sh");
        assert_eq!(command.get_args().collect::<Vec<_>>(), ["a b", ""]);
        let current = std::env::current_dir().unwrap();
        let expected = [
            ("NOTIFY_SOCKET", None),
            ("R3E_CACHE__DIR", Some(current.join("cache").into_os_string())),
            ("R3E_CONFIG", Some(current.join("my.toml").into_os_string())),
            ("R3E_GENERATION", Some("0000beef-7".into())),
        ];
        let variables = command.get_envs().map(|(name, value)| (name.to_str().unwrap(), value.map(ToOwned::to_owned)));
        assert_eq!(variables.collect::<Vec<_>>(), expected);
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
