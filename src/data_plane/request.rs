//! A request on its way in: its head until it is whole and judged, then its content, hashed as it comes.

use std::{
    pin::pin,
    time::{Duration, Instant},
};

use memchr::memchr;
use ring::digest::{Context, SHA256};

use crate::{
    bedrock::fault::Fault,
    boundary::snapshot::Snapshot,
    buffer::Buffer,
    data_plane::{
        connection::Client,
        intake::{self, Intake},
        place::Place,
        scratch::Scratch,
        worker::Worker,
    },
    limits::{
        CLIENT_STALL_MS_MAX, CONTENT_BYTES_PER_S_MIN, CONTENT_GRACE_MS, CONTENT_IDLE_MS_MAX,
        CONTENT_RESERVE_BYTES_MAX, FLOW_BUFFER_BYTES, HEAD_BYTES_MAX, HEAD_MS_MAX,
        IDLE_BUFFER_BYTES, UNREAD_CONTENT_BYTES_MAX, UNREAD_CONTENT_MS_MAX,
    },
    net::{
        clock,
        runtime::{timeout, timeout_at},
    },
    wire::http1::{
        content::ContentReader,
        framing::Framing,
        head::{FieldStorage, parse_request},
    },
};

/// Why an exchange ends early.
pub enum Early {
    /// The client is told.
    Fault(Fault),
    /// There is nobody to tell.
    Gone,
}

