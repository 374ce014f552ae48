//! Text of man pages.

/// The text with what `troff` would take for its own escaped; hyphens stay hyphens, so that commands can be copied.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (number, line) in text.split('\n').enumerate() {
        if number > 0 {
            out.push('\n');
        }
        if line.starts_with(['.', '\'']) {
            out.push_str("\\&");
        }
        for c in line.chars() {
            match c {
                '\\' => out.push_str("\\e"),
                '-' => out.push_str("\\-"),
                c => out.push(c),
            }
        }
    }
    out
}

/// A heading.
pub(crate) fn section(title: &str) -> String {
    format!(".SH \"{}\"\n", title.to_uppercase())
}

/// A paragraph whose lines are filled.
pub(crate) fn paragraph(text: &str) -> String {
    format!(".PP\n{}\n", escaped(text.trim()))
}

/// Lines that stay as they are.
pub(crate) fn verbatim(text: &str) -> String {
    format!(".nf\n{}\n.fi\n", escaped(text.trim_end()))
}

/// A term, and what there is to say of it.
pub(crate) fn item(term: &str, text: &str) -> String {
    format!(".TP\n\\fB{}\\fR\n{}\n", escaped(term), escaped(text.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_text_is_taken_for_a_request() {
        assert_eq!(escaped(".SH x\n'a\n--c\\d"), "\\&.SH x\n\\&'a\n\\-\\-c\\ed");
        assert_eq!(item("a-b", " .c "), ".TP\n\\fBa\\-b\\fR\n\\&.c\n");
    }
}
