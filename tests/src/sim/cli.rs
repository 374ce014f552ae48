//! The flags of the program `r3e-sim`.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use clap::Parser;
use r3e_common::domain::{Catalog, Combination, import_publisher_data};
use r3e_common::runtime::fs::FsError;

use super::{BadCertificate, Cookies, FaultKind, Faults, SessionEnd, SimError, SimOptions, Tls};

const EXAMPLES: &str = "\
Examples:
  r3e-sim                                        the real service's size, on a free port
  r3e-sim --listen 127.0.0.1:8099 --latency 20ms --fault-rate 0.3
  r3e-sim --fault unavailable=0.2 --retry-after 2s
  r3e-sim --fault-rate 0.3 --fault slow-drip=0   all kinds but one
  r3e-sim --always gzip-bomb=5276-8600           one board that never answers well
  r3e-sim --catalog r3e-data.json --entries 10000000 --seconds 600
  r3e-sim --tls both --ca-file ca.pem            HTTPS; r3e-loader trusts it with SSL_CERT_FILE=ca.pem
  r3e-sim --fault latin1=1 --fault inserted=0.1
  curl http://127.0.0.1:8099/__stats

Kinds of faults: too-many-requests, unavailable, internal-error, bad-gateway, close-before, cut-length, cut-chunked,
maintenance, truncated-json, wrong-type, slow-drip, endless-body, gzip-bomb, invalid-utf8, duplicate-keys, deep-nesting,
too-many-entries, ignores-start; and, only if --fault or --always names them, latin1, utf16, bom (all three right),
undeclared-latin1, inserted, removed (the board changes between its first page and another).

Exit codes: 0 stopped as asked, 1 cannot listen or write, 2 usage.";

/// Simulates the RaceRoom leaderboard service, with seeded boards and entries, and injects faults.
///
/// Prints `listening on http://ADDRESS` (https with --tls) when it is ready, and stops on SIGTERM or SIGINT. `/__stats`
/// returns request statistics.
#[derive(Debug, Parser)]
#[command(name = "r3e-sim", version, after_help = EXAMPLES)]
pub struct Arguments {
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Seed; the same seed, catalogue and numbers give the same boards.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Total number of entries.
    #[arg(long, default_value_t = 300_000)]
    entries: u64,
    /// Number of drivers.
    #[arg(long, default_value_t = 60_000)]
    drivers: u32,
    /// Catalogue as TOML, or the publisher's r3e-data.json [default: built in].
    #[arg(long, value_name = "FILE")]
    catalog: Option<PathBuf>,
    /// Size of one board, included in --entries. Repeatable.
    #[arg(long, value_name = "TRACK-CLASS=SIZE", value_parser = pair::<Combination, u32>)]
    board: Vec<(Combination, u32)>,
    /// Delay of every response.
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = time)]
    latency: Duration,
    /// Share of listing requests with a fault, spread evenly over all kinds but the last six.
    #[arg(long, value_name = "RATE", default_value_t = 0.0, value_parser = rate)]
    fault_rate: f64,
    /// Share of listing requests with this fault, instead of its share of --fault-rate. Repeatable.
    #[arg(long, value_name = "KIND=RATE", value_parser = fault)]
    fault: Vec<(FaultKind, f64)>,
    /// A board that always has this fault. Repeatable.
    #[arg(long, value_name = "KIND=TRACK-CLASS", value_parser = pair::<FaultKind, Combination>)]
    always: Vec<(FaultKind, Combination)>,
    /// Value of Retry-After, in whole seconds.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = time)]
    retry_after: Duration,
    /// Send Retry-After as a date instead of seconds.
    #[arg(long)]
    retry_after_date: bool,
    /// Share of entries with an irregular field other than the driver.
    #[arg(long, value_name = "RATE", default_value_t = 0.005, value_parser = rate)]
    odd_rate: f64,
    /// Share of entries without a driver name.
    #[arg(long, value_name = "RATE", default_value_t = 0.0, value_parser = rate)]
    nameless_rate: f64,
    /// Never compress.
    #[arg(long)]
    no_gzip: bool,
    /// Send an entity tag with each page, and 304 if the client already has the page.
    #[arg(long)]
    etag: bool,
    /// Number of listing requests after which a session expires.
    #[arg(long, value_name = "N")]
    session_requests: Option<u64>,
    /// How requests in an expired session are refused: 401, 302 to a login page, that page with 200, or JSON with 200.
    #[arg(long, value_name = "KIND", value_enum, default_value_t)]
    session_end: SessionEnd,
    /// How the session cookie is set: once, twice (the later one is valid), after an expired one, or anew with each listing.
    #[arg(long, value_name = "KIND", value_enum, default_value_t)]
    cookies: Cookies,
    /// Maximum entries per page, whatever is requested [default: 1500].
    #[arg(long, value_name = "N")]
    page_cap: Option<usize>,
    /// Respond with 429, without Retry-After, to more requests per second than this.
    #[arg(long, value_name = "N")]
    rate_limit: Option<f64>,
    /// Redirect everything (301) to this address, keeping the path.
    #[arg(long, value_name = "URL")]
    redirect: Option<String>,
    /// Use HTTPS, and offer this version of HTTP; the certificate is generated at the start.
    #[arg(long, value_name = "VERSION", value_enum)]
    tls: Option<Tls>,
    /// Write the CA certificate that clients must trust to this file, as PEM.
    #[arg(long, value_name = "FILE", requires = "tls")]
    pub ca_file: Option<PathBuf>,
    /// Present a certificate that a client must not accept.
    #[arg(long, value_name = "KIND", value_enum, requires = "tls")]
    bad_certificate: Option<BadCertificate>,
    /// The first connection goes silent after this many responses, as behind a NAT that has forgotten it.
    #[arg(long, value_name = "N")]
    silent_after: Option<u64>,
    /// After this many responses, the first connection responds only to HTTP/2 pings.
    #[arg(long, value_name = "N")]
    silent_streams_after: Option<u64>,
    /// Stop after this many seconds.
    #[arg(long, value_name = "N")]
    pub seconds: Option<u64>,
}

