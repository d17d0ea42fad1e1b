//! Content on its way to the client: found in upstream's bytes, framed anew, never changed.
//!
//! ```text
//!   out:  [ the client's head, in the first batch ][ room for a chunk head ][ content … ][ last chunk ]
//! ```
//!
//! Upstream's chunks are its own (RFC 9112 §7.1: a proxy may re-chunk), so the content that one receive
//! brought becomes one chunk. It is copied once, from the decrypted record to where it is sent from.

use crate::{
    data_plane::tap::Tap,
    wire::http1::{
        chunked::{CHUNK_HEAD_BYTES_MAX, LAST_CHUNK, write_chunk_head},
        content::{ContentReader, Truncated},
        framing::Framing,
    },
};

/// How the client sees where content ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ClientFraming {
    /// By the length in its head.
    Length,
    /// By chunks.
    Chunked,
    /// By our close (HTTP/1.0).
    UntilClose,
}

/// Carries one answer's content.
pub struct Outflow {
    reader: ContentReader,
    framing: ClientFraming,
    /// Bytes of `out` before this batch's content and its chunk head: the client's head, or nothing.
    prefix: usize,
    /// Bytes of this batch's content that the tap has seen.
    looked: usize,
    /// Bytes of content handed over.
    carried: u64,
    has_ended: bool,
    has_surplus: bool,
    broken: Option<&'static str>,
    /// It is a frame that is broken, not the framing of the content.
    is_corrupt: bool,
}

impl Outflow {
    /// For content that upstream frames as `upstream`, and the client as `client`.
    #[must_use]
    pub fn new(upstream: Framing, client: ClientFraming) -> Self {
        let reader = ContentReader::new(upstream);
        Self {
            reader,
            framing: client,
            prefix: 0,
            looked: 0,
            carried: 0,
            has_ended: false,
            has_surplus: false,
            broken: None,
            is_corrupt: false,
        }
    }

    /// Begins a batch behind what `out` holds.
    pub fn begin(&mut self, out: &mut Vec<u8>) {
        self.prefix = out.len();
        self.looked = 0;
        if self.framing == ClientFraming::Chunked {
            out.extend_from_slice(&[0; CHUNK_HEAD_BYTES_MAX]);
        }
    }

    /// Takes bytes as upstream sent them.
    pub fn push(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) {
        while !bytes.is_empty() && self.broken.is_none() {
            if self.reader.is_done() {
                self.has_surplus = true;
                return;
            }
            match self.reader.step(bytes) {
                Ok(step) => {
                    out.extend_from_slice(&bytes[step.data]);
                    bytes = &bytes[step.consumed..];
                }
                Err(error) => self.broken = Some(error.0),
            }
        }
    }

    /// Ends the batch. What is to be sent is `out`, from the index returned.
    pub fn end(&mut self, tap: &mut Tap, out: &mut Vec<u8>) -> usize {
        self.look(tap, out);
        let is_chunked = self.framing == ClientFraming::Chunked;
        let data_start = self.data_start();
        self.carried += (out.len() - data_start) as u64;
        let ends_now = self.reader.is_done() && !self.has_ended && self.broken.is_none();
        self.has_ended |= ends_now;
        if !is_chunked {
            return 0;
        }
        let length = out.len() - data_start;
        let from = if length == 0 {
            out.truncate(self.prefix);
            0
        } else {
            let mut room = [0; CHUNK_HEAD_BYTES_MAX];
            let gap = write_chunk_head(&mut room, length);
            out[self.prefix + gap..data_start].copy_from_slice(&room[gap..]);
            out.copy_within(..self.prefix, gap);
            out.extend_from_slice(b"\r\n");
            gap
        };
        if ends_now {
            out.extend_from_slice(LAST_CHUNK);
        }
        from
    }

