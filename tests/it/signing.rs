//! What AWS checks before it answers: AWS's own signer, in the stand-in, judges each signature.

use outcrop::control_plane::config::DriverChoice;
use outcrop::mock_bedrock::{Operation, Options, Verdict};

use crate::http::{End, request};
use crate::proxy::{BEARER, ByHand, Deployment, MODEL, Pair, Proxy, under_both_drivers};

/// Ids as AWS writes them.
const IDS: [&str; 6] = [
    MODEL,
    "us.anthropic.claude-sonnet-4-20250514-v1:0",
    "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-20250514-v1:0",
    "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-5-haiku-20241022-v1:0",
    "arn:aws:bedrock:us-east-1:123456789012:provisioned-model/abc123def456",
    "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3d4e5f6",
];
const ACTIONS: [(&str, Operation); 4] = [
    ("invoke", Operation::InvokeModel),
    ("invoke-with-response-stream", Operation::InvokeModelWithResponseStream),
    ("converse", Operation::Converse),
    ("converse-stream", Operation::ConverseStream),
];

under_both_drivers!(
    ids_with_colons_and_slashes_are_signed_as_aws_signs_them,
    a_session_token_is_sent_and_signed,
    an_api_key_goes_as_a_bearer_token_and_nothing_is_signed,
    a_base_path_and_plain_http_are_signed_as_sent,
    a_query_is_passed_on_and_signed,
    a_wrong_secret_is_refused_in_aws_own_words,
    a_refusal_that_quotes_our_token_is_withheld,
    forwarded_fields_are_signed,
);

/// Asks each deployment for each action; the stand-in must see the model and be content.
fn check(pair: &Pair, names: &[(String, &str)], verdict: &Verdict, base_path: &str) {
    let mut client = pair.proxy.connect();
    for (name, id) in names {
        for (action, operation) in ACTIONS {
            let line = format!("POST /bedrock/model/{name}/{action} HTTP/1.1");
            let answer = client.ask(request(&line, BEARER, b"{}"));
            let seen = pair.stand_in.record().last().expect("a request");
            assert_eq!(seen.verdict, *verdict, "{name} {action}");
            assert_eq!((answer.head.status, answer.end), (200, End::Clean), "{name} {action}");
            assert_eq!((seen.operation, seen.model_id.as_str()), (Some(operation), *id));
            assert!(seen.raw_path.starts_with(&format!("{base_path}/model/")), "{}", seen.raw_path);
        }
    }
}

