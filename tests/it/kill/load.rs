//! Load from several clients at once, as fast as they can, and what each knows afterwards of what it asked.
//!
//! Every request has an id of its own, in the field that the store keeps and in one that AWS sees.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use crate::{
    http::{Client, End, request},
    proxy::BEARER,
};

/// Clients at once, each with one connection at a time.
pub const CLIENTS: u32 = 8;
const ACTIONS: [&str; 4] = ["invoke", "converse", "invoke-with-response-stream", "converse-stream"];

/// What is to become of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fate {
    /// It is answered.
    Answered,
    /// With a 429.
    Throttled,
    /// By a stream that holds an exception in its middle.
    Exception,
    /// By a stream with a broken frame.
    Corrupt,
    /// Upstream closes instead.
    Unanswered,
    /// Its client leaves within the stream.
    Abandoned,
}

/// A request that was sent, or begun to be.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Its id.
    pub id: String,
    /// What was to become of it.
    pub fate: Fate,
    /// What the stand-in counts: input (a token for each 4 bytes), output (one for each text delta), cache reads.
    pub tokens: [u64; 3],
    /// Its client has the answer, whole.
    pub has_answer: bool,
    /// Its client had an answer to a later one: the proxy had got to its end.
    pub is_followed: bool,
}

/// Clients at work.
pub struct Load {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Vec<Asked>>>,
}

impl Load {
    /// Begins. `run` makes ids that no other run has.
    pub fn start(address: SocketAddr, run: u32, seed: u64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let client = |number| {
            let (stop, random) = (stop.clone(), fastrand::Rng::with_seed(seed + u64::from(number)));
            std::thread::spawn(move || work(address, (run, number), random, &stop))
        };
        let clients = (0..CLIENTS).map(client).collect();
        Self { stop, clients }
    }

    /// When no client can connect any more, or now, with the requests that are under way.
    pub fn end(self) -> Vec<Asked> {
        self.stop.store(true, Ordering::Relaxed);
        let ended = |client: JoinHandle<_>| client.join().expect("what a client checks holds");
        self.clients.into_iter().flat_map(ended).collect()
    }
}

fn work(
    address: SocketAddr,
    (run, number): (u32, u32),
    mut random: fastrand::Rng,
    stop: &AtomicBool,
) -> Vec<Asked> {
    let mut all: Vec<Asked> = Vec::new();
    let mut connection = None;
    while !stop.load(Ordering::Relaxed) {
        let Some(mut client) = connection.take().or_else(|| Client::try_connect(address)) else {
            break;
        };
        // A UUID by its form, so that nothing of it is cut.
        let id = format!("{run:08x}-{number:04x}-4000-8000-{:012x}", all.len());
        let (mut asked, bytes) = prepare(id, &mut random);
        let came = ask(&mut client, &bytes, asked.fate);
        asked.has_answer = came == Came::Whole;
        if came != Came::Nothing {
            // All before the last one are marked already, or went to a process that was ending.
            all.iter_mut()
                .rev()
                .take_while(|it| !it.is_followed)
                .for_each(|it| it.is_followed = true);
        }
        let is_open = asked.has_answer && asked.fate != Fate::Unanswered;
        if asked.fate == Fate::Abandoned && random.bool() {
            client.reset();
        } else if is_open {
            connection = Some(client);
        }
        all.push(asked);
    }
    all
}

fn prepare(id: String, random: &mut fastrand::Rng) -> (Asked, Vec<u8>) {
    let fate = match random.u8(0..100) {
        0..10 => Fate::Throttled,
        10..15 => Fate::Exception,
        15..20 => Fate::Corrupt,
        20..24 => Fate::Unanswered,
        24..30 => Fate::Abandoned,
        _ => Fate::Answered,
    };
    let needs_stream = matches!(fate, Fate::Exception | Fate::Corrupt | Fate::Abandoned);
    let action = ACTIONS[random.usize(if needs_stream { 2..4 } else { 0..4 })];
    let content = vec![b'x'; random.usize(1..3000)];
    let (output, cache_read) = (random.u64(1..9), [0, 100][random.usize(0..2)]);
    let directives = match fate {
        Fate::Answered => format!("frames={output}; cache_read={cache_read}"),
        Fate::Throttled => "throttle".to_owned(),
        Fate::Exception => "frames=6; exception=mid".to_owned(),
        Fate::Corrupt => "frames=6; bad_crc=3".to_owned(),
        Fate::Unanswered => "close=before_head".to_owned(),
        Fate::Abandoned => "frames=30; frame_gap_ms=1".to_owned(),
    };
    let line = format!("POST /bedrock/model/claude/{action} HTTP/1.1");
    let fields = format!(
        "{BEARER}X-Litellm-Call-Id: {id}\r\nX-Amzn-Bedrock-Tag: {id}\r\n\
         X-Amzn-Bedrock-Mock: {directives}\r\n"
    );
    let bytes = request(&line, &fields, &content);
    let tokens = [(content.len() as u64).div_ceil(4), output, cache_read];
    (Asked { id, fate, tokens, has_answer: false, is_followed: false }, bytes)
}

/// How much of an answer came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Came {
    Nothing,
    Part,
    Whole,
}

/// If some of an answer comes, it is the right one.
fn ask(client: &mut Client, bytes: &[u8], fate: Fate) -> Came {
    if !client.try_send(bytes) {
        return Came::Nothing;
    }
    let Some(head) = client.head() else { return Came::Nothing };
    let status = match fate {
        Fate::Throttled => 429,
        Fate::Unanswered => 502,
        _ => 200,
    };
    assert_eq!(head.status, status, "{fate:?}: {head:?}");
    if fate == Fate::Abandoned {
        let _ = client.chunk();
        return Came::Part;
    }
    let is_whole = client.content(&head, &mut Vec::new()) == End::Clean;
    assert!(!is_whole || fate != Fate::Corrupt, "a broken stream ended as a whole one");
    if is_whole { Came::Whole } else { Came::Part }
}
