//! `index/metadata/{s}.json.gz`: who each driver is, under the keys of the entries.

use std::fmt;
use std::io::BufReader;
use std::ops::Range;
use std::path::Path;

use flate2::read::GzDecoder;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::blocks::Workers;
use super::drivers::{Drivers, Identity};
use super::error::IndexError;
use super::names::{SHARDS, key, shard_name};
use super::objects::{Keyed, Objects};
use super::rows::{text_bytes, write_json};
use super::staged::Staged;
use crate::runtime::fs::{At as _, FsError, Opened};

const FOLDER: &str = "index/metadata";

/// An identity, as in the file.
#[derive(Serialize)]
struct Written<'a> {
    name: &'a str,
    path_id: &'a str,
    avatar: &'a str,
    country: &'a str,
    team: &'a str,
    rank: &'a str,
}

/// Writes the identities of all drivers.
pub(super) fn write(
    drivers: &Drivers,
    workers: &Workers<'_>,
    held: usize,
    staged: &mut Staged,
) -> Result<(), IndexError> {
    Objects::shards(FOLDER).range(&Identities::of(drivers), true, workers, held, staged)
}

/// Identities, sorted by key.
struct Identities<'a> {
    drivers: &'a Drivers,
    /// Where the identities of each key end.
    ends: Vec<u32>,
}

impl<'a> Identities<'a> {
    fn of(drivers: &'a Drivers) -> Self {
        Self { drivers, ends: drivers.key_ends() }
    }

    fn at(&self, place: usize) -> Identity<'a> {
        self.drivers.get(self.drivers.sorted()[place])
    }
}

impl Keyed for Identities<'_> {
    fn items(&self) -> usize {
        self.drivers.sorted().len()
    }

    fn keys(&self) -> usize {
        self.ends.len()
    }

    fn key_at(&self, place: usize) -> usize {
        self.ends.partition_point(|end| *end as usize <= place)
    }

    fn items_of(&self, key: usize) -> Range<usize> {
        let start = key.checked_sub(1).map_or(0, |before| self.ends[before]);
        start as usize..self.ends[key] as usize
    }

    fn key(&self, number: usize) -> String {
        key(self.at(self.items_of(number).start).name)
    }

    fn write(&self, place: usize, out: &mut Vec<u8>) {
        let Identity { id: path_id, name, avatar, country, team, rank } = self.at(place);
        write_json(&Written { name, path_id, avatar, country, team, rank }, out);
    }

    fn max_bytes(&self, place: usize) -> usize {
        let Identity { id, name, avatar, country, team, rank } = self.at(place);
        80 + [id, name, avatar, country, team, rank].into_iter().map(text_bytes).sum::<usize>()
    }

    fn bytes(&self) -> usize {
        self.ends.capacity() * size_of::<u32>()
    }
}

/// Adds the identities of the previous export. A file that cannot be read is ignored.
pub(super) fn remember_previous(folder: &Path, drivers: &mut Drivers) {
    for shard in 0..SHARDS {
        let path = folder.join(format!("{FOLDER}/{}.json.gz", shard_name(shard)));
        if let Err(error) = read(&path, drivers) {
            tracing::warn!(path = %path.display(), %error, "earlier driver metadata cannot be read: ignored from there on");
        }
    }
    drivers.merge_former();
}

fn read(path: &Path, drivers: &mut Drivers) -> Result<(), FsError> {
    let Some(opened) = Opened::new(path)? else { return Ok(()) };
    let text = BufReader::new(GzDecoder::new(opened.reader()));
    let read = serde_json::Deserializer::from_reader(text).deserialize_map(Shard(drivers));
    read.map_err(std::io::Error::from).at("read", path)
}

/// Reads one shard, one identity at a time.
struct Shard<'a>(&'a mut Drivers);

/// Reads the identities of one key.
struct OfKey<'a> {
    drivers: &'a mut Drivers,
    key: String,
}

#[derive(Deserialize)]
struct Previous {
    name: String,
    path_id: String,
    #[serde(default)]
    avatar: String,
    #[serde(default)]
    country: String,
    #[serde(default)]
    team: String,
    #[serde(default)]
    rank: String,
}

impl<'de> Visitor<'de> for Shard<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of lists of identities")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key()? {
            map.next_value_seed(OfKey { drivers: self.0, key })?;
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for OfKey<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for OfKey<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of identities")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(Previous { name, path_id, avatar, country, team, rank }) = list.next_element()? {
            let identity =
                Identity { id: &path_id, name: &name, avatar: &avatar, country: &country, team: &team, rank: &rank };
            self.drivers.remember(&self.key, identity);
        }
        Ok(())
    }
}
