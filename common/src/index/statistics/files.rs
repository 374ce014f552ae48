//! `stats/index.json` and the lists that it names.

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::blocks::{Work, Workers};
use super::super::drivers::{Drivers, Identity};
use super::super::error::IndexError;
use super::super::gzip::{self, Block};
use super::super::output::Output;
use super::super::rows::{text_bytes, write_json};
use super::super::staged::Staged;
use super::metric::{Metric, Tally};
use super::{CATEGORIES, Scope, Statistics};

const MANIFEST: &str = "stats/index.json";

/// Drivers in a block.
const BLOCK: usize = 4096;

/// Drivers at the top of all.
const TOP: usize = 500;

/// The paths of the lists of a scope, from the root of the site.
type Files = BTreeMap<String, String>;

#[derive(Serialize)]
struct ScopeFiles {
    id: String,
    name: String,
    files: Files,
    count: usize,
}

/// The time of the update follows as the last member; it is appended as text.
#[derive(Serialize)]
struct Manifest {
    overall: Files,
    overall_top: Files,
    classes: Vec<ScopeFiles>,
    superclasses: Vec<ScopeFiles>,
}

#[derive(Serialize)]
struct Row<'a> {
    driver_key: &'a str,
    name: &'a str,
    avatar: &'a str,
    country: &'a str,
    team: &'a str,
    rank: &'a str,
    pole_positions: u32,
    bested_drivers: u64,
    podiums: u32,
    avg_bested: f64,
    entries: u32,
}

/// The subject of a list.
#[derive(Debug, Clone)]
struct About {
    /// The beginning of the names of its files.
    path: String,
    kind: &'static str,
    id: String,
    name: String,
}

/// A list to write; `listed` has the indices of its tallies, in order.
struct List<'a> {
    about: &'a About,
    metric: Metric,
    tallies: &'a [Tally],
    listed: Vec<u32>,
}

impl About {
    fn file(&self, metric: Metric) -> String {
        format!("{}_{}.json", self.path, metric.name())
    }

    fn files(&self) -> Files {
        let file = |it: Metric| (format!("{}_file", it.name()), format!("cache/{}.gz", self.file(it)));
        Metric::ALL.map(file).into()
    }
}

impl Statistics<'_> {
    /// Writes all lists, and finally the manifest that names them, dated `now`.
    pub(in super::super) fn write(
        &self,
        now: &str,
        workers: &Workers<'_>,
        held: usize,
        staged: &mut Staged,
    ) -> Result<(), IndexError> {
        let overall = |path: &str| About {
            path: format!("stats/overall/{path}"),
            kind: "overall",
            id: path.to_owned(),
            name: "Overall".to_owned(),
        };
        let (all, top) = (overall("overall"), overall("overall_top"));
        let scopes = self.scopes();
        let updated = Block::new(format!("\"{now}\"}}\n").as_bytes(), gzip::USUAL)?;
        let mut write = |lists: Vec<List<'_>>| write_lists(&lists, self.drivers, &updated, workers, held, staged);
        for metric in Metric::ALL {
            let listed = metric.list(&self.overall, &self.names, |_| true, usize::MAX);
            write(vec![List { about: &all, metric, tallies: &self.overall, listed }])?;
        }
        let mut lists = Vec::new();
        for metric in Metric::ALL {
            let admits = |tally: &Tally| metric != Metric::AverageBested || (tally.entries >= 5 && tally.bested >= 100);
            let listed = metric.list(&self.overall, &self.names, admits, TOP);
            lists.push(List { about: &top, metric, tallies: &self.overall, listed });
            for (about, scope) in &scopes {
                lists.push(List { about, metric, tallies: &scope.tallies, listed: scope.list(metric, &self.names) });
            }
        }
        write(lists)?;

        let named = |kind| {
            let of_kind = scopes.iter().filter(move |(about, _)| about.kind == kind);
            let files = |(about, scope): &(About, &Scope)| ScopeFiles {
                id: about.id.clone(),
                name: about.name.clone(),
                files: about.files(),
                count: scope.with_poles,
            };
            of_kind.map(files).collect()
        };
        let (classes, superclasses) = (named("class"), named("superclass"));
        let manifest = Manifest { overall: all.files(), overall_top: top.files(), classes, superclasses };
        write_manifest(&manifest, now, staged)
    }

    /// The classes and categories that have results, each kind sorted by id.
    fn scopes(&self) -> Vec<(About, &Scope)> {
        let classes = self.catalog.classes().iter().map(|class| About {
            path: format!("stats/classes/{}", class.id),
            kind: "class",
            id: class.id.to_string(),
            name: class.name.clone(),
        });
        let categories = CATEGORIES.iter().map(|(name, _)| About {
            path: format!("stats/superclasses/{}", slug(name)),
            kind: "superclass",
            id: (*name).to_owned(),
            name: (*name).to_owned(),
        });
        let mut scopes: Vec<_> = classes.chain(categories).zip(&self.scopes).filter(|(_, it)| it.has_results).collect();
        scopes.sort_by(|(a, _), (b, _)| (a.kind, &a.id).cmp(&(b.kind, &b.id)));
        scopes
    }
}

