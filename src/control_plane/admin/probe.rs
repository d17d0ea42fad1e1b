//! One call of one token to a deployment, through this proxy's own port: what a client would see of it, signed,
//! accounted for and counted as any other request is.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{
    bedrock::{fault::ErrorName, operation::Action},
    limits::{PROBE_ANSWER_BYTES_MAX, PROBE_CALL_MS_MAX},
    net::clock,
    policy::standing::StandingView,
    secret::Secret,
    wire::{
        http1::head::{FieldStorage, parse_answer},
        percent,
    },
};

/// What a probe found.
pub(super) struct Probed {
    /// The deployment answers.
    pub(super) is_good: bool,
    /// For the page.
    pub(super) described: Value,
}

impl Probed {
    /// There is no model to ask: how it stands by the requests that it has had.
    pub(super) fn of_no_model(view: &StandingView) -> Self {
        let described = json!({"skipped": "it is for no model of its own"});
        Self { is_good: view.is_healthy(), described }
    }

    /// No answer in time.
    pub(super) fn lost() -> Self {
        Self { is_good: false, described: json!({"error": "no answer in time"}) }
    }
}

/// Asks the deployment that is called `id`, and asks AWS for the model `asked`, once.
pub(super) async fn probe(
    proxy: SocketAddr,
    key: Option<&Secret>,
    (id, asked): (&str, &str),
) -> Probed {
    let began = clock::now();
    let limit = Duration::from_millis(PROBE_CALL_MS_MAX);
    let asked = timeout(limit, ask(proxy, &request(key, id, asked))).await;
    let ms = clock::now().saturating_duration_since(began).as_millis();
    let (status, error) = match asked {
        Ok(Ok(answered)) => answered,
        Ok(Err(error)) => {
            let described = json!({"error": format!("this proxy's own port: {error}")});
            return Probed { is_good: false, described };
        }
        Err(_elapsed) => return Probed::lost(),
    };
    // A model that takes no such question says so only after AWS has let us in to it.
    let is_good = matches!(status, 200 | 400);
    let ms = u64::try_from(ms).unwrap_or(u64::MAX);
    Probed { is_good, described: json!({"status": status, "error": error, "ms": ms}) }
}

/// Converse, or an embedding where the model's name says that it makes those.
fn request(key: Option<&Secret>, id: &str, asked: &str) -> Vec<u8> {
    let (action, content) = match (asked.contains("embed"), asked.contains("cohere")) {
        (true, true) => (Action::Invoke, json!({"texts": ["hi"], "input_type": "search_query"})),
        (true, false) => (Action::Invoke, json!({"inputText": "hi"})),
        (false, _) => {
            let messages = json!([{"role": "user", "content": [{"text": "hi"}]}]);
            let content = json!({"messages": messages, "inferenceConfig": {"maxTokens": 1}});
            (Action::Converse, content)
        }
    };
    let mut name = Vec::new();
    percent::encode_segment(id.as_bytes(), &mut name);
    let (name, content) = (String::from_utf8_lossy(&name), content.to_string());
    let key = key.map(|key| format!("authorization: Bearer {}\r\n", key.expose()));
    let head = format!(
        "POST /bedrock/model/{name}/{} HTTP/1.1\r\nhost: probe\r\nx-litellm-num-retries: 0\r\n\
         content-type: application/json\r\nconnection: close\r\n{}content-length: {}\r\n\r\n",
        action.segment(),
        key.unwrap_or_default(),
        content.len(),
    );
    (head + &content).into_bytes()
}

/// The answer's status, and its error's name.
async fn ask(proxy: SocketAddr, request: &[u8]) -> std::io::Result<(u16, Option<String>)> {
    let mut stream = TcpStream::connect(reachable(proxy)).await?;
    stream.write_all(request).await?;
    let mut answer = Vec::new();
    stream.take(PROBE_ANSWER_BYTES_MAX).read_to_end(&mut answer).await?;
    let mut storage = FieldStorage::new();
    match parse_answer(&answer, &mut storage) {
        Ok(Some(head)) => {
            let error = head.fields.get("x-amzn-errortype").map(ErrorName::of);
            Ok((head.status, error.map(|error| error.text().to_owned())))
        }
        _ => Err(std::io::Error::other("it does not answer in HTTP")),
    }
}

/// A proxy that listens everywhere is reached at this machine.
fn reachable(listening: SocketAddr) -> SocketAddr {
    let ip = match listening.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listening.port())
}