impl Arguments {
    /// The options of the simulator.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn options(self) -> Result<SimOptions, Failure> {
        let catalog = self.catalog.map_or_else(|| Ok(Catalog::builtin()), |path| catalog(&path))?;
        Ok(SimOptions {
            listen: self.listen,
            seed: self.seed,
            catalog,
            entries: self.entries,
            drivers: self.drivers,
            board_sizes: self.board.into_iter().collect(),
            odd_rate: self.odd_rate,
            nameless_rate: self.nameless_rate,
            latency: self.latency,
            gzip: !self.no_gzip,
            etag: self.etag,
            session_requests: self.session_requests,
            session_end: self.session_end,
            cookies: self.cookies,
            page_cap: self.page_cap,
            rate_limit: self.rate_limit,
            redirect: self.redirect,
            tls: self.tls,
            bad_certificate: self.bad_certificate,
            silent_after: self.silent_after,
            silent_streams_after: self.silent_streams_after,
            faults: Faults {
                rate: self.fault_rate,
                rates: self.fault.into_iter().collect::<BTreeMap<_, _>>(),
                always: self.always.into_iter().map(|(kind, board)| (board, kind)).collect(),
                retry_after: self.retry_after,
                retry_after_date: self.retry_after_date,
                ..Faults::default()
            },
        })
    }
}

/// Why the program does not serve.
#[derive(Debug)]
pub enum Failure {
    /// The catalogue's file, and what is wrong with it.
    Catalog(PathBuf, String),
    /// The authority's certificate cannot be written.
    CaFile(FsError),
    /// The simulator does not start.
    Sim(SimError),
}

impl Failure {
    /// 2 for usage errors, 1 if the system refuses.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Catalog(..) | Self::Sim(SimError::Refused { .. }) => ExitCode::from(2),
            Self::CaFile(_) | Self::Sim(_) => ExitCode::from(1),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Catalog(path, why) => write!(f, "--catalog {}: {why}", path.display()),
            Self::CaFile(error) => write!(f, "--ca-file: {error}"),
            Self::Sim(SimError::Refused { option, value, expected }) => {
                write!(f, "--{option} {value}: expected {expected}")
            }
            Self::Sim(error) => error.fmt(f),
        }
    }
}

impl From<SimError> for Failure {
    fn from(error: SimError) -> Self {
        Self::Sim(error)
    }
}

