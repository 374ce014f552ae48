//! Drawing on the terminal: what changed, as control sequences, in one write each time.
//!
//! Written here because the one that comes with ratatui needs crossterm with its events, and with them a second signal-hook.

use std::io::{self, Write};

use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::queue;
use crossterm::style::{Attribute, Color, Print, ResetColor, SetAttribute, SetForegroundColor};
use crossterm::terminal::{Clear, ClearType};
use ratatui::backend::{Backend, ClearType as Region, WindowSize};
use ratatui::buffer::Cell;
use ratatui::layout::{Position, Size};
use ratatui::style::{Color as Foreground, Modifier};

/// A terminal that is written to.
#[derive(Debug)]
pub(super) struct Drawn<W: Write> {
    out: W,
    bytes: Vec<u8>,
    cursor: Position,
    size: fn() -> io::Result<(u16, u16)>,
}

impl<W: Write> Drawn<W> {
    /// Draws there; the terminal's size is asked of `size`.
    pub(super) fn new(out: W, size: fn() -> io::Result<(u16, u16)>) -> Self {
        Self { out, bytes: Vec::new(), cursor: Position::ORIGIN, size }
    }
}

/// The colours that [`super::theme`] uses; others are the terminal's own.
fn colour(colour: Foreground) -> Color {
    match colour {
        Foreground::Red => Color::DarkRed,
        Foreground::Green => Color::DarkGreen,
        Foreground::Yellow => Color::DarkYellow,
        Foreground::Blue => Color::DarkBlue,
        Foreground::Cyan => Color::DarkCyan,
        Foreground::DarkGray => Color::DarkGrey,
        _ => Color::Reset,
    }
}

impl<W: Write> Backend for Drawn<W> {
    type Error = io::Error;

    fn draw<'a, I>(&mut self, content: I) -> io::Result<()>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        let mut style = (Foreground::Reset, Modifier::empty());
        let mut next = None;
        for (x, y, cell) in content {
            if next != Some((x, y)) {
                queue!(self.bytes, MoveTo(x, y))?;
            }
            next = Some((x + 1, y));
            let wanted = (cell.fg, cell.modifier);
            if wanted != style {
                queue!(self.bytes, SetAttribute(Attribute::Reset))?;
                if wanted.1.contains(Modifier::BOLD) {
                    queue!(self.bytes, SetAttribute(Attribute::Bold))?;
                }
                if wanted.1.contains(Modifier::REVERSED) {
                    queue!(self.bytes, SetAttribute(Attribute::Reverse))?;
                }
                if wanted.0 != Foreground::Reset {
                    queue!(self.bytes, SetForegroundColor(colour(wanted.0)))?;
                }
                style = wanted;
            }
            queue!(self.bytes, Print(cell.symbol()))?;
        }
        if style != (Foreground::Reset, Modifier::empty()) {
            queue!(self.bytes, SetAttribute(Attribute::Reset))?;
        }
        Ok(())
    }

    fn hide_cursor(&mut self) -> io::Result<()> {
        queue!(self.bytes, Hide)
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        queue!(self.bytes, Show)
    }

    fn get_cursor_position(&mut self) -> io::Result<Position> {
        // Where it was put last. The terminal is not asked: nobody sees it, and the answer would come among the keys.
        Ok(self.cursor)
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
        let Position { x, y } = position.into();
        self.cursor = Position { x, y };
        queue!(self.bytes, MoveTo(x, y))
    }

    fn clear(&mut self) -> io::Result<()> {
        self.clear_region(Region::All)
    }

    fn clear_region(&mut self, region: Region) -> io::Result<()> {
        let region = match region {
            Region::All => ClearType::All,
            Region::AfterCursor => ClearType::FromCursorDown,
            Region::BeforeCursor => ClearType::FromCursorUp,
            Region::CurrentLine => ClearType::CurrentLine,
            Region::UntilNewLine => ClearType::UntilNewLine,
        };
        queue!(self.bytes, ResetColor, Clear(region))
    }

    fn size(&self) -> io::Result<Size> {
        let (width, height) = (self.size)()?;
        Ok(Size { width, height })
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        Ok(WindowSize { columns_rows: self.size()?, pixels: Size::default() })
    }

    fn flush(&mut self) -> io::Result<()> {
        let written = self.out.write_all(&self.bytes).and_then(|()| self.out.flush());
        // What could not be written is not written later.
        self.bytes.clear();
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::style::Style;

    fn drawn(fill: impl Fn(&mut ratatui::buffer::Buffer)) -> String {
        let mut out = Vec::new();
        let mut terminal = ratatui::Terminal::new(Drawn::new(&mut out, || Ok((6, 2)))).unwrap();
        terminal.clear().unwrap();
        terminal.draw(|frame| fill(frame.buffer_mut())).unwrap();
        drop(terminal);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn styles_are_set_where_they_change_and_do_not_stay() {
        let styled = drawn(|out| {
            let bold = Style::new().fg(Foreground::Red).add_modifier(Modifier::BOLD);
            out.set_string(0, 0, "ab", bold);
            out.set_string(2, 0, "c", Style::new().add_modifier(Modifier::REVERSED));
            out.set_string(0, 1, "d", Style::new());
        });
        let expected = "\u{1b}[1;1H\u{1b}[0m\u{1b}[1m\u{1b}[38;5;1mab\u{1b}[0m\u{1b}[7mc\u{1b}[2;1H\u{1b}[0md";
        assert!(styled.contains(expected), "{}", styled.escape_debug());
        let plain = drawn(|out| {
            out.set_string(0, 0, "ab", Style::new().add_modifier(Modifier::BOLD));
        });
        assert!(!plain.contains("[3"), "no colour: {}", plain.escape_debug());
    }
}
