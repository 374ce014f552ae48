//! Builds the response for each kind of fault.

use std::time::SystemTime;

use axum::body::Bytes;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};

use super::answers::{JSON, body_response, encoded, html_response, json_response, latin1, utf16};
use super::connection::Connection;
use super::fault_bodies::{bomb, cut, drip, endless};
use super::page::{Asked, Page, deep, not_utf8};
use super::server::Service;
use super::{FaultKind, Faults};

/// Responds to a listing request with the given fault.
pub(super) async fn faulty(
    service: &Service,
    kind: FaultKind,
    faults: &Faults,
    asked: Asked,
    gzip_accepted: bool,
    connection: &Connection,
) -> Response {
    let page = Page::new(&service.world, asked);
    let json = |text: String| json_response(text, gzip_accepted);
    let body = |bytes, content_type| body_response(bytes, HeaderValue::from_static(content_type), gzip_accepted);
    let which = asked.board.track.get() ^ asked.board.class.get();
    match kind {
        FaultKind::TooManyRequests => later(StatusCode::TOO_MANY_REQUESTS, faults),
        FaultKind::Unavailable => later(StatusCode::SERVICE_UNAVAILABLE, faults),
        FaultKind::InternalError => (StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error").into_response(),
        FaultKind::BadGateway => StatusCode::BAD_GATEWAY.into_response(),
        FaultKind::CloseBefore => connection.close().await,
        FaultKind::CutLength => {
            let (bytes, encoding) = encoded(page.right().into(), gzip_accepted);
            ([(CONTENT_TYPE, JSON)], [(CONTENT_LENGTH, bytes.len())], encoding, cut(&bytes)).into_response()
        }
        FaultKind::CutChunked => {
            let (bytes, encoding) = encoded(page.right().into(), gzip_accepted);
            ([(CONTENT_TYPE, JSON)], encoding, cut(&bytes)).into_response()
        }
        FaultKind::Maintenance => html_response("RaceRoom is down for maintenance", None),
        FaultKind::TruncatedJson => {
            let whole = page.right().into_bytes();
            body_response(whole[..whole.len() / 2].to_vec(), JSON, gzip_accepted)
        }
        FaultKind::WrongType => json(page.wrong_type(which as usize)),
        FaultKind::SlowDrip => {
            let bytes = Bytes::from(page.right());
            let length = bytes.len();
            let body = drip(bytes, faults.drip_every, faults.drip_for);
            ([(CONTENT_TYPE, JSON)], [(CONTENT_LENGTH, length)], body).into_response()
        }
        FaultKind::EndlessBody => ([(CONTENT_TYPE, JSON)], endless(faults.endless_bytes)).into_response(),
        FaultKind::GzipBomb => {
            // Made on a thread of its own the first time: it takes a while.
            let body = tokio::task::spawn_blocking(bomb).await.unwrap_or_default();
            ([(CONTENT_TYPE, JSON), (CONTENT_ENCODING, HeaderValue::from_static("gzip"))], body).into_response()
        }
        FaultKind::InvalidUtf8 => body_response(not_utf8(&page.right()), JSON, gzip_accepted),
        FaultKind::DuplicateKeys => json(page.doubled()),
        FaultKind::DeepNesting => json(deep()),
        FaultKind::TooManyEntries => json(page.too_many()),
        FaultKind::IgnoresStart => json(page.first()),
        FaultKind::Latin1 => body(latin1(&page.right()), "application/json; charset=ISO-8859-1"),
        FaultKind::Utf16 => body(utf16(&page.right()), "application/json; charset=utf-16"),
        FaultKind::Bom => json(format!("\u{feff}{}", page.right())),
        FaultKind::UndeclaredLatin1 => {
            let declared = ["application/json; charset=utf-8", "application/json"];
            body(latin1(&page.right()), declared[which as usize % 2])
        }
        // The board itself is another now.
        FaultKind::Inserted | FaultKind::Removed => json(page.right()),
    }
}

fn later(status: StatusCode, faults: &Faults) -> Response {
    let when = if faults.retry_after_date {
        httpdate::fmt_http_date(SystemTime::now() + faults.retry_after)
    } else {
        faults.retry_after.as_millis().div_ceil(1000).to_string()
    };
    (status, [(RETRY_AFTER, when)], "Please slow down").into_response()
}
