//! What an answer cost, told in its head where that is known by then, and never guessed.

use outcrop::control_plane::config::DriverChoice;
use outcrop::mock_bedrock::Options;

use crate::http::request;
use crate::proxy::{BEARER, Deployment, INVOKE, Pair, STREAM, under_both_drivers};

under_both_drivers!(the_cost_is_told_when_it_is_known);

fn the_cost_is_told_when_it_is_known(driver: DriverChoice) {
    let priced = |it: Deployment| {
        it.param("input_cost_per_token", "3e-06")
            .param("output_cost_per_token", "0.000015")
            .param("cache_read_input_token_cost", "3e-07")
            .param("cache_creation_input_token_cost", "3.75e-06")
    };
    let pair = Pair::with(driver, Options::default(), |it| vec![priced(it)], "");
    let ask = |line: &str, directives: &str| {
        let fields = format!("{BEARER}X-Amzn-Bedrock-Mock: {directives}\r\n");
        let answer = pair.proxy.connect().ask(request(line, &fields, &[b'x'; 40]));
        answer.head.field("x-litellm-response-cost").map(str::to_owned)
    };
    // The stand-in counts a token for each 4 bytes of content, and one for each text delta.
    let tokens = |input: u64, output: u64, read: u64| {
        input * 3_000_000 + output * 15_000_000 + read * 300_000
    };
    let usd = |pico: u64| format!("0.{:012}", pico).trim_end_matches('0').to_owned();
    assert_eq!(ask(INVOKE, "frames=8"), Some(usd(tokens(10, 8, 0))));
    assert_eq!(ask(INVOKE, "frames=1; cache_read=1000"), Some(usd(tokens(10, 1, 1_000))));
    // For how long it was written is only said in the content: a small one is there with the head.
    let written = usd(tokens(10, 1, 0) + 5 * 3_750_000);
    assert_eq!(ask(INVOKE, "frames=1; cache_write=5"), Some(written));
    let converse = INVOKE.replace("/invoke", "/converse");
    assert_eq!(ask(&converse, "frames=8"), Some(usd(tokens(10, 8, 0))));
    // A large one is not waited for.
    let large = "frames=40000";
    assert_eq!(ask(INVOKE, large), Some(usd(tokens(10, 40_000, 0))), "its head counts the tokens");
    assert_eq!(ask(INVOKE, &format!("{large}; cache_write=5")), None);
    assert_eq!(ask(&converse, large), None);
    assert_eq!(ask(STREAM, "frames=8"), None, "a stream tells at its end");
    assert_eq!(ask(INVOKE, "throttle"), None, "an error costs nothing that we know of");

    let unlisted = |it: Deployment| vec![it.of("bedrock/anthropic.claude-unlisted-v9:0")];
    let unknown = Pair::with(driver, Options::default(), unlisted, "");
    let answer = unknown.proxy.connect().ask(request(INVOKE, BEARER, b"{}"));
    assert_eq!(answer.head.status, 200);
    assert_eq!(answer.head.field("x-litellm-response-cost"), None, "unknown is not 0");
}
