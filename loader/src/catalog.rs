//! `r3e-loader catalog`: lists, checks and imports catalogues.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use r3e_common::domain::{Catalog, import_publisher_data};
use r3e_common::job::{JobError, load_catalog};
use r3e_common::runtime::config::Config;
use r3e_common::runtime::fs;
use serde_json::{Value, json};

use crate::cli::CatalogCommand;

/// The publisher's file is about 2 MB.
const MAX_IMPORT_BYTES: u64 = 256 << 20;

/// Runs the command, and returns the text to print.
pub(crate) fn run(command: CatalogCommand, mut config: Config, json: bool) -> Result<String, JobError> {
    match command {
        CatalogCommand::List => load_catalog(&config).map(|catalog| list(&catalog, json)),
        CatalogCommand::Check { file } => {
            config.catalog.path = file.or(config.catalog.path);
            let catalog = load_catalog(&config)?;
            let name = config.catalog.path.map_or_else(|| "built in".to_owned(), |it| it.display().to_string());
            Ok(size(&name, &catalog, json))
        }
        CatalogCommand::Diff { file } => {
            let current = load_catalog(&config)?;
            let other = if file.extension().is_some_and(|it| it == "json") {
                import(&file)?
            } else {
                config.catalog.path = Some(file);
                load_catalog(&config)?
            };
            Ok(diff(&current, &other, json))
        }
        CatalogCommand::Import { file, output } => {
            let catalog = import(&file)?;
            let text = catalog.to_toml();
            let Some(output) = output else { return Ok(text) };
            fs::write_whole(&output, text.as_bytes())?;
            Ok(size(&output.display().to_string(), &catalog, json))
        }
    }
}

/// The catalogue of the publisher's file.
fn import(file: &Path) -> Result<Catalog, JobError> {
    let text = fs::read_text(file, MAX_IMPORT_BYTES).map_err(JobError::CatalogFile)?;
    let imported = import_publisher_data(&text).map_err(|cause| JobError::Catalog { path: file.to_owned(), cause })?;
    if !imported.orphans.is_empty() {
        tracing::warn!(layouts = ?imported.orphans, "left out layouts that have no track in the file");
    }
    Ok(imported.catalog)
}

/// A track or class that two catalogues do not have alike.
#[derive(Debug)]
struct Difference<'a> {
    /// "added", "removed" or "renamed".
    change: &'static str,
    /// "track" or "class".
    kind: &'static str,
    id: u32,
    /// The name in the other catalogue; of what was removed, the one in force.
    name: &'a str,
}

/// What `other` adds to, removes from and renames in `current`, tracks first, ordered by id.
fn changes<'a>(current: &'a Catalog, other: &'a Catalog) -> Vec<Difference<'a>> {
    let mut changes = compare("track", &tracks(current).collect(), &tracks(other).collect());
    changes.extend(compare("class", &classes(current).collect(), &classes(other).collect()));
    changes
}

fn compare<'a>(
    kind: &'static str,
    current: &BTreeMap<u32, &'a str>,
    other: &BTreeMap<u32, &'a str>,
) -> Vec<Difference<'a>> {
    let ids: BTreeSet<u32> = current.keys().chain(other.keys()).copied().collect();
    let difference = |id| {
        let (change, name) = match (current.get(&id), other.get(&id)) {
            (None, Some(name)) => ("added", name),
            (Some(name), None) => ("removed", name),
            (Some(before), Some(name)) if before != name => ("renamed", name),
            _ => return None,
        };
        Some(Difference { change, kind, id, name })
    };
    ids.into_iter().filter_map(difference).collect()
}

fn diff(current: &Catalog, other: &Catalog, json: bool) -> String {
    let changes = changes(current, other);
    if json {
        let change = |it: &Difference| json!({"change": it.change, "kind": it.kind, "id": it.id, "name": it.name});
        format!("{}\n", json!({"changes": changes.iter().map(change).collect::<Vec<_>>()}))
    } else {
        let line = |it: Difference| format!("{}\t{}\t{}\t{}\n", it.change, it.kind, it.id, it.name);
        changes.into_iter().map(line).collect()
    }
}

/// Ids and names, in catalogue order.
fn tracks(catalog: &Catalog) -> impl Iterator<Item = (u32, &str)> {
    catalog.tracks().iter().map(|it| (it.id.get(), it.name.as_str()))
}

/// Ids and names, in catalogue order.
fn classes(catalog: &Catalog) -> impl Iterator<Item = (u32, &str)> {
    catalog.classes().iter().map(|it| (it.id.get(), it.name.as_str()))
}

fn size(name: &str, catalog: &Catalog, json: bool) -> String {
    let (tracks, classes, boards) = (catalog.tracks().len(), catalog.classes().len(), catalog.len());
    if json {
        format!("{}\n", json!({"catalogue": name, "tracks": tracks, "classes": classes, "boards": boards}))
    } else {
        format!("{name}: {tracks} tracks x {classes} classes = {boards} boards\n")
    }
}

fn list(catalog: &Catalog, json: bool) -> String {
    let (tracks, classes) = (tracks(catalog), classes(catalog));
    if json {
        let row = |(id, name): (u32, &str)| json!({"id": id, "name": name});
        let (tracks, classes): (Vec<Value>, Vec<Value>) = (tracks.map(row).collect(), classes.map(row).collect());
        format!("{}\n", json!({"tracks": tracks, "classes": classes}))
    } else {
        let line = |kind| move |(id, name): (u32, &str)| format!("{kind}\t{id}\t{name}\n");
        tracks.map(line("track")).chain(classes.map(line("class"))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog(tracks: &str) -> Catalog {
        Catalog::from_toml(&format!("track = [{tracks}]\nclass = [{{id = 9, name = 'c'}}]")).unwrap()
    }

    #[test]
    fn a_diff_names_what_is_added_removed_and_renamed() {
        let current = catalog("{id = 1, name = 'a'}, {id = 2, name = 'b'}, {id = 3, name = 'x'}");
        let other = catalog("{id = 3, name = 'y'}, {id = 4, name = 'd'}, {id = 1, name = 'a'}");
        assert_eq!(diff(&current, &other, false), "removed\ttrack\t2\tb\nrenamed\ttrack\t3\ty\nadded\ttrack\t4\td\n");
        assert_eq!(diff(&current, &current, true), "{\"changes\":[]}\n");
    }
}
