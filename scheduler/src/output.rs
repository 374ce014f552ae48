//! Passes on the output of a job or command, line by line, with its name.

use std::io::{self, PipeReader};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use r3e_common::runtime::logging::{self, Format, Stream};
use serde::de::IgnoredAny;
use tokio::net::unix::pipe::Receiver;

/// A longer line is split.
const MAX_LINE_BYTES: usize = 16 << 10;

/// The job that wrote a line, and the format of the log.
#[derive(Debug, Clone)]
pub(crate) struct LineSource {
    pub(crate) program: String,
    pub(crate) pid: u32,
    pub(crate) format: Format,
}

impl LineSource {
    /// Formats a line, with its line break.
    fn format(&self, line: &[u8]) -> Vec<u8> {
        let Self { program, pid, format } = self;
        let is_object = || serde_json::from_slice::<IgnoredAny>(line).is_ok();
        let object = line.strip_prefix(b"{").filter(|_| *format == Format::Json && is_object());
        match object {
            // An event of the job's log: gets two more keys.
            Some(rest) => {
                let comma = if rest == b"}" { "" } else { "," };
                let job = serde_json::json!(program);
                [format!("{{\"job\":{job},\"job_pid\":{pid}{comma}").as_bytes(), rest, b"\n"].concat()
            }
            None if *format == Format::Json => {
                let text = String::from_utf8_lossy(line);
                let event = serde_json::json!({"job": program, "job_pid": pid, "line": text});
                format!("{event}\n").into_bytes()
            }
            None => [format!("{program}[{pid}]: ").as_bytes(), line, b"\n"].concat(),
        }
    }
}

/// Splits pieces of any length into lines.
#[derive(Debug, Default)]
struct Lines(Vec<u8>);

impl Lines {
    fn feed(&mut self, mut bytes: &[u8], mut line: impl FnMut(&[u8])) {
        while !bytes.is_empty() {
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let room = MAX_LINE_BYTES - self.0.len();
            let taken = end.unwrap_or(bytes.len()).min(room);
            self.0.extend_from_slice(&bytes[..taken]);
            let whole = end == Some(taken);
            bytes = &bytes[taken + usize::from(whole)..];
            if whole || self.0.len() == MAX_LINE_BYTES {
                line(&self.0);
                self.0.clear();
            }
        }
    }

    fn end(&mut self, mut line: impl FnMut(&[u8])) {
        if !self.0.is_empty() {
            line(&self.0);
            self.0 = Vec::new();
        }
    }
}

/// The last line of a job's log, for the scheduler's status.
#[derive(Debug, Clone, Default)]
pub(crate) struct LastLine(Arc<Mutex<String>>);

impl LastLine {
    const MAX_CHARS: usize = 160;

    fn set(&self, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        let kept = without_time(text.trim()).chars().take(Self::MAX_CHARS).collect();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = kept;
    }

