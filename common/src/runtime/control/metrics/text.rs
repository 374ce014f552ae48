//! The two formats that collectors read, and which of them one asks for.

use std::fmt::{self, Display, Write as _};

/// A format of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// OpenMetrics 1.0, with units and infos.
    OpenMetrics,
    /// The text format 0.0.4 of Prometheus, which older collectors and `promtool check metrics` read.
    Text,
}

impl Format {
    /// Its media type.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// The one that an `Accept` header asks for: OpenMetrics for those who name it and do not like the other better.
    #[must_use]
    pub fn asked_for(accept: &str) -> Self {
        let mut liking = [0_u16; 2];
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let place = match parts.next().map(str::to_ascii_lowercase).as_deref() {
                Some("application/openmetrics-text") => 0,
                Some("text/plain" | "text/*" | "*/*") => 1,
                _ => continue,
            };
            let mut thousandths = 1000;
            for (name, value) in parts.filter_map(|it| it.split_once('=')) {
                if name.trim().eq_ignore_ascii_case("q") {
                    thousandths = quality(value.trim());
                }
            }
            liking[place] = liking[place].max(thousandths);
        }
        if liking[0] > 0 && liking[0] >= liking[1] { Self::OpenMetrics } else { Self::Text }
    }
}

/// A quality value, in thousandths; one that is none counts as refusal.
fn quality(text: &str) -> u16 {
    let value = text.parse::<f32>().ok().filter(|it| (0.0..=1.0).contains(it)).unwrap_or(0.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is from 0 to 1000")]
    let thousandths = (value * 1000.0) as u16;
    thousandths
}

/// Metrics being written, family by family.
#[derive(Debug)]
pub struct Exposition {
    format: Format,
    text: String,
}

impl Exposition {
    /// Nothing so far.
    #[must_use]
    pub fn new(format: Format) -> Self {
        Self { format, text: String::new() }
    }

    /// Writes a family of metrics: its name, ending in its unit where it has one; its kind, `gauge`, `counter` or `info`; what
    /// it is; and its samples. One without samples is left out. Suffixes of the kind are added here.
    pub fn family<'a, const LABELS: usize>(
        &mut self,
        name: &str,
        unit: &str,
        kind: &str,
        help: &str,
        samples: impl IntoIterator<Item = ([(&'a str, &'a str); LABELS], f64)>,
    ) {
        let suffix = match kind {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        let mut begun = false;
        for (labels, value) in samples {
            if !std::mem::replace(&mut begun, true) {
                self.head(name, suffix, unit, kind, help);
            }
            self.line(format_args!("{name}{suffix}{} {value}", Labels(&labels)));
        }
    }

    fn head(&mut self, name: &str, suffix: &str, unit: &str, kind: &str, help: &str) {
        match self.format {
            Format::OpenMetrics => {
                self.line(format_args!("# TYPE {name} {kind}"));
                if !unit.is_empty() {
                    self.line(format_args!("# UNIT {name} {unit}"));
                }
                self.line(format_args!("# HELP {name} {help}"));
            }
            // A family is called here as its samples are, and there is no info.
            Format::Text => {
                let kind = if kind == "info" { "gauge" } else { kind };
                self.line(format_args!("# HELP {name}{suffix} {help}"));
                self.line(format_args!("# TYPE {name}{suffix} {kind}"));
            }
        }
    }

    /// The whole text.
    #[must_use]
    pub fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }

    fn line(&mut self, line: fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _infallible = writeln!(self.text, "{line}");
    }
}

/// What tells one sample of a family from another.
struct Labels<'a>(&'a [(&'a str, &'a str)]);

impl Display for Labels<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (name, value)) in self.0.iter().enumerate() {
            write!(f, "{}{name}=\"{}\"", if number == 0 { '{' } else { ',' }, Escaped(value))?;
        }
        f.write_str(if self.0.is_empty() { "" } else { "}" })
    }
}

/// A label's value.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|it| match it {
            '\\' => f.write_str("\\\\"),
            '"' => f.write_str("\\\""),
            '\n' => f.write_str("\\n"),
            other => f.write_char(other),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_collector_gets_what_it_reads() {
        let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
            text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        for (accept, format) in [
            (prometheus, Format::OpenMetrics),
            ("application/openmetrics-text", Format::OpenMetrics),
            ("APPLICATION/OpenMetrics-Text; Q=0.5", Format::OpenMetrics),
            ("", Format::Text),
            ("*/*", Format::Text),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Format::Text),
            ("text/plain;version=0.0.4;q=1,application/openmetrics-text;q=0.5", Format::Text),
            ("application/openmetrics-text;q=0", Format::Text),
            ("application/openmetrics-text;q=2", Format::Text),
            ("nonsense;;=,;", Format::Text),
        ] {
            assert_eq!(Format::asked_for(accept), format, "{accept}");
        }
    }

    #[test]
    fn both_formats_tell_the_same() {
        let text = |format| {
            let mut text = Exposition::new(format);
            text.family("r3e_x", "", "info", "What.", [([("a", "b\"\\\n")], 1.0)]);
            text.family("r3e_y_seconds", "seconds", "counter", "How long.", [([], 2.5)]);
            text.family("r3e_z", "", "gauge", "Not there.", std::iter::empty::<([_; 0], f64)>());
            text.finish()
        };
        insta::assert_snapshot!(text(Format::OpenMetrics), @r#"
        # TYPE r3e_x info
        # HELP r3e_x What.
        r3e_x_info{a="b\"\\\n"} 1
        # TYPE r3e_y_seconds counter
        # UNIT r3e_y_seconds seconds
        # HELP r3e_y_seconds How long.
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
