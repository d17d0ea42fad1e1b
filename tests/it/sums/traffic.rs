//! Not a test: requests of every kind, to deployments of every family, with markers wherever a client can
//! put something.

use std::net::SocketAddr;

use outcrop::mock_bedrock::{RawStep, RawUpstream};
use serde_json::Value;

use crate::http::{Client, End, request};
use crate::proxy::{BEARER, Deployment, MODEL};
use crate::running::{free_port, within};

/// What clients sent, and nobody may write down.
pub const MARKERS: [&str; 6] = [
    "marker-of-content",
    "marker-of-query",
    "marker-of-agent",
    "marker-of-field",
    "sk-marker-of-key",
    "marker-of-model",
];
/// A word of all answers.
pub const ANSWERED: &str = "na\u{ef}ve";

/// Groups of one deployment each, besides `claude`, which has two.
const MODELS: [(&str, &str); 12] = [
    ("nova", "amazon.nova-lite-v1:0"),
    ("llama", "meta.llama3-1-8b-instruct-v1:0"),
    ("titan", "amazon.titan-text-lite-v1"),
    ("titan-embed", "amazon.titan-embed-text-v2:0"),
    ("cohere-embed", "cohere.embed-english-v3"),
    ("command", "cohere.command-r-v1:0"),
    ("mistral", "mistral.mistral-large-2402-v1:0"),
    ("jamba", "ai21.jamba-1-5-mini-v1:0"),
    ("r1", "us.deepseek.r1-v1:0"),
    ("oss", "openai.gpt-oss-20b-1:0"),
    ("unlisted", "anthropic.claude-unlisted-v9:0"),
    ("sonnet", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
];
const PROFILE: &str =
    "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3d4e5f6";
const ACTIONS: [&str; 4] = ["invoke", "converse", "invoke-with-response-stream", "converse-stream"];

/// Faults, and the actions that they suit. None closes an idle connection: what is sent to one may arrive or
/// not, and here all that is sent is counted where it arrives.
const FAULTS: [(&str, &[&str]); 13] = [
    ("throttle", &ACTIONS),
    ("status=400", &ACTIONS),
    ("status=500; type=InternalServerException", &ACTIONS),
    ("exception=first", &["invoke-with-response-stream", "converse-stream"]),
    (
        "exception=mid:modelStreamErrorException",
        &["invoke-with-response-stream", "converse-stream"],
    ),
    ("bad_crc=3", &["invoke-with-response-stream", "converse-stream"]),
    ("bad_prelude=6", &["invoke-with-response-stream", "converse-stream"]),
    ("close=in_content", &ACTIONS),
    ("reset=after_frames:4", &["invoke-with-response-stream", "converse-stream"]),
    ("close=before_head", &ACTIONS),
    ("reset=in_head", &["invoke", "converse"]),
    ("short_content=1", &["invoke", "converse"]),
    ("framing=close", &["invoke", "converse"]),
];

/// Requests in a round: each kind once.
pub const KINDS: usize = 2 * (MODELS.len() + 2) + FAULTS.len() + 8;

pub fn deployments(stand_in: SocketAddr, stale: SocketAddr) -> Vec<Deployment> {
    let to = || Deployment::to(stand_in);
    let own = to()
        .with_id("own-prices")
        .param("input_cost_per_token", "3.000001e-06")
        .param("output_cost_per_token", "0.000015000007")
        .param("cache_read_input_token_cost", "3e-07")
        .param("cache_creation_input_token_cost", "3.75e-06");
    let mut all = vec![
        to().with_id("list-prices"),
        own,
        to().named("profile").of(&format!("bedrock/{PROFILE}")).info("base_model", MODEL),
        Deployment::plain(stale).named("stale"),
        Deployment::plain(([127, 0, 0, 1], free_port()).into()).named("nobody"),
    ];
    all.extend(MODELS.map(|(name, model)| to().named(name).of(&format!("bedrock/{model}"))));
    all
}

/// An upstream whose connections answer once: each request that meets an old one is sent again.
pub fn stale_upstream() -> RawUpstream {
    use RawStep::{Close, ReadRequest, Write};
    let content = r#"{"usage":{"input_tokens":17,"output_tokens":5}}"#;
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length:";
    let answer = format!("{head} {}\r\n\r\n{content}", content.len()).into_bytes();
    RawUpstream::start(None, vec![ReadRequest, Write(answer), ReadRequest, Close])
        .expect("an upstream")
}

/// How many requests were sent, and how many of them AWS must have seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Expected {
    pub sent: usize,
    pub reached: usize,
}

