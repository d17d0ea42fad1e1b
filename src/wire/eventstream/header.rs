//! A frame's headers: ten types of value, and the three names that say what the frame is.
//!
//! ```text
//! u8 length, name │ u8 type │ value: 0 true · 1 false · 2 i8 · 3 i16 · 4 i32 · 5 i64
//!                 │         │        6 u16 length, bytes · 7 u16 length, UTF-8 · 8 i64 ms · 9 UUID
//! ```
//!
//! Nothing is copied. Headers decide nothing about where a frame ends, so an unreadable one costs what
//! the frame would have said, and never the stream.

use std::str;

/// Why a frame's headers cannot be understood. It is upstream's doing; the frame still passes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HeaderError {
    /// A header reaches beyond the end of the headers.
    Truncated,
    /// A type of value that the format does not have; its length is unknown.
    ValueType(u8),
    /// Text that is not UTF-8.
    Text,
    /// A name that says what the frame is, twice: two readers could read it differently.
    Repeated,
}

/// One header, in place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Header<'a> {
    /// UTF-8 by the format, but unchecked.
    pub name: &'a [u8],
    /// The value, typed as sent.
    pub value: HeaderValue<'a>,
}

/// A value, of one of the format's types.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HeaderValue<'a> {
    /// Types 0 and 1.
    Bool(bool),
    /// Type 2.
    Byte(i8),
    /// Type 3.
    Int16(i16),
    /// Type 4.
    Int32(i32),
    /// Type 5.
    Int64(i64),
    /// Type 6.
    Bytes(&'a [u8]),
    /// Type 7: UTF-8 by the format, but unchecked.
    String(&'a [u8]),
    /// Type 8: milliseconds since 1970, before it if negative.
    TimestampMs(i64),
    /// Type 9.
    Uuid(&'a [u8; 16]),
}

/// What a frame is, by its `:message-type`. A type is `None` if the frame does not name it in text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MessageKind<'a> {
    /// An event of the operation's model.
    Event {
        /// `:event-type`, such as `chunk` or `metadata`.
        event_type: Option<&'a str>,
    },
    /// An error of the operation's model; it ends the stream.
    Exception {
        /// `:exception-type`, such as `throttlingException`.
        exception_type: Option<&'a str>,
    },
    /// An error that the model does not know; it ends the stream.
    Error {
        /// `:error-code`.
        code: Option<&'a str>,
        /// `:error-message`.
        message: Option<&'a str>,
    },
    /// Nothing that is known: clients skip it.
    Other,
}

/// The headers of one frame, in the order sent. Ends after the first error.
#[derive(Clone, Copy, Debug)]
pub struct Headers<'a> {
    rest: &'a [u8],
}

impl<'a> Headers<'a> {
    /// `section` is what stands between prelude and payload.
    pub(super) fn new(section: &'a [u8]) -> Self {
        Self { rest: section }
    }

    /// What the frame is. The order of headers does not matter, and unknown ones do not.
    ///
    /// # Errors
    /// [`HeaderError`] if one cannot be read, or one that matters here comes twice.
    pub fn kind(self) -> Result<MessageKind<'a>, HeaderError> {
        let mut message_type = None;
        let (mut event_type, mut exception_type) = (None, None);
        let (mut code, mut message) = (None, None);
        for header in self {
            let Header { name, value } = header?;
            let place = match name {
                b":message-type" => &mut message_type,
                b":event-type" => &mut event_type,
                b":exception-type" => &mut exception_type,
                b":error-code" => &mut code,
                b":error-message" => &mut message,
                _ => continue,
            };
            if place.replace(value).is_some() {
                return Err(HeaderError::Repeated);
            }
        }
        Ok(match message_type {
            Some(HeaderValue::String(b"event")) => {
                MessageKind::Event { event_type: text(event_type)? }
            }
            Some(HeaderValue::String(b"exception")) => {
                MessageKind::Exception { exception_type: text(exception_type)? }
            }
            Some(HeaderValue::String(b"error")) => {
                MessageKind::Error { code: text(code)?, message: text(message)? }
            }
            _ => MessageKind::Other,
        })
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = Result<Header<'a>, HeaderError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let header = read(&mut self.rest);
        if header.is_err() {
            self.rest = &[];
        }
        Some(header)
    }
}

/// `None` if there is no such header, or it is no text.
fn text(value: Option<HeaderValue<'_>>) -> Result<Option<&str>, HeaderError> {
    let Some(HeaderValue::String(bytes)) = value else { return Ok(None) };
    str::from_utf8(bytes).map(Some).map_err(|_| HeaderError::Text)
}

/// The header at the start of `rest`, which is moved behind it.
#[inline]
fn read<'a>(rest: &mut &'a [u8]) -> Result<Header<'a>, HeaderError> {
    let [name_bytes] = *take(rest)?;
    let name = take_run(rest, usize::from(name_bytes))?;
    let [value_type] = *take(rest)?;
    let value = match value_type {
        0 => HeaderValue::Bool(true),
        1 => HeaderValue::Bool(false),
        2 => HeaderValue::Byte(i8::from_be_bytes(*take(rest)?)),
        3 => HeaderValue::Int16(i16::from_be_bytes(*take(rest)?)),
        4 => HeaderValue::Int32(i32::from_be_bytes(*take(rest)?)),
        5 => HeaderValue::Int64(i64::from_be_bytes(*take(rest)?)),
        6 => HeaderValue::Bytes(take_measured(rest)?),
        7 => HeaderValue::String(take_measured(rest)?),
        8 => HeaderValue::TimestampMs(i64::from_be_bytes(*take(rest)?)),
        9 => HeaderValue::Uuid(take(rest)?),
        unknown => return Err(HeaderError::ValueType(unknown)),
    };
    Ok(Header { name, value })
}

#[inline]
fn take_measured<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], HeaderError> {
    let length = u16::from_be_bytes(*take(rest)?);
    take_run(rest, usize::from(length))
}

#[inline]
fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> Result<&'a [u8; N], HeaderError> {
    let (taken, after) = rest.split_first_chunk().ok_or(HeaderError::Truncated)?;
    *rest = after;
    Ok(taken)
}

#[inline]
fn take_run<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], HeaderError> {
    let (taken, after) = rest.split_at_checked(length).ok_or(HeaderError::Truncated)?;
    *rest = after;
    Ok(taken)
}
