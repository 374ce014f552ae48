//! One entry in the service's format. A few entries are irregular ("odd").

use super::board::Board;
use super::people::{self, Person};
use super::random::{Purpose, derive};
use super::text::{Escapes, duration, number, padded, string};
use super::world::World;

/// The fields that can be odd: all except the driver.
const FIELDS: &[&str] = &[
    "country",
    "car_class",
    "track",
    "laptime",
    "relative_laptime",
    "rank",
    "team",
    "driving_model",
    "index",
    "global_index",
    "date_time",
    "champ_points",
    "video",
];
/// Values of an unexpected type.
const WRONG_TYPES: &[&str] = &["[7]", r#"{"x":1}"#, "true", "-1.5"];
/// Drivers whose name is absent, null, empty or not a string, then the same for the driver itself.
const NAMELESS: &[&str] = &["", r#""name":null,"#, r#""name":"","#, r#""name":7,"#];
const CARS: &[&str] = &[
    "Porsche 911 RSR 2019",
    "BMW M4 GT3",
    "Audi R8 LMS GT3 evo II",
    "Mercedes-AMG GT3 2020",
    "Ford GT GT1",
    "Škoda Fabia \"R5\"",
    "Citroën C-Elysée WTCC 2014",
    "Formula RaceRoom X-17",
    "KTM X-Bow GT4",
    "Zakspeed Capri",
];
const MODELS: &[&str] = &["Get Real", "Get Real", "Get Real", "Amateur", "Novice"];

/// What is odd about an entry; fields are named by their key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Oddity {
    /// The field is not there.
    Absent(&'static str),
    /// The field is null.
    Null(&'static str),
    /// The field is of another type.
    WrongType(&'static str),
    /// The key occurs twice; the second value is right.
    Doubled(&'static str),
    /// The team's name has half a surrogate pair in it, as `\ud800`.
    HalfSurrogate,
}

/// An entry as it is sent, and what a reader of it should find.
#[derive(Debug, Clone, PartialEq)]
pub struct ServedEntry {
    /// The place on the board, from 1.
    pub position: u32,
    /// The driver's user id.
    pub user_id: u64,
    /// The driver's name, if the entry has one.
    pub name: Option<String>,
    /// The position minus one, if the entry has it.
    pub index: Option<u32>,
    /// What is odd about the entry.
    pub oddity: Option<Oddity>,
    /// The entry itself.
    pub json: String,
}

/// Whether an entry is odd, or has no driver name, and which of [`NAMELESS`] it has instead.
pub(super) struct Luck {
    pub(super) odd: Option<Oddity>,
    pub(super) nameless: Option<&'static str>,
}

impl Luck {
    pub(super) fn of(board: &Board<'_>, row: u32) -> Self {
        Self::draw(&mut generator(board, row), board.world)
    }

    fn draw(rng: &mut fastrand::Rng, world: &World) -> Self {
        let (odd, nameless) = (rng.f64() < world.odd_rate, rng.f64() < world.nameless_rate);
        Self { odd: odd.then(|| oddity(rng)), nameless: nameless.then(|| NAMELESS[rng.usize(..NAMELESS.len())]) }
    }
}

fn oddity(rng: &mut fastrand::Rng) -> Oddity {
    let field = FIELDS[rng.usize(..FIELDS.len())];
    match rng.u8(0..5) {
        0 => Oddity::Absent(field),
        1 => Oddity::Null(field),
        2 => Oddity::WrongType(field),
        3 => Oddity::Doubled(field),
        _ => Oddity::HalfSurrogate,
    }
}

fn generator(board: &Board<'_>, row: u32) -> fastrand::Rng {
    derive(board.world.seed, Purpose::Entry, &[board.place, board.version.generation, board.row(row).origin.into()])
}

/// The entry of a row, which must be less than the board's length, and what a reader should find in it.
pub(super) fn serve(board: &Board<'_>, row: u32) -> ServedEntry {
    let Luck { odd, nameless } = Luck::of(board, row);
    let mut json = String::with_capacity(1024);
    write(&mut json, board, row);
    let person = board.person(row);
    let no_index = matches!(odd, Some(Oddity::Absent("index") | Oddity::Null("index") | Oddity::WrongType("index")));
    ServedEntry {
        position: row + 1,
        user_id: people::user_id(person),
        name: nameless.is_none().then(|| board.world.people.name(person)),
        index: (!no_index).then_some(row),
        oddity: odd,
        json,
    }
}

/// Writes the entry of a row below the board's length.
pub(super) fn write(out: &mut String, board: &Board<'_>, row: u32) {
    let mut rng = generator(board, row);
    let Luck { odd, nameless } = Luck::draw(&mut rng, board.world);
    let mut setting = derive(board.world.seed, Purpose::Board, &[board.place]);
    let escapes = if setting.u8(0..4) == 0 { Escapes::All } else { Escapes::Needed };
    // The record falls each second time that the board is replaced.
    let faster = u32::try_from(board.version.generation / 2).unwrap_or(u32::MAX).saturating_mul(97);
    let leader_millis = setting.u32(45_000..170_000).saturating_sub(faster);
    let gap = board.row(row).gap_millis;
    let person = board.world.people.person(board.person(row));
    let (track, class) = names(board);

    let mut entry = EntryWriter { out, odd, escapes, wrong: WRONG_TYPES[rng.usize(..WRONG_TYPES.len())] };
    entry.driver(&person, nameless);
    entry.country(&person);
    entry.car_class(class, board.combination.class.get(), CARS[rng.usize(..CARS.len())]);
    entry.track(track, board.combination.track.get());
    entry.field("laptime", |out| {
        out.push('"');
        duration(out, leader_millis + gap);
        if gap > 0 {
            out.push_str(", +");
            duration(out, gap);
        }
        out.push('"');
    });
    entry.field("relative_laptime", |out| {
        out.push_str(if gap > 0 { "\"+" } else { "\"" });
        if gap > 0 {
            duration(out, gap);
        }
        out.push('"');
    });
    entry.field("rank", |out| string(out, person.rank, escapes));
    entry.team(person.team);
    entry.field("driving_model", |out| string(out, MODELS[rng.usize(..MODELS.len())], escapes));
    entry.field("index", |out| number(out, row));
    entry.field("global_index", |out| number(out, row));
    entry.field("date_time", |out| date_time(out, &mut rng));
    entry.field("champ_points", |out| number(out, 500u32.saturating_sub(row)));
    entry.field("video", |out| out.push_str("null"));
    entry.out.push_str(",\"is_current_user\":false}");
}

fn names<'w>(board: &Board<'w>) -> (&'w str, &'w str) {
    let catalog = &board.world.catalog;
    let track = catalog.track(board.combination.track).map_or("", |track| &track.name);
    let class = catalog.class(board.combination.class).map_or("", |class| &class.name);
    (track, class)
}

/// Mostly `2025-01-15T14:30:00`, sometimes `01/15/2025 14:30:00`.
fn date_time(out: &mut String, rng: &mut fastrand::Rng) {
    let american = rng.u8(0..12) == 0;
    let (year, month, day) = (rng.u32(2013..=2025), rng.u32(1..=12), rng.u32(1..=28));
    let date = [(year, 4), (month, 2), (day, 2)];
    let (order, mark, between) = if american { ([1, 2, 0], '/', ' ') } else { ([0, 1, 2], '-', 'T') };
    out.push('"');
    for (count, part) in order.into_iter().enumerate() {
        if count > 0 {
            out.push(mark);
        }
        padded(out, date[part].0, date[part].1);
    }
    out.push(between);
    padded(out, rng.u32(0..24), 2);
    for _ in 0..2 {
        out.push(':');
        padded(out, rng.u32(0..60), 2);
    }
    out.push('"');
}

struct EntryWriter<'a> {
    out: &'a mut String,
    odd: Option<Oddity>,
    escapes: Escapes,
    /// The value that an oddity uses instead of one of the right type.
    wrong: &'static str,
}

impl EntryWriter<'_> {
    /// Writes `,"key":value`, modified by the entry's oddity, if any.
    fn field(&mut self, key: &'static str, write: impl FnOnce(&mut String)) {
        let struck = match self.odd {
            Some(Oddity::Absent(field)) if field == key => return,
            Some(Oddity::Null(field)) if field == key => Some("null"),
            Some(Oddity::WrongType(field)) if field == key => Some(self.wrong),
            Some(Oddity::Doubled(field)) if field == key => {
                self.key(key);
                self.out.push_str("\"the first of two\"");
                None
            }
            _ => None,
        };
        self.key(key);
        match struck {
            Some(instead) => self.out.push_str(instead),
            None => write(self.out),
        }
    }

    fn key(&mut self, key: &str) {
        for part in [",\"", key, "\":"] {
            self.out.push_str(part);
        }
    }

    fn driver(&mut self, person: &Person, nameless: Option<&str>) {
        self.out.push_str("{\"driver\":{");
        if let Some(instead) = nameless {
            self.out.push_str(instead);
        } else {
            self.out.push_str("\"name\":");
            string(self.out, &person.name, self.escapes);
            self.out.push(',');
        }
        self.address("\"path\":", "users/info/", person.user_id, "/");
        self.address(",\"avatar\":", "game/user_avatar/", person.user_id, "?size=medium&v=3");
        self.out.push('}');
    }

    /// Writes an address of the service.
    fn address(&mut self, before: &str, folder: &str, id: u64, after: &str) {
        self.out.push_str(before);
        let mut address = String::with_capacity(80);
        address.push_str("https://game.raceroom.com/");
        address.push_str(folder);
        number(&mut address, id);
        address.push_str(after);
        string(self.out, &address, self.escapes);
    }

    fn country(&mut self, person: &Person) {
        let escapes = self.escapes;
        self.field("country", |out| {
            out.push_str("{\"name\":");
            string(out, person.country.0, escapes);
            out.push_str(",\"code\":");
            string(out, person.country.1, escapes);
            out.push('}');
        });
    }

    fn car_class(&mut self, class: &str, id: u32, car: &str) {
        let escapes = self.escapes;
        self.field("car_class", |out| {
            out.push_str("{\"class\":{\"name\":");
            string(out, class, escapes);
            out.push_str(",\"id\":");
            number(out, id);
            out.push_str("},\"car\":{\"name\":");
            string(out, car, escapes);
            out.push_str(",\"class-name\":");
            string(out, class, escapes);
            out.push_str(",\"image\":");
            string(out, "https://prod.r3eassets.com/assets/content/carlivery/official-8643-image-full.png", escapes);
            out.push_str("}}");
        });
    }

    fn track(&mut self, name: &str, id: u32) {
        let escapes = self.escapes;
        self.field("track", |out| {
            out.push_str("{\"name\":");
            string(out, name.split(" - ").next().unwrap_or(name), escapes);
            let mut path = String::from("https://game.raceroom.com/store/tracks/");
            number(&mut path, id);
            out.push_str(",\"path\":");
            string(out, &path, escapes);
            out.push_str(",\"image\":");
            string(out, "https://prod.r3eassets.com/assets/content/track/track-1671-image-big.png", escapes);
            out.push('}');
        });
    }

    fn team(&mut self, team: &str) {
        let (escapes, half) = (self.escapes, self.odd == Some(Oddity::HalfSurrogate));
        self.field("team", |out| {
            if half {
                out.push_str("\"Half \\ud800 pair\"");
            } else {
                string(out, team, escapes);
            }
        });
    }
}
