//! The scanner: one byte decides, strings and unwatched values are passed at memchr's speed.

use memchr::memchr2;

use super::number::count;
use super::slots::{PathSet, Slots, each};
use super::{Path, Paths, Step, Take};
use crate::limits::{JSON_STEPS_MAX, JSON_TOKEN_BYTES_MAX};

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// A value begins.
    Value,
    /// A value begins, or the array just opened ends.
    ValueOrEnd,
    /// A key begins.
    Key,
    /// A key begins, or the object just opened ends.
    KeyOrEnd,
    Colon,
    /// A comma, or the end of the container.
    AfterValue,
    /// Inside a string that nobody reads.
    Passing,
    /// Behind its backslash.
    PassingEscape,
    /// Inside a key or word that is read into the token.
    Reading,
    /// Behind its backslash.
    ReadingEscape,
    /// Behind `\u`: digits that are still to come, and what they make.
    ReadingUnicode {
        left: u8,
        unit: u16,
    },
    /// Inside a number, `true`, `false` or `null`.
    Scalar,
    /// Inside a container that nobody looks into.
    Skipping,
    /// The document has ended; only blanks may follow.
    Done,
    /// Watched structure was broken.
    Malformed,
}

/// Which bytes stop the skipping of a container: quotes and brackets.
const STOPS: [bool; 256] = {
    let mut stops = [false; 256];
    let mut at = 0;
    while at < 5 {
        stops[b"\"{}[]"[at] as usize] = true;
        at += 1;
    }
    stops
};

/// Looks for numbers at [`Paths`] in a document that arrives in pieces.
#[derive(Clone, Debug)]
pub struct Scanner {
    slots: Slots,
    state: State,
    /// Open containers that some path looks into.
    depth: usize,
    /// Open containers below them that none does; a count, so that no nesting is too deep.
    skipped_depth: u64,
    /// Per open container, the paths that look into it.
    inside: [PathSet; JSON_STEPS_MAX],
    /// Bit per open container: whether it is an array.
    arrays: u8,
    /// The paths that agree with the place of the value being read, or to be read next.
    here: PathSet,
    /// Whether the string being read is a key.
    is_key: bool,
    token: Token,
}
const _: () = assert!(JSON_STEPS_MAX <= u8::BITS as usize);

impl Scanner {
    /// Before the first byte.
    #[must_use]
    pub fn new(paths: Paths) -> Self {
        let all = (1_u64 << paths.list().len()) - 1;
        Self {
            slots: Slots::new(paths),
            state: State::Value,
            depth: 0,
            skipped_depth: 0,
            inside: [0; JSON_STEPS_MAX],
            arrays: 0,
            here: PathSet::try_from(all).expect("a scanner's paths fit one set"),
            is_key: false,
            token: Token::EMPTY,
        }
    }

    /// The next piece of the document; may be empty.
    pub fn feed(&mut self, text: &[u8]) {
        let mut rest = text;
        while let Some((byte, _)) = rest.split_first() {
            let used = match self.state {
                State::Skipping => self.skip(rest),
                State::Passing => self.pass(rest),
                State::PassingEscape => {
                    self.state = State::Passing;
                    1
                }
                State::Reading => self.read(rest),
                State::Scalar => self.scalar(rest),
                State::Malformed => return,
                _ => {
                    self.state = self.on(*byte);
                    1
                }
            };
            rest = &rest[used..];
        }
    }