fn catalog(path: &std::path::Path) -> Result<Catalog, Failure> {
    let failure = |why: String| Failure::Catalog(path.to_owned(), why);
    let text = r3e_common::runtime::fs::read_text(path, 64 << 20).map_err(|error| failure(error.to_string()))?;
    if path.extension().is_some_and(|extension| extension == "json") {
        import_publisher_data(&text).map(|imported| imported.catalog).map_err(|error| failure(error.to_string()))
    } else {
        Catalog::from_toml(&text).map_err(|error| failure(error.to_string()))
    }
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate| (0.0..=1.0).contains(rate));
    rate.ok_or_else(|| "expected a number from 0 to 1".to_owned())
}

fn time(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{error}; expected a time such as 20ms or 2s"))
}

fn fault(text: &str) -> Result<(FaultKind, f64), String> {
    let (kind, share) = text.split_once('=').ok_or("expected KIND=RATE, such as unavailable=0.2")?;
    Ok((kind.parse()?, rate(share)?))
}

fn pair<A: FromStr<Err: fmt::Display>, B: FromStr<Err: fmt::Display>>(text: &str) -> Result<(A, B), String> {
    let (first, second) = text.split_once('=').ok_or("expected two values with = between them")?;
    Ok((first.parse().map_err(|e: A::Err| e.to_string())?, second.parse().map_err(|e: B::Err| e.to_string())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(arguments: &[&str]) -> String {
        let given = std::iter::once("r3e-sim").chain(arguments.iter().copied());
        match Arguments::try_parse_from(given) {
            Err(error) => error.to_string(),
            Ok(arguments) => match arguments.options().map(super::super::Simulator::start) {
                Ok(Ok(_)) => "fine".to_owned(),
                Ok(Err(error)) => Failure::Sim(error).to_string(),
                Err(failure) => failure.to_string(),
            },
        }
    }

    #[test]
    fn wrong_values_are_refused_with_flag_value_and_what_was_expected() {
        let cases: [(&[&str], &[&str]); 17] = [
            (&["--fault-rate", "1.5"], &["--fault-rate", "1.5", "a number from 0 to 1"]),
            (&["--fault-rate", "NaN"], &["a number from 0 to 1"]),
            (&["--fault", "slow=0.1"], &["--fault", "slow=0.1", "one of too-many-requests"]),
            (&["--fault", "slow-drip"], &["expected KIND=RATE"]),
            (&["--fault", "unavailable=0.6", "--fault", "maintenance=0.6"], &["--fault 1.2", "at most 1"]),
            (&["--always", "maintenance=x"], &["maintenance=x", "TRACK-CLASS"]),
            (&["--latency", "soon"], &["--latency", "soon", "such as 20ms"]),
            (&["--drivers", "0"], &["--drivers 0: expected at least 1"]),
            (&["--board", "1-1=5"], &["--board 1-1: expected a board of the catalogue"]),
            (&["--tls", "http3"], &["--tls", "http3", "http1, http2, both"]),
            (&["--bad-certificate", "expired"], &["--tls"]),
            (&["--ca-file", "ca.pem"], &["--tls"]),
            (&["--cookies", "none"], &["none", "plain, twice, deleted, rotating"]),
            (&["--page-cap", "0"], &["--page-cap 0: expected at least 1"]),
            (&["--rate-limit", "0"], &["--rate-limit 0: expected requests a second, above 0"]),
            (&["--redirect", "elsewhere"], &["--redirect elsewhere: expected a base address such as https://"]),
            (&["--catalog", "/nowhere.toml"], &["--catalog", "/nowhere.toml: No such file"]),
        ];
        for (arguments, parts) in cases {
            let told = told(arguments);
            for part in parts {
                assert!(told.contains(part), "{arguments:?}: {part:?} in {told}");
            }
        }
        assert_eq!(told(&[]), "fine");
    }

    #[test]
    fn the_help_names_every_kind_of_fault() {
        for kind in FaultKind::ALL {
            assert!(EXAMPLES.contains(kind.name()), "{kind}");
        }
    }

    #[test]
    fn the_defaults_are_the_librarys() {
        let flags = Arguments::try_parse_from(["r3e-sim"]).unwrap().options().unwrap();
        let library = SimOptions { catalog: flags.catalog.clone(), ..SimOptions::default() };
        assert_eq!(format!("{flags:?}"), format!("{library:?}"));
    }
}
