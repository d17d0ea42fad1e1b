//! Which answers are final, which are tried again, and how often.

use outcrop::{
    control_plane::config::DriverChoice,
    mock_bedrock::{Options, StandIn},
};

use super::storm::Storm;
use crate::{
    http::{End, request},
    proxy::{BEARER, ByHand, Deployment, INVOKE, Proxy, STREAM, under_both_drivers},
};

under_both_drivers!(
    what_the_request_is_at_fault_for_is_asked_once,
    one_alone_is_asked_again_after_a_while,
    a_client_may_ask_for_fewer_attempts,
    a_long_retry_after_goes_to_the_client,
    an_outage_of_all_is_not_multiplied,
    the_last_answer_of_all_is_passed_untouched,
    a_refused_credential_is_not_the_requests_fault,
    an_attempt_goes_to_the_deployment_with_its_own_model_and_signature,
    a_large_request_is_sent_again_whole,
);

fn plain() -> StandIn {
    StandIn::start(Options { tls: false, ..Options::default() }).expect("a stand-in")
}

fn mock(directives: &str) -> String {
    format!("{BEARER}X-Amzn-Bedrock-Mock: {directives}\r\n")
}

fn two(driver: DriverChoice, router: &str) -> (Proxy, [StandIn; 2]) {
    let stand_ins = [plain(), plain()];
    let deployment = |at: usize, id| Deployment::plain(stand_ins[at].address()).with_id(id);
    let proxy = Proxy::start(driver, None, &[deployment(0, "a"), deployment(1, "b")], router);
    (proxy, stand_ins)
}

fn requests(stand_ins: &[StandIn]) -> u64 {
    stand_ins.iter().map(|it| it.record().requests()).sum()
}

fn what_the_request_is_at_fault_for_is_asked_once(driver: DriverChoice) {
    let (proxy, stand_ins) = two(driver, "");
    let mut client = proxy.connect();
    let cases = [
        ("status=400", 400, "ValidationException"),
        ("status=403", 403, "AccessDeniedException"),
        ("status=404; type=ResourceNotFoundException", 404, "ResourceNotFoundException"),
    ];
    let mut expected = 0;
    for (directives, status, error) in &cases {
        for line in [INVOKE, STREAM] {
            let answer = client.ask(request(line, &mock(directives), b"{}"));
            assert_eq!((answer.head.status, answer.end), (*status, End::Clean));
            let name = answer.head.field("x-amzn-errortype").expect("AWS's name");
            assert!(name.starts_with(error), "{name}");
            assert!(answer.json()["message"].is_string());
            assert_eq!(answer.head.field("x-litellm-attempted-retries"), Some("0"));
            expected += 1;
            assert_eq!(requests(&stand_ins), expected, "{directives}: once");
        }
    }
    for row in proxy.rows(6) {
        assert_eq!((&row["attempts"], &row["failed_attempts"]), (&1.into(), &().into()));
    }
}

fn one_alone_is_asked_again_after_a_while(driver: DriverChoice) {
    let stand_in = plain();
    let proxy = Proxy::plain(driver, stand_in.address());
    let mut client = proxy.connect();
    for (directives, status) in [("throttle", 429), ("status=503", 503), ("status=500", 500)] {
        let before = stand_in.record().requests();
        let answer = client.ask(request(INVOKE, &mock(directives), b"{}"));
        assert_eq!(answer.head.status, status);
        assert_eq!(stand_in.record().requests() - before, 3, "num_retries is 2: {directives}");
        assert_eq!(answer.head.field("x-litellm-attempted-retries"), Some("2"));
    }
    let row = proxy.rows(3).pop().expect("a row");
    assert_eq!(row["attempts"], 3);
    let failed = row["failed_attempts"].as_array().expect("those before the last");
    assert_eq!(failed.len(), 2);
    assert_eq!(failed[0]["failure"], "internal");
}

fn a_client_may_ask_for_fewer_attempts(driver: DriverChoice) {
    let stand_in = plain();
    let proxy = Proxy::plain(driver, stand_in.address());
    let mut client = proxy.connect();
    for (retries, expected) in [("0", 1), ("1", 2)] {
        let before = stand_in.record().requests();
        let fields = format!("{}x-litellm-num-retries: {retries}\r\n", mock("status=503"));
        assert_eq!(client.ask(request(INVOKE, &fields, b"{}")).head.status, 503);
        assert_eq!(stand_in.record().requests() - before, expected);
    }
    let fields = format!("{BEARER}x-litellm-num-retries: many\r\n");
    client.ask(request(INVOKE, &fields, b"{}")).check_fault(400, "ValidationException");
}

fn a_long_retry_after_goes_to_the_client(driver: DriverChoice) {
    let stand_in = plain();
    let proxy = Proxy::plain(driver, stand_in.address());
    let mut client = proxy.connect();
    let answer = client.ask(request(INVOKE, &mock("throttle; retry_after=7"), b"{}"));
    assert_eq!(answer.head.status, 429);
    assert_eq!(answer.head.field("retry-after"), Some("7"));
    assert_eq!(stand_in.record().requests(), 1, "nobody waits seven seconds in here");
}

