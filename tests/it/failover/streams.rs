//! A stream's first frame: until it is there the client has seen nothing, and so the request can go elsewhere.

use std::time::Duration;

use outcrop::{
    control_plane::config::DriverChoice,
    mock_bedrock::{Options, StandIn},
};

use crate::{
    http::{End, request},
    proxy::{BEARER, Deployment, Proxy, STREAM, under_both_drivers},
};

under_both_drivers!(
    an_exception_as_the_first_frame_is_tried_elsewhere,
    a_broken_first_frame_is_tried_elsewhere,
    an_exception_of_the_request_passes_as_it_came,
    a_later_exception_passes_as_it_came,
    without_another_deployment_the_exception_passes,
    it_can_be_turned_off,
    frames_still_pass_on_arrival,
    a_slow_first_frame_does_not_hold_the_head_for_ever,
);

fn two(driver: DriverChoice, general: &str, fault: &str) -> (Proxy, [StandIn; 2]) {
    let start = || StandIn::start(Options { tls: false, ..Options::default() });
    let stand_ins = [start().expect("a stand-in"), start().expect("a stand-in")];
    stand_ins[0].set_fault(fault).expect("a directive");
    let [bad, good] = [("bad", 0), ("good", 1)].map(|(id, at): (_, usize)| {
        let order = (at + 1).to_string();
        Deployment::plain(stand_ins[at].address()).with_id(id).param("order", &order)
    });
    (Proxy::start(driver, None, &[bad, good], general), stand_ins)
}

/// What the stand-in streams when nothing is wrong.
fn good_stream(stand_in: &StandIn, driver: DriverChoice) -> Vec<u8> {
    let proxy = Proxy::plain(driver, stand_in.address());
    proxy.connect().ask(request(STREAM, BEARER, b"{}")).content
}

fn an_exception_as_the_first_frame_is_tried_elsewhere(driver: DriverChoice) {
    for name in ["throttlingException", "serviceUnavailableException", "internalServerException"] {
        let (proxy, stand_ins) = two(driver, "", &format!("exception=first:{name}"));
        let expected = good_stream(&stand_ins[1], driver);
        let answer = proxy.connect().ask(request(STREAM, BEARER, b"{}"));
        assert_eq!((answer.head.status, answer.end), (200, End::Clean), "{name}");
        assert_eq!(answer.head.field("x-litellm-model-id"), Some("good"));
        assert_eq!(answer.head.field("x-litellm-attempted-retries"), Some("1"));
        assert_eq!(answer.content.len(), expected.len(), "nothing of the bad stream is in it");
        let row = proxy.rows(1).pop().expect("a row");
        assert_eq!((&row["status"], &row["attempts"]), (&"success".into(), &2.into()));
        assert_eq!(row["failed_attempts"][0]["model_id"], "bad");
    }
}

fn a_broken_first_frame_is_tried_elsewhere(driver: DriverChoice) {
    for fault in ["bad_crc=1", "bad_prelude=1", "reset=after_frames:0"] {
        let (proxy, _stand_ins) = two(driver, "", fault);
        let answer = proxy.connect().ask(request(STREAM, BEARER, b"{}"));
        assert_eq!((answer.head.status, answer.end), (200, End::Clean), "{fault}");
        assert_eq!(answer.head.field("x-litellm-model-id"), Some("good"), "{fault}");
    }
}

fn an_exception_of_the_request_passes_as_it_came(driver: DriverChoice) {
    let (proxy, stand_ins) = two(driver, "", "exception=first:validationException");
    let answer = proxy.connect().ask(request(STREAM, BEARER, b"{}"));
    assert_eq!((answer.head.status, answer.end), (200, End::Clean));
    assert!(answer.content.escape_ascii().to_string().contains("validationException"));
    assert_eq!(stand_ins[1].record().requests(), 0, "it would say the same");
}

fn a_later_exception_passes_as_it_came(driver: DriverChoice) {
    let (proxy, stand_ins) = two(driver, "", "frames=8; exception=mid:throttlingException");
    let answer = proxy.connect().ask(request(STREAM, BEARER, b"{}"));
    assert_eq!((answer.head.status, answer.end), (200, End::Clean));
    assert_eq!(answer.head.field("x-litellm-model-id"), Some("bad"));
    assert!(answer.content.escape_ascii().to_string().contains("throttlingException"));
    assert_eq!(stand_ins[1].record().requests(), 0);
    // It counts: the next one goes elsewhere, for throttling cools down at once.
    let answer = proxy.connect().ask(request(STREAM, BEARER, b"{}"));
    assert_eq!(answer.head.field("x-litellm-model-id"), Some("good"));
}

fn without_another_deployment_the_exception_passes(driver: DriverChoice) {
    let stand_in = StandIn::start(Options { tls: false, ..Options::default() }).expect("one");
    stand_in.set_fault("exception=first:throttlingException").expect("a directive");
    let general = "router_settings:\n  num_retries: 1\n";
    let proxy = Proxy::start(driver, None, &[Deployment::plain(stand_in.address())], general);
    let answer = proxy.connect().ask(request(STREAM, BEARER, b"{}"));
    assert_eq!((answer.head.status, answer.end), (200, End::Clean));
    assert!(answer.content.escape_ascii().to_string().contains("throttlingException"));
    assert_eq!(stand_in.record().requests(), 2);
}

fn it_can_be_turned_off(driver: DriverChoice) {
    let general = "outcrop:\n  first_frame_failover: false\n";
    let (proxy, stand_ins) = two(driver, general, "exception=first:throttlingException");
    let answer = proxy.connect().ask(request(STREAM, BEARER, b"{}"));
    assert_eq!(answer.head.field("x-litellm-model-id"), Some("bad"));
    assert_eq!(stand_ins[1].record().requests(), 0);
}

fn frames_still_pass_on_arrival(driver: DriverChoice) {
    let (proxy, stand_ins) = two(driver, "", "gate; frames=4; frames_per_write=1");
    let mut client = proxy.connect();
    client.send(request(STREAM, BEARER, b"{}"));
    stand_ins[0].release_frames(1);
    let head = client.head().expect("a head as soon as one frame is there");
    assert_eq!(head.status, 200);
    for _ in 0..3 {
        client.chunk().expect("a frame");
        stand_ins[0].release_frames(1);
    }
    drop(client);
}

fn a_slow_first_frame_does_not_hold_the_head_for_ever(driver: DriverChoice) {
    let (proxy, _stand_ins) = two(driver, "", "gate");
    let mut client = proxy.connect();
    let began = outcrop::net::clock::now();
    client.send(request(STREAM, BEARER, b"{}"));
    let head = client.head().expect("a head without a frame");
    assert_eq!(head.status, 200);
    let held = began.elapsed();
    assert!((Duration::from_secs(14)..Duration::from_secs(19)).contains(&held), "{held:?}");
}
