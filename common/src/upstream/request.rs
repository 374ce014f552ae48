//! Requests: their URLs, and headers as a browser would send them.

use reqwest::header::{ACCEPT, ETAG, HeaderMap, HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, REFERER};
use url::Url;

use crate::domain::Combination;
use crate::domain::Validators;

/// A request to the service.
#[derive(Debug, Clone, Copy)]
pub(super) enum RequestTarget<'a> {
    /// The HTML page of a board, for its cookies.
    Page(Combination),
    /// A page of a board's entries, unless its version is still `unless`.
    Listing { board: Combination, start: usize, unless: &'a Validators },
}

impl RequestTarget<'_> {
    /// Whether 304 is a valid response.
    pub(super) fn is_conditional(&self) -> bool {
        matches!(self, Self::Listing { unless, .. } if !unless.is_empty())
    }

    /// The URL; pages have up to `page_size` entries.
    pub(super) fn address(&self, base: &Url, page_size: usize) -> Url {
        match self {
            Self::Page(board) => page(*board, base),
            Self::Listing { board: Combination { track, class }, start, .. } => {
                let query = format!("track={track}&car_class=class-{class}&start={start}&count={page_size}");
                within(base, "leaderboard/listing/0", &query)
            }
        }
    }

    pub(super) fn request(self, client: &reqwest::Client, address: Url, base: &Url) -> reqwest::RequestBuilder {
        let request = client.get(address);
        match self {
            Self::Page(_) => request.header(ACCEPT, "text/html"),
            Self::Listing { board, unless, .. } => {
                let listing = request
                    .header(ACCEPT, "application/json")
                    .header("X-Requested-With", "XMLHttpRequest")
                    .header(REFERER, page(board, base).as_str());
                conditions(unless).fold(listing, |listing, (name, value)| listing.header(name, value))
            }
        }
    }
}

/// The URL of a board's HTML page.
fn page(Combination { track, class }: Combination, base: &Url) -> Url {
    within(base, "leaderboard/", &format!("car_class=class-{class}&track={track}"))
}

fn within(base: &Url, path: &str, query: &str) -> Url {
    let mut address = base.clone();
    address.set_path(&format!("{}{path}", base.path()));
    address.set_query(Some(query));
    address
}

/// The version of a page, from its headers.
pub(super) fn validators(headers: &HeaderMap) -> Validators {
    let text = |name| headers.get(name).and_then(|it| it.to_str().ok());
    Validators::new(text(ETAG), text(LAST_MODIFIED))
}

/// The headers of a conditional request.
fn conditions(unless: &Validators) -> impl Iterator<Item = (HeaderName, &str)> {
    let Validators { etag, last_modified } = unless;
    let etag = etag.iter().map(|it| (IF_NONE_MATCH, it.as_str()));
    etag.chain(last_modified.iter().map(|it| (IF_MODIFIED_SINCE, it.as_str())))
}
