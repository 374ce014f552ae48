//! The two text formats of metrics, both written by prometheus-client's encoders.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, prometheus_text, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

/// A format of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// OpenMetrics 1.0, with units and infos.
    OpenMetrics,
    /// The text format 0.0.4 of Prometheus, for older collectors and `promtool check metrics`.
    Text,
}

impl Format {
    /// Its media type.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => prometheus_text::CONTENT_TYPE,
        }
    }
}

/// Name and value of a label.
pub type Label = (&'static str, String);

/// A family of metrics, as read at one time.
#[derive(Debug)]
struct Family {
    name: &'static str,
    unit: Option<Unit>,
    kind: MetricType,
    help: &'static str,
    samples: Vec<(Vec<Label>, f64)>,
}

/// Metrics as read at one time, family by family.
#[derive(Debug, Default)]
pub struct Exposition {
    families: Vec<Family>,
}

impl Exposition {
    /// Adds a family, which is left out if it has no samples. Its name ends in its unit (`_seconds`, `_bytes`) if it has one;
    /// the encoder appends the suffix of its kind.
    pub fn family<const LABELS: usize>(
        &mut self,
        name: &'static str,
        kind: MetricType,
        help: &'static str,
        samples: impl IntoIterator<Item = ([Label; LABELS], f64)>,
    ) {
        let samples: Vec<_> = samples.into_iter().map(|(labels, value)| (labels.into(), value)).collect();
        if samples.is_empty() {
            return;
        }
        // The encoder also appends the unit.
        let (name, unit) = match name.rsplit_once('_') {
            Some((name, "seconds")) => (name, Some(Unit::Seconds)),
            Some((name, "bytes")) => (name, Some(Unit::Bytes)),
            _ => (name, None),
        };
        self.families.push(Family { name, unit, kind, help, samples });
    }

    /// The whole text in that format.
    ///
    /// # Errors
    /// If the encoder fails. Writing to memory does not.
    pub fn encode(self, format: Format) -> Result<String, fmt::Error> {
        let (mut text, mut registry) = (String::new(), Registry::default());
        registry.register_collector(Box::new(self));
        match format {
            Format::OpenMetrics => text::encode(&mut text, &registry)?,
            Format::Text => prometheus_text::encode(&mut text, &registry)?,
        }
        Ok(text)
    }
}

impl Collector for Exposition {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for Family { name, unit, kind, help, samples } in &self.families {
            let mut encoder = encoder.encode_descriptor(name, help, unit.as_ref(), *kind)?;
            for (labels, value) in samples {
                // Integers are written without a fraction.
                #[expect(clippy::cast_possible_truncation, reason = "checked by the comparison")]
                let whole = (value.fract() == 0.0 && value.abs() < 1e15).then_some(*value as i64);
                match (kind, whole) {
                    (MetricType::Info, _) => encoder.encode_info(labels)?,
                    (MetricType::Counter, Some(whole)) => {
                        let whole = whole.unsigned_abs();
                        encoder.encode_family(labels)?.encode_counter::<Vec<Label>, _, u64>(&whole, None)?;
                    }
                    (MetricType::Counter, None) => {
                        encoder.encode_family(labels)?.encode_counter::<Vec<Label>, _, u64>(value, None)?;
                    }
                    (_, Some(whole)) => encoder.encode_family(labels)?.encode_gauge(&whole)?,
                    (_, None) => encoder.encode_family(labels)?.encode_gauge(value)?,
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_have_the_same_samples() {
        let text = |format| {
            let mut text = Exposition::default();
            text.family("r3e_x", MetricType::Info, "What.", [([("a", "b\"\\\n".to_owned())], 1.0)]);
            text.family("r3e_y_seconds", MetricType::Counter, "How long.", [([], 2.5)]);
            text.family("r3e_z", MetricType::Gauge, "Not there.", std::iter::empty::<([_; 0], f64)>());
            text.encode(format).unwrap()
        };
        insta::assert_snapshot!(text(Format::OpenMetrics), @r#"
        # HELP r3e_x What.
        # TYPE r3e_x info
        r3e_x_info{a="b\"\\\n"} 1
        # HELP r3e_y_seconds How long.
        # TYPE r3e_y_seconds counter
        # UNIT r3e_y_seconds seconds
        r3e_y_seconds_total 2.5
        # EOF
        "#);
        insta::assert_snapshot!(text(Format::Text), @r#"
        # HELP r3e_x_info What.
        # TYPE r3e_x_info gauge
        r3e_x_info{a="b\"\\\n"} 1
        # HELP r3e_y_seconds_total How long.
        # TYPE r3e_y_seconds_total counter
        r3e_y_seconds_total 2.5
        "#);
    }
}
