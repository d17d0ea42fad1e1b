//! Usage from server-sent events, which OpenAI's operations stream: one JSON document per `data:` line.
//!
//! Only the last of them has the usage, and only if the client asked for it (`stream_options`); without it
//! nothing is known. Lines are read however the network cut them, and none is kept.

use memchr::memchr;

use super::body::take;
use super::{Counts, Usage, shape};
use crate::wire::json::Scanner;

const DATA: &[u8] = b"data:";

/// Follows one stream. Fixed size.
#[derive(Clone, Debug)]
pub struct SseUsage {
    line: Line,
    /// Of the line, if it is one of data.
    scanner: Scanner,
    told: Counts,
    fields: Counts,
}

/// Where in a line we are.
#[derive(Clone, Copy, Debug)]
enum Line {
    /// So many bytes of it are those of `data:`.
    Begins(usize),
    Data,
    Other,
}

impl SseUsage {
    /// Before the first byte; `fields` are what the answer's head said.
    #[must_use]
    pub fn new(fields: Counts) -> Self {
        let scanner = Scanner::new(shape::openai());
        Self { line: Line::Begins(0), scanner, told: Counts::default(), fields }
    }

    /// The next piece of content.
    pub fn feed(&mut self, mut content: &[u8]) {
        while let Some(first) = content.first() {
            if let Line::Begins(count) = self.line {
                self.line = match first {
                    b'\n' => Line::Begins(0),
                    byte if *byte == DATA[count] && count + 1 == DATA.len() => {
                        self.scanner = Scanner::new(shape::openai());
                        Line::Data
                    }
                    byte if *byte == DATA[count] => Line::Begins(count + 1),
                    _ => Line::Other,
                };
                content = &content[1..];
                continue;
            }
            let end = memchr(b'\n', content);
            let piece = &content[..end.unwrap_or(content.len())];
            if matches!(self.line, Line::Data) {
                self.scanner.feed(piece);
                if end.is_some() && self.scanner.is_whole() {
                    take(&self.scanner, &mut Counts::default(), &mut self.told);
                }
            }
            content = match end {
                Some(end) => {
                    self.line = Line::Begins(0);
                    &content[end + 1..]
                }
                None => &[],
            };
        }
    }

    /// The usage, when the stream has ended or will not go on.
    #[must_use]
    pub fn settle(&self) -> Usage {
        let mut usage = Counts::settle(self.fields, self.told);
        usage.partial = self.told.output.is_none() && self.fields.output.is_none();
        usage
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Tokens;

    const STREAM: &[u8] = b"event: x\r\ndata: {\"choices\":[{\"delta\":{\"content\":\"\\\"usage\\\":{\\\"prompt_tokens\\\":9}\"}}],\"usage\":null}\r\n\r\n: comment\ndata:{\"usage\":{\"prompt_tokens\":20,\"prompt_tokens_details\":{\"cached_tokens\":5},\"completion_tokens\":7}}\n\ndata: [DONE]\n\n";

    #[test]
    fn the_last_words_count_however_they_are_cut() {
        for cut in 0..=STREAM.len() {
            let mut usage = SseUsage::new(Counts::default());
            usage.feed(&STREAM[..cut]);
            usage.feed(&STREAM[cut..]);
            let usage = usage.settle();
            let counts = (usage.input, usage.cache_read, usage.output, usage.partial);
            assert_eq!(
                counts,
                (Some(Tokens(15)), Some(Tokens(5)), Some(Tokens(7)), false),
                "{cut}"
            );
        }
        let mut bytewise = SseUsage::new(Counts::default());
        STREAM.iter().for_each(|byte| bytewise.feed(&[*byte]));
        assert_eq!(bytewise.settle().output, Some(Tokens(7)));
    }

    #[test]
    fn the_responses_api_says_it_within_its_last_event() {
        let mut usage = SseUsage::new(Counts::default());
        usage.feed(b"data: {\"type\":\"response.created\",\"response\":{\"usage\":null}}\n\n");
        assert!(usage.settle().is_silent() && usage.settle().partial);
        usage.feed(b"data: {\"type\":\"response.completed\",\"response\":{\"usage\":{\"input_tokens\":8,\"output_tokens\":3}}}\n\n");
        let usage = usage.settle();
        assert_eq!((usage.input, usage.output), (Some(Tokens(8)), Some(Tokens(3))));
    }
}