/// A deployment for each of [`IDS`], and the ways in which a client may name it.
fn all_ids(one: &dyn Fn() -> Deployment) -> (Vec<Deployment>, Vec<(String, &'static str)>) {
    let deployments = IDS.map(|id| one().named(id).param("model_id", id)).into();
    let encoded = |id: &str| id.replace(':', "%3A").replace('/', "%2F");
    let names = IDS.iter().flat_map(|id| {
        [id.to_string(), id.replace('/', "%2F"), encoded(id)].map(|name| (name, *id))
    });
    (deployments, names.collect())
}

fn check_all_ids(
    driver: DriverChoice,
    options: Options,
    verdict: &Verdict,
    amend: impl Fn(Deployment) -> Deployment,
) {
    let base_path = options.base_path.clone();
    let tls = options.tls;
    let mut names = Vec::new();
    let deployments = |one: Deployment| {
        let address = one.address();
        let again =
            || amend(if tls { Deployment::to(address) } else { Deployment::plain(address) });
        let (deployments, all) = all_ids(&again);
        names = all;
        deployments
    };
    let pair = Pair::with(driver, options, deployments, "");
    check(&pair, &names, verdict, &base_path);
}

fn ids_with_colons_and_slashes_are_signed_as_aws_signs_them(driver: DriverChoice) {
    check_all_ids(driver, Options::default(), &Verdict::Signed, |it| it);
}

fn a_session_token_is_sent_and_signed(driver: DriverChoice) {
    let token = "FwoGZXIvYXdzEBYaD+token/with=signs==";
    let options = Options { session_token: Some(token.to_owned()), ..Options::default() };
    let amend = |it: Deployment| it.param("aws_session_token", token);
    check_all_ids(driver, options, &Verdict::Signed, amend);
}

fn an_api_key_goes_as_a_bearer_token_and_nothing_is_signed(driver: DriverChoice) {
    let key = "ABSKQmVkcm9ja0FQSUtleS10ZXN0+/=";
    let options = Options { api_keys: vec![key.to_owned()], ..Options::default() };
    let bearer = |it: Deployment| {
        vec![it.without("aws_access_key_id").without("aws_secret_access_key").param("api_key", key)]
    };
    let pair = Pair::with(driver, options, bearer, "");
    check(&pair, &[("claude".to_owned(), MODEL)], &Verdict::ApiKey, "");
    let seen = pair.stand_in.record().last().expect("a request");
    assert_eq!(seen.field("authorization"), Some(format!("Bearer {key}").as_str()));
    assert_eq!(seen.field("x-amz-date"), None);
}

fn a_base_path_and_plain_http_are_signed_as_sent(driver: DriverChoice) {
    for tls in [true, false] {
        for base_path in ["", "/vpc/bedrock"] {
            let base_path = base_path.to_owned();
            let below = base_path.clone();
            let options = Options { tls, base_path, ..Options::default() };
            check_all_ids(driver, options, &Verdict::Signed, |it| it.below(&below));
        }
    }
}

fn a_query_is_passed_on_and_signed(driver: DriverChoice) {
    let pair = Pair::start(driver);
    let mut client = pair.proxy.connect();
    for query in ["a=1", "b=2&a=1&a=0", "x=%20%2F%c3%a9&flag&empty=", "a=b=c&~=-_."] {
        let line = format!("POST /bedrock/model/claude/invoke?{query} HTTP/1.1");
        let answer = client.ask(request(&line, BEARER, b"{}"));
        let seen = pair.stand_in.record().last().expect("a request");
        assert_eq!((answer.head.status, &seen.verdict), (200, &Verdict::Signed), "{query}");
        assert_eq!(seen.raw_query.as_deref(), Some(query), "as the client sent it");
    }
}

fn a_wrong_secret_is_refused_in_aws_own_words(driver: DriverChoice) {
    let wrong = |it: Deployment| vec![it.param("aws_secret_access_key", "not-the-secret")];
    let pair = Pair::with(driver, Options::default(), wrong, "");
    let mut client = pair.proxy.connect();
    for _ in 0..2 {
        let answer =
            client.ask(request("POST /bedrock/model/claude/invoke HTTP/1.1", BEARER, b"{}"));
        assert_eq!((answer.head.status, answer.end), (403, End::Clean));
        let error_type = answer.head.field("x-amzn-errortype").expect("AWS's type");
        assert!(error_type.starts_with("InvalidSignatureException"), "{error_type}");
        let message = answer.json()["message"].as_str().expect("a message").to_owned();
        assert!(message.contains("signature"), "{message}");
        assert!(answer.head.field("x-litellm-model-id").is_some(), "a deployment said this");
    }
    assert_eq!(pair.stand_in.record().requests(), 2, "a refusal is an answer: sent once each");
}

/// AWS's word for a wrong signature holds the canonical request, and so the session token.
fn a_refusal_that_quotes_our_token_is_withheld(driver: DriverChoice) {
    const TOKEN: &str = "FwoGZXIvYXdzEJr4BQab//session/token+of+ours==";
    let upstream = ByHand::start();
    let one = Deployment::plain(upstream.address()).param("aws_session_token", TOKEN);
    let proxy = Proxy::start(driver, None, &[one], "");
    let error = |text: &str| format!("{{\"message\":\"it should have been 'POST {text}'\"}}");
    let escaped = TOKEN.replace('/', "\\/").replace('=', "\\u003d");
    let cases =
        [(TOKEN, "length"), (TOKEN, "chunked"), (&escaped, "length"), ("something else", "length")];
    for (text, framing) in cases {
        let content = error(text);
        let mut client = proxy.connect();
        client.send(request("POST /bedrock/model/claude/invoke HTTP/1.1", BEARER, b"{}"));
        let mut hand = upstream.accept();
        hand.request();
        let (start, rest) = content.split_at(40);
        let head = "HTTP/1.1 403 Forbidden\r\nx-amzn-errortype: InvalidSignatureException\r\nConnection: close\r\n";
        if framing == "length" {
            hand.send(format!("{head}Content-Length: {}\r\n\r\n{start}", content.len()));
            hand.send(rest);
        } else {
            hand.send(format!(
                "{head}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{start}\r\n",
                start.len()
            ));
            hand.send(format!("{:x}\r\n{rest}\r\n0\r\n\r\n", rest.len()));
        }
        let answer = client.answer();
        if text != "something else" {
            answer.check_fault(502, "InternalServerException");
            assert!(!String::from_utf8_lossy(&answer.content).contains("session"));
        } else {
            assert_eq!((answer.head.status, answer.end), (403, End::Clean));
            assert_eq!(answer.content, content.as_bytes(), "as AWS said it");
        }
    }
}

fn forwarded_fields_are_signed(driver: DriverChoice) {
    let pair = Pair::start(driver);
    let fields = format!(
        "{BEARER}Content-Type: application/json\r\nX-Amzn-Bedrock-Trace: ENABLED\r\n\
         X-Amzn-Bedrock-GuardrailIdentifier:   two  spaces \r\n\
         X-Amzn-Bedrock-Service-Tier: priority\r\nAccept: */*\r\n"
    );
    let line = "POST /bedrock/model/claude/converse HTTP/1.1";
    let answer = pair.proxy.connect().ask(request(line, &fields, b"{}"));
    assert_eq!(answer.head.status, 200, "{answer:?}");
    let seen = pair.stand_in.record().last().expect("a request");
    let authorization = seen.field("authorization").expect("a signature");
    for name in ["content-type", "host", "x-amz-date", "x-amzn-bedrock-trace"] {
        assert!(authorization.contains(name), "{name} is not in {authorization}");
    }
}
