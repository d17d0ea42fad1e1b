//! What a line looks like, and a log whose destination misbehaves.

mod lines;
mod writing;

use super::*;
use crate::{
    bedrock::{
        operation::Action,
        usage::{ServiceTier, Told, Usage},
    },
    boundary::ledger::entry::{Charge, KeptCallId, Marks, Outcome, Timing},
    units::{PicoUsd, RequestId, Tokens, UnixMicros},
};

fn entry() -> Entry {
    Entry {
        request_id: RequestId::from_bits(0x0199_0000_0000_7000_8000_0000_0000_0001),
        call_id: KeptCallId::new(b"mine-7"),
        upstream_request_id: Some(RequestId::from_bits(0xabc)),
        started: UnixMicros(1_795_396_123_000_456),
        client: Some("192.0.2.7".parse().unwrap()),
        action: Some(Action::ConverseStream),
        outcome: Outcome::Whole,
        status: 200,
        usage: Usage {
            input: Some(Tokens(1200)),
            output: Some(Tokens(88)),
            cache_read: Some(Tokens(300)),
            cache_write_1h: Some(Tokens(20)),
            cache_write_5m: Some(Tokens(0)),
            service_tier: Some(ServiceTier::Flex),
            told: Some(Told { output: Some(Tokens(89)), ..Told::default() }),
            ..Usage::default()
        },
        charge: Charge::Known(PicoUsd(123_000_000)),
        marks: Marks::STREAM.with(Marks::REUSED, true),
        timing: Timing {
            total_us: 1_234_567,
            overhead_us: 45,
            first_byte_us: 200_001,
            first_content_us: 210_000,
        },
        request_bytes: 512,
        answer_bytes: 70_000,
        attempts: 1,
        core: 3,
        ..Entry::default()
    }
}

fn east() -> DeploymentName {
    DeploymentName {
        id: "east-1".into(),
        model_group: "claude".into(),
        model: "us.anthropic.claude-sonnet-4-20250514-v1:0".into(),
        region: "us-east-1".into(),
        api_base: "https://h".into(),
    }
}

fn team() -> KeyName {
    KeyName { api_key: "88dc28d0".into(), alias: "team".into() }
}
