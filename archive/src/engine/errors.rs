//! Errors of statements, with their place.

use std::fmt::Write as _;

use datafusion::error::DataFusionError;

use crate::error::ArchiveError;

/// The error of a statement: what is wrong, the line, and a mark beneath the place.
pub(super) fn of_statement(statement: &str, error: DataFusionError) -> ArchiveError {
    let place = place_of(&error);
    let root = error.find_root();
    match root {
        DataFusionError::Plan(_)
        | DataFusionError::SQL(..)
        | DataFusionError::SchemaError(..)
        | DataFusionError::NotImplemented(_)
        | DataFusionError::Execution(_) => {}
        _ => return error.into(),
    }
    let mut message = root.strip_backtrace();
    if let Some(writes) = message.strip_prefix("Error during planning: ").filter(|it| it.contains("not supported: ")) {
        message = format!("the archive is read-only: {writes}");
    }
    if let Some((line, column)) = place
        && let Some(text) = statement.lines().nth(line.saturating_sub(1))
    {
        let gap: String =
            text.chars().take(column.saturating_sub(1)).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let _infallible =
            write!(message, "\n  line {line}: {text}\n  {}{gap}^", " ".repeat(format!("line {line}: ").len()));
    }
    ArchiveError::Statement(message)
}

/// Line and column, from 1: the planner has them as spans, the parser in its text.
fn place_of(error: &DataFusionError) -> Option<(usize, usize)> {
    let span = error.diagnostic().and_then(|it| it.span);
    let number = |text: &str| text.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok();
    let from_text = || {
        let text = error.to_string();
        let (_, place) = text.rsplit_once("Line: ")?;
        let (line, column) = place.split_once(", Column: ")?;
        Some((number(line)?, number(column)?))
    };
    span.map(|it| (to_usize(it.start.line), to_usize(it.start.column))).or_else(from_text)
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
