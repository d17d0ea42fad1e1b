//! What must hold for any bytes: segmentation changes nothing, a naive reader agrees, and AWS's own
//! decoder takes the same frames and reads the same in them.
//!
//! One body for the fuzz targets and for the tests over `tests/vectors`.

use aws_smithy_eventstream::frame::{DecodedFrame, MessageFrameDecoder, read_message_from};
use aws_smithy_types::DateTime;
use aws_smithy_types::event_stream::{Header, HeaderValue as AwsValue, Message};

use super::cut::{Cutter, Found};
use super::frame::{Frame, parse_frame, peek_headers};
use super::header::HeaderValue;
use super::oracle::{self, Reading};
use super::specimen;

/// Longer inputs are cut at this many places only, so that a run stays quick.
const CUTS_MAX: usize = 300;

/// Any bytes as a stream.
pub fn fuzz_raw(data: &[u8]) {
    check_stream(data);
}

/// A stream whose preludes hold, but what follows them may not.
pub fn fuzz_preludes(data: &[u8]) {
    check_stream(&specimen::with_sound_preludes(data));
}

/// A stream of frames that hold, of any content.
pub fn fuzz_frames(data: &[u8]) {
    let wire = specimen::with_sound_frames(data);
    assert!(check_stream(&wire).end.is_ok(), "sound frames are taken");
}

/// Any bytes as the headers of a frame that holds. The first is the payload's length.
pub fn fuzz_headers(data: &[u8]) {
    let Some((payload_bytes, section)) = data.split_first() else { return };
    let payload = vec![0; usize::from(*payload_bytes)];
    let frame = specimen::frame(section, &payload);
    let frames = check_stream(&frame).frames;
    assert_eq!(frames, [frame], "a sound frame is taken whatever its headers say");
    check_against_aws(&frames[0]);
}

/// A message that AWS encodes: we read the same, and nothing is lost.
pub fn fuzz_round_trip(data: &[u8]) {
    let message = specimen::message(data);
    let wire = specimen::encode(&message);
    check_stream(&wire);
    let frame = parse_frame(&wire).expect("AWS's frames hold").expect("and are whole");
    assert_eq!(frame.bytes(), wire);
    assert_eq!(message_of(&frame), Some(message));
}

/// Frames that hold, cut into pieces as long as the first bytes say.
pub fn fuzz_split(data: &[u8]) {
    let Some((lengths, data)) = data.split_first_chunk::<8>() else { return };
    for wire in [specimen::with_sound_frames(data), specimen::with_sound_preludes(data)] {
        let mut rest = &wire[..];
        let pieces = lengths.iter().cycle().map_while(|length| {
            let length = usize::from(*length).clamp(1, rest.len().max(1));
            let (piece, after) = rest.split_at_checked(length)?;
            rest = after;
            Some(piece)
        });
        assert_eq!(read(pieces), read([&wire[..]]), "cut as {lengths:?}");
    }
}

/// Ours = theirs, on the bytes as they are, and on frames that hold.
pub fn fuzz_aws(data: &[u8]) {
    check_against_aws(data);
    check_against_aws(&specimen::with_sound_preludes(data));
    check_against_aws(&specimen::with_sound_frames(data));
}

/// However the stream is cut, it reads as the naive reader says.
pub(super) fn check_stream(wire: &[u8]) -> Reading {
    let whole = read([wire]);
    assert_eq!(whole, oracle::read(wire), "the oracle disagrees");
    for cut in (0..=wire.len()).step_by(1 + wire.len() / CUTS_MAX) {
        let (left, right) = wire.split_at(cut);
        assert_eq!(read([left, right]), whole, "cut at {cut}");
    }
    assert_eq!(read(wire.chunks(1)), whole, "byte by byte");
    whole.frames.iter().for_each(|frame| check_headers(frame));
    whole
}

/// Reads as the tap does: whole frames in place, cut ones through a side buffer.
pub(super) fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Reading {
    let (mut cutter, mut side, mut frames) = (Cutter::new(), Vec::new(), Vec::new());
    for piece in pieces {
        let mut rest = piece;
        while !rest.is_empty() {
            let step = match cutter.step(rest) {
                Ok(step) => step,
                Err(error) => {
                    assert_eq!(cutter.step(rest), Err(error), "an error changes nothing");
                    return Reading { frames, end: Err(error) };
                }
            };
            assert!((1..=rest.len()).contains(&step.consumed), "each step makes progress");
            let (seen, after) = rest.split_at(step.consumed);
            rest = after;
            match step.found {
                Found::Frame(frame) => {
                    assert_eq!(frame.bytes(), seen);
                    frames.push(seen.to_vec());
                }
                Found::Begins => side = seen.to_vec(),
                Found::Continues | Found::Ends => side.extend_from_slice(seen),
            }
            if step.found == Found::Ends {
                let frame = parse_frame(&side).expect("verified").expect("whole");
                assert_eq!(frame.bytes(), side, "the pieces are exactly one frame");
                frames.push(side.clone());
            }
            assert_eq!(
                cutter.is_between_frames(),
                matches!(step.found, Found::Frame(_) | Found::Ends)
            );
            if !cutter.is_between_frames() {
                assert_eq!(parse_frame(&side), Ok(None), "a piece is no frame");
                assert_eq!(cutter.frame_bytes(), declared_length(&side));
            }
        }
    }
    Reading { frames, end: Ok(cutter.is_between_frames()) }
}

