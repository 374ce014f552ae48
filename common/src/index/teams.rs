//! `index/teams.json.gz`: the drivers of each team, and its country.

use serde::Serialize;

use super::blocks::{Work, Workers};
use super::drivers::{Drivers, Member};
use super::error::IndexError;
use super::output::Output;
use super::rows::{text_bytes, write_json};
use super::staged::Staged;

/// The values that mean "no team", compared case-insensitively.
const NONE: &str = "privateer";

/// The country of a team without a majority country.
const VARIOUS: &str = "Various";

/// Drivers per block; a larger team gets a larger block.
const BLOCK: usize = 4096;

#[derive(Serialize)]
struct Driver<'a> {
    name: &'a str,
    path_id: &'a str,
}

/// Writes all teams and returns their number.
pub(super) fn write(
    drivers: &Drivers,
    workers: &Workers<'_>,
    held: usize,
    staged: &mut Staged,
) -> Result<usize, IndexError> {
    let mut members: Vec<Member<'_>> = drivers.members().filter(|it| !it.team.eq_ignore_ascii_case(NONE)).collect();
    members.sort_by(|a, b| (a.team, drivers.name(a.driver)).cmp(&(b.team, drivers.name(b.driver))));
    let teams: Vec<&[Member<'_>]> = members.chunk_by(|a, b| a.team == b.team).collect();
    let blocks = blocks(&teams);
    let work = Work {
        blocks: blocks.len(),
        held: held
            + members.capacity() * size_of::<Member<'_>>()
            + (teams.capacity() + blocks.capacity()) * size_of::<&[Member<'_>]>(),
        keep_text: false,
        max_bytes: |block: usize| {
            let of_driver = |it: &Member<'_>| {
                let driver = drivers.get(it.driver);
                32 + text_bytes(driver.name) + text_bytes(driver.id)
            };
            let of_team = |team: &&[Member<'_>]| {
                64 + text_bytes(team[0].team) + country(team).len() * 2 + team.iter().map(of_driver).sum::<usize>()
            };
            2 + blocks[block].iter().map(of_team).sum::<usize>()
        },
        text: |block: usize, out: &mut Vec<u8>| {
            for (number, team) in blocks[block].iter().enumerate() {
                out.push(if block + number == 0 { b'{' } else { b',' });
                write_team(team, drivers, out);
            }
            if block + 1 == blocks.len() {
                out.extend_from_slice(if teams.is_empty() { b"{}" } else { b"}" });
            }
        },
    };
    let mut output = Output::new(staged, "index/teams.json", false)?;
    workers.make(&work, |_, block, _| Ok(output.block(staged, block, &[])?))?;
    output.end(staged, None)?;
    Ok(teams.len())
}

/// Teams that are written together: one block at least.
fn blocks<'t, 'm>(teams: &'t [&'m [Member<'m>]]) -> Vec<&'t [&'m [Member<'m>]]> {
    let (mut blocks, mut start, mut members) = (Vec::new(), 0, 0);
    for (number, team) in teams.iter().enumerate() {
        members += team.len();
        if members >= BLOCK {
            blocks.push(&teams[start..=number]);
            (start, members) = (number + 1, 0);
        }
    }
    if start < teams.len() || blocks.is_empty() {
        blocks.push(&teams[start..]);
    }
    blocks
}

fn write_team(team: &[Member<'_>], drivers: &Drivers, out: &mut Vec<u8>) {
    write_json(team[0].team, out);
    out.extend_from_slice(br#":{"country":"#);
    write_json(country(team), out);
    out.extend_from_slice(br#","drivers":["#);
    for (number, member) in team.iter().enumerate() {
        if number > 0 {
            out.push(b',');
        }
        let driver = drivers.get(member.driver);
        write_json(&Driver { name: driver.name, path_id: driver.id }, out);
    }
    out.extend_from_slice(b"]}");
}

/// The country of more than half of the members that have one.
fn country<'a>(team: &[Member<'a>]) -> &'a str {
    let mut countries: Vec<&str> = team.iter().map(|it| it.country).filter(|it| !it.is_empty()).collect();
    countries.sort_unstable();
    // A value that more than half of the members have is also the median.
    let Some(&middle) = countries.get(countries.len() / 2) else { return VARIOUS };
    let share = countries.iter().filter(|it| **it == middle).count();
    if share * 2 > countries.len() { middle } else { VARIOUS }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_team_has_the_country_of_most_of_its_members() {
        let of = |countries: &[&'static str]| {
            let member = |country: &&'static str| Member { driver: 0, team: "T", country };
            country(&countries.iter().map(member).collect::<Vec<_>>())
        };
        for (countries, expected) in [
            (&["B", "A", "B"][..], "B"),
            (&["A", "B"], VARIOUS),
            (&["", "", "A"], "A"),
            (&["", ""], VARIOUS),
            (&["A", "B", "C", "C"], VARIOUS),
        ] {
            assert_eq!(of(countries), expected, "{countries:?}");
        }
    }
}
