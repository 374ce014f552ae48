//! Columns that line up.

use std::fmt;

/// On which side a column's cells line up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// Rows of cells under a head.
#[derive(Debug)]
pub(super) struct Table {
    head: Vec<(&'static str, Side)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows; a column whose name begins with `>` is one of numbers.
    pub(super) fn new(columns: &[&'static str]) -> Self {
        let column = |name: &&'static str| match name.strip_prefix('>') {
            Some(name) => (name, Side::Right),
            None => (*name, Side::Left),
        };
        Self { head: columns.iter().map(column).collect(), rows: Vec::new() }
    }

    /// Adds a row. One that has fewer cells than there are columns ends with a remark, which no column is widened for.
    pub(super) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = |text: &str| text.chars().count();
        let is_remark = |row: &[String], column: usize| row.len() < self.head.len() && column + 1 == row.len();
        let width = |(column, (name, _)): (usize, &(&'static str, Side))| {
            let cells = self.rows.iter().filter(|row| !is_remark(row, column)).filter_map(|row| row.get(column));
            cells.map(|cell| length(cell)).fold(length(name), usize::max)
        };
        let widths: Vec<usize> = self.head.iter().enumerate().map(width).collect();
        let mut line = |cells: &mut dyn Iterator<Item = (usize, &str, Side)>| {
            let mut text = String::new();
            for (column, cell, side) in cells {
                let blanks = " ".repeat(widths[column].saturating_sub(length(cell)));
                match side {
                    Side::Left => text.extend([cell, &blanks, "  "]),
                    Side::Right => text.extend([&blanks, cell, "  "]),
                }
            }
            writeln!(f, "{}", text.trim_end())
        };
        line(&mut self.head.iter().enumerate().map(|(column, (name, side))| (column, *name, *side)))?;
        for row in &self.rows {
            line(&mut row.iter().enumerate().map(|(column, cell)| {
                let side = if is_remark(row, column) { Side::Left } else { self.head[column].1 };
                (column, cell.as_str(), side)
            }))?;
        }
        Ok(())
    }
}