    /// The line, without its time.
    pub(crate) fn get(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Strips the time from the beginning of a line.
fn without_time(line: &str) -> &str {
    let rest = line.split_once(' ').filter(|(first, _)| first.parse::<jiff::Timestamp>().is_ok());
    rest.map_or(line, |(_, rest)| rest.trim_start())
}

/// Passes on everything from the pipe. Call this within the runtime.
pub(crate) fn pass_on(
    pipe: PipeReader,
    to: Stream,
    source: LineSource,
    last: LastLine,
) -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let pipe = Receiver::from_owned_fd(OwnedFd::from(pipe))?;
    Ok(async move {
        let mut lines = Lines::default();
        let mut line = |line: &[u8]| {
            if to == Stream::Err {
                last.set(line);
            }
            logging::write(to, &source.format(line));
        };
        let mut buffer = vec![0; 4 << 10];
        loop {
            if pipe.readable().await.is_err() {
                break;
            }
            match pipe.try_read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => lines.feed(&buffer[..read], &mut line),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot read the job's output");
                    break;
                }
            }
            // A job that logs a lot must not starve the loop.
            tokio::task::yield_now().await;
        }
        lines.end(line);
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn source(program: &str, format: Format) -> LineSource {
        LineSource { program: program.to_owned(), pid: 7, format }
    }

    fn said(format: Format, line: &str) -> String {
        String::from_utf8(source("r3e-loader", format).format(line.as_bytes())).unwrap()
    }

    #[test]
    fn each_line_gets_the_jobs_name() {
        assert_eq!(said(Format::Text, "  INFO done"), "r3e-loader[7]:   INFO done\n");
        assert_eq!(said(Format::Json, r#"{"a":1}"#), "{\"job\":\"r3e-loader\",\"job_pid\":7,\"a\":1}\n");
        assert_eq!(said(Format::Json, "{no}"), "{\"job\":\"r3e-loader\",\"job_pid\":7,\"line\":\"{no}\"}\n");
        assert_eq!(said(Format::Json, "{}"), "{\"job\":\"r3e-loader\",\"job_pid\":7}\n");
        let event: serde_json::Value = serde_json::from_str(&said(Format::Json, "no \"event\"")).unwrap();
        assert_eq!(event, serde_json::json!({"job": "r3e-loader", "job_pid": 7, "line": "no \"event\""}));
        let quoted = source("my \"own\"", Format::Json).format(br#"{"a":1}"#);
        let event: serde_json::Value = serde_json::from_slice(&quoted).unwrap();
        assert_eq!(event, serde_json::json!({"job": "my \"own\"", "job_pid": 7, "a": 1}));
    }

    #[test]
    fn the_last_line_is_kept_without_its_time() {
        let last = LastLine::default();
        last.set(b"2026-11-24T04:00:05.123456Z  INFO r3e_common: fetching fetched=3\n");
        assert_eq!(last.get(), "INFO r3e_common: fetching fetched=3");
        last.set("é".repeat(500).as_bytes());
        assert_eq!(last.get().chars().count(), LastLine::MAX_CHARS);
    }

    #[tokio::test]
    async fn a_pipe_is_passed_on_to_its_end() {
        use std::io::Write as _;
        let (reader, mut writer) = io::pipe().unwrap();
        let last = LastLine::default();
        let passing =
            tokio::spawn(pass_on(reader, Stream::Err, source("r3e-loader", Format::Text), last.clone()).unwrap());
        writer.write_all(b"first\nlast without an end").unwrap();
        drop(writer);
        tokio::time::timeout(std::time::Duration::from_secs(10), passing).await.unwrap().unwrap();
        assert_eq!(last.get(), "last without an end");
    }

    proptest! {
        /// However the pipe cuts it, the same lines come out, none longer than the bound, and no byte is lost.
        #[test]
        fn pieces_make_lines(
            text in prop::collection::vec(prop_oneof![4 => Just(b'x'), 1 => Just(b'\n')], 0..400),
            cuts in prop::collection::vec(1_usize..60, 1..20),
            long in 0_usize..40_000,
        ) {
            let text = [&text[..], &vec![b'y'; long], b"\nz"].concat();
            let (mut lines, mut found, mut rest) = (Lines::default(), Vec::new(), &text[..]);
            for cut in cuts.into_iter().cycle() {
                let (piece, more) = rest.split_at(cut.min(rest.len()));
                lines.feed(piece, |line| found.push(line.to_vec()));
                rest = more;
                if rest.is_empty() {
                    break;
                }
            }
            lines.end(|line| found.push(line.to_vec()));
            prop_assert!(found.iter().all(|line| line.len() <= MAX_LINE_BYTES && !line.contains(&b'\n')));
            let kept = |bytes: &[u8]| bytes.iter().filter(|it| **it != b'\n').count();
            prop_assert_eq!(found.iter().map(Vec::len).sum::<usize>(), kept(&text));
            if long < MAX_LINE_BYTES - 400 {
                let expected: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
                prop_assert_eq!(found.iter().map(Vec::as_slice).collect::<Vec<_>>(), expected);
            }
        }
    }
}