    /// Ends a message whose stream broke off between two frames with one more frame, which `append` writes: what
    /// is to be sent is `out`, from the index returned. `None`, and nothing is done, if the client could take that
    /// for something else: within a frame, in content of a known length, in content that is no stream of frames,
    /// or after an exception, which is its stream's last frame. To be called on a batch that was begun.
    pub fn conclude(
        &mut self,
        tap: &mut Tap,
        out: &mut Vec<u8>,
        append: impl FnOnce(&mut Vec<u8>),
    ) -> Option<usize> {
        self.look(tap, out);
        let may_go_on = tap.is_stream() && tap.may_end() && tap.reading().exception.is_none();
        if self.broken.is_some() || self.has_ended || !may_go_on {
            return None;
        }
        if self.framing == ClientFraming::Length {
            return None;
        }
        let end = out.len();
        append(out);
        let added = out.len() - end;
        self.looked += added; // the tap reads what upstream says
        self.reader = ContentReader::new(Framing::Length(0));
        let from = self.end(tap, out);
        self.carried -= added as u64;
        Some(from)
    }

    fn data_start(&self) -> usize {
        let is_chunked = self.framing == ClientFraming::Chunked;
        self.prefix + if is_chunked { CHUNK_HEAD_BYTES_MAX } else { 0 }
    }

    /// Shows what is new of the batch's content to the tap, and drops what must not be passed on.
    pub fn look(&mut self, tap: &mut Tap, out: &mut Vec<u8>) {
        if self.broken.is_some() || self.has_ended {
            return;
        }
        let data_start = self.data_start();
        let unseen = data_start + self.looked;
        match tap.look(&out[unseen..]) {
            Err((good, what)) => {
                out.truncate(unseen + good);
                self.broken = Some(what);
                self.is_corrupt = true;
            }
            Ok(()) if self.reader.is_done() && !tap.may_end() => {
                if self.framing == ClientFraming::Length && out.len() > data_start {
                    out.pop(); // or the client's count would be right
                }
                self.broken = Some("its stream ended within a frame");
                self.is_corrupt = true;
            }
            Ok(()) => {}
        }
        self.looked = out.len() - data_start;
    }

    /// Puts a field into the head that the batch begins with, and whose blank line is its end.
    pub fn insert_field(&mut self, out: &mut Vec<u8>, append: impl FnOnce(&mut Vec<u8>)) {
        let (at, end) = (self.prefix - b"\r\n".len(), out.len());
        append(out);
        let length = out.len() - end;
        out[at..].rotate_right(length);
        self.prefix += length;
    }

    /// Upstream closed: the end of content that lasts until then, and of no other.
    ///
    /// # Errors
    /// [`Truncated`] if content is missing.
    pub fn close(&mut self) -> Result<(), Truncated> {
        self.reader.on_close()?;
        // All that came went through `push`; what is left is to say so to the client.
        self.reader = ContentReader::new(Framing::Length(0));
        Ok(())
    }

