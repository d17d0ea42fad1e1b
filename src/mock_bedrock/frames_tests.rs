//! Frames equal the recorded bytes, and decode with AWS's decoder.

use super::*;
use crate::mock_bedrock::family::Usage;
use aws_smithy_eventstream::frame::read_message_from;

const GOLDEN_CHUNK: &str = "000000750000004bb51e28ce0b3a6576656e742d747970650700056368756e6b0d3a636f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e0d3a6d6573736167652d747970650700056576656e747b226279746573223a226533303d222c2270223a22616263227d8bcd2fab";

const GOLDEN_EXCEPTION: &str = "0000008100000061d31117850f3a657863657074696f6e2d747970650700137468726f74746c696e67457863657074696f6e0d3a636f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e0d3a6d6573736167652d74797065070009657863657074696f6e7b226d657373616765223a202278227d42bf4153";

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sample(operation: Operation) -> Vec<Bytes> {
    let deltas = ["a ".to_owned(), "b".to_owned()];
    let usage = Usage { input: 3, output: 2, cache_read: 5, cache_write: 7, ..Usage::default() };
    encode(
        operation,
        Family::Claude,
        &Saying { deltas: &deltas, usage, caches: true, tier: None },
        None,
    )
}

#[test]
fn a_chunk_is_the_recorded_one() {
    assert_eq!(hexadecimal(&event("chunk", r#"{"bytes":"e30=","p":"abc"}"#)), GOLDEN_CHUNK);
    let payload = r#"{"message": "x"}"#; // the recording's own space
    assert_eq!(hexadecimal(&exception("throttlingException", payload)), GOLDEN_EXCEPTION);
}

#[test]
fn streams_decode_and_end_with_usage() {
    for (operation, frames, last) in [
        (
            Operation::InvokeModelWithResponseStream,
            7,
            r#""amazon-bedrock-invocationMetrics":{"inputTokenCount":3,"outputTokenCount":2"#,
        ),
        (
            Operation::ConverseStream,
            6,
            r#""inputTokens":3,"outputTokens":2,"serverToolUsage":{},"totalTokens":17"#,
        ),
    ] {
        let encoded = sample(operation);
        assert_eq!(encoded.len(), frames);
        let mut end = String::new();
        for frame in &encoded {
            let message = read_message_from(&mut frame.clone()).unwrap();
            let names: Vec<_> =
                message.headers().iter().map(|header| header.name().as_str().to_owned()).collect();
            assert_eq!(names, [":event-type", ":content-type", ":message-type"]);
            let payload: serde_json::Value = serde_json::from_slice(message.payload()).unwrap();
            assert!(payload["p"].is_string());
            end = match payload["bytes"].as_str() {
                Some(chunk) => String::from_utf8(
                    base64::engine::general_purpose::STANDARD.decode(chunk).unwrap(),
                )
                .unwrap(),
                None => String::from_utf8(message.payload().to_vec()).unwrap(),
            };
        }
        assert!(end.contains(last), "{end}");
    }
}

#[test]
fn spoilt_frames_are_those_asked_for() {
    let check = |asked: &str, frames: usize, broken: Option<usize>| {
        let mut encoded = sample(Operation::ConverseStream);
        spoil(&mut encoded, &Directives::parse(asked).unwrap());
        assert_eq!(encoded.len(), frames, "{asked}");
        let bad = encoded.iter().position(|frame| read_message_from(&mut frame.clone()).is_err());
        assert_eq!(bad, broken, "{asked}");
        encoded
    };
    check("bad_crc=2", 6, Some(1));
    check("bad_prelude=6", 6, Some(5));
    check("bad_crc=99", 6, None);
    let frames = check("exception=mid:modelStreamErrorException", 4, None);
    let message = read_message_from(&mut frames[3].clone()).unwrap();
    assert_eq!(
        message.headers()[0].value().as_string().unwrap().as_str(),
        "modelStreamErrorException"
    );
    check("exception=first", 1, None);
}
