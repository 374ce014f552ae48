//! The proxy from the environment: `HTTPS_PROXY` or `HTTP_PROXY`, depending on the service's scheme, else `ALL_PROXY`, unless
//! `NO_PROXY` lists the service's host. Lower-case names work too.

use std::ffi::OsString;
use std::fmt;

use hyper_util::client::proxy::matcher::Matcher;
use url::Url;

/// A proxy as shown in messages: with its variable, without its password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    variable: &'static str,
    address: String,
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the proxy {} ({})", self.address, self.variable)
    }
}

/// A variable has an invalid value.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(test, derive(Default))]
#[error("{variable} = {value:?}: expected a proxy such as http://proxy.example:3128")]
pub struct ProxyError {
    variable: &'static str,
    value: String,
}

/// The proxy for requests to `base`, and its URL with user and password. `variable` reads the environment.
///
/// # Errors
/// If the variable's value is not a valid proxy.
pub(super) fn of(
    base: &Url,
    variable: impl Fn(&'static str) -> Option<OsString>,
) -> Result<Option<(Proxy, Url)>, ProxyError> {
    let set = |names: [&'static str; 2]| {
        let values = names.into_iter().filter_map(|name| Some((name, variable(name)?)));
        values.map(|(name, value)| (name, value.to_string_lossy().into_owned())).find(|(_, value)| !value.is_empty())
    };
    let own = if base.scheme() == "https" { ["HTTPS_PROXY", "https_proxy"] } else { ["HTTP_PROXY", "http_proxy"] };
    let Some((variable, value)) = set(own).or_else(|| set(["ALL_PROXY", "all_proxy"])) else { return Ok(None) };
    let except = set(["NO_PROXY", "no_proxy"]).map(|it| it.1).unwrap_or_default();
    // Ask the matcher only whether NO_PROXY excludes the service.
    let Ok(service) = base.as_str().parse() else { return Ok(None) };
    if Matcher::builder().all("http://proxy").no(except).build().intercept(&service).is_none() {
        return Ok(None);
    }
    let with_scheme = if value.contains("://") { value.clone() } else { format!("http://{value}") };
    let usable = |it: &Url| matches!(it.scheme(), "http" | "https") && it.host_str().is_some_and(|it| !it.is_empty());
    let Some(address) = Url::parse(&with_scheme).ok().filter(usable) else {
        // Anything before an @ may be a password.
        let value = value.rsplit_once('@').map_or_else(|| value.clone(), |(_, host)| format!("…@{host}"));
        return Err(ProxyError { variable, value });
    };
    let port = address.port_or_known_default().map(|it| format!(":{it}")).unwrap_or_default();
    let named = format!("{}://{}{port}", address.scheme(), address.host_str().unwrap_or_default());
    Ok(Some((Proxy { variable, address: named }, address)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy_of(base: &str, set: &[(&str, &str)]) -> String {
        let variable = |name| set.iter().find(|it| it.0 == name).map(|it| it.1.into());
        match of(&base.parse().unwrap(), variable) {
            Ok(None) => "none".to_owned(),
            Ok(Some((proxy, _))) => proxy.to_string(),
            Err(error) => error.to_string(),
        }
    }

    const SERVICE: &str = "https://game.example/";

    #[test]
    fn the_variable_of_the_scheme_overrides_all_proxy() {
        let both = [("HTTPS_PROXY", "http://a:1"), ("ALL_PROXY", "http://b:2"), ("http_proxy", "c:3")];
        assert_eq!(proxy_of(SERVICE, &both), "the proxy http://a:1 (HTTPS_PROXY)");
        assert_eq!(proxy_of("http://game.example/", &both), "the proxy http://c:3 (http_proxy)");
        assert_eq!(proxy_of(SERVICE, &both[1..]), "the proxy http://b:2 (ALL_PROXY)");
        assert_eq!(
            proxy_of(SERVICE, &[("HTTPS_PROXY", ""), ("all_proxy", "https://b")]),
            "the proxy https://b:443 (all_proxy)"
        );
        assert_eq!(proxy_of(SERVICE, &[]), "none");
        assert_eq!(proxy_of(SERVICE, &[("HTTP_PROXY", "no proxy at all")]), "none");
    }

    #[test]
    fn hosts_in_no_proxy_have_none() {
        for (base, no_proxy, expected) in [
            (SERVICE, "game.example", "none"),
            (SERVICE, "other.example, .example", "none"),
            (SERVICE, "*", "none"),
            ("http://127.0.0.1:8080/", "127.0.0.0/8", "none"),
            (SERVICE, "other.example", "the proxy http://p:1 (ALL_PROXY)"),
        ] {
            assert_eq!(proxy_of(base, &[("ALL_PROXY", "p:1"), ("no_proxy", no_proxy)]), expected, "{no_proxy}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        let proxy = |value| proxy_of(SERVICE, &[("HTTPS_PROXY", value)]);
        assert_eq!(proxy("http://me:secret@p:3128/"), "the proxy http://p:3128 (HTTPS_PROXY)");
        assert_eq!(
            proxy("htp://me:sec@ret@p:3128"),
            "HTTPS_PROXY = \"…@p:3128\": expected a proxy such as http://proxy.example:3128"
        );
        for wrong in ["http://", "http://p:99999", "http://p:port", "socks5://p:1080", "ftp://p", "http://two words"] {
            assert!(proxy(wrong).starts_with("HTTPS_PROXY = "), "{wrong}: {}", proxy(wrong));
        }
    }
}