    /// Whether all content was handed over by [`Self::end`].
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.has_ended
    }

    /// Whether all content has been seen.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.reader.is_done()
    }

    /// Whether upstream sent bytes behind the content: nobody asked for them, and its connection must
    /// not be used again.
    #[must_use]
    pub fn has_surplus(&self) -> bool {
        self.has_surplus
    }

    /// Whether it is a frame of the stream that is broken.
    #[must_use]
    pub fn is_corrupt(&self) -> bool {
        self.is_corrupt
    }

    /// Bytes of content handed over by [`Self::end`].
    #[must_use]
    pub fn carried(&self) -> u64 {
        self.carried
    }

    /// What is wrong with upstream's content, if something is.
    #[must_use]
    pub fn broken(&self) -> Option<&'static str> {
        self.broken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a client gets, in batches cut as given.
    fn carry(upstream: Framing, client: ClientFraming, pieces: &[&[u8]]) -> Vec<u8> {
        carry_tapped(upstream, client, Tap::default(), pieces)
    }

    fn carry_tapped(
        upstream: Framing,
        client: ClientFraming,
        mut tap: Tap,
        pieces: &[&[u8]],
    ) -> Vec<u8> {
        let mut flow = Outflow::new(upstream, client);
        let mut out = b"HEAD".to_vec();
        let mut sent = Vec::new();
        for piece in pieces {
            flow.begin(&mut out);
            flow.push(piece, &mut out);
            let from = flow.end(&mut tap, &mut out);
            sent.extend_from_slice(&out[from..]);
            out.clear();
        }
        if !flow.is_done() && flow.close().is_ok() {
            flow.begin(&mut out);
            let from = flow.end(&mut tap, &mut out);
            sent.extend_from_slice(&out[from..]);
        }
        sent
    }

    /// The content in what a client got, read by the plainest rules.
    fn content(mut bytes: &[u8], client: ClientFraming) -> (Vec<u8>, bool) {
        bytes = bytes.strip_prefix(b"HEAD").expect("the head comes first");
        if client != ClientFraming::Chunked {
            return (bytes.to_vec(), true);
        }
        let mut content = Vec::new();
        loop {
            let Some(line) = bytes.windows(2).position(|pair| pair == b"\r\n") else {
                return (content, false);
            };
            let length =
                usize::from_str_radix(str::from_utf8(&bytes[..line]).unwrap(), 16).unwrap();
            if length == 0 {
                assert_eq!(&bytes[line..], b"\r\n\r\n", "nothing follows the last chunk");
                return (content, true);
            }
            content.extend_from_slice(&bytes[line + 2..line + 2 + length]);
            bytes = bytes[line + 2 + length..].strip_prefix(b"\r\n").expect("CRLF ends a chunk");
        }
    }

    #[test]
    fn any_cut_gives_the_same_content_in_every_framing() {
        let chunked: &[u8] =
            b"5\r\nhello\r\n1;x=y\r\n \r\nb\r\nouter world\r\n0\r\nx-trailer: dropped\r\n\r\n";
        let plain: &[u8] = b"hello outer world";
        let sources = [
            (Framing::Chunked, chunked),
            (Framing::Length(17), plain),
            (Framing::UntilClose, plain),
        ];
        for (upstream, wire) in sources {
            for client in [ClientFraming::Length, ClientFraming::Chunked, ClientFraming::UntilClose]
            {
                for (a, b) in (0..=wire.len()).flat_map(|b| (0..=b).map(move |a| (a, b))) {
                    let sent = carry(upstream, client, &[&wire[..a], &wire[a..b], &wire[b..]]);
                    assert_eq!(
                        content(&sent, client),
                        (plain.to_vec(), true),
                        "{upstream:?} {client:?} {a} {b}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_cut_answer_never_gets_a_last_chunk() {
        let chunked: &[u8] = b"5\r\nhello\r\n3\r\nabc\r\n0\r\n\r\n";
        for end in 0..chunked.len() {
            let sent = carry(Framing::Chunked, ClientFraming::Chunked, &[&chunked[..end]]);
            assert!(!content(&sent, ClientFraming::Chunked).1, "cut at {end}");
        }
        for end in 0..5 {
            let sent = carry(Framing::Length(5), ClientFraming::Chunked, &[&b"hello"[..end]]);
            assert!(!content(&sent, ClientFraming::Chunked).1, "cut at {end}");
        }
    }

    #[test]
    fn bytes_behind_the_content_are_noticed_and_dropped() {
        let mut flow = Outflow::new(Framing::Length(2), ClientFraming::Length);
        let mut out = Vec::new();
        flow.begin(&mut out);
        flow.push(b"okHTTP/1.1 200 OK", &mut out);
        let from = flow.end(&mut Tap::default(), &mut out);
        assert_eq!((from, out.as_slice(), flow.carried()), (0, &b"ok"[..], 2));
        assert!(flow.has_surplus() && flow.is_done());
    }

    /// Frames pass at any cut; a broken one never passes whole, and the message never ends after it.
    #[test]
    fn a_stream_that_breaks_never_ends_cleanly() {
        let chunk = include_bytes!("../../tests/vectors/eventstream/whole/chunk.bin");
        let good = &[&chunk[..], &chunk[..]].concat();
        let client = ClientFraming::Chunked;
        let check = |wire: &[u8], passes: bool| {
            let upstream = Framing::Length(wire.len() as u64);
            for (a, b) in
                (0..=wire.len()).step_by(3).flat_map(|b| (0..=b).step_by(3).map(move |a| (a, b)))
            {
                let pieces = [&wire[..a], &wire[a..b], &wire[b..]];
                let sent = carry_tapped(upstream, client, Tap::of_stream(), &pieces);
                let (passed, is_whole) = content(&sent, client);
                assert_eq!(is_whole, passes, "cuts {a}, {b}");
                assert!(
                    wire.starts_with(&passed) && (passes || passed.len() < wire.len()),
                    "cuts {a}, {b}"
                );
            }
        };
        check(good, true);
        for at in [0, 9, 30, 150, good.len() - 1] {
            let mut bad = good.to_vec();
            bad[at] ^= 1;
            check(&bad, false);
        }
        let half = &good[..good.len() - 1];
        for client in [ClientFraming::Chunked, ClientFraming::Length] {
            let upstream = Framing::Length(half.len() as u64);
            let sent = carry_tapped(upstream, client, Tap::of_stream(), &[half]);
            let (passed, is_whole) = content(&sent, client);
            assert!(!is_whole || passed.len() < half.len(), "it ends within a frame");
        }
    }

    /// At every cut of a stream: told by a frame of ours between two frames, and else not at all.
    #[test]
    fn a_stream_that_breaks_off_is_concluded_between_frames_alone() {
        let chunk = include_bytes!("../../tests/vectors/eventstream/whole/chunk.bin");
        let exception =
            include_bytes!("../../tests/vectors/eventstream/whole/throttling_exception.bin");
        let check = |wire: &[u8], (client, mut tap): (ClientFraming, Tap), is_told: bool| {
            let mut flow = Outflow::new(Framing::Length(wire.len() as u64 + 1), client);
            let (mut out, mut sent) = (b"HEAD".to_vec(), Vec::new());
            flow.begin(&mut out);
            let half = wire.len() / 2;
            flow.push(&wire[..half], &mut out);
            let from = flow.end(&mut tap, &mut out);
            sent.extend_from_slice(&out[from..]);
            out.clear();
            flow.begin(&mut out);
            flow.push(&wire[half..], &mut out);
            let told = flow.conclude(&mut tap, &mut out, |out| out.extend_from_slice(b"ours"));
            assert_eq!((told.is_some(), flow.is_done()), (is_told, is_told), "{}", wire.len());
            if let Some(from) = told {
                sent.extend_from_slice(&out[from..]);
                assert_eq!(content(&sent, client), ([wire, b"ours"].concat(), true));
                assert_eq!(flow.carried(), wire.len() as u64, "ours is not counted");
            }
        };
        let wire = [&chunk[..], &chunk[..]].concat();
        for end in 0..=wire.len() {
            let is_between = end % chunk.len() == 0;
            for client in [ClientFraming::Chunked, ClientFraming::UntilClose] {
                check(&wire[..end], (client, Tap::of_stream()), is_between);
                check(&wire[..end], (client, Tap::default()), false);
            }
            check(&wire[..end], (ClientFraming::Length, Tap::of_stream()), false);
        }
        let failed = [&chunk[..], &exception[..]].concat();
        check(&failed, (ClientFraming::Chunked, Tap::of_stream()), false);
    }

    #[test]
    fn a_field_is_put_in_at_the_heads_end() {
        for framing in [ClientFraming::Length, ClientFraming::Chunked] {
            let mut flow = Outflow::new(Framing::Length(5), framing);
            let mut out = b"HTTP/1.1 200 OK\r\na: b\r\n\r\n".to_vec();
            flow.begin(&mut out);
            flow.push(b"hello", &mut out);
            flow.look(&mut Tap::default(), &mut out);
            flow.insert_field(&mut out, |out| out.extend_from_slice(b"c: d\r\n"));
            let from = flow.end(&mut Tap::default(), &mut out);
            let text = str::from_utf8(&out[from..]).unwrap();
            assert!(text.starts_with("HTTP/1.1 200 OK\r\na: b\r\nc: d\r\n\r\n"), "{text:?}");
            assert!(text.contains("hello") && flow.is_done() && flow.carried() == 5);
        }
    }

    #[test]
    fn broken_framing_stops_the_flow() {
        let mut flow = Outflow::new(Framing::Chunked, ClientFraming::Chunked);
        let mut out = Vec::new();
        flow.begin(&mut out);
        flow.push(b"2\r\nok\r\n-1\r\nevil", &mut out);
        assert!(flow.broken().is_some() && !flow.is_whole());
        assert!(!out.ends_with(b"evil"));
    }
}
