//! What `--print-config` shows: every key in force with its source, as a file that gives the same configuration.

use std::fmt::{self, Write as _};

use super::reader::{Setting, State, section};
use super::sections::Config;

impl Config {
    /// The configuration as it was read, as TOML. A comment beside each key tells who gave its value. Keys without a
    /// value stand as comments; so does a path that is not Unicode, which TOML cannot hold.
    #[must_use]
    pub fn render(&self) -> String {
        let mut out = "# The configuration in force. As r3e.toml, this text gives the same.\n".to_owned();
        let mut last_section = "";
        for setting in &self.settings {
            let its_section = section(setting.key);
            if its_section != last_section {
                // Writing to a String cannot fail.
                let _infallible = writeln!(out, "\n[{its_section}]");
                last_section = its_section;
            }
            let _infallible = line(&mut out, setting);
        }
        out
    }
}

fn line(out: &mut String, setting: &Setting) -> fmt::Result {
    let key = setting.key.split_once('.').map_or(setting.key, |(_, key)| key);
    let origin = &setting.origin;
    match &setting.state {
        State::Written(toml) => writeln!(out, "{key} = {toml} # {origin}"),
        State::Unwritable => writeln!(out, "# {key} is a path that is not Unicode # {origin}"),
        State::Unset | State::Wrong => writeln!(out, "# {key} = # not set"),
    }
}
