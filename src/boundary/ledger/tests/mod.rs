//! Entries there and back.

mod damage;
mod model;
mod ring;

use proptest::prelude::*;

use super::entry::*;
use crate::{
    bedrock::{
        failure::Failure,
        fault::ErrorName,
        operation::Action,
        usage::{ServiceTier, Told, Usage},
    },
    units::{PicoUsd, RequestId, Tokens, UnixMicros},
};

fn specimen() -> Entry {
    Entry {
        request_id: RequestId::from_bits(7 << 100),
        call_id: KeptCallId::new(b"my-call"),
        upstream_request_id: Some(RequestId::from_bits(u128::MAX)),
        started: UnixMicros(1_800_000_000_000_000),
        deployment: DeploymentRef(0xd00d),
        key: KeyRef(0xbee),
        client: Some([127, 0, 0, 1].into()),
        action: Some(Action::ConverseStream),
        outcome: Outcome::Drained,
        status: 200,
        error: ErrorName::of(b"ThrottlingException:http://x"),
        usage: Usage {
            input: Some(Tokens(1)),
            output: Some(Tokens(u64::MAX)),
            cache_read: Some(Tokens(0)),
            search_queries: Some(3),
            guardrail_units: Some(0),
            service_tier: Some(ServiceTier::Priority),
            told: Some(Told { output: Some(Tokens(9)), ..Told::default() }),
            partial: true,
            ..Usage::default()
        },
        charge: Charge::Known(PicoUsd(123_456_789_012)),
        marks: Marks::default().with(Marks::STREAM, true).with(Marks::REUSED, true),
        timing: Timing { total_us: 9, overhead_us: 1, first_byte_us: 4, first_content_us: 5 },
        request_bytes: 77,
        answer_bytes: 1 << 40,
        attempts: 2,
        failed: {
            let (deployment, failure) = (DeploymentRef(0xdead), Failure::Throttled);
            let mut failed = FailedAttempts::default();
            failed.push(FailedAttempt { deployment, failure, ms: 1234 });
            failed.push(FailedAttempt { failure: Failure::Broken, ms: u32::MAX, deployment });
            failed
        },
        fallbacks: 1,
        core: 3,
    }
}

#[test]
fn an_entry_survives_its_encoding() {
    let entry = specimen();
    assert_eq!(Entry::decode(&entry.encode(42)), Ok((42, entry)));
    let empty = Entry::default();
    assert_eq!(Entry::decode(&empty.encode(0)), Ok((0, empty)));
    let reasons = [
        UnknownCost::NoUsage,
        UnknownCost::NoCount,
        UnknownCost::NoPrice,
        UnknownCost::NoTier,
        UnknownCost::NoRate,
        UnknownCost::TooLarge,
    ];
    for why in reasons {
        let entry = Entry { charge: Charge::Unknown(why), ..Entry::default() };
        assert_eq!(Entry::decode(&entry.encode(1)), Ok((1, entry)));
    }
}

#[test]
fn a_guardrails_units_have_three_bytes_and_saturate() {
    let most = (1 << 24) - 2;
    for (units, kept) in [(0, 0), (1, 1), (most, most), (most + 1, most), (u64::MAX, most)] {
        let with = |units| {
            let usage = Usage { guardrail_units: Some(units), ..Usage::default() };
            Entry { usage, ..Entry::default() }
        };
        assert_eq!(Entry::decode(&with(units).encode(1)), Ok((1, with(kept))), "{units}");
    }
}

#[test]
fn any_changed_byte_is_seen() {
    let good = specimen().encode(42);
    for at in 0..good.len() {
        let mut bad = good;
        bad[at] ^= 0x10;
        assert_eq!(Entry::decode(&bad), Err(Torn), "byte {at}");
    }
    assert_eq!(Entry::decode(&[0; ENTRY_BYTES]), Err(Torn), "a hole in a file");
}

proptest! {
    #[test]
    fn bytes_with_a_right_checksum_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), ENTRY_BYTES)) {
        let crc = crc32fast::hash(&bytes[..ENTRY_BYTES - 4]);
        bytes[ENTRY_BYTES - 4..].copy_from_slice(&crc.to_le_bytes());
        let bytes: [u8; ENTRY_BYTES] = bytes.try_into().unwrap();
        if let Ok((sequence, entry)) = Entry::decode(&bytes) {
            prop_assert_eq!(Entry::decode(&entry.encode(sequence)), Ok((sequence, entry)));
        }
    }
}
