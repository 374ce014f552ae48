//! A daemon leaves a run record, however it ends. A test binary of its own, since it listens for the process's signals.
#![expect(clippy::disallowed_methods, reason = "looks at the files from outside")]

use std::fs;
use std::time::{Duration, SystemTime};

use r3e_common::runtime::config::{ConfigArgs, Environment};
use r3e_common::runtime::daemon::Daemon;
use r3e_common::runtime::exit::{Exit, Failure};
use r3e_common::runtime::shutdown::Shutdown;
use serde_json::Value;

#[test]
fn a_daemon_leaves_a_record_even_if_it_fails() {
    for (fails, outcome, code) in [(false, "done", 0), (true, "port 80 is in use", 75)] {
        let folder = tempfile::tempdir().unwrap();
        let mut environment = Environment::bare(folder.path().to_owned(), nix::unistd::getuid().as_raw());
        environment.system_file = folder.path().join("none.toml");
        environment.system_runtime_dir = folder.path().join("none");
        let mut loaded = ConfigArgs::default().load(&environment).unwrap();
        loaded.config.runtime.dir = folder.path().join("run");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let shutdown = Shutdown::listen(Duration::from_mins(1)).unwrap();
        let daemon = Daemon {
            program: "r3e-test",
            doing: "testing",
            loaded: &loaded,
            shutdown: &shutdown,
            clock: SystemTime::now,
        };
        let result =
            daemon.run(&runtime, async |_| if fails { Err(Failure::new(Exit::TryAgain, outcome)) } else { Ok(()) });
        assert_eq!(result.is_err(), fails);
        let records: Vec<_> =
            fs::read_dir(folder.path().join("run/runs")).unwrap().map(|it| it.unwrap().path()).collect();
        assert_eq!(records.len(), 1, "{records:?}");
        let record: Value = serde_json::from_slice(&fs::read(&records[0]).unwrap()).unwrap();
        assert_eq!((&record["outcome"], &record["exit_code"]), (&outcome.into(), &code.into()), "{record}");
    }
}