fn an_outage_of_all_is_not_multiplied(driver: DriverChoice) {
    for fault in ["throttle", "status=503", "close=before_head"] {
        let (proxy, stand_ins) = two(driver, "router_settings:\n  cooldown_time: 1\n");
        stand_ins.iter().for_each(|it| it.set_fault(fault).expect("a directive"));
        let storm = Storm::of(&proxy, INVOKE, 8, 1_000);
        assert!(storm.0.iter().all(|seen| seen.status >= 429), "{fault}");
        let attempts = requests(&stand_ins);
        assert!((1_000..=1_200).contains(&attempts), "{fault}: {attempts} attempts of 1,000");
    }
}

fn the_last_answer_of_all_is_passed_untouched(driver: DriverChoice) {
    let upstreams = [ByHand::start(), ByHand::start()];
    let deployments = [0, 1].map(|at: usize| Deployment::plain(upstreams[at].address()));
    let router = "router_settings:\n  num_retries: 1\n";
    let proxy = Proxy::start(driver, None, &deployments, router);
    let mut client = proxy.connect();
    client.send(request(INVOKE, BEARER, b"{}"));
    let content = br#"{ "message" : "Too many requests, please wait." , "x":1}"#;
    let head = format!(
        "HTTP/1.1 429 Slow Down\r\nContent-Type: application/json\r\nx-amzn-ErrorType: \
         ThrottlingException:http://internal.amazon.com/\r\nx-amzn-RequestId: \
         0189e6e3-5a54-7e4f-a9f1-2d3c4b5a6978\r\nContent-Length: {}\r\n\r\n",
        content.len()
    );
    // Whichever is asked first.
    std::thread::scope(|scope| {
        for upstream in &upstreams {
            scope.spawn(|| {
                let mut hand = upstream.accept();
                hand.request();
                hand.send([head.as_bytes(), content].concat());
            });
        }
    });
    let answer = client.answer();
    assert_eq!((answer.head.status, answer.content.as_slice()), (429, &content[..]));
    assert_eq!(
        answer.head.field("x-amzn-errortype"),
        Some("ThrottlingException:http://internal.amazon.com/")
    );
    assert_eq!(answer.head.field("x-litellm-attempted-retries"), Some("1"));
}

fn a_refused_credential_is_not_the_requests_fault(driver: DriverChoice) {
    let good = plain();
    let deployments = [
        Deployment::plain(good.address()).with_id("wrong").param("aws_secret_access_key", "no"),
        Deployment::plain(good.address()).with_id("right"),
    ];
    let proxy = Proxy::start(driver, None, &deployments, "");
    let storm = Storm::of(&proxy, INVOKE, 4, 100);
    storm.check_good("a wrong secret at one of two");
    assert_eq!(storm.by("right"), 100);
    // And alone, the client hears of it.
    let wrong = Deployment::plain(good.address()).param("aws_secret_access_key", "no");
    let proxy = Proxy::start(driver, None, &[wrong], "");
    let answer = proxy.connect().ask(request(INVOKE, BEARER, b"{}"));
    assert_eq!(answer.head.status, 403);
}

fn an_attempt_goes_to_the_deployment_with_its_own_model_and_signature(driver: DriverChoice) {
    let stand_ins = [plain(), plain()];
    let deployments = [
        Deployment::plain(stand_ins[0].address())
            .of("bedrock/anthropic.claude-3-haiku-20240307-v1:0"),
        Deployment::plain(stand_ins[1].address())
            .of("bedrock/us.amazon.nova-lite-v1:0")
            .param("aws_region_name", "us-east-1"),
    ];
    let router = "router_settings:\n  disable_cooldowns: true\n";
    let proxy = Proxy::start(driver, None, &deployments, router);
    let mut client = proxy.connect();
    for failing in [0, 1] {
        stand_ins[failing].set_fault("status=503").expect("a directive");
        stand_ins[1 - failing].set_fault("").expect("no directive");
        let content = br#"{"messages":[]}"#;
        for _ in 0..6 {
            assert_eq!(client.ask(request(INVOKE, BEARER, content)).head.status, 200);
        }
    }
    for (stand_in, model) in
        stand_ins.iter().zip(["anthropic.claude-3-haiku", "us.amazon.nova-lite"])
    {
        assert_eq!(stand_in.record().anomalies(), [""; 0], "signed for where it went");
        for seen in stand_in.record().seen() {
            assert!(seen.model_id.contains(model), "{} for {model}", seen.model_id);
        }
    }
}

fn a_large_request_is_sent_again_whole(driver: DriverChoice) {
    let (proxy, stand_ins) = two(driver, "");
    let content = vec![b'x'; 9 * 1024 * 1024];
    let mut client = proxy.connect();
    let hash = crate::http::sha256(&content);
    for failing in [0, 1] {
        stand_ins[failing].set_fault("status=503").expect("a directive");
        stand_ins[1 - failing].set_fault("echo=sha256").expect("a directive");
        for _ in 0..2 {
            let answer = client.ask(request(INVOKE, BEARER, &content));
            assert_eq!(answer.head.status, 200);
            assert!(answer.content.escape_ascii().to_string().contains(&hash));
        }
    }
}
