//! A country in one string, so that a row refers to both its name and its code with one number.

/// The code, which is blank if it does not have two letters, and then the name. Empty without a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Country<'a>(pub(super) &'a str);

const NO_CODE: &str = "  ";

impl<'a> Country<'a> {
    /// The string of a country.
    pub(super) fn join(code: &str, name: &str) -> String {
        let is_code = code.len() == NO_CODE.len() && code.bytes().all(|it| it.is_ascii_alphabetic());
        if name.is_empty() { String::new() } else { [if is_code { code } else { NO_CODE }, name].concat() }
    }

    pub(super) fn name(self) -> &'a str {
        self.0.get(NO_CODE.len()..).unwrap_or_default()
    }

    /// The code; empty if it is unknown.
    pub(super) fn code(self) -> &'a str {
        self.0.get(..NO_CODE.len()).unwrap_or_default().trim_end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_country_has_its_name_and_its_code_if_that_is_one() {
        for (code, name, expected) in [
            ("BE", "Belgium", ("BE", "Belgium")),
            ("", "Belgium", ("", "Belgium")),
            ("é", "Österreich", ("", "Österreich")),
            ("BEL", "Belgium", ("", "Belgium")),
            ("BE", "", ("", "")),
        ] {
            let joined = Country::join(code, name);
            let country = Country(&joined);
            assert_eq!((country.code(), country.name()), expected, "{code} {name}");
        }
    }
}