    /// Whether the document was there to its end.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.state == State::Done
    }

    /// What the path at place `at` of the table gave so far. `None`: nothing, or the document is broken.
    #[must_use]
    pub fn value(&self, at: usize) -> Option<u64> {
        self.slots.value(at).filter(|_| self.state != State::Malformed)
    }

    /// (label, what it gave) of the paths that gave something, in the order of the table.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = (u8, u64)> {
        let paths = self.slots.paths().iter().enumerate();
        paths.filter_map(|(at, path)| Some((path.label, self.value(at)?)))
    }

    /// The automaton, apart from the inside of strings, scalars and skipped containers.
    fn on(&mut self, byte: u8) -> State {
        use State::*;
        match (self.state, byte) {
            (ReadingEscape, byte) => self.on_escape(byte),
            (ReadingUnicode { left, unit }, byte) => self.on_unicode(left, unit, byte),
            (state, b' ' | b'\t' | b'\n' | b'\r') => state,
            (Value | ValueOrEnd, b'{' | b'[') => self.open(byte == b'['),
            (Value | ValueOrEnd, b'"') => self.begin_text(),
            (Value | ValueOrEnd, b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => {
                self.token.clear();
                self.token.push(&[byte]);
                Scalar
            }
            (Key | KeyOrEnd, b'"') => {
                self.is_key = true;
                self.token.clear();
                Reading
            }
            (Colon, b':') => Value,
            (AfterValue, b',') if self.in_array() => {
                self.end_element();
                Value
            }
            (AfterValue, b',') => Key,
            (AfterValue, b']') if self.in_array() => {
                self.end_element();
                self.close()
            }
            (AfterValue, b'}') if !self.in_array() => self.close(),
            (ValueOrEnd, b']') | (KeyOrEnd, b'}') => self.close(),
            _ => Malformed,
        }
    }

    fn in_array(&self) -> bool {
        debug_assert!(self.depth > 0, "only inside a container");
        self.arrays & (1 << (self.depth - 1)) != 0
    }

    fn open(&mut self, is_array: bool) -> State {
        let mut set = 0;
        for at in each(self.here) {
            let next = self.slots.paths()[at].steps.get(self.depth);
            if next.is_some_and(|step| (*step == Step::Each) == is_array) {
                set |= 1 << at;
            }
        }
        if set == 0 {
            self.skipped_depth = 1;
            return State::Skipping;
        }
        self.inside[self.depth] = set;
        self.depth += 1;
        let bit = 1 << (self.depth - 1);
        if !is_array {
            self.arrays &= !bit;
            return State::KeyOrEnd;
        }
        self.arrays |= bit;
        self.here = set;
        self.slots.array_begins(set);
        State::ValueOrEnd
    }

    fn close(&mut self) -> State {
        self.depth -= 1;
        self.after_value()
    }

    fn after_value(&self) -> State {
        if self.depth == 0 { State::Done } else { State::AfterValue }
    }

    fn end_element(&mut self) {
        let set = self.inside[self.depth - 1];
        self.slots.element_ended(set, self.depth - 1);
        self.here = set;
    }

    /// The paths that end at the value being read.
    fn ending_here(&self) -> impl Iterator<Item = (usize, &'static Path)> + use<> {
        let (paths, depth) = (self.slots.paths(), self.depth);
        each(self.here)
            .map(move |at| (at, &paths[at]))
            .filter(move |(_, path)| path.steps.len() == depth)
    }

    fn begin_text(&mut self) -> State {
        self.is_key = false;
        if !self.ending_here().any(|(_, path)| matches!(path.take, Take::Word(_))) {
            return State::Passing;
        }
        self.token.clear();
        State::Reading
    }

    /// Passes bytes up to the end of a string that nobody reads; how many.
    fn pass(&mut self, text: &[u8]) -> usize {
        let mut at = 0;
        while let Some(found) = memchr2(b'"', b'\\', &text[at..]) {
            at += found;
            if text[at] == b'"' {
                self.state =
                    if self.skipped_depth > 0 { State::Skipping } else { self.after_value() };
                return at + 1;
            }
            at += 2;
            if at > text.len() {
                self.state = State::PassingEscape;
                return text.len();
            }
        }
        text.len()
    }

    /// Passes bytes of a container that nobody looks into; how many.
    fn skip(&mut self, text: &[u8]) -> usize {
        let mut at = 0;
        while let Some(found) = text[at..].iter().position(|byte| STOPS[usize::from(*byte)]) {
            at += found + 1;
            match text[at - 1] {
                b'"' => {
                    self.state = State::Passing;
                    return at;
                }
                b'{' | b'[' => self.skipped_depth += 1,
                _ => self.skipped_depth -= 1,
            }
            if self.skipped_depth == 0 {
                self.state = self.after_value();
                return at;
            }
        }
        text.len()
    }

    /// Reads bytes of a key or word; how many.
    fn read(&mut self, text: &[u8]) -> usize {
        let Some(at) = memchr2(b'"', b'\\', text) else {
            self.token.push(text);
            return text.len();
        };
        self.token.push(&text[..at]);
        self.state = match text[at] {
            b'\\' => State::ReadingEscape,
            _ if self.is_key => self.end_key(),
            _ => self.end_word(),
        };
        at + 1
    }

    fn on_escape(&mut self, byte: u8) -> State {
        let plain = match byte {
            b'u' => return State::ReadingUnicode { left: 4, unit: 0 },
            b'"' | b'\\' | b'/' => byte,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            _ => return State::Malformed,
        };
        self.token.push(&[plain]);
        State::Reading
    }

    fn on_unicode(&mut self, left: u8, unit: u16, byte: u8) -> State {
        let Some(digit) = char::from(byte).to_digit(16).and_then(|digit| u16::try_from(digit).ok())
        else {
            return State::Malformed;
        };
        let unit = (unit << 4) | digit;
        if left > 1 {
            return State::ReadingUnicode { left: left - 1, unit };
        }
        // Names in paths are ASCII: any other character only has to differ from all of them.
        self.token.push(&[u8::try_from(unit).ok().filter(u8::is_ascii).unwrap_or(0xff)]);
        State::Reading
    }

    fn end_key(&mut self) -> State {
        let depth = self.depth - 1;
        let key = self.token.text();
        self.here = 0;
        for at in each(self.inside[depth]) {
            let Step::Key(name) = self.slots.paths()[at].steps[depth] else { continue };
            if key == Some(name.as_bytes()) {
                self.here |= 1 << at;
            }
        }
        self.slots.forget(self.here, depth);
        State::Colon
    }

    fn end_word(&mut self) -> State {
        for (at, path) in self.ending_here() {
            if let Take::Word(words) = path.take {
                let known =
                    words.iter().position(|word| self.token.text() == Some(word.as_bytes()));
                self.slots.found(at, known.unwrap_or(words.len()) as u64);
            }
        }
        self.after_value()
    }

    /// Reads bytes of a number or literal; how many. Its end is the byte after it, which is left.
    fn scalar(&mut self, text: &[u8]) -> usize {
        let ends = |byte: &u8| matches!(byte, b',' | b']' | b'}' | b' ' | b'\t' | b'\n' | b'\r');
        let end = text.iter().position(ends);
        self.token.push(&text[..end.unwrap_or(text.len())]);
        let Some(end) = end else { return text.len() };
        let mut number = None;
        for (at, path) in self.ending_here() {
            if matches!(path.take, Take::Number | Take::NumberIf { .. }) {
                number = number.or_else(|| self.token.text().and_then(count));
                if let Some(number) = number {
                    self.slots.found(at, number);
                }
            }
        }
        self.state = self.after_value();
        end
    }
}

/// A key, word or number as far as it was read.
#[derive(Clone, Debug)]
struct Token {
    bytes: [u8; JSON_TOKEN_BYTES_MAX],
    length: usize,
}

impl Token {
    const EMPTY: Self = Self { bytes: [0; JSON_TOKEN_BYTES_MAX], length: 0 };

    fn clear(&mut self) {
        self.length = 0;
    }

    /// What does not fit makes the token unknown; it is never cut short.
    fn push(&mut self, more: &[u8]) {
        match self.bytes.get_mut(self.length..self.length.saturating_add(more.len())) {
            Some(room) => {
                room.copy_from_slice(more);
                self.length += more.len();
            }
            None => self.length = usize::MAX,
        }
    }

    fn text(&self) -> Option<&[u8]> {
        self.bytes.get(..self.length)
    }
}