fn write_lists(
    lists: &[List<'_>],
    drivers: &Drivers,
    updated: &Block,
    workers: &Workers<'_>,
    held: usize,
    staged: &mut Staged,
) -> Result<(), IndexError> {
    let blocks: Vec<(usize, usize)> = lists
        .iter()
        .enumerate()
        .flat_map(|(number, list)| (0..list.listed.len().div_ceil(BLOCK).max(1)).map(move |block| (number, block)))
        .collect();
    let is_last = |block: usize| blocks.get(block + 1).is_none_or(|next| next.1 == 0);
    let rows = |block: usize| {
        let (list, number) = (&lists[blocks[block].0], blocks[block].1);
        list.listed[number * BLOCK..list.listed.len().min((number + 1) * BLOCK)]
            .iter()
            .map(|&it| &list.tallies[it as usize])
    };
    let work = Work {
        blocks: blocks.len(),
        held: held + lists.iter().map(|it| it.listed.capacity() * size_of::<u32>()).sum::<usize>(),
        keep_text: false,
        max_bytes: |block| {
            let bytes = |tally: &Tally| {
                let Identity { id, name, avatar, country, team, rank } = drivers.get(tally.driver);
                256 + [id, name, avatar, country, team, rank].into_iter().map(text_bytes).sum::<usize>()
            };
            512 + rows(block).map(bytes).sum::<usize>()
        },
        text: |block: usize, out: &mut Vec<u8>| {
            let (list, number) = (&lists[blocks[block].0], blocks[block].1);
            if number == 0 {
                list.write_head(out);
            }
            for (place, tally) in rows(block).enumerate() {
                if number + place > 0 {
                    out.push(b',');
                }
                write_row(tally, drivers, out);
            }
            if is_last(block) {
                out.extend_from_slice(br#"],"updated_at":"#);
            }
        },
    };
    let mut output: Option<Output> = None;
    workers.make(&work, |number, block, _| {
        let List { about, metric, .. } = &lists[blocks[number].0];
        let mut current = match output.take() {
            Some(output) => output,
            None => Output::new(staged, &about.file(*metric), false)?,
        };
        current.block(staged, block, &[])?;
        if is_last(number) {
            // A file in which only the time has changed stays as it is.
            let up_to = current.gzip_bytes();
            current.block(staged, updated, &[])?;
            current.end(staged, Some(up_to))?;
        } else {
            output = Some(current);
        }
        Ok(())
    })
}

impl List<'_> {
    fn write_head(&self, out: &mut Vec<u8>) {
        #[derive(Serialize)]
        struct Head<'a> {
            scope_type: &'a str,
            scope_id: &'a str,
            scope_name: &'a str,
            sort_by: &'a str,
            count: usize,
        }
        let About { kind, id, name, .. } = self.about;
        let (sort_by, count) = (self.metric.name(), self.listed.len());
        write_json(&Head { scope_type: kind, scope_id: id, scope_name: name, sort_by, count }, out);
        out.pop();
        out.extend_from_slice(br#","results":["#);
    }
}

fn write_row(tally: &Tally, drivers: &Drivers, out: &mut Vec<u8>) {
    let Identity { id: driver_key, name, avatar, country, team, rank } = drivers.get(tally.driver);
    let row = Row {
        driver_key,
        name,
        avatar,
        country,
        team,
        rank,
        pole_positions: tally.poles,
        bested_drivers: tally.bested,
        podiums: tally.podiums,
        avg_bested: tally.average(),
        entries: tally.entries,
    };
    write_json(&row, out);
}

fn write_manifest(manifest: &Manifest, now: &str, staged: &mut Staged) -> Result<(), IndexError> {
    let mut text = Vec::new();
    write_json(manifest, &mut text);
    text.pop();
    text.extend_from_slice(br#","updated_at":"#);
    let up_to = text.len() as u64;
    text.extend_from_slice(format!("\"{now}\"}}\n").as_bytes());
    Ok(staged.write(MANIFEST, &text, Some(up_to))?)
}

/// A name as files have it: `e-Sedan` is `e_sedan`.
fn slug(name: &str) -> String {
    let lower = name.to_lowercase();
    let words = lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|it| !it.is_empty());
    words.collect::<Vec<_>>().join("_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_file_names() {
        let slugs: Vec<String> = CATEGORIES.iter().map(|(name, _)| slug(name)).collect();
        assert_eq!(
            slugs,
            ["audi_cup", "classics", "dtm_2010s", "gt3", "porsche_cup", "wtcc", "wtcr", "e_sedan"].map(str::to_owned)
        );
    }
}
