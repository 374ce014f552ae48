//! Tables without borders.

use std::fmt;

use comfy_table::CellAlignment;
use comfy_table::presets::NOTHING;

/// A table, and notes below it.
#[derive(Debug)]
pub(super) struct Table {
    table: comfy_table::Table,
    notes: Vec<String>,
}

impl Table {
    /// A table without rows. `columns` are names separated by commas; a name that begins with `>` is that of a right-aligned
    /// column.
    pub(super) fn new(columns: &str) -> Self {
        let names: Vec<&str> = columns.split(", ").collect();
        let mut table = comfy_table::Table::new();
        table.load_style(NOTHING).set_header(names.iter().map(|name| name.trim_start_matches('>')));
        for (column, name) in table.column_iter_mut().zip(names) {
            column.set_padding((0, 2));
            if name.starts_with('>') {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        Self { table, notes: Vec::new() }
    }

    /// Adds a row. Missing cells are empty.
    pub(super) fn row(&mut self, cells: Vec<String>) {
        self.table.add_row(cells);
    }

    pub(super) fn note(&mut self, text: String) {
        self.notes.push(text);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.table.trim_fmt())?;
        self.notes.iter().try_for_each(|note| writeln!(f, "{note}"))
    }
}
