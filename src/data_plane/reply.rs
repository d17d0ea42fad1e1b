//! What Outcrop answers itself: pages, and faults in AWS's shape.

use std::time::{Duration, UNIX_EPOCH};

use crate::{
    bedrock::{fault::Fault, operation::Page},
    boundary::{errand, snapshot::Pages},
    data_plane::{answer::Tried, intake::CallId},
    units::UnixSeconds,
    wire::http1::emit,
};

/// What every answer of ours depends on.
#[derive(Clone, Copy)]
pub struct Frame<'a> {
    /// Echoed to the client.
    pub call_id: &'a CallId,
    /// Whether the client may send another request on this connection.
    pub keeps_alive: bool,
    /// `HEAD`: all but the content.
    pub is_head: bool,
    /// For the `date` field: JS SDKs compute their clock's skew from it.
    pub now: UnixSeconds,
    /// What was tried of it.
    pub tried: Option<Tried>,
}

/// Appends the answer to a request that failed.
pub fn write_fault(fault: Fault, frame: &Frame<'_>, out: &mut Vec<u8>) {
    emit::status_line(out, fault.status(), emit::reason_phrase(fault.status()));
    emit::field(out, "x-amzn-errortype", fault.error_type().as_bytes());
    if let Fault::MethodNotAllowed { allow } = fault {
        emit::field(out, "allow", allow.as_bytes());
    }
    if let Some(ms) = fault.retry_after_ms() {
        // Whole seconds, rounded up; botocore reads AWS's own field, in milliseconds.
        emit::number_field(out, "retry-after", ms.div_ceil(1000).max(1));
        emit::number_field(out, "x-amz-retry-after", ms);
    }
    if let Some(tried) = frame.tried {
        tried.write(out);
    }
    let (before, after) = (&b"{\"message\":\""[..], &b"\"}"[..]);
    let message = fault.message().as_bytes();
    emit::field(out, "content-type", b"application/json");
    write_end(frame, before.len() + message.len() + after.len(), out);
    if !frame.is_head {
        out.extend_from_slice(before);
        out.extend_from_slice(message);
        out.extend_from_slice(after);
    }
}

/// Appends a page; its status.
pub fn write_page(
    page: Page,
    pages: &Pages,
    is_draining: bool,
    frame: &Frame<'_>,
    out: &mut Vec<u8>,
) -> u16 {
    if page == Page::Readiness && is_draining {
        write_fault(Fault::ShuttingDown, frame, out);
        return Fault::ShuttingDown.status();
    }
    let ready = pages.ready.load();
    let content: &[u8] = match page {
        Page::Liveliness => &pages.alive,
        Page::Readiness => &ready,
        Page::Models => &pages.models,
    };
    emit::status_line(out, 200, emit::reason_phrase(200));
    emit::field(out, "content-type", b"application/json");
    write_end(frame, content.len(), out);
    if !frame.is_head {
        out.extend_from_slice(content);
    }
    200
}

/// Appends the head of a page that the control plane made.
pub fn write_admin_head(page: &errand::Page, frame: &Frame<'_>, out: &mut Vec<u8>) {
    emit::status_line(out, page.status, emit::reason_phrase(page.status));
    if let Some(error_type) = &page.error_type {
        emit::field(out, "x-amzn-errortype", error_type.as_bytes());
    }
    emit::field(out, "content-type", page.content_type.as_bytes());
    write_end(frame, page.content.len(), out);
}

/// The fields that all answers of ours have, and the blank line.
fn write_end(frame: &Frame<'_>, content_length: usize, out: &mut Vec<u8>) {
    emit::number_field(out, "content-length", content_length as u64);
    write_date(frame.now, out);
    emit::field(out, "x-amzn-requestid", frame.call_id.as_bytes());
    emit::field(out, "x-litellm-call-id", frame.call_id.as_bytes());
    emit::field(out, "connection", if frame.keeps_alive { b"keep-alive" } else { b"close" });
    out.extend_from_slice(b"\r\n");
}

/// Appends the `date` field.
pub fn write_date(now: UnixSeconds, out: &mut Vec<u8>) {
    let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(now.0));
    emit::field(out, "date", date.as_bytes());
}
