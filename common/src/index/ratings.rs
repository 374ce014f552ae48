//! `mp_pos.json.gz` and `mp_pos/`: the multiplayer ratings, with the countries that the boards know.

use serde::Serialize;

use super::blocks::{Work, Workers};
use super::drivers::Drivers;
use super::error::IndexError;
use super::gzip::{self, Block};
use super::output::Output;
use super::rows::{text_bytes, write_json};
use super::staged::Staged;
use crate::domain::{Rating, Ratings};

/// The list of active drivers under two names (later front ends read the second), then the list of inactive drivers.
pub(super) const FILES: [&str; 3] = ["mp_pos.json", "mp_pos/mp_pos.json", "mp_pos/mp_pos_inactive.json"];

/// Drivers per block. Smaller than other blocks, so that any memory limit that fits those fits this one too.
const BLOCK: usize = 512;

/// The members before the rows. The source has two keys: one front end reads the first, a later one the second.
#[derive(Serialize)]
struct Head<'a> {
    count: usize,
    source: &'a str,
    source_pages: [&'a str; 1],
}

/// One front end uses the country, a later one the id.
#[derive(Serialize)]
struct Row<'a> {
    position: u32,
    name: &'a str,
    country: &'a str,
    user_id: &'a str,
}

/// Writes both lists, dated `now`. Call this before [`Drivers::remember`].
pub(super) fn write(
    ratings: &Ratings,
    drivers: &Drivers,
    now: &str,
    workers: &Workers<'_>,
    held: usize,
    staged: &mut Staged,
) -> Result<(), IndexError> {
    let updated = Block::new(format!("\"{now}\"}}\n").as_bytes(), gzip::USUAL)?;
    let (active, inactive): (Vec<_>, Vec<_>) = ratings.drivers.iter().partition(|it| it.active);
    let held = held + (active.capacity() + inactive.capacity()) * size_of::<&Rating>();
    let [first, second, of_inactive] = FILES;
    for (names, listed) in [(&[first, second][..], active), (&[of_inactive], inactive)] {
        let (count, source) = (listed.len(), ratings.source.as_str());
        let blocks: Vec<&[&Rating]> = if listed.is_empty() { vec![&[]] } else { listed.chunks(BLOCK).collect() };
        let work = Work {
            blocks: blocks.len(),
            held,
            keep_text: false,
            max_bytes: |block: usize| {
                let rows = blocks[block].iter().map(|it| 96 + text_bytes(&it.name));
                128 + 2 * text_bytes(source) + rows.sum::<usize>()
            },
            text: |block: usize, out: &mut Vec<u8>| {
                if block == 0 {
                    write_json(&Head { count, source, source_pages: [source] }, out);
                    out.pop();
                    out.extend_from_slice(br#","results":["#);
                }
                for (number, rating) in blocks[block].iter().enumerate() {
                    if block + number > 0 {
                        out.push(b',');
                    }
                    write_row(rating, drivers, out);
                }
                if block + 1 == blocks.len() {
                    out.extend_from_slice(br#"],"updated_at":"#);
                }
            },
        };
        let outputs = names.iter().map(|name| Output::new(staged, name, false));
        let mut outputs = outputs.collect::<Result<Vec<_>, _>>()?;
        workers.make(&work, |_, block, _| Ok(outputs.iter_mut().try_for_each(|it| it.block(staged, block, &[]))?))?;
        for mut output in outputs {
            // A file in which only the time has changed is left alone.
            let up_to = output.gzip_bytes();
            output.block(staged, &updated, &[])?;
            output.end(staged, Some(up_to))?;
        }
    }
    Ok(())
}

fn write_row(rating: &Rating, drivers: &Drivers, out: &mut Vec<u8>) {
    let user_id = rating.user_id.to_string();
    let country = drivers.country_code(&user_id);
    write_json(&Row { position: rating.position, name: &rating.name, country, user_id: &user_id }, out);
}
