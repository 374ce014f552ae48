//! Identifies the driver index that a file belongs to.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Identifies a driver index: the checksum and length of its JSON, which gzip stores at the end of the file and `gzip -lv`
/// prints. The index cannot contain a key for this, since readers would take it for a driver.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Generation {
    /// CRC-32 of the JSON.
    pub crc: u32,
    /// Bytes of JSON; the gzip format has them modulo 2^32.
    pub json_bytes: u64,
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}-{}", self.crc, self.json_bytes)
    }
}

impl Serialize for Generation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Generation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let read = |(crc, json_bytes): (&str, &str)| {
            Some(Self { crc: u32::from_str_radix(crc, 16).ok()?, json_bytes: json_bytes.parse().ok()? })
        };
        text.split_once('-').and_then(read).ok_or_else(|| D::Error::custom("expected a checksum and a length"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_as_gzip_prints_it_and_its_length_is_not_cut() {
        let generation = Generation { crc: 0xbeef, json_bytes: (1 << 32) + 7 };
        assert_eq!(generation.to_string(), "0000beef-4294967303");
        assert_eq!(serde_json::to_string(&generation).unwrap(), r#""0000beef-4294967303""#);
        assert_eq!(serde_json::from_str::<Generation>(r#""0000beef-4294967303""#).unwrap(), generation);
    }
}
