//! A real terminal, provided by tmux. Each test has its own tmux server.

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::process::Output;

use r3e_tests::harness::{Place, command, program, until};

/// A shell in a terminal of 80 by 24.
pub(crate) struct Terminal<'a> {
    tmux: PathBuf,
    place: &'a Place,
}

impl<'a> Terminal<'a> {
    /// Starts one. Without tmux, returns `None` and records a skipped test.
    #[track_caller]
    pub(crate) fn new(place: &'a Place) -> Option<Self> {
        let terminal = Self { tmux: r3e_needs::program("tmux")?, place };
        let started = terminal.tmux(&["-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", "sh"]);
        assert!(started.status.success(), "{started:?}");
        terminal.type_line("PS1='$ '");
        terminal.type_line("stty -g > before");
        until("the shell is there", || {
            let before = fs::read_to_string(place.path("before")).unwrap_or_default();
            before.ends_with('\n') && terminal.shown().contains("before")
        });
        Some(terminal)
    }

    fn tmux(&self, arguments: &[impl AsRef<OsStr>]) -> Output {
        let mut command = command(&self.tmux, &self.place.path(""));
        // No other server is found there, and what is drawn is UTF-8.
        command
            .env("TMUX_TMPDIR", self.place.path(""))
            .env("LC_ALL", "C.UTF-8")
            .env_remove("TMUX")
            .env_remove("NO_COLOR");
        command.args(["-u", "-L", "r3e-test"]).args(arguments);
        command.output().unwrap()
    }

    /// What the terminal shows now.
    pub(crate) fn shown(&self) -> String {
        self.asked(&["capture-pane", "-p"])
    }

    /// The same with the sequences for its colours.
    pub(crate) fn shown_with_styles(&self) -> String {
        self.asked(&["capture-pane", "-p", "-e"])
    }

    fn asked(&self, arguments: &[&str]) -> String {
        let output = self.tmux(arguments);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Waits until it shows this.
    pub(crate) fn shows(&self, what: &str) {
        self.shows_all(&[what]);
    }

    /// Waits until it shows all of that at once.
    pub(crate) fn shows_all(&self, what: &[&str]) {
        self.until(&format!("{what:?} is shown"), || {
            let shown = self.shown();
            what.iter().all(|it| shown.contains(it))
        });
    }

    /// Waits for this. If it does not appear, panics with what is shown instead.
    pub(crate) fn until(&self, what: &str, event: impl FnMut() -> bool) {
        struct Told<'a>(&'a Terminal<'a>);
        impl Drop for Told<'_> {
            fn drop(&mut self) {
                if std::thread::panicking() {
                    println!("shown was:\n{}", self.0.shown());
                }
            }
        }
        let _told = Told(self);
        until(what, event);
    }

    /// Presses keys, by tmux's names.
    pub(crate) fn press(&self, keys: &[&str]) {
        let sent = self.tmux(&[&["send-keys"], keys].concat());
        assert!(sent.status.success(), "{sent:?}");
    }

    /// Types a line into the shell.
    pub(crate) fn type_line(&self, text: &str) {
        self.press(&["-l", text]);
        self.press(&["Enter"]);
    }

    /// Gives the terminal another size.
    pub(crate) fn resize(&self, columns: u16, rows: u16) {
        let resized = self.tmux(&["resize-window", "-x", &columns.to_string(), "-y", &rows.to_string()]);
        assert!(resized.status.success(), "{resized:?}");
    }

    /// Starts the monitor's `top` there, with variables before it; gives its process id.
    pub(crate) fn start_top(&self, variables: &str, arguments: &str) -> u32 {
        let pid = self.place.path("pid");
        let _none_before = fs::remove_file(&pid);
        let program = program("r3e-monitor");
        // The shell's own process becomes the monitor's.
        let line = format!(
            "exec env R3E_RUNTIME__DIR='{}' {variables} '{}' top --every 100ms {arguments}",
            self.place.path("run").display(),
            program.display()
        );
        fs::write(self.place.path("start"), format!("echo $$ > pid\n{line}\n")).unwrap();
        self.type_line("clear; sh ./start; echo ended with $?.");
        self.until("it has the terminal", || self.is_taken());
        fs::read_to_string(pid).unwrap().trim().parse().unwrap()
    }

    /// Whether the screen that programs take for themselves is shown.
    pub(crate) fn is_taken(&self) -> bool {
        self.asked(&["display-message", "-p", "#{alternate_on}"]).trim() == "1"
    }

    /// Waits until it has ended with this exit code, and checks that the terminal is restored.
    pub(crate) fn has_ended_with(&self, code: i32) {
        self.shows(&format!("ended with {code}."));
        self.is_as_before();
    }

    /// Checks that the terminal is restored.
    pub(crate) fn is_as_before(&self) {
        // It may have to read what was written last.
        self.until("it is as before", || {
            self.asked(&["display-message", "-p", "#{alternate_on} #{cursor_flag}"]).trim() == "0 1"
        });
        let after = self.place.path("after");
        let _none_before = fs::remove_file(&after);
        self.type_line("stty -g > after.part; mv after.part after");
        self.until("the shell has said how the terminal is", || after.exists());
        let read = |path: PathBuf| fs::read_to_string(path).unwrap();
        assert_eq!(read(after), read(self.place.path("before")), "the terminal's settings");
    }

    /// Takes the terminal away from whatever runs in it.
    pub(crate) fn hang_up(&self) {
        let _ended = self.tmux(&["kill-server"]);
    }
}

impl Drop for Terminal<'_> {
    fn drop(&mut self) {
        self.hang_up();
    }
}
