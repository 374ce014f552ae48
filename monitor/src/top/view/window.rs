//! A window over the rest.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::widgets::{Block, BorderType, Clear, Widget as _};

use crate::top::theme::Theme;

/// Draws an empty window in the middle, of at most that size, and returns the area inside its border.
pub(super) fn window(out: &mut Buffer, (columns, rows): (u16, u16), title: &str, theme: Theme) -> Rect {
    let whole = out.area;
    // A blank on each side keeps the text off the border.
    let (width, height) = ((columns + 4).min(whole.width), (rows + 2).min(whole.height));
    let area = Rect::new((whole.width - width) / 2, (whole.height - height) / 2, width, height);
    Clear.render(area, out);
    let block = Block::bordered().title(title).title_style(theme.head());
    let block = if theme.ascii { block.border_set(ASCII) } else { block.border_type(BorderType::Plain) };
    let inner = block.inner(area);
    block.render(area, out);
    Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner }
}

/// An ASCII border.
const ASCII: ratatui::symbols::border::Set<'static> = ratatui::symbols::border::Set {
    top_left: "+",
    top_right: "+",
    bottom_left: "+",
    bottom_right: "+",
    vertical_left: "|",
    vertical_right: "|",
    horizontal_top: "-",
    horizontal_bottom: "-",
};
