//! The host names that this server accepts. A page of another host could point its own name at 127.0.0.1 and then read what is
//! served here (DNS rebinding), so a server on loopback accepts names of loopback only.

use std::net::{IpAddr, SocketAddr};

/// Which names are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hosts {
    /// Names and addresses of this machine only, with any port: a tunnel may use another.
    Loopback,
    /// All: listening on another address is a decision to let others read.
    Any,
}

impl Hosts {
    /// The names for a server that listens there.
    pub(super) fn of(address: SocketAddr) -> Self {
        if address.ip().is_loopback() { Self::Loopback } else { Self::Any }
    }

    /// Whether a `Host` header or the authority of a URI is accepted.
    pub(super) fn allow(self, authority: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Loopback => {
                let name = name(authority).to_ascii_lowercase();
                let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
                name == "localhost" || name.ends_with(".localhost") || address.is_ok_and(|it| it.is_loopback())
            }
        }
    }
}

/// Without the port.
fn name(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|it| it.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_loopback_only_names_of_loopback_are_answered() {
        let hosts = Hosts::of("127.0.0.1:9464".parse().unwrap());
        for ours in [
            "127.0.0.1",
            "127.0.0.1:9464",
            "127.1.2.3:80",
            "localhost",
            "LocalHost:1",
            "r3e.localhost",
            "[::1]:9464",
            "[::1]",
        ] {
            assert!(hosts.allow(ours), "{ours}");
        }
        for foreign in [
            "",
            "evil.example",
            "evil.example:9464",
            "localhost.evil.example",
            "10.0.0.1",
            "127.0.0.1.evil",
            "a@localhost",
            "localhost:x",
            "[::2]",
            "notlocalhost",
        ] {
            assert!(!hosts.allow(foreign), "{foreign}");
        }
        assert!(Hosts::of("0.0.0.0:9464".parse().unwrap()).allow("evil.example"));
        assert_eq!(Hosts::of("[::1]:9464".parse().unwrap()), Hosts::Loopback);
    }
}
