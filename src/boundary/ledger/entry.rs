//! One request's account: what the log line, the metrics and the store's row are made of.
//!
//! ```text
//!   0        8           24         40       48          56    64      80 ……… 316  320
//!   | sequence | request id | AWS's id | started | deployment | key | client | … | CRC-32 |
//! ```
//!
//! 320 bytes, little-endian, whatever the machine: a file of them is read after a restart, by another
//! build, under another configuration. So names do not stand here but references to them, which the
//! control plane's `names` file resolves for good. An entry's CRC covers its sequence number: an entry
//! that was torn, or that is an older lap's, is told from a good one by looking at it alone.

use std::net::{IpAddr, Ipv6Addr};

pub use super::failed::{FailedAttempt, FailedAttempts};
use super::{
    field::{Reader, Writer},
    usage::{read_units, read_usage, write_units, write_usage},
};
use crate::{
    bedrock::{
        fault::ErrorName,
        operation::Action,
        price::{Bill, Cost, Unpriced},
        usage::Usage,
    },
    units::{PicoUsd, RequestId, UnixMicros},
};

/// An encoded entry.
pub const ENTRY_BYTES: usize = 320;
/// Where the CRC stands, which covers all before it.
const CRC_AT: usize = ENTRY_BYTES - 4;
/// Of the layout; entries of another are not read.
const VERSION: u8 = 2;
/// Room for a client's own call id: a UUID's text.
pub const CALL_ID_KEPT_BYTES: usize = 36;

/// Names a deployment for good: its id, group, model, region and endpoint. 0: none was picked.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct DeploymentRef(pub u64);

/// Names a client key for good. 0: none was presented, or it was wrong.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct KeyRef(pub u64);

/// How a request ended. The discriminant is stored: never reuse one.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[repr(u8)]
pub enum Outcome {
    /// It is still under way.
    #[default]
    Open = 0,
    /// The client has the whole answer, be it an error of AWS's.
    Whole = 1,
    /// Upstream broke off within the answer; the client's was cut, too.
    AnswerCut = 2,
    /// A frame of the stream was broken; the client's was cut there.
    StreamCorrupt = 3,
    /// The client left before the answer's end, and upstream was told to stop.
    ClientGone = 4,
    /// The client left before the answer's end, which we read on to.
    Drained = 5,
    /// The request was sent, but no answer came, or none that could be passed on.
    NoAnswer = 6,
    /// No connection to upstream: AWS saw nothing of it.
    NotSent = 7,
    /// Outcrop refused it, or answered it itself: AWS saw nothing of it.
    Refused = 8,
    /// The process, or this exchange, ended before the request did. What was known by then is there: all,
    /// if the answer had been received whole.
    Interrupted = 9,
    /// Outcrop's own page.
    Page = 10,
    /// The client left before its request was whole: AWS saw nothing of it.
    Incomplete = 11,
}

impl Outcome {
    /// All, by their discriminants.
    pub const ALL: [Self; 12] = [
        Self::Open,
        Self::Whole,
        Self::AnswerCut,
        Self::StreamCorrupt,
        Self::ClientGone,
        Self::Drained,
        Self::NoAnswer,
        Self::NotSent,
        Self::Refused,
        Self::Interrupted,
        Self::Page,
        Self::Incomplete,
    ];

    /// As logs and the store have it.
    #[must_use]
    pub fn word(self) -> &'static str {
        [
            "open",
            "whole",
            "answer_cut",
            "stream_corrupt",
            "client_gone",
            "drained",
            "no_answer",
            "not_sent",
            "refused",
            "interrupted",
            "page",
            "incomplete",
        ][self as usize]
    }

    /// Whether AWS may have seen the request: then it has a row in the store, whatever came of it.
    #[must_use]
    pub fn reached_upstream(self) -> bool {
        !matches!(self, Self::NotSent | Self::Refused | Self::Page | Self::Incomplete)
    }
}

