//! The automaton of one side of an HTTP/1.1 connection (RFC 9112 §9).
//!
//! ```text
//!  Idle ─► Head ─┬─► Content ─┐
//!   ▲ │          └────────────┴─► Done ─► Closed
//!   │ └──────────────────────────── │ ──────▲
//!   └───────────── Reused ──────────┘
//! ```
//!
//! A connection that breaks off elsewhere is a [`Violation`]: a message was cut, and the connection is
//! of no use to anyone.

/// How far one side of a connection is with its message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Phase {
    /// No byte of the next message yet. The peer may close here without offence.
    Idle,
    /// Part of a head was seen.
    Head,
    /// The head is whole, the content is not.
    Content,
    /// The message is whole.
    Done,
    /// Nothing more will come.
    Closed,
}

/// What may happen to one side.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Event {
    /// The first byte of a head.
    HeadBegun,
    /// The blank line after the fields.
    HeadEnded {
        /// Whether content follows, by its framing.
        has_content: bool,
    },
    /// The last byte of content.
    ContentEnded,
    /// Both sides are done, and the connection is kept.
    Reused,
    /// The peer closed, or we did.
    Hangup,
}

/// An event that the phase does not allow: our own bug, or a message that was cut.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Violation {
    /// Where the side was.
    pub phase: Phase,
    /// What happened to it.
    pub event: Event,
}

impl Phase {
    /// The phase after `event`: an arm is legal, all else is a [`Violation`].
    ///
    /// # Errors
    /// [`Violation`] for an event that the phase does not allow.
    pub fn on(self, event: Event) -> Result<Self, Violation> {
        use {Event::*, Phase::*};
        Ok(match (self, event) {
            (Idle, HeadBegun) => Head,
            (Head, HeadEnded { has_content: true }) => Content,
            (Head, HeadEnded { has_content: false }) | (Content, ContentEnded) => Done,
            (Done, Reused) => Idle,
            (Idle | Done, Hangup) => Closed,
            (phase, event) => return Err(Violation { phase, event }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHASES: [Phase; 5] =
        [Phase::Idle, Phase::Head, Phase::Content, Phase::Done, Phase::Closed];
    const EVENTS: [Event; 6] = [
        Event::HeadBegun,
        Event::HeadEnded { has_content: true },
        Event::HeadEnded { has_content: false },
        Event::ContentEnded,
        Event::Reused,
        Event::Hangup,
    ];

    #[test]
    fn seven_pairs_are_legal_and_all_others_name_themselves() {
        let mut legal = 0;
        for (phase, event) in PHASES.into_iter().flat_map(|p| EVENTS.map(|e| (p, e))) {
            match phase.on(event) {
                Ok(_) => legal += 1,
                Err(violation) => assert_eq!(violation, Violation { phase, event }),
            }
        }
        assert_eq!(legal, 7);
    }

    #[test]
    fn a_connection_lives_through_two_messages_and_then_closes() {
        let events = [
            (Event::HeadBegun, Phase::Head),
            (Event::HeadEnded { has_content: true }, Phase::Content),
            (Event::ContentEnded, Phase::Done),
            (Event::Reused, Phase::Idle),
            (Event::HeadBegun, Phase::Head),
            (Event::HeadEnded { has_content: false }, Phase::Done),
            (Event::Hangup, Phase::Closed),
        ];
        events.iter().fold(Phase::Idle, |phase, (event, expected)| {
            assert_eq!(phase.on(*event), Ok(*expected));
            *expected
        });
    }
}
