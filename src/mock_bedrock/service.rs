//! One request: read, judged, described, answered, or mistreated as asked.

use super::answer::{Answer, Answers, Payload};
use super::aws_error::AwsError;
use super::beyond;
use super::content::{Account, Content, OnRequest, Pace, Wait};
use super::directive::{Directives, Framing, Place};
use super::peer;
use super::raw_answer;
use super::record::{Answered, Record, Seen};
use super::socket::{Ending, Orders};
use super::target;
use super::verify::{Presented, Verdict, Verifier};
use super::{clock, frames};
use arc_swap::ArcSwap;
use bytes::Bytes;
use http::header::{
    CONNECTION, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
};
use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use ring::digest;
use std::cell::Cell;
use std::fmt::Write;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};
use tokio::sync::Semaphore;

const MOCK_FIELD: &str = "x-amzn-bedrock-mock";

/// What all threads of a stand-in share.
pub struct Shared {
    /// `None`: everyone is let in.
    pub verifier: Option<Verifier>,
    /// In front of `/model/`.
    pub base_path: String,
    /// What was seen.
    pub record: Arc<Record>,
    /// For requests that ask for nothing else.
    pub directives: ArcSwap<Directives>,
    /// What gated streams wait for.
    pub gate: Arc<Semaphore>,
    /// Told of each answer that ended.
    pub on_request: Option<OnRequest>,
    /// How far its clock is ahead of this machine's.
    pub ahead_s: AtomicI64,
}

impl Shared {
    /// By its own clock.
    fn now(&self) -> SystemTime {
        let ahead_s = self.ahead_s.load(Ordering::Relaxed);
        let by = Duration::from_secs(ahead_s.unsigned_abs());
        if ahead_s < 0 { clock::now() - by } else { clock::now() + by }
    }
}

/// What one thread has.
pub struct Desk {
    /// With the other threads.
    pub shared: Arc<Shared>,
    /// Prepared.
    pub answers: Answers,
    /// State of the request ids' generator; not zero.
    pub random: Cell<u64>,
}

/// Why there is no answer: the connection is to end, or the client's content broke off.
#[derive(Debug)]
pub struct NoAnswer;

impl std::fmt::Display for NoAnswer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("no answer")
    }
}

impl std::error::Error for NoAnswer {}

/// A request's content, as far as anyone wants to know.
struct Received {
    bytes: u64,
    sha256: String,
}

/// Answers one request on `connection`.
pub async fn serve(
    desk: Rc<Desk>,
    connection: u64,
    orders: Rc<Orders>,
    request: Request<Incoming>,
) -> Result<Response<Content>, NoAnswer> {
    let (head, content) = request.into_parts();
    let asked = directives(&desk.shared, &head.headers);
    let early = asked.as_ref().is_ok_and(|asked| asked.early);
    let received = receive((!early).then_some(content)).await;
    let received = received.inspect_err(|_| desk.shared.record.content_broken())?;
    let verdict = judge(&desk.shared, &head, &received, early);
    let target = target::parse(head.uri.path(), &desk.shared.base_path);
    let mut account =
        open_account(&desk.shared, connection, &head, &received, &verdict, target.as_ref());
    let decided = verdict.and(asked).and_then(|asked| {
        let unknown = || AwsError::coral(404, "UnknownOperationException", "");
        let content = (received.bytes, received.sha256.as_str());
        let answer = match target.filter(|_| head.method == http::Method::POST) {
            Some((operation, id)) => desk.answers.answer(operation, &id, content, &asked),
            None => {
                let path = head.uri.path().strip_prefix(&desk.shared.base_path);
                let method = head.method.as_str();
                let answer = path.and_then(|path| beyond::answer(method, path, &head.headers));
                Ok(answer.ok_or_else(unknown)?)
            }
        };
        Ok((asked, answer))
    });
    let (asked, answer) = match decided {
        Ok((asked, answer)) => (asked, answer),
        Err(error) => (Arc::new(Directives::default()), Err(error)),
    };
    if asked.delay_ms > 0 {
        tokio::time::sleep(Duration::from_millis(asked.delay_ms)).await;
    }
    if let Some((Place::BeforeHead, ending)) = asked.cut {
        account.answered =
            if ending == Ending::Stall { Answered::ClientGone } else { Answered::Cut };
        if ending == Ending::Stall {
            std::future::pending::<()>().await; // dropped, with the account, when the client leaves
        }
        orders.end_when_sent(ending);
        return Err(NoAnswer);
    }
    let answer = answer.and_then(|answer| refused_on_request(&asked).map_or(Ok(answer), Err));
    let mut answer = answer.unwrap_or_else(|error| error_answer(&error, asked.retry_after));
    answer.fields.insert(HeaderName::from_static("x-amzn-requestid"), desk.request_id());
    if asked.framing != Framing::Close {
        answer.fields.insert(CONNECTION, HeaderValue::from_static("keep-alive")); // as Bedrock does
    }
    if let Some(status) = asked.interim {
        orders.send_before(raw_answer::interim(status));
    }
    account.status = answer.status;
    Ok(express(&desk, answer, &asked, account, orders))
}