/// What a request cost.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Charge {
    /// Exactly this; 0 for what AWS does not bill, as an error.
    Known(PicoUsd),
    /// Cannot be told.
    Unknown(UnknownCost),
}

impl Default for Charge {
    fn default() -> Self {
        Self::Unknown(UnknownCost::NoUsage)
    }
}

impl Charge {
    /// The amount, if it is known.
    #[must_use]
    pub fn known(self) -> Option<PicoUsd> {
        match self {
            Self::Known(amount) => Some(amount),
            Self::Unknown(_) => None,
        }
    }
}

impl From<Cost> for Charge {
    fn from(cost: Cost) -> Self {
        match cost {
            // What a 64-bit column of a database cannot hold, nobody has spent.
            Cost::Known(Bill { total, .. }) if i64::try_from(total.0).is_err() => {
                Self::Unknown(UnknownCost::TooLarge)
            }
            Cost::Known(Bill { total, .. }) => Self::Known(total),
            Cost::Unknown(why) => Self::Unknown(why.into()),
        }
    }
}

/// Why a cost is unknown. The discriminant is stored: never reuse one.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
pub enum UnknownCost {
    /// Nothing told what was used: no answer, or one that broke off before it said.
    NoUsage = 1,
    /// A count that has a price is missing.
    NoCount = 2,
    /// Something was used that has no price.
    NoPrice = 3,
    /// The model has no prices under this service tier.
    NoTier = 4,
    /// No price is known for the model at all.
    NoRate = 5,
    /// Above $9.2 M: an answer that lies.
    TooLarge = 6,
}

impl UnknownCost {
    const ALL: [Self; 6] =
        [Self::NoUsage, Self::NoCount, Self::NoPrice, Self::NoTier, Self::NoRate, Self::TooLarge];

    /// As logs and the store have it.
    #[must_use]
    pub fn word(self) -> &'static str {
        ["no_usage", "no_count", "no_price", "no_tier", "no_rate", "too_large"][self as usize - 1]
    }
}

impl From<Unpriced> for UnknownCost {
    fn from(why: Unpriced) -> Self {
        match why {
            Unpriced::NoCount(_) | Unpriced::NoPieceCount(_) => Self::NoCount,
            Unpriced::NoPrice(_) | Unpriced::NoPiecePrice(_) => Self::NoPrice,
            Unpriced::NoTier(_) | Unpriced::NoLongTier(_) => Self::NoTier,
            Unpriced::TooLarge => Self::TooLarge,
        }
    }
}

/// What else is to be known of a request, yes or no.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Marks(u16);

impl Marks {
    /// The answer was an event stream.
    pub const STREAM: Self = Self(1);
    /// The stream held an exception of AWS's.
    pub const STREAM_EXCEPTION: Self = Self(1 << 1);
    /// Long-context prices applied.
    pub const LONG_CONTEXT: Self = Self(1 << 2);
    /// Cache writes of unknown lifetime were charged as five minutes'.
    pub const ASSUMES_5M: Self = Self(1 << 3);
    /// The client's call id was longer than is kept.
    pub const CALL_ID_CUT: Self = Self(1 << 4);
    /// The upstream connection had carried a request before.
    pub const REUSED: Self = Self(1 << 5);
    /// Events that could have had usage were not what AWS sends.
    pub const UNREAD_EVENTS: Self = Self(1 << 6);

