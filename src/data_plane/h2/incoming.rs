//! A stream's request, as the bytes that HTTP/1.1 would have.

use std::io;

use bytes::Bytes;
use h2::RecvStream;
use http::Request;

use super::{outgoing::Outgoing, render::render};
use crate::{buffer::Buffer, data_plane::inbox::Source};

/// Where a stream's inbox receives from.
pub struct Incoming<'s> {
    /// Until it is taken.
    head: Vec<u8>,
    body: RecvStream,
    /// How long it is is not known before its end.
    is_chunked: bool,
    has_ended: bool,
    outgoing: &'s Outgoing,
}

impl<'s> Incoming<'s> {
    /// Of a request whose answer goes through `outgoing`.
    pub fn new(request: Request<RecvStream>, outgoing: &'s Outgoing) -> Self {
        let (parts, body) = request.into_parts();
        let mut head = Vec::with_capacity(512);
        let has_ended = body.is_end_stream();
        let is_chunked = render(&parts, has_ended, &mut head);
        Self { head, body, is_chunked, has_ended, outgoing }
    }

    /// The next piece of content; `None` at its end.
    async fn piece(&mut self) -> io::Result<Option<Bytes>> {
        match self.body.data().await {
            Some(Ok(piece)) => {
                // It is taken when it is asked for, and not before: so a slow road holds its client back.
                let _ = self.body.flow_control().release_capacity(piece.len());
                Ok(Some(piece))
            }
            Some(Err(error)) => Err(io::Error::other(error)),
            None => Ok(None),
        }
    }
}

impl Source for Incoming<'_> {
    async fn receive(&mut self, mut buffer: Buffer) -> (io::Result<usize>, Buffer) {
        let before = buffer.filled().len();
        if !self.head.is_empty() {
            buffer.extend(&std::mem::take(&mut self.head));
        }
        while buffer.filled().len() == before && !self.has_ended {
            match self.piece().await {
                Ok(Some(piece)) if piece.is_empty() => {}
                Ok(Some(piece)) if self.is_chunked => {
                    buffer.extend(format!("{:x}\r\n", piece.len()).as_bytes());
                    buffer.extend(&piece);
                    buffer.extend(b"\r\n");
                }
                Ok(Some(piece)) => buffer.extend(&piece),
                Ok(None) => {
                    self.has_ended = true;
                    if self.is_chunked {
                        buffer.extend(b"0\r\n\r\n");
                    }
                }
                Err(error) => return (Err(error), buffer),
            }
        }
        let received = buffer.filled().len() - before;
        if received == 0 {
            // Nothing follows; that the client gives the stream up is what may still come.
            self.outgoing.given_up().await;
        }
        (Ok(received), buffer)
    }
}
