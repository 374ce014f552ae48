//! Collects drivers from the rows of an index.

use super::{Drivers, Shown, Stamp};
use crate::index::columns::Columns;
use crate::index::error::IndexError;
use crate::index::intern::Text;
use crate::index::moment::Moment;
use crate::index::order::RowRef;
use crate::index::staged::Staged;
use crate::index::writer::{Range, Writer};

impl Drivers {
    /// Adds the drivers of all rows. If results are equally new, the first row counts.
    fn add(&mut self, columns: &Columns) {
        let mut numbers: Vec<Vec<u32>> = columns.shards().iter().map(|it| vec![0; it.strings.len()]).collect();
        for place in 0..columns.order.rows() {
            let RowRef { number, shard, row } = columns.row_at(place);
            let known = &mut numbers[number][row.driver.0 as usize];
            if *known == 0 {
                *known = self.ids.intern(shard.strings.get(row.driver)).0;
            }
            let driver = *known - 1;
            let ordinal = shard.boards[row.board as usize].ordinal;
            let fields = shard.fields(row);
            let stamp = Stamp { driven: Moment::of(fields.date_time), ordinal, position: row.position };
            let before = self.newest.get(driver as usize).copied();
            let is_newest = before.is_none_or(|(_, newest)| stamp.is_newer_than(newest));
            for (earlier, text, of_newest) in [
                (&mut self.teams, fields.team, before.map(|(shown, _)| shown.team)),
                (&mut self.countries, fields.country.0, before.map(|(shown, _)| shown.country)),
            ] {
                let older = before.map(|(_, newest)| newest).zip(of_newest);
                if is_newest && !text.is_empty() {
                    // No earlier value is needed if the newest result has one.
                    earlier.remove(&driver);
                } else if is_newest {
                    if let Some((stamp, old)) = older.filter(|(_, old)| *old != Text(0)) {
                        earlier.insert(driver, (old, stamp));
                    }
                } else if of_newest == Some(Text(0))
                    && !text.is_empty()
                    && earlier.get(&driver).is_none_or(|(_, old)| stamp.is_newer_than(*old))
                {
                    earlier.insert(driver, (self.strings.intern(text), stamp));
                }
            }
            if is_newest {
                let texts = [fields.name, fields.avatar, fields.country.0, fields.team, fields.rank];
                let shown = Shown::new(&mut self.strings, texts);
                if let Some(it) = self.newest.get_mut(driver as usize) {
                    *it = (shown, stamp);
                } else {
                    if self.newest.len() == self.newest.capacity() {
                        self.newest.reserve_exact((self.newest.len() / 4).max(256));
                    }
                    self.newest.push((shown, stamp));
                }
            }
        }
    }
}

impl Writer for Drivers {
    fn range(&mut self, range: &Range<'_>, _: &mut Staged) -> Result<(), IndexError> {
        self.add(range.columns);
        Ok(())
    }

    fn held_bytes(&self) -> usize {
        self.bytes()
    }
}