impl Expected {
    const SEEN: Self = Self { sent: 1, reached: 1 };
    const UNSEEN: Self = Self { sent: 1, reached: 0 };

    pub fn plus(self, other: Self) -> Self {
        Self { sent: self.sent + other.sent, reached: self.reached + other.reached }
    }
}

/// Sends to a proxy.
#[derive(Clone, Copy)]
pub struct Run {
    pub address: SocketAddr,
}

impl Run {
    /// The request of this number: its kind goes round.
    pub fn send(&self, ordinal: usize) -> Expected {
        let (kind, round) = (ordinal % KINDS, ordinal / KINDS);
        let whole = 2 * (MODELS.len() + 2);
        match kind {
            kind if kind < whole => self.send_whole(kind / 2, (kind % 2 + 2 * round) % 4, ordinal),
            kind if kind < whole + FAULTS.len() => {
                let (fault, actions) = FAULTS[kind - whole];
                let group = ["claude", "nova", "llama"][round % 3];
                self.ask(group, actions[round % actions.len()], &format!("frames=9; {fault}"));
                Expected::SEEN
            }
            kind => self.send_odd(kind - whole - FAULTS.len()),
        }
    }

    /// An answer that comes whole, unless the model does not know the action: then AWS's own error does.
    fn send_whole(&self, model: usize, action: usize, ordinal: usize) -> Expected {
        let group = MODELS.get(model).map_or(["claude", "profile"][model % 2], |it| it.0);
        let (frames, cached) = (1 + ordinal % 19, ordinal % 3);
        let directives =
            format!("frames={frames}; cache_read={}; cache_write={}", cached * 7, cached * 11);
        let end = self.ask(group, ACTIONS[action], &directives);
        assert_eq!(end, End::Clean, "{group} {}", ACTIONS[action]);
        Expected::SEEN
    }

    fn send_odd(&self, kind: usize) -> Expected {
        match kind {
            0 | 1 => self.leave([drop, Client::reset][kind]),
            2 | 3 => {
                self.ask("stale", "invoke", "");
                Expected::SEEN
            }
            4 => {
                self.ask("nobody", "invoke", "");
                Expected::UNSEEN
            }
            5 => {
                self.ask("marker-of-model", "converse", "");
                Expected::UNSEEN
            }
            6 => {
                let line = "POST /bedrock/model/claude/invoke?q=marker-of-query HTTP/1.1";
                let key = "Authorization: Bearer sk-marker-of-key\r\n";
                let answer = self.connect().ask(request(line, key, b"marker-of-content"));
                assert_eq!(answer.head.status, 403);
                Expected::UNSEEN
            }
            _ => {
                let answer = self.connect().ask("marker-of-content\r\nmarker-of-field\r\n\r\n");
                assert_eq!(answer.head.status, 400);
                Expected::UNSEEN
            }
        }
    }

    /// In the middle of a stream that has a long way to go.
    fn leave(&self, way: fn(Client)) -> Expected {
        let mut client = self.connect();
        let directives = "frames=20000; frame_gap_ms=1";
        client.send(bytes("claude", "invoke-with-response-stream", directives));
        client.head().expect("a head");
        client.chunk().expect("a first part");
        way(client);
        Expected::SEEN
    }

    fn ask(&self, group: &str, action: &str, directives: &str) -> End {
        self.connect().ask(bytes(group, action, directives)).end
    }

    fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    /// A page.
    pub fn get(&self, target: &str) -> String {
        let ask = format!("GET {target} HTTP/1.1\r\nHost: x\r\n{BEARER}\r\n");
        let answer = self.connect().ask(ask);
        assert_eq!(answer.head.status, 200, "{}", answer.content.escape_ascii());
        String::from_utf8(answer.content).expect("UTF-8")
    }

    /// So many rows, once all requests have ended.
    pub fn rows(&self, count: usize) -> Vec<Value> {
        let mut rows: Vec<Value> = Vec::new();
        within(|| {
            let text = self.get("/spend/logs?limit=10000");
            rows = serde_json::from_str(&text).expect("rows");
            rows.len() >= count
        });
        assert_eq!(rows.len(), count);
        rows
    }
}

fn bytes(group: &str, action: &str, directives: &str) -> Vec<u8> {
    let line = format!("POST /bedrock/model/{group}/{action}?q=marker-of-query HTTP/1.1");
    let fields = format!(
        "{BEARER}User-Agent: marker-of-agent\r\nX-Amzn-Bedrock-Marker: marker-of-field\r\n\
         X-Amzn-Bedrock-Mock: {directives}\r\n"
    );
    request(&line, &fields, b"{\"prompt\": \"marker-of-content\"}")
}