impl From<Fault> for Early {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Receives until a head is whole, and judges it.
pub async fn read_head(
    client: &Client<'_>,
    worker: &Worker,
    snapshot: &Snapshot,
    scratch: &mut Scratch,
) -> Result<Intake, Early> {
    let mut deadline: Option<Instant> = None;
    let mut looked_at = 0;
    loop {
        let judged = client.inbox.with(|bytes| {
            if !is_worth_parsing(bytes, looked_at) {
                return Ok(None);
            }
            looked_at = bytes.len();
            let mut storage = FieldStorage::new();
            let head = match parse_request(bytes, &mut storage) {
                Ok(Some(head)) => head,
                Ok(None) => return Ok(None),
                Err(error) => return Err(intake::fault_of(&error)),
            };
            let Scratch { name, forwarded, unverified, .. } = &mut *scratch;
            let room = (name, forwarded, unverified);
            let intake = intake::judge(&head, snapshot, worker.birth(), room)?;
            Ok(Some((intake, head.length)))
        });
        if let Some((mut intake, length)) = judged? {
            client.inbox.consume(length);
            intake.version = client.version(intake.version);
            return Ok(intake);
        }
        let deadline =
            *deadline.get_or_insert_with(|| clock::now() + Duration::from_millis(HEAD_MS_MAX));
        match timeout_at(deadline, pin!(client.inbox.receive(IDLE_BUFFER_BYTES))).await {
            Ok(Ok(())) => {}
            Ok(Err(_gone)) => return Err(Early::Gone),
            Err(_elapsed) => return Err(Fault::RequestTimeout.into()),
        }
    }
}

/// Whether a head of which `looked_at` bytes were parsed in vain may be whole by now. Parsing it anew for
/// each byte that drips in would cost its sender nothing and us the square of its length.
fn is_worth_parsing(bytes: &[u8], looked_at: usize) -> bool {
    bytes.len() >= 2 * looked_at
        || bytes.len() >= HEAD_BYTES_MAX
        || memchr(b'\n', &bytes[looked_at..]).is_some()
}

/// Receives content whole, hashing it as it comes.
pub async fn read_content(
    (client, place): (&Client<'_>, &Place<'_>),
    worker: &Worker,
    snapshot: &Snapshot,
    intake: &Intake,
    scratch: &mut Scratch,
) -> Result<[u8; 32], Early> {
    let mut reader = ContentReader::new(intake.framing);
    let mut hash = Context::new(&SHA256);
    let mut small: Option<Buffer> = None;
    let mut owes_continue = intake.expects_continue && client.inbox.is_empty();
    let content = &mut scratch.content;
    content.clear();
    let began = clock::now();
    // All that it says it will be, before the first byte is taken.
    let said = reader.remaining().unwrap_or(0);
    if said <= intake.content_bytes_max(snapshot) && place.hold(said, &snapshot.bounds).is_err() {
        return Err(Fault::Overloaded.into());
    }
    content.reserve(
        reader.remaining().map_or(0, |length| {
            usize::try_from(length).unwrap_or(0).min(CONTENT_RESERVE_BYTES_MAX)
        }),
    );
    let result = loop {
        let consumed =
            client.inbox.with(|bytes| take_content(&mut reader, bytes, &mut hash, content));
        match consumed {
            Ok(consumed) => client.inbox.consume(consumed),
            Err(fault) => break Err(fault.into()),
        }
        if content.len() as u64 > intake.content_bytes_max(snapshot) {
            break Err(Fault::ContentTooLarge.into());
        }
        if place.hold(content.len() as u64, &snapshot.bounds).is_err() {
            break Err(Fault::Overloaded.into());
        }
        if reader.is_done() {
            break Ok(());
        }
        if is_too_slow(began, content.len()) {
            break Err(Fault::RequestTimeout.into());
        }
        if std::mem::take(&mut owes_continue) {
            scratch.out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
            let stall = Duration::from_millis(CLIENT_STALL_MS_MAX);
            if client.send(&mut scratch.out, 0, stall).await.is_err() {
                break Err(Early::Gone);
            }
            scratch.out.clear();
        }
        if small.is_none() && reader.remaining().is_none_or(|left| left > IDLE_BUFFER_BYTES as u64)
        {
            small = client.inbox.replace_buffer(worker.spares.take_buffer());
        }
        match timeout(
            Duration::from_millis(CONTENT_IDLE_MS_MAX),
            pin!(client.inbox.receive(FLOW_BUFFER_BYTES / 2)),
        )
        .await
        {
            Ok(Ok(())) => {}
            Ok(Err(_gone)) => break Err(Early::Gone),
            Err(_elapsed) => break Err(Fault::RequestTimeout.into()),
        }
    };
    if let Some(large) = small.and_then(|mut small| {
        small.clear();
        client.inbox.replace_buffer(small)
    }) {
        worker.spares.give_buffer(large);
    }
    result?;
    Ok(hash.finish().as_ref().try_into().expect("SHA-256 has 32 bytes"))
}

/// Each pause may be short enough, and all of them too long.
fn is_too_slow(began: Instant, received: usize) -> bool {
    let passed = clock::now().saturating_duration_since(began);
    let granted_s = received as u64 / CONTENT_BYTES_PER_S_MIN;
    passed > Duration::from_millis(CONTENT_GRACE_MS) + Duration::from_secs(granted_s)
}

fn take_content(
    reader: &mut ContentReader,
    bytes: &[u8],
    hash: &mut Context,
    content: &mut Vec<u8>,
) -> Result<usize, Fault> {
    let mut consumed = 0;
    while consumed < bytes.len() && !reader.is_done() {
        let rest = &bytes[consumed..];
        let step = reader.step(rest).map_err(|error| Fault::BadRequest(error.0))?;
        let data = &rest[step.data];
        hash.update(data);
        content.extend_from_slice(data);
        consumed += step.consumed;
    }
    Ok(consumed)
}

/// Reads and drops content that nobody wants, so that it is never taken for the next request. False if
/// there is too much of it, or it does not come.
pub async fn discard_content(client: &Client<'_>, framing: Framing) -> bool {
    let mut reader = ContentReader::new(framing);
    if reader.remaining().is_some_and(|length| length > UNREAD_CONTENT_BYTES_MAX as u64) {
        return false;
    }
    let deadline = clock::now() + Duration::from_millis(UNREAD_CONTENT_MS_MAX);
    let mut seen = 0;
    while !reader.is_done() {
        if client.inbox.is_empty()
            && !matches!(
                timeout_at(deadline, pin!(client.inbox.receive(IDLE_BUFFER_BYTES))).await,
                Ok(Ok(()))
            )
        {
            return false;
        }
        let step = client.inbox.with(|bytes| reader.step(bytes));
        let Ok(step) = step else { return false };
        client.inbox.consume(step.consumed);
        seen += step.consumed;
        if seen > UNREAD_CONTENT_BYTES_MAX {
            return false;
        }
    }
    true
}
