//! The one frame that we make ourselves: the exception that ends a stream which broke off between frames.
//!
//! All else in a stream is upstream's own, and only looked at.

/// The headers that say what an exception is, beside its type, in AWS's order.
const CONTENT_TYPE: (&str, &str) = (":content-type", "application/json");
const MESSAGE_TYPE: (&str, &str) = (":message-type", "exception");
/// A header's value is text.
const STRING: u8 = 7;

/// Appends an exception frame of type `exception_type` around `payload`, which is JSON. Neither comes from a
/// peer, and both are short.
pub fn write_exception(exception_type: &str, payload: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; 12]);
    write_header((":exception-type", exception_type), out);
    write_header(CONTENT_TYPE, out);
    write_header(MESSAGE_TYPE, out);
    let headers_bytes = out.len() - start - 12;
    out.extend_from_slice(payload);
    let frame_bytes = out.len() - start + 4;
    for (at, length) in [(0, frame_bytes), (4, headers_bytes)] {
        let length = u32::try_from(length).expect("a short frame");
        out[start + at..start + at + 4].copy_from_slice(&length.to_be_bytes());
    }
    let checksum = crc32fast::hash(&out[start..start + 8]);
    out[start + 8..start + 12].copy_from_slice(&checksum.to_be_bytes());
    let checksum = crc32fast::hash(&out[start..]);
    out.extend_from_slice(&checksum.to_be_bytes());
}

fn write_header((name, value): (&str, &str), out: &mut Vec<u8>) {
    out.push(u8::try_from(name.len()).expect("a short name"));
    out.extend_from_slice(name.as_bytes());
    out.push(STRING);
    let length = u16::try_from(value.len()).expect("a short value");
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(value.as_bytes());
}

#[cfg(test)]
mod tests {
    use aws_smithy_types::event_stream::{Header, HeaderValue, Message};

    use super::*;
    use crate::wire::eventstream::{frame::parse_frame, header::MessageKind, specimen};

    #[test]
    fn it_is_what_aws_own_encoder_writes() {
        for (name, payload) in [
            ("throttlingException", &br#"{"message": "x"}"#[..]),
            ("internalServerException", b"{}"),
            ("modelStreamErrorException", b""),
        ] {
            let string = |text: &'static str| HeaderValue::String(text.into());
            let headers = vec![
                Header::new(":exception-type", string(name)),
                Header::new(":content-type", string("application/json")),
                Header::new(":message-type", string("exception")),
            ];
            let expected = specimen::encode(&Message::new_from_parts(headers, payload.to_vec()));
            let mut written = b"before".to_vec();
            write_exception(name, payload, &mut written);
            assert_eq!(written[6..], expected);
            let frame = parse_frame(&written[6..]).expect("sound").expect("whole");
            let exception_type = Some(name);
            assert_eq!(frame.kind(), Ok(MessageKind::Exception { exception_type }));
            assert_eq!(frame.payload(), payload);
        }
    }

    /// Made with botocore's rules.
    #[test]
    fn it_is_what_botocore_reads() {
        let golden = "0000008100000061d31117850f3a657863657074696f6e2d747970650700137468726f74746c696e67457863\
                      657074696f6e0d3a636f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e0d3a6d6573\
                      736167652d74797065070009657863657074696f6e7b226d657373616765223a202278227d42bf4153";
        let mut written = Vec::new();
        write_exception("throttlingException", br#"{"message": "x"}"#, &mut written);
        let written: String = written.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(written, golden);
    }
}
