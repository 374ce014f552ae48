//! Reads and writes profiles in the format of `go tool pprof`: a gzipped protocol buffer
//! ([profile.proto](https://github.com/google/pprof/blob/main/proto/profile.proto)).

mod proto;

use std::collections::HashMap;
use std::hash::Hash;
use std::io::{self, Read as _};
use std::rc::Rc;

use flate2::Compression;
use flate2::read::{GzDecoder, GzEncoder};
use prost::Message as _;

use super::profile::{Frame, Location, Mapping, Profile, Sample};

/// The two values of each sample.
const SAMPLE_TYPES: [(&str, &str); 2] = [("inuse_objects", "count"), ("inuse_space", "bytes")];

/// Upper bound for a profile, decompressed.
const MAX_BYTES: u64 = 64 << 20;

/// The file is not a heap profile.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PprofError {
    #[error("not a gzip file: {0}")]
    Gzip(io::Error),
    #[error("not a profile: more than {MAX_BYTES} bytes when decompressed")]
    TooLarge,
    #[error("not a profile: {0}")]
    Decode(#[from] prost::DecodeError),
    #[error("not a profile: {what} {id} is missing")]
    Missing { what: &'static str, id: u64 },
    #[error("not a heap profile: expected the values inuse_objects and inuse_space, found {0:?}")]
    SampleTypes(Vec<String>),
}

/// Numbers distinct values in the order of their first use.
struct Table<T> {
    numbers: HashMap<T, u64>,
    values: Vec<T>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { numbers: HashMap::new(), values: Vec::new() }
    }
}

impl<T: Clone + Eq + Hash> Table<T> {
    fn number(&mut self, value: &T) -> u64 {
        let next = self.values.len() as u64;
        *self.numbers.entry(value.clone()).or_insert_with(|| {
            self.values.push(value.clone());
            next
        })
    }
}

/// The string table, which begins with the empty string.
type Strings = Table<String>;

impl Strings {
    fn index(&mut self, text: &str) -> i64 {
        // There are far fewer strings than 2^63.
        self.number(&text.to_owned()).cast_signed()
    }

