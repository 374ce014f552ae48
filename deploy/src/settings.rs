//! The default configuration, `deploy/r3e.toml`, as it is installed, and the man page that is made of it.

use crate::roff::{item, paragraph, section, verbatim};

/// The file as it is installed.
pub(crate) const FILE: &str = include_str!("../r3e.toml");

/// A part of the file.
#[derive(Debug, PartialEq, Eq)]
enum Part<'t> {
    /// What stands above the first section.
    Preface(String),
    /// A section with what is said of it.
    Section(&'t str, String),
    /// A setting with what is said of it.
    Setting(&'t str, String),
}

/// Takes the file apart: `# ` begins an explanation of what follows, `#` without a space a setting that is not in force.
fn parts(file: &str) -> Vec<Part<'_>> {
    let (mut parts, mut text) = (Vec::new(), Vec::new());
    for line in file.lines() {
        let told = |text: &mut Vec<&str>| std::mem::take(text).join("\n");
        if line.is_empty() {
            if !text.is_empty() && parts.is_empty() {
                parts.push(Part::Preface(told(&mut text)));
            }
        } else if line == "#" {
            text.push("");
        } else if let Some(comment) = line.strip_prefix("# ") {
            text.push(comment);
        } else if line.starts_with('[') {
            parts.push(Part::Section(line, told(&mut text)));
        } else {
            parts.push(Part::Setting(line.trim_start_matches('#'), told(&mut text)));
        }
    }
    parts
}

/// The man page.
pub(crate) fn page() -> String {
    let version = env!("CARGO_PKG_VERSION");
    let mut page = format!(".TH r3e.toml 5 \"\" \"r3e\\-leaderboard {version}\" \"r3e\\-leaderboard\"\n");
    page += &section("Name");
    page += "r3e.toml \\- configuration of r3e\\-leaderboard\n";
    page += &section("Description");
    for part in parts(FILE) {
        page += &match part {
            Part::Preface(text) => text.split("\n\n").map(paragraph).collect(),
            Part::Section(name, text) => section(name) + &paragraph(&text),
            Part::Setting(line, text) => item(line, &text),
        };
    }
    page += &section("Files");
    page += &paragraph("The first of these that there is:");
    page += &verbatim("the one that --config names\nthe one that R3E_CONFIG names\n./r3e.toml\n/etc/r3e/r3e.toml");
    page += &section("See also");
    page += "r3e\\-loader(1), r3e\\-monitor(1), r3e\\-refresher(1), r3e\\-scheduler(1)\n";
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use r3e_common::runtime::config::{ConfigArgs, Environment};
    use std::collections::BTreeMap;

    /// What `--print-config` shows of a file: each key with its value, if it has one, and where that comes from.
    fn loaded(text: &str) -> BTreeMap<String, (Option<String>, String)> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("r3e.toml"), text).unwrap();
        let mut environment = Environment::bare(folder.path().to_owned(), 1000);
        environment.system_file = folder.path().join("none.toml");
        environment.system_runtime_dir = folder.path().join("none");
        let config = ConfigArgs::default().load(&environment).unwrap_or_else(|errors| panic!("{errors}"));
        let (mut keys, mut section) = (BTreeMap::new(), String::new());
        for line in config.render().lines() {
            if let Some(name) = line.strip_prefix('[') {
                section = name.trim_end_matches(']').to_owned();
            } else if let Some((setting, origin)) = line.rsplit_once(" # ")
                && let Some((key, value)) = setting.split_once(" = ")
            {
                keys.insert(format!("{section}.{key}"), (Some(value.to_owned()), origin.to_owned()));
            } else if let Some(key) = line.strip_prefix("# ").and_then(|it| it.strip_suffix(" = # not set")) {
                keys.insert(format!("{section}.{key}"), (None, String::new()));
            }
        }
        keys
    }

    #[test]
    fn the_file_as_it_is_installed_sets_paths_and_nothing_else() {
        let defaults = loaded("");
        for (key, (value, origin)) in loaded(FILE) {
            let is_set = ["cache.dir", "monitor.history"].contains(&key.as_str());
            assert_eq!(origin.starts_with("./r3e.toml:"), is_set, "{key}: {origin}");
            let follows = key == "cache.staging_dir";
            assert!(is_set || follows || value == defaults[&key].0, "{key} = {value:?}");
        }
    }

    /// Each key is there, its value is the default, and there is no other: with every # gone that hides a setting, the file
    /// loads, and all values come from it.
    #[test]
    fn every_key_is_explained_and_shown_with_its_default() {
        let uncommented: String = FILE.lines().fold(String::new(), |text, line| {
            let setting = line.strip_prefix('#').filter(|it| it.starts_with(|c: char| c.is_ascii_lowercase()));
            text + setting.unwrap_or(line) + "\n"
        });
        let (defaults, all) = (loaded(""), loaded(&uncommented));
        // These depend on the machine, or are examples; the text beside them says so.
        let others = ["cache.dir", "cache.staging_dir", "monitor.history", "runtime.dir", "upstream.user_agent"];
        for (key, (value, origin)) in &all {
            assert!(origin.starts_with("./r3e.toml:"), "{key} is missing: {origin}");
            let default = &defaults[key].0;
            assert!(default.is_none() || others.contains(&key.as_str()) || value == default, "{key} = {value:?}");
        }
        assert_eq!(all.len(), defaults.len());
        for part in parts(FILE) {
            let (Part::Preface(text) | Part::Section(_, text) | Part::Setting(_, text)) = &part;
            assert!(!text.is_empty(), "{part:?} is not explained");
        }
        assert_eq!(parts(FILE).iter().filter(|it| matches!(it, Part::Setting(..))).count(), all.len());
    }

    #[test]
    fn the_page_has_all_settings() {
        let page = page();
        for part in [".SH \"[SCHEDULE]\"", "\\fBdaily_at = \"04:00\"\\fR", "\\fBhistory = ", "Please be kind."] {
            assert!(page.contains(part), "{part} in {page}");
        }
    }
}
