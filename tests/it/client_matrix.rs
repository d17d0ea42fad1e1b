//! Every client by every operation by every way to fail: what it reports through the proxy is what it reports
//! without. It makes the tables of docs/clients.md.
//!
//! Each driver of `clients/matrix/` runs twice: at a stand-in, which answers as AWS does, and at the proxy in front
//! of another. All that a program can read off its client is compared: class, code, message, status, how
//! many events came before. What must differ, since the key is ours, is expected word by word.

mod page;
mod software;

use std::io::Write as _;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use outcrop::{
    control_plane::config::DriverChoice,
    mock_bedrock::{Options, StandIn, Verdict},
    policy::auth::ClientCredential,
};
use serde_json::{Value, json};

use crate::client_operations::passthrough_to;
use crate::proxy::{Deployment, KEY, MODEL, ONE_ATTEMPT, Proxy};
use software::{CLIENTS, Client};

/// As many clients run at once.
const LANES: usize = 2;
/// What the stand-ins take for a Bedrock API key.
const API_KEY: &str = "bedrock-api-key-of-the-stand-in";

/// A way to be answered.
struct Case {
    name: &'static str,
    /// In the document.
    title: &'static str,
    /// For the stand-in.
    directive: &'static str,
    only_streams: bool,
}

const CASES: [Case; 7] = [
    Case { name: "ok", title: "ok", directive: "", only_streams: false },
    Case { name: "wrong_key", title: "wrong key", directive: "", only_streams: false },
    Case { name: "throttled", title: "throttled", directive: "throttle", only_streams: false },
    Case { name: "refused", title: "upstream 400", directive: "status=400", only_streams: false },
    Case {
        name: "exception_first",
        title: "exception first",
        directive: "exception=first:throttlingException",
        only_streams: true,
    },
    Case {
        name: "exception_mid",
        title: "exception mid",
        directive: "exception=mid:internalServerException",
        only_streams: true,
    },
    Case { name: "cut", title: "cut", directive: "close=in_content", only_streams: false },
];

/// What AWS says to a wrong access key id and to a wrong token; and what we say to either.
const AWS_WORDS: [&str; 2] = [
    "The security token included in the request is invalid.",
    "Authentication failed: Please make sure your API Key is valid.",
];
const OUR_WORDS: &str = "The key sent with the request is not valid for this proxy.";

/// What Node says of a stream that ended in RST_STREAM; of a connection that closed it says "aborted".
const CUT_OVER_HTTP2: &str = "Stream closed with error code NGHTTP2_INTERNAL_ERROR";

/// Who takes half an answer for a whole one, at AWS as here: it looks for a key that may be absent in what
/// botocore made of broken JSON.
const UNNOTICED: [(&str, &str, &str); 1] = [("langchain-aws", "rerank", "cut")];

/// One side of the comparison.
struct Side {
    stand_in: StandIn,
    url: String,
    /// Access key id, secret, token.
    right: [String; 3],
}

#[test]
fn every_client_reports_what_it_reports_against_aws() {
    let direct = stand_in();
    let (_proxy, proxied) = behind_a_proxy();
    let direct = Side {
        url: format!("http://{}", direct.address()),
        right: ["AKIAOUTCROPSTANDIN00", "outcrop-stand-in-secret", API_KEY].map(str::to_owned),
        stand_in: direct,
    };
    let next = AtomicUsize::new(0);
    let lane = || {
        let mut reports = Vec::new();
        while let Some(client) = CLIENTS.get(next.fetch_add(1, Ordering::Relaxed)) {
            reports.extend(compare(client, &direct, &proxied).map(|report| (client, report)));
        }
        reports
    };
    let reports: Vec<_> = thread::scope(|scope| {
        let lanes: Vec<_> = (0..LANES).map(|_| scope.spawn(lane)).collect();
        lanes.into_iter().flat_map(|lane| lane.join().expect("its clients agree")).collect()
    });
    check_seen(&reports, &direct, &proxied);
    reports.iter().for_each(|(client, report)| page::check(client, report));
}

fn behind_a_proxy() -> (Proxy, Side) {
    let behind = stand_in();
    let deployment = Deployment::plain(behind.address()).named(MODEL);
    let general = format!("{ONE_ATTEMPT}{}", passthrough_to(&behind));
    let proxy = Proxy::start(DriverChoice::Auto, None, &[deployment], &general);
    let pair = ClientCredential::derived(KEY);
    let secret = pair.secret_access_key.expose().to_owned();
    let side = Side {
        url: format!("http://{}/bedrock", proxy.address()),
        right: [pair.access_key_id, secret, KEY.to_owned()],
        stand_in: behind,
    };
    (proxy, side)
}

/// The SDK says GOAWAY when it likes; all frames come nonetheless, and Node ends by itself.
#[test]
fn the_js_sdk_gets_all_of_a_slow_stream_over_http2() {
    let (_proxy, side) = behind_a_proxy();
    let client = CLIENTS.iter().find(|client| client.over_http2).expect("one of them");
    let slow = json!({
        "operation": "converse_stream",
        "case": "ok",
        "directive": "frames=20; frame_gap_ms=200",
    });
    let Some(reports) = run(client, &side, true, &[slow]) else { return };
    // Before the deltas comes one event; behind them end of content, end of message, and usage.
    assert_eq!(reports[0]["events"], 1 + 20 + 3, "{reports:?}");
    assert_eq!(reports[0]["class"], Value::Null, "{reports:?}");
}

fn stand_in() -> StandIn {
    let api_keys = vec![API_KEY.to_owned()];
    StandIn::start(Options { tls: false, api_keys, ..Options::default() }).expect("a stand-in")
}