    fn value_type(&mut self, (kind, unit): (&str, &str)) -> proto::ValueType {
        proto::ValueType { r#type: self.index(kind), unit: self.index(unit) }
    }
}

/// Encodes a profile.
pub(crate) fn write(profile: &Profile) -> io::Result<Vec<u8>> {
    let message = encode(profile).encode_to_vec();
    let mut file = Vec::new();
    GzEncoder::new(message.as_slice(), Compression::default()).read_to_end(&mut file)?;
    Ok(file)
}

fn encode(profile: &Profile) -> proto::Profile {
    let mut strings = Strings::default();
    strings.index("");
    let mut functions = Table::default();
    let mut locations = Table::default();
    let sample = profile.samples.iter().map(|it| proto::Sample {
        location_id: it.stack.iter().map(|location| locations.number(location) + 1).collect(),
        value: vec![it.objects, it.bytes],
    });
    let sample = sample.collect();
    let mapping = (1..).zip(&profile.mappings).map(|(id, it)| proto::Mapping {
        id,
        memory_start: it.start,
        memory_limit: it.end,
        file_offset: it.offset,
        filename: strings.index(&it.path),
        build_id: strings.index(&it.build_id),
        // Everything is symbolised already, so that no reader looks for the file.
        has_functions: true,
        has_filenames: true,
        has_line_numbers: true,
        has_inline_frames: true,
    });
    let mapping = mapping.collect();
    let location = (1..).zip(&locations.values).map(|(id, it)| proto::Location {
        id,
        mapping_id: it.mapping.map_or(0, |index| index as u64 + 1),
        address: it.address,
        line: it
            .frames
            .iter()
            .map(|frame| proto::Line {
                function_id: functions.number(&Frame { line: 0, ..frame.clone() }) + 1,
                line: frame.line.into(),
            })
            .collect(),
    });
    let location = location.collect();
    let function = (1..).zip(&functions.values).map(|(id, it)| proto::Function {
        id,
        name: strings.index(&it.name),
        system_name: strings.index(&it.system_name),
        filename: strings.index(&it.file),
    });
    proto::Profile {
        function: function.collect(),
        sample_type: SAMPLE_TYPES.map(|it| strings.value_type(it)).to_vec(),
        sample,
        mapping,
        location,
        time_nanos: profile.time_ns,
        period_type: Some(strings.value_type(("space", "bytes"))),
        period: profile.period,
        comment: profile.comments.iter().map(|it| strings.index(it)).collect(),
        default_sample_type: strings.index(SAMPLE_TYPES[1].0),
        string_table: strings.values,
    }
}

/// Decodes a profile that [`write`] or another program wrote, if it has the same two values.
pub(crate) fn read(file: &[u8]) -> Result<Profile, PprofError> {
    let mut message = Vec::new();
    GzDecoder::new(file).take(MAX_BYTES + 1).read_to_end(&mut message).map_err(PprofError::Gzip)?;
    if message.len() as u64 > MAX_BYTES {
        return Err(PprofError::TooLarge);
    }
    decode(proto::Profile::decode(message.as_slice())?)
}

fn find<T: Clone>(known: &HashMap<u64, T>, what: &'static str, id: u64) -> Result<T, PprofError> {
    known.get(&id).cloned().ok_or(PprofError::Missing { what, id })
}

fn decode(message: proto::Profile) -> Result<Profile, PprofError> {
    let strings: HashMap<u64, String> = (0..).zip(message.string_table).collect();
    let text = |index: i64| find(&strings, "string", index.cast_unsigned());
    let types = message.sample_type.iter().map(|it| text(it.r#type)).collect::<Result<Vec<_>, _>>()?;
    let column = |name: &str| types.iter().position(|it| it == name);
    let [Some(objects), Some(bytes)] = SAMPLE_TYPES.map(|(name, _)| column(name)) else {
        return Err(PprofError::SampleTypes(types));
    };
    let mut functions = HashMap::new();
    for it in message.function {
        let (name, system_name, file) = (text(it.name)?, text(it.system_name)?, text(it.filename)?);
        functions.insert(it.id, Frame { name, system_name, file, line: 0 });
    }
    let mut indices = HashMap::new();
    let mut mappings = Vec::new();
    for it in message.mapping {
        indices.insert(it.id, mappings.len());
        mappings.push(Mapping {
            start: it.memory_start,
            end: it.memory_limit,
            offset: it.file_offset,
            inode: 0,
            path: text(it.filename)?,
            build_id: text(it.build_id)?,
        });
    }
    let mut locations = HashMap::new();
    for it in message.location {
        let frame = |line: proto::Line| {
            let function = find(&functions, "function", line.function_id)?;
            Ok(Frame { line: u32::try_from(line.line).unwrap_or(0), ..function })
        };
        let mapping = (it.mapping_id != 0).then(|| find(&indices, "mapping", it.mapping_id)).transpose()?;
        let frames = it.line.into_iter().map(frame).collect::<Result<_, PprofError>>()?;
        locations.insert(it.id, Rc::new(Location { mapping, address: it.address, frames }));
    }
    let sample = |it: proto::Sample| {
        let value = |column: usize| {
            it.value.get(column).copied().ok_or(PprofError::Missing { what: "value", id: column as u64 })
        };
        let stack = it.location_id.iter().map(|id| find(&locations, "location", *id)).collect::<Result<_, _>>()?;
        Ok(Sample { stack, objects: value(objects)?, bytes: value(bytes)? })
    };
    Ok(Profile {
        samples: message.sample.into_iter().map(sample).collect::<Result<_, PprofError>>()?,
        mappings,
        time_ns: message.time_nanos,
        period: message.period,
        comments: message.comment.into_iter().map(text).collect::<Result<_, _>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::profile::tests::profile;
    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut file = Vec::new();
        GzEncoder::new(bytes, Compression::default()).read_to_end(&mut file).unwrap();
        file
    }

    #[test]
    fn a_written_profile_reads_back() {
        let mut example = profile(&[("main;é<b>::load", 3, 300), ("main;freed", -1, i64::MIN), ("", 0, 1)]);
        let (path, build_id) = ("/bin/x".to_owned(), "01fe".to_owned());
        example.mappings = vec![Mapping { start: 0x1000, end: 0x9000, offset: 0x200, inode: 0, path, build_id }];
        let frames = example.samples[0].frames().cloned().collect();
        example.samples[0].stack[0] = Rc::new(Location { mapping: Some(0), address: 0x1000, frames });
        (example.time_ns, example.comments) = (5, vec!["r3e-test 1".to_owned()]);
        assert_eq!(read(&write(&example).unwrap()).unwrap(), example);
        assert_eq!(read(&write(&Profile::default()).unwrap()).unwrap(), Profile::default());
    }

    #[test]
    fn other_files_are_refused() {
        for file in [&b""[..], b"heap_v2/524288\n", b"\x1f\x8b\x08\0\0\0\0\0\0\x03garbage"] {
            assert!(matches!(read(file), Err(PprofError::Gzip(_))));
        }
        assert!(matches!(read(&gzip(b"hello")), Err(PprofError::Decode(_))));
        assert!(matches!(read(&gzip(b"")), Err(PprofError::SampleTypes(types)) if types.is_empty()));
        let mut message = encode(&profile(&[("main", 1, 1)]));
        message.location.clear();
        let error = read(&gzip(&message.encode_to_vec())).unwrap_err();
        assert!(matches!(error, PprofError::Missing { what: "location", id: 1 }), "{error}");
    }
}