fn declared_length(begun: &[u8]) -> Option<usize> {
    let word = begun.get(..12)?.first_chunk()?;
    Some(u32::from_be_bytes(*word) as usize)
}

/// Written anew, the headers are the very bytes that were read, up to the first that cannot be.
fn check_headers(wire: &[u8]) {
    let frame = parse_frame(wire).expect("read before").expect("whole");
    let mut rewritten = Vec::new();
    let mut is_readable = true;
    for header in frame.headers() {
        assert!(is_readable, "nothing follows an error");
        match header {
            Ok(header) => write(header.name, header.value, &mut rewritten),
            Err(_) => is_readable = false,
        }
    }
    let section = &wire[12..wire.len() - 4 - frame.payload().len()];
    assert!(section.starts_with(&rewritten));
    assert_eq!(rewritten == section, is_readable, "an error exactly if something was not read");
    assert!(is_readable || frame.kind().is_err(), "no kind from headers that cannot be read");
    for begun in [12, 12 + section.len() - section.len().min(1), 12 + section.len()] {
        let peeked = peek_headers(&wire[..begun]).expect("the prelude holds");
        let peeked = peeked.map(|headers| headers.kind());
        assert!(peeked.is_none_or(|kind| kind == frame.kind()), "after {begun} bytes");
        assert_eq!(peeked.is_some(), begun == 12 + section.len());
    }
}

fn write(name: &[u8], value: HeaderValue<'_>, out: &mut Vec<u8>) {
    let mut put = |value_type: u8, measured: Option<&[u8]>, fixed: &[u8]| {
        out.push(u8::try_from(name.len()).expect("one byte held it"));
        out.extend_from_slice(name);
        out.push(value_type);
        if let Some(bytes) = measured {
            let length = u16::try_from(bytes.len()).expect("two bytes held it");
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(bytes);
        }
        out.extend_from_slice(fixed);
    };
    match value {
        HeaderValue::Bool(true) => put(0, None, &[]),
        HeaderValue::Bool(false) => put(1, None, &[]),
        HeaderValue::Byte(value) => put(2, None, &value.to_be_bytes()),
        HeaderValue::Int16(value) => put(3, None, &value.to_be_bytes()),
        HeaderValue::Int32(value) => put(4, None, &value.to_be_bytes()),
        HeaderValue::Int64(value) => put(5, None, &value.to_be_bytes()),
        HeaderValue::Bytes(value) => put(6, Some(value), &[]),
        HeaderValue::String(value) => put(7, Some(value), &[]),
        HeaderValue::TimestampMs(value) => put(8, None, &value.to_be_bytes()),
        HeaderValue::Uuid(value) => put(9, None, value),
    }
}

/// AWS's decoder takes the frames that we take, and means the same by them; it takes no more. Beyond
/// [`FRAME_BYTES_MAX`](crate::limits::FRAME_BYTES_MAX) it would wait on, where we refuse.
pub(super) fn check_against_aws(wire: &[u8]) {
    let frames = read([wire]).frames;
    let mut rest = wire;
    for frame in &frames {
        let ours = parse_frame(frame).expect("read before").expect("whole");
        assert_eq!(message_of(&ours), read_message_from(&frame[..]).ok(), "theirs differs");
        rest = &rest[frame.len()..];
    }
    let theirs = MessageFrameDecoder::new().decode_frame(rest);
    assert!(!matches!(theirs, Ok(DecodedFrame::Complete(_))), "they take what we refuse");
}

/// The message in AWS's own type, if the headers can be read and their text is UTF-8.
fn message_of(frame: &Frame<'_>) -> Option<Message> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
    let headers = frame.headers().map(|header| {
        let header = header.ok()?;
        let value = match header.value {
            HeaderValue::Bool(value) => AwsValue::Bool(value),
            HeaderValue::Byte(value) => AwsValue::Byte(value),
            HeaderValue::Int16(value) => AwsValue::Int16(value),
            HeaderValue::Int32(value) => AwsValue::Int32(value),
            HeaderValue::Int64(value) => AwsValue::Int64(value),
            HeaderValue::Bytes(value) => AwsValue::ByteArray(value.to_vec().into()),
            HeaderValue::String(value) => AwsValue::String(text(value)?.into()),
            HeaderValue::TimestampMs(value) => AwsValue::Timestamp(DateTime::from_millis(value)),
            HeaderValue::Uuid(value) => AwsValue::Uuid(u128::from_be_bytes(*value)),
        };
        Some(Header::new(text(header.name)?, value))
    });
    let headers = headers.collect::<Option<Vec<_>>>()?;
    Some(Message::new_from_parts(headers, frame.payload().to_vec()))
}