    /// Those that logs and the store list, by name; whether it was a stream has a field of its own there.
    pub const LISTED: [(Self, &'static str); 6] = [
        (Self::STREAM_EXCEPTION, "stream_exception"),
        (Self::LONG_CONTEXT, "long_context"),
        (Self::ASSUMES_5M, "assumes_5m"),
        (Self::CALL_ID_CUT, "call_id_cut"),
        (Self::REUSED, "reused"),
        (Self::UNREAD_EVENTS, "unread_events"),
    ];

    /// Both.
    #[must_use]
    pub fn with(self, other: Self, if_true: bool) -> Self {
        if if_true { Self(self.0 | other.0) } else { self }
    }

    /// Whether all of `other` are set.
    #[must_use]
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// How long things took, in microseconds; 0 for what did not happen. Saturates above 71 minutes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Timing {
    /// From the request's whole head to the last byte given to the client's connection.
    pub total_us: u32,
    /// Of that, ours: neither waiting for the client, nor connecting, nor waiting for upstream.
    pub overhead_us: u32,
    /// From the whole request to the answer's head.
    pub first_byte_us: u32,
    /// From the whole request to the first content of the answer: of a stream, the first token's time.
    pub first_content_us: u32,
}

/// One request's account.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Entry {
    /// Ours; nobody else has it.
    pub request_id: RequestId,
    /// The client's own name for it, if it sent one.
    pub call_id: KeptCallId,
    /// AWS's `x-amzn-requestid`, if it is a UUID.
    pub upstream_request_id: Option<RequestId>,
    /// When its head was whole, by the wall clock.
    pub started: UnixMicros,
    /// Whom it was for.
    pub deployment: DeploymentRef,
    /// Who asked.
    pub key: KeyRef,
    /// Where the connection came from.
    pub client: Option<IpAddr>,
    /// What was asked.
    pub action: Option<Action>,
    /// How it ended.
    pub outcome: Outcome,
    /// The status that the client got; 0: none.
    pub status: u16,
    /// What the error was called, AWS's or ours.
    pub error: ErrorName,
    /// What was used.
    pub usage: Usage,
    /// What it cost.
    pub charge: Charge,
    /// Yes or no.
    pub marks: Marks,
    /// How long it took.
    pub timing: Timing,
    /// Content of the request. Saturates.
    pub request_bytes: u32,
    /// Content given to the client's connection, of the answer.
    pub answer_bytes: u64,
    /// How often it was sent upstream.
    pub attempts: u8,
    /// Attempts that failed, with or without having been sent, before the last one.
    pub failed: FailedAttempts,
    /// Groups that were left for another.
    pub fallbacks: u8,
    /// The core that served it.
    pub core: u16,
}

/// Up to [`CALL_ID_KEPT_BYTES`] of a call id; visible ASCII.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct KeptCallId {
    bytes: [u8; CALL_ID_KEPT_BYTES],
    length: u8,
}

impl Default for KeptCallId {
    fn default() -> Self {
        Self { bytes: [0; CALL_ID_KEPT_BYTES], length: 0 }
    }
}

impl std::fmt::Debug for KeptCallId {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self.text(), out)
    }
}

impl KeptCallId {
    /// Of visible ASCII; what is too long is cut.
    #[must_use]
    pub fn new(id: &[u8]) -> Self {
        let mut kept = Self::default();
        for (to, from) in kept.bytes.iter_mut().zip(id.iter().filter(|b| b.is_ascii_graphic())) {
            *to = *from;
            kept.length += 1;
        }
        kept
    }

    /// Empty if the client sent none.
    #[must_use]
    pub fn text(&self) -> &str {
        str::from_utf8(&self.bytes[..usize::from(self.length)]).expect("visible ASCII alone")
    }
}

/// The bytes are no entry, or only part of one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Torn;

