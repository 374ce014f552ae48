//! Parts of a line: text, bars and sparklines.

use ratatui::buffer::Buffer;
use ratatui::style::Style;
use ratatui::text::Span;

use crate::top::theme::Theme;

/// Columns that a text takes. Control characters are not drawn.
pub(super) fn width_of(text: &str) -> u16 {
    u16::try_from(Span::raw(text).width()).unwrap_or(u16::MAX)
}

/// Draws left-aligned text in at most `width` columns, truncated with `>`. Returns the columns it took.
pub(super) fn left(out: &mut Buffer, (x, y): (u16, u16), width: u16, text: &str, style: Style) -> u16 {
    let (area, width) = (out.area, width.min(out.area.right().saturating_sub(x)));
    if width == 0 || y >= area.bottom() {
        return 0;
    }
    let (end, _) = out.set_stringn(x, y, text, width.into(), style);
    if width_of(text) > width {
        out.set_stringn(x + width - 1, y, ">", 1, style);
        return width;
    }
    end - x
}

/// Draws right-aligned text.
pub(super) fn right(out: &mut Buffer, (x, y): (u16, u16), width: u16, text: &str, style: Style) {
    let blanks = width.saturating_sub(width_of(text));
    left(out, (x + blanks, y), width - blanks, text, style);
}

/// Draws a progress bar.
pub(super) fn bar(out: &mut Buffer, (x, y): (u16, u16), width: u16, percent: u64, theme: Theme) {
    let (full, empty) = theme.bar_symbols();
    let filled = usize::from(width) * usize::try_from(percent.min(100)).unwrap_or(100) / 100;
    let text: String = (0..usize::from(width)).map(|at| if at < filled { full } else { empty }).collect();
    left(out, (x, y), width, &text, theme.bar());
}

/// Draws a sparkline, the latest value rightmost; `top` is the value of a full column.
pub(super) fn sparkline(
    out: &mut Buffer,
    (x, y): (u16, u16),
    width: u16,
    (values, top): (&[u64], u64),
    (theme, style): (Theme, Style),
) {
    let levels = theme.levels();
    let newest = &values[values.len().saturating_sub(width.into())..];
    let text: String = newest.iter().map(|&value| levels[level(value, top, levels.len())]).collect();
    right(out, (x, y), width, &text, style);
}

/// The level of a value between 0 and `top`.
fn level(value: u64, top: u64, levels: usize) -> usize {
    let levels = levels as u128;
    let level = u128::from(value) * levels / u128::from(top.max(1));
    usize::try_from(level.min(levels - 1)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::layout::Rect;

    #[test]
    fn levels_span_zero_to_top() {
        let levels = [0, 12, 13, 50, 99, 100, 1000].map(|value| level(value, 100, 8));
        assert_eq!(levels, [0, 0, 1, 4, 7, 7, 7]);
        assert_eq!((level(0, 0, 8), level(u64::MAX, u64::MAX, 8)), (0, 7));
    }

    fn drawn(draw: impl Fn(&mut Buffer)) -> String {
        let mut out = Buffer::empty(Rect::new(0, 0, 12, 1));
        draw(&mut out);
        out.content.iter().map(ratatui::buffer::Cell::symbol).collect::<String>().trim_end().to_owned()
    }

    #[test]
    fn long_text_is_truncated_and_control_characters_are_dropped() {
        let left = |text: &str, width| {
            drawn(|out| {
                super::left(out, (1, 0), width, text, Style::new());
            })
        };
        assert_eq!(left("four", 4), " four");
        assert_eq!(left("fives", 4), " fiv>");
        assert_eq!(left("äöüß", 4), " äöüß");
        assert_eq!(left("far too long for it", 100), " far too lo>");
        assert_eq!(left("\u{1b}[2Jx\r\n", 11), " [2Jx");
        assert_eq!(left("x", 0), "");
        let right = |text: &str| drawn(|out| super::right(out, (2, 0), 5, text, Style::new()));
        assert_eq!((right("12"), right("1234567")), ("     12".into(), "  1234>".into()));
    }
}
