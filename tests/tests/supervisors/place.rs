//! A place with the shipped files in it, adjusted to it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use r3e_tests::harness::{Invocation, Place, command, grid, processes_of, program};
use r3e_tests::sim::{SimOptions, Simulator};
use serde_json::Value;

/// A shipped file or folder.
pub(crate) fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(name)
}

/// A small service.
pub(crate) fn service() -> Simulator {
    Simulator::start(SimOptions { catalog: grid(4, 4), entries: 500, drivers: 100, ..SimOptions::default() }).unwrap()
}

/// A machine in a folder: `state` stands for `/var/lib/r3e`, `run` for `/run/r3e`, `log` for `/var/log/r3e`.
pub(crate) struct Machine {
    pub(crate) place: Place,
    upstream: String,
}

impl Machine {
    /// One whose programs ask that service.
    pub(crate) fn new(upstream: &str) -> Self {
        let place = Place::with_catalog(&grid(4, 4));
        for folder in ["state", "log"] {
            fs::create_dir(place.path(folder)).unwrap();
        }
        let machine = Self { place, upstream: upstream.to_owned() };
        machine.configure("");
        machine
    }

    /// Writes its configuration, with more text at the end.
    pub(crate) fn configure(&self, more: &str) {
        let Self { place, upstream } = self;
        let text = format!(
            "[catalog]\npath = \"{}\"\n[upstream]\nbase_url = {upstream:?}\nrequests_per_second = 10000\n[runtime]\ndir = \"{}\"\n[log]\nformat = \"json\"\n{more}",
            place.path("catalog.toml").display(),
            place.path("run").display(),
        );
        // Found in the working directory, before that of the machine.
        fs::write(place.path("state/r3e.toml"), text).unwrap();
    }

    /// A shipped text as this machine needs it: other paths, and the user is the one who runs the test.
    pub(crate) fn adjusted(&self, text: &str) -> String {
        let folder = |name: &str| self.place.path(name).to_string_lossy().into_owned();
        let programs = program("r3e-scheduler").with_file_name("r3e-").to_string_lossy().into_owned();
        let user = nix::unistd::User::from_uid(nix::unistd::Uid::effective()).unwrap().unwrap().name;
        text.replace("/usr/bin/r3e-", &programs)
            .replace("/var/lib/r3e", &folder("state"))
            .replace("/var/log/r3e", &folder("log"))
            .replace("/run/r3e", &folder("run"))
            .replace("r3e:r3e", &format!("{user}:{user}"))
            .replace("-o r3e -g r3e", &format!("-o {user} -g {user}"))
            .replace("s6-setuidgid r3e", &format!("s6-setuidgid {user}"))
            .replace("user=r3e", &format!("user={user}"))
    }

    /// Copies a shipped folder of files and adjusts each.
    pub(crate) fn install(&self, from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
            let (from, to) = (entry.path(), to.join(entry.file_name()));
            if from.is_dir() {
                self.install(&from, &to);
            } else {
                fs::write(&to, self.adjusted(&fs::read_to_string(&from).unwrap())).unwrap();
                let mode = fs::metadata(&from).unwrap().permissions().mode();
                fs::set_permissions(&to, fs::Permissions::from_mode(mode)).unwrap();
            }
        }
    }

    /// The processes of that name that answer, by number.
    pub(crate) fn answering(&self, program: &str) -> Vec<u64> {
        let runtime_dir = self.place.path("run");
        let list = Invocation::new("r3e-monitor", &self.place.path("state"));
        let list = list.arguments(&["list", "--json"]).set("runtime.dir", &runtime_dir.to_string_lossy());
        let Value::Array(all) = list.run().with_code(0).json() else { panic!("no list") };
        let ours = all.iter().filter(|it| it["program"] == program && it["state"] == "answers");
        ours.map(|it| it["pid"].as_u64().unwrap()).collect()
    }

    /// The text of a file in it, empty where there is none.
    pub(crate) fn text(&self, name: &str) -> String {
        fs::read(self.place.path(name)).map_or_else(|_| String::new(), |it| String::from_utf8_lossy(&it).into_owned())
    }

    /// A supervisor's program, about to run in this machine.
    pub(crate) fn command(&self, program: &str) -> Command {
        command(program.as_ref(), &self.place.path("state"))
    }

    /// Runs a command of a supervisor.
    #[track_caller]
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> Output {
        let output = self.command(program).args(arguments).output().unwrap();
        assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
        output
    }

    /// The processes that were started in this folder.
    pub(crate) fn processes(&self) -> Vec<u32> {
        processes_of(&self.place.path(""))
    }
}