impl Entry {
    /// As number `sequence` of its file.
    #[must_use]
    pub fn encode(&self, sequence: u64) -> [u8; ENTRY_BYTES] {
        let mut to = Writer::default();
        to.u64(sequence);
        to.u128(self.request_id.bits());
        to.u128(self.upstream_request_id.map_or(0, RequestId::bits));
        to.u64(self.started.0);
        to.u64(self.deployment.0);
        to.u64(self.key.0);
        to.u128(self.client.map_or(0, |address| match address {
            IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
            IpAddr::V6(address) => address.to_bits(),
        }));
        write_usage(&self.usage, &mut to);
        let (cost, why) = match self.charge {
            Charge::Known(amount) => (amount.0, 0),
            Charge::Unknown(why) => (0, why as u8),
        };
        to.u64(cost);
        to.u8(why);
        to.u8(self.action.map_or(0, |action| action as u8 + 1));
        to.u8(self.outcome as u8);
        to.u16(self.status);
        to.u8(self.error.code());
        to.u16(self.marks.0);
        to.u8(self.attempts);
        to.u16(self.core);
        to.u8(VERSION);
        let Timing { total_us, overhead_us, first_byte_us, first_content_us } = self.timing;
        [total_us, overhead_us, first_byte_us, first_content_us]
            .into_iter()
            .for_each(|it| to.u32(it));
        to.u32(self.request_bytes);
        to.u64(self.answer_bytes);
        to.u8(self.call_id.length);
        to.bytes(&self.call_id.bytes);
        self.failed.encode(&mut to);
        to.u8(self.fallbacks);
        write_units(&self.usage, &mut to);
        assert!(to.length() == CRC_AT, "the layout above");
        let crc = crc32fast::hash(to.filled());
        to.u32(crc);
        to.finish()
    }

    /// The entry and its sequence number.
    ///
    /// # Errors
    /// [`Torn`].
    pub fn decode(bytes: &[u8; ENTRY_BYTES]) -> Result<(u64, Self), Torn> {
        let (body, crc) = bytes.split_at(CRC_AT);
        if crc32fast::hash(body).to_le_bytes() != *crc {
            return Err(Torn);
        }
        let mut from = Reader::new(body);
        let sequence = from.u64();
        let request_id = RequestId::from_bits(from.u128());
        let upstream = from.u128();
        let (started, deployment) = (UnixMicros(from.u64()), DeploymentRef(from.u64()));
        let key = KeyRef(from.u64());
        let client = match from.u128() {
            0 => None,
            bits => Some(Ipv6Addr::from_bits(bits).to_canonical()),
        };
        let mut usage = read_usage(&mut from)?;
        let (cost, why) = (from.u64(), from.u8());
        let charge = match why {
            0 => Charge::Known(PicoUsd(cost)),
            why => {
                let known = UnknownCost::ALL.into_iter().find(|known| *known as u8 == why);
                Charge::Unknown(known.ok_or(Torn)?)
            }
        };
        let action = match from.u8() {
            0 => None,
            code => Some(*Action::ALL.get(usize::from(code) - 1).ok_or(Torn)?),
        };
        let outcome = *Outcome::ALL.get(usize::from(from.u8())).ok_or(Torn)?;
        let (status, error) = (from.u16(), ErrorName::from_code(from.u8()));
        let (marks, attempts, core) = (Marks(from.u16()), from.u8(), from.u16());
        if from.u8() != VERSION {
            return Err(Torn);
        }
        let timing = Timing {
            total_us: from.u32(),
            overhead_us: from.u32(),
            first_byte_us: from.u32(),
            first_content_us: from.u32(),
        };
        let (request_bytes, answer_bytes) = (from.u32(), from.u64());
        let length = usize::from(from.u8());
        let call_id = KeptCallId::new(from.bytes(CALL_ID_KEPT_BYTES).get(..length).ok_or(Torn)?);
        let (failed, fallbacks) = (FailedAttempts::decode(&mut from)?, from.u8());
        usage.guardrail_units = read_units(&mut from);
        let entry = Self {
            request_id,
            call_id,
            upstream_request_id: (upstream != 0).then(|| RequestId::from_bits(upstream)),
            started,
            deployment,
            key,
            client,
            action,
            outcome,
            status,
            error,
            usage,
            charge,
            marks,
            timing,
            request_bytes,
            answer_bytes,
            attempts,
            failed,
            fallbacks,
            core,
        };
        Ok((sequence, entry))
    }

    /// Whether AWS may have seen the request: then it has a row in the store.
    #[must_use]
    pub fn is_stored(&self) -> bool {
        self.outcome.reached_upstream()
    }
}
