//! Time-outs: each ends in 504 before the head, in a truncated message after it, or in another attempt.

use std::time::Duration;

use outcrop::{
    control_plane::config::DriverChoice,
    mock_bedrock::{Options, StandIn},
};

use crate::{
    http::{End, request},
    proxy::{BEARER, Deployment, INVOKE, Proxy, STREAM, under_both_drivers},
};

under_both_drivers!(
    no_head_in_time,
    a_client_may_be_less_patient,
    a_stream_that_falls_silent_is_told_so,
    a_stall_is_tried_elsewhere,
    a_deployment_has_its_own_patience,
    the_whole_request_has_a_deadline,
);

fn stand_in(fault: &str) -> StandIn {
    let stand_in = StandIn::start(Options { tls: false, ..Options::default() }).expect("one");
    stand_in.set_fault(fault).expect("a directive");
    stand_in
}

fn one(driver: DriverChoice, fault: &str, general: &str) -> (Proxy, StandIn) {
    let stand_in = stand_in(fault);
    let proxy = Proxy::start(driver, None, &[Deployment::plain(stand_in.address())], general);
    (proxy, stand_in)
}

/// `ask` takes about so long.
fn takes<T>(expected_ms: u64, ask: impl FnOnce() -> T) -> T {
    let began = outcrop::net::clock::now();
    let answer = ask();
    let took = began.elapsed();
    let expected = Duration::from_millis(expected_ms);
    assert!(took >= expected && took < expected + Duration::from_secs(3), "{took:?}");
    answer
}

fn no_head_in_time(driver: DriverChoice) {
    let (proxy, stand_in) = one(driver, "stall=head", "router_settings:\n  timeout: 0.5\n");
    for line in [INVOKE, STREAM] {
        let answer = takes(500, || proxy.connect().ask(request(line, BEARER, b"{}")));
        answer.check_fault(504, "ServiceUnavailableException");
    }
    assert_eq!(stand_in.record().requests(), 2, "asking again would stall again");
    let row = proxy.rows(2).pop().expect("a row");
    assert_eq!((&row["outcome"], &row["http_status"]), (&"no_answer".into(), &504.into()));
}

fn a_client_may_be_less_patient(driver: DriverChoice) {
    let (proxy, _stand_in) = one(driver, "stall=head", "");
    let fields = format!("{BEARER}x-litellm-timeout: 0.4\r\n");
    let answer = takes(400, || proxy.connect().ask(request(INVOKE, &fields, b"{}")));
    answer.check_fault(504, "ServiceUnavailableException");
    let fields = format!("{BEARER}x-litellm-stream-timeout: 0.3\r\n");
    let answer = takes(300, || proxy.connect().ask(request(STREAM, &fields, b"{}")));
    answer.check_fault(504, "ServiceUnavailableException");
}

fn a_stream_that_falls_silent_is_told_so(driver: DriverChoice) {
    let general = "router_settings:\n  stream_timeout: 0.5\n";
    let (proxy, _stand_in) = one(driver, "frames=8; stall=frames:3", general);
    let answer = takes(500, || proxy.connect().ask(request(STREAM, BEARER, b"{}")));
    // Between two frames, and so in the stream's own terms.
    assert_eq!((answer.head.status, answer.end), (200, End::Clean));
    let content = answer.content.escape_ascii().to_string();
    assert!(content.contains("modelTimeoutException") && content.contains("for too long"));
    assert_eq!(proxy.rows(1)[0]["outcome"], "answer_cut");
}

fn a_stall_is_tried_elsewhere(driver: DriverChoice) {
    let (bad, good) = (stand_in("stall=head"), stand_in(""));
    let deployments = [
        Deployment::plain(bad.address()).with_id("bad").param("order", "1"),
        Deployment::plain(good.address()).with_id("good").param("order", "2"),
    ];
    let general = "router_settings:\n  timeout: 0.5\n";
    let proxy = Proxy::start(driver, None, &deployments, general);
    for line in [INVOKE, STREAM] {
        let answer = takes(500, || proxy.connect().ask(request(line, BEARER, b"{}")));
        assert_eq!(answer.head.status, 200);
        assert_eq!(answer.head.field("x-litellm-model-id"), Some("good"));
    }
    let row = proxy.rows(2).pop().expect("a row");
    assert_eq!(row["failed_attempts"][0]["failure"], "timed_out");
    assert!(row["failed_attempts"][0]["ms"].as_u64().expect("a time") >= 500);
}

fn a_deployment_has_its_own_patience(driver: DriverChoice) {
    let stand_in = stand_in("stall=head");
    let deployment = Deployment::plain(stand_in.address()).param("timeout", "0.3");
    let proxy = Proxy::start(driver, None, &[deployment], "");
    let answer = takes(300, || proxy.connect().ask(request(INVOKE, BEARER, b"{}")));
    answer.check_fault(504, "ServiceUnavailableException");
}

fn the_whole_request_has_a_deadline(driver: DriverChoice) {
    let general = "outcrop:\n  request_timeout_s: 1\n";
    let (proxy, _stand_in) =
        one(driver, "frames=500; frames_per_write=1; frame_gap_ms=20", general);
    let answer = takes(1000, || proxy.connect().ask(request(STREAM, BEARER, b"{}")));
    assert_eq!(answer.head.status, 200);
    assert_eq!(answer.end, End::Clean, "it ends where its time was up, and says so");
    let content = answer.content.escape_ascii().to_string();
    assert!(content.contains("modelTimeoutException") && content.contains("took longer"));
    let (proxy, _stand_in) = one(driver, "stall=head", general);
    let answer = takes(1000, || proxy.connect().ask(request(INVOKE, BEARER, b"{}")));
    answer.check_fault(504, "ServiceUnavailableException");
}
