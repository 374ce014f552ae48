//! `r3e-loader catalog`: looking at catalogues, and making one.

use std::io::{self, Write};

use anyhow::Context as _;
use r3e_common::domain::{Catalog, import_publisher_data};
use r3e_common::process::config::Config;
use r3e_common::process::job::{JobError, load_catalog};
use r3e_common::store::{NewFile, fs};
use serde_json::json;

use crate::cli::CatalogCommand;

/// The publisher's file has 2 MB.
const MAX_IMPORT_BYTES: u64 = 256 << 20;

/// Does what was asked, and writes its result to `out`.
pub(crate) fn run(command: CatalogCommand, mut config: Config, json: bool, out: &mut impl Write) -> anyhow::Result<()> {
    match command {
        CatalogCommand::List => list(&load_catalog(&config)?, json, out),
        CatalogCommand::Check { file } => {
            config.catalog.path = file.or(config.catalog.path);
            let catalog = load_catalog(&config)?;
            let (tracks, classes, boards) = (catalog.tracks().len(), catalog.classes().len(), catalog.len());
            if json {
                writeln!(out, "{}", json!({"tracks": tracks, "classes": classes, "boards": boards}))?;
            } else {
                let name = config.catalog.path.map_or_else(|| "built in".to_owned(), |it| it.display().to_string());
                writeln!(out, "{name}: {tracks} tracks x {classes} classes = {boards} boards")?;
            }
            Ok(())
        }
        CatalogCommand::Import { file, output } => {
            let text = fs::read_text(&file, MAX_IMPORT_BYTES).map_err(JobError::CatalogFile)?;
            let imported =
                import_publisher_data(&text).map_err(|source| JobError::Catalog { path: file.clone(), source })?;
            if !imported.orphans.is_empty() {
                tracing::warn!(layouts = ?imported.orphans, "layouts without a track in the file: left out");
            }
            let text = imported.catalog.to_toml();
            let Some(output) = output else { return Ok(out.write_all(text.as_bytes())?) };
            let mut target = NewFile::create(&output).map_err(JobError::Store)?;
            let written: io::Result<()> = target.write_all(text.as_bytes());
            written.with_context(|| format!("cannot write {}", output.display()))?;
            target.commit().map_err(JobError::Store)?;
            let Catalog { .. } = &imported.catalog;
            let (tracks, classes) = (imported.catalog.tracks().len(), imported.catalog.classes().len());
            writeln!(out, "{}: {tracks} tracks x {classes} classes", output.display())?;
            Ok(())
        }
    }
}

fn list(catalog: &Catalog, json: bool, out: &mut impl Write) -> anyhow::Result<()> {
    let tracks = catalog.tracks().iter().map(|it| (it.id.get(), &it.name));
    let classes = catalog.classes().iter().map(|it| (it.id.get(), &it.name));
    if json {
        let rows = |rows: &mut dyn Iterator<Item = (u32, &String)>| -> Vec<_> {
            rows.map(|(id, name)| json!({"id": id, "name": name})).collect()
        };
        let (mut tracks, mut classes) = (tracks, classes);
        writeln!(out, "{}", json!({"tracks": rows(&mut tracks), "classes": rows(&mut classes)}))?;
        return Ok(());
    }
    for (kind, id, name) in
        tracks.map(|(id, name)| ("track", id, name)).chain(classes.map(|(id, name)| ("class", id, name)))
    {
        writeln!(out, "{kind}\t{id}\t{name}")?;
    }
    Ok(())
}