/// What the request asks for: the owner's directives, amended by the request's field.
fn directives(shared: &Shared, fields: &HeaderMap) -> Result<Arc<Directives>, AwsError> {
    let default = shared.directives.load_full();
    let Some(field) = fields.get(MOCK_FIELD) else { return Ok(default) };
    let mut directives = Directives::clone(&default);
    let text = String::from_utf8_lossy(field.as_bytes());
    directives
        .amend(&text)
        .map_err(|error| AwsError::bedrock(400, "ValidationException", &error.to_string()))?;
    Ok(Arc::new(directives))
}

/// Reads content to its end, keeping only what is judged.
async fn receive(content: Option<Incoming>) -> Result<Received, NoAnswer> {
    let mut context = digest::Context::new(&digest::SHA256);
    let mut bytes = 0;
    if let Some(mut content) = content {
        while let Some(frame) = content.frame().await {
            if let Ok(data) = frame.map_err(|_| NoAnswer)?.into_data() {
                bytes += data.len() as u64;
                context.update(&data);
            }
        }
    }
    let mut sha256 = String::with_capacity(64);
    for byte in context.finish().as_ref() {
        // Writing to a String cannot fail.
        let _ = write!(sha256, "{byte:02x}");
    }
    Ok(Received { bytes, sha256 })
}

fn judge(
    shared: &Shared,
    head: &Parts,
    received: &Received,
    early: bool,
) -> Result<Verdict, AwsError> {
    let Some(verifier) = shared.verifier.as_ref().filter(|_| !early) else {
        return Ok(Verdict::Unchecked);
    };
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    let fields = &head.headers;
    let presented = Presented {
        method: head.method.as_str(),
        target,
        fields,
        content_sha256: &received.sha256,
    };
    verifier.verify(&presented, Some(shared.now()))
}

/// Counts the request, and describes it if anyone reads descriptions.
fn open_account(
    shared: &Shared,
    connection: u64,
    head: &Parts,
    received: &Received,
    verdict: &Result<Verdict, AwsError>,
    target: Option<&(target::Operation, String)>,
) -> Account {
    let record = Arc::clone(&shared.record);
    let ordinal = record.begun();
    if record.keeps_log() {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let verdict = match verdict {
            Ok(verdict) => verdict.clone(),
            Err(error) => Verdict::Refused(error.name.to_string(), error.message.clone()),
        };
        record.push(Seen {
            ordinal,
            connection,
            method: head.method.to_string(),
            operation: target.map(|(operation, _)| *operation),
            model_id: target.map(|(_, id)| id.clone()).unwrap_or_default(),
            raw_path: head.uri.path().to_owned(),
            raw_query: head.uri.query().map(str::to_owned),
            fields: head
                .headers
                .iter()
                .map(|(name, value)| (name.to_string(), text(value)))
                .collect(),
            content_sha256: received.sha256.clone(),
            content_length: received.bytes,
            verdict,
            anomalies: peer::anomalies(&head.method, &head.headers),
            status: 0,
            frames_sent: 0,
            answered: Answered::Pending,
        });
    }
    let on_request = shared.on_request.clone();
    Account {
        record,
        on_request,
        ordinal,
        status: 0,
        frames_sent: 0,
        answered: Answered::ClientGone,
    }
}