/// Both sides of one client; what it said through the proxy, or `None` if it cannot be had.
fn compare(client: &Client, direct: &Side, proxied: &Side) -> Option<Vec<Value>> {
    let mut there = run(client, direct, false, &asked(client))?;
    let here = run(client, proxied, true, &asked(client))?;
    there.iter_mut().for_each(|report| expect(client, report));
    for (there, here) in std::iter::zip(&there, &here) {
        assert_eq!(there, here, "{}: at AWS, and through the proxy", client.name);
        check_sense(client, here);
    }
    Some(here)
}

/// What `report`, of AWS, is to be through the proxy, where that must be another: the words about a key that is
/// ours, and how HTTP/2 has it that an answer was cut.
fn expect(client: &Client, report: &mut Value) {
    let is_cut = report["case"] == "cut" && client.over_http2;
    // Of the SDK's clients this one speaks HTTP/1.1 all the same.
    let is_cut = is_cut && report["operation"] != "list_foundation_models";
    let replaced = if report["case"] == "wrong_key" {
        AWS_WORDS.map(|words| (words, OUR_WORDS))
    } else if is_cut {
        [("aborted", CUT_OVER_HTTP2); 2]
    } else {
        return;
    };
    let message = report["message"].as_str().expect("a message");
    let expected = replaced.iter().fold(message.to_owned(), |it, (from, to)| it.replace(from, to));
    assert_ne!(message, expected, "{}: {report}", client.name);
    report["message"] = expected.into();
}

/// That both sides say the same is not enough, if what they say is nothing.
fn check_sense(client: &Client, report: &Value) {
    let about = format!("{}: {report}", client.name);
    let (case, operation) = (report["case"].as_str(), report["operation"].as_str());
    if case == Some("ok") {
        assert!(report["class"].is_null() && !report["value"].is_null(), "{about}");
        return;
    }
    let unnoticed = UNNOTICED
        .iter()
        .any(|(name, of, when)| (*name, Some(*of), Some(*when)) == (client.name, operation, case));
    assert_eq!(report["class"].is_null(), unnoticed, "{about}");
    let code = match case {
        Some("throttled") => "ThrottlingException",
        Some("refused") => "ValidationException",
        Some("wrong_key") if client.bearer && !signs_all_the_same(client, operation) => {
            "AccessDeniedException"
        }
        Some("wrong_key") => "UnrecognizedClientException",
        _ => return,
    };
    assert_eq!(report["code"], code, "{about}");
}

/// boto3's agent clients know no tokens.
fn signs_all_the_same(client: &Client, operation: Option<&str>) -> bool {
    let agents = ["retrieve", "retrieve_and_generate", "invoke_agent", "rerank"];
    client.name.starts_with("boto3")
        && operation.is_some_and(|operation| agents.contains(&operation))
}

/// One run of a client's driver; a report for each of its cases, in their order.
fn run(client: &Client, side: &Side, is_proxy: bool, asked: &[Value]) -> Option<Vec<Value>> {
    let [id, secret, api_key] = &side.right;
    let input = json!({
        "url": side.url,
        "model": MODEL,
        "right": {"id": id, "secret": secret, "api_key": api_key},
        "wrong": {"id": "AKIANOBODY0000000000", "secret": secret, "api_key": "sk-of-somebody-else"},
        "cases": asked,
    });
    let mut command = client.command(is_proxy)?;
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("a driver starts");
    let written = child.stdin.take().expect("a pipe").write_all(input.to_string().as_bytes());
    let output = child.wait_with_output().expect("a driver ends");
    let said = String::from_utf8_lossy(&output.stderr);
    let name = client.name;
    assert!(output.status.success() && written.is_ok(), "{name}: {}\n{said}", output.status);
    let text = String::from_utf8(output.stdout).expect("UTF-8").replace(&side.url, "URL");
    let mut lines =
        text.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"));
    let first = lines.next().expect("a first line");
    if !client.version.is_empty() {
        assert_eq!(
            first["client"], client.version,
            "{name} is another than .ci/install.sh installs"
        );
    }
    let reports: Vec<Value> = lines.collect();
    let of = |it: &Value| (it["operation"].clone(), it["case"].clone());
    let (told, wanted): (Vec<_>, Vec<_>) =
        (reports.iter().map(of).collect(), asked.iter().map(of).collect());
    assert_eq!(told, wanted, "{name}\n{said}");
    Some(reports)
}

/// What `client` is to ask for.
fn asked(client: &Client) -> Vec<Value> {
    let is_stream = |operation: &str| operation.ends_with("_stream") || operation == "invoke_agent";
    let of_operation = |operation: &&'static str| {
        let operation = *operation;
        let cases = CASES.iter().filter(move |case| is_stream(operation) || !case.only_streams);
        cases.map(move |case| {
            json!({"operation": operation, "case": case.name, "directive": case.directive})
        })
    };
    client.operations.iter().flat_map(of_operation).collect()
}

/// Each case was asked once and signed well; none with a wrong key went further than to us.
fn check_seen(reports: &[(&Client, Vec<Value>)], direct: &Side, proxied: &Side) {
    let all: usize = reports.iter().map(|(_, report)| report.len()).sum();
    let is_wrong = |report: &&Value| report["case"] == "wrong_key";
    let wrong: usize =
        reports.iter().map(|(_, report)| report.iter().filter(is_wrong).count()).sum();
    assert_eq!(direct.stand_in.record().requests(), all as u64);
    let behind = proxied.stand_in.record();
    assert_eq!(behind.requests(), (all - wrong) as u64);
    assert!(behind.seen().iter().all(|seen| seen.verdict == Verdict::Signed), "our signature");
    assert_eq!(behind.anomalies(), [""; 0], "AWS would object");
}
