//! What must hold of any stream: no panic, no overflow, and the short cut for text changes nothing.

use super::{Family, FieldUsage, StreamUsage};
use crate::bedrock::price::{self, Question};

const FAMILIES: [Family; 9] = [
    Family::Claude,
    Family::Nova,
    Family::Titan,
    Family::Llama,
    Family::Cohere,
    Family::Rerank,
    Family::Image,
    Family::OpenAi,
    Family::Unknown,
];

/// The first byte chooses the family; then events, one per line: `metadata` after an `m`, else `chunk`.
/// Payloads that do not begin with a brace are put into one, as base64.
pub fn fuzz_stream(data: &[u8]) {
    use base64::Engine as _;
    let Some((selector, lines)) = data.split_first() else { return };
    let mut stream = StreamUsage::new(FAMILIES[usize::from(*selector) % FAMILIES.len()]);
    stream.on_fields(FieldUsage::default().counts());
    for line in lines.split(|byte| *byte == b'\n') {
        match line.split_first() {
            Some((b'm', payload)) => stream.on_event(b"metadata", payload),
            Some((b'{', _)) => stream.on_event(b"chunk", line),
            _ => {
                let encoded = base64::engine::general_purpose::STANDARD.encode(line);
                stream
                    .on_event(b"chunk", format!(r#"{{"bytes":"{encoded}","p":"ab"}}"#).as_bytes());
            }
        }
    }
    let usage = stream.settle();
    assert_eq!(usage.partial, !stream.is_final());
    let question = Question {
        model: "anthropic.claude-sonnet-4-5-20250929-v1:0",
        region: "us-east-1",
        base_model: None,
        overrides: &price::Overrides::default(),
        map: None,
    };
    let priced = price::lookup(&question).expect("it is in the table");
    if let price::Cost::Known(bill) = price::price(&usage, &priced.rate) {
        let parts = [bill.input, bill.output, bill.cache_read, bill.cache_write, bill.pieces];
        let sum = parts.into_iter().try_fold(crate::units::PicoUsd(0), crate::units::PicoUsd::plus);
        assert_eq!(sum, Some(bill.total), "the parts add up");
    }
}