fn refused_on_request(asked: &Directives) -> Option<AwsError> {
    let mut error = AwsError::of_status(asked.status?);
    if let Some(name) = &asked.error_name {
        error.name = name.clone().into();
    }
    Some(error)
}

fn error_answer(error: &AwsError, retry_after: Option<u32>) -> Answer {
    let mut fields = HeaderMap::new();
    fields.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // A name from a directive may hold what a field must not; the error then goes without a type.
    if let Ok(value) = HeaderValue::from_str(&error.error_type()) {
        fields.insert(HeaderName::from_static("x-amzn-errortype"), value);
    }
    if let Some(seconds) = retry_after {
        fields.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    Answer { status: error.status, fields, payload: Payload::Whole(error.content().into()) }
}

/// Puts an answer into hyper's hands, or, where hyper would object, straight onto the wire.
fn express(
    desk: &Desk,
    answer: Answer,
    asked: &Directives,
    mut account: Account,
    orders: Rc<Orders>,
) -> Response<Content> {
    let afterwards = asked.cut.and_then(|(place, ending)| (place == Place::Idle).then_some(ending));
    if let Some((bytes, ending)) = raw_answer::render(&answer, asked, desk.shared.now()) {
        if ending == Some(Ending::Stall) {
            orders.send_instead(bytes, ending);
            return Response::new(Content::stream(Pace::stalled(), account, orders, None));
        }
        let lies = asked.framing != Framing::Close || asked.cut.is_some();
        account.answered = if lies { Answered::Cut } else { Answered::Finished };
        orders.send_instead(bytes, ending);
        return Response::new(Content::placeholder(account, orders));
    }
    let content = match answer.payload {
        Payload::Whole(bytes) => {
            Content::whole(bytes, asked.framing == Framing::Chunked, account, orders, afterwards)
        }
        Payload::Stream(frames) => {
            Content::stream(pace(desk, frames, asked), account, orders, afterwards)
        }
    };
    let mut response = Response::new(content);
    *response.status_mut() =
        StatusCode::from_u16(answer.status).expect("directives allow only valid statuses");
    *response.headers_mut() = answer.fields;
    if desk.shared.ahead_s.load(Ordering::Relaxed) != 0 {
        let date = httpdate::fmt_http_date(desk.shared.now());
        let date = HeaderValue::from_str(&date).expect("a date is visible ASCII");
        response.headers_mut().insert(DATE, date); // in the place of hyper's
    }
    response
}

fn pace(desk: &Desk, frames: Rc<[Bytes]>, asked: &Directives) -> Pace {
    let spoilt =
        asked.exception.is_some() || asked.bad_crc.is_some() || asked.bad_prelude.is_some();
    let mut frames = frames;
    if spoilt {
        let mut copies = frames.to_vec();
        frames::spoil(&mut copies, asked);
        frames = copies.into();
    }
    let cut = match asked.cut {
        Some((Place::AfterFrames(count), ending)) => Some((count, ending)),
        Some((Place::InContent, ending)) => {
            let middle = frames.len() / 2;
            let mut copies = frames[..=middle].to_vec();
            let half = copies[middle].len() / 2;
            copies[middle].truncate(half);
            frames = copies.into();
            Some((frames.len(), ending))
        }
        _ => None,
    };
    Pace {
        frames,
        per_write: asked.frames_per_write,
        first_gap: Duration::from_millis(asked.first_frame_gap_ms),
        gap: Duration::from_millis(asked.frame_gap_ms),
        gate: asked.gate.then(|| Arc::clone(&desk.shared.gate)),
        cut,
        sent: 0,
        wait: Wait::Fresh,
    }
}

impl Desk {
    /// A request id in the form of a random UUID (xorshift64: unique enough, and cheap).
    fn request_id(&self) -> HeaderValue {
        let next = || {
            let mut state = self.random.get();
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            self.random.set(state);
            state
        };
        let (high, low) = (next(), next());
        let id = format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            high >> 16 & 0xffff,
            high & 0xfff,
            low >> 48 & 0x3fff | 0x8000,
            low & 0xffff_ffff_ffff
        );
        HeaderValue::try_from(id).expect("hexadecimal digits and hyphens are visible ASCII")
    }
}
