//! `r3e-loader catalog`: looking at catalogues, and making one.

use r3e_common::domain::{Catalog, import_publisher_data};
use r3e_common::job::{JobError, load_catalog};
use r3e_common::runtime::config::Config;
use r3e_common::runtime::fs;
use serde_json::{Value, json};

use crate::cli::CatalogCommand;

/// The publisher's file has 2 MB.
const MAX_IMPORT_BYTES: u64 = 256 << 20;

/// Does what was asked, and gives what is to be printed.
pub(crate) fn run(command: CatalogCommand, mut config: Config, json: bool) -> Result<String, JobError> {
    match command {
        CatalogCommand::List => load_catalog(&config).map(|catalog| list(&catalog, json)),
        CatalogCommand::Check { file } => {
            config.catalog.path = file.or(config.catalog.path);
            let catalog = load_catalog(&config)?;
            let name = config.catalog.path.map_or_else(|| "built in".to_owned(), |it| it.display().to_string());
            Ok(size(&name, &catalog, json))
        }
        CatalogCommand::Import { file, output } => {
            let text = fs::read_text(&file, MAX_IMPORT_BYTES).map_err(JobError::CatalogFile)?;
            let imported =
                import_publisher_data(&text).map_err(|cause| JobError::Catalog { path: file.clone(), cause })?;
            if !imported.orphans.is_empty() {
                tracing::warn!(layouts = ?imported.orphans, "layouts without a track in the file: left out");
            }
            let text = imported.catalog.to_toml();
            let Some(output) = output else { return Ok(text) };
            fs::write_whole(&output, text.as_bytes())?;
            Ok(size(&output.display().to_string(), &imported.catalog, json))
        }
    }
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
    let tracks = catalog.tracks().iter().map(|it| (it.id.get(), it.name.as_str()));
    let classes = catalog.classes().iter().map(|it| (it.id.get(), it.name.as_str()));
    if json {
        let row = |(id, name): (u32, &str)| json!({"id": id, "name": name});
        let (tracks, classes): (Vec<Value>, Vec<Value>) = (tracks.map(row).collect(), classes.map(row).collect());
        format!("{}\n", json!({"tracks": tracks, "classes": classes}))
    } else {
        let line = |kind| move |(id, name): (u32, &str)| format!("{kind}\t{id}\t{name}\n");
        tracks.map(line("track")).chain(classes.map(line("class"))).collect()
    }
}
