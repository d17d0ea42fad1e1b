//! A usage within an entry's bytes: which counts are known, then all of them, known or 0.

use super::{
    entry::Torn,
    field::{Reader, Writer},
};
use crate::{
    bedrock::usage::{ServiceTier, Told, Usage},
    units::Tokens,
};

const UNITS_BYTES: usize = 3;
const UNITS_KEPT_MAX: u64 = (1 << (8 * UNITS_BYTES)) - 1;

/// Six counts, five numbers of pieces, four counts that were told, which of them are known, the tier.
pub(super) fn write_usage(usage: &Usage, to: &mut Writer) {
    let told = usage.told.unwrap_or_default();
    let counts = [
        usage.input,
        usage.output,
        usage.cache_read,
        usage.cache_write_5m,
        usage.cache_write_1h,
        usage.cache_write_unsplit,
    ];
    let pieces = [
        usage.images,
        usage.input_images,
        usage.video_seconds,
        usage.audio_seconds,
        usage.search_queries,
    ];
    let told_counts = [told.input, told.output, told.cache_read, told.cache_write];
    let known = counts.iter().map(Option::is_some).chain(pieces.iter().map(Option::is_some));
    let known = known.chain(told_counts.iter().map(Option::is_some));
    let known = known.chain([usage.told.is_some()]);
    to.u16(known.enumerate().fold(0, |bits, (at, is_known)| bits | u16::from(is_known) << at));
    counts.iter().for_each(|count| to.u64(count.map_or(0, |tokens| tokens.0)));
    let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    pieces.iter().for_each(|count| to.u32(count.map_or(0, small)));
    told_counts.iter().for_each(|count| to.u32(count.map_or(0, |tokens| small(tokens.0))));
    let tier = usage.service_tier.map_or(0, |tier| tier.code() + 1);
    to.u8(tier | if usage.partial { 0x80 } else { 0 });
}

pub(super) fn read_usage(from: &mut Reader<'_>) -> Result<Usage, Torn> {
    let known = from.u16();
    let is_known = |at: usize| known >> at & 1 == 1;
    let mut tokens = |at: usize| {
        let count = from.u64();
        is_known(at).then_some(Tokens(count))
    };
    let mut usage = Usage {
        input: tokens(0),
        output: tokens(1),
        cache_read: tokens(2),
        cache_write_5m: tokens(3),
        cache_write_1h: tokens(4),
        cache_write_unsplit: tokens(5),
        ..Usage::default()
    };
    let mut small = |at: usize| {
        let count = u64::from(from.u32());
        is_known(at).then_some(count)
    };
    usage.images = small(6);
    usage.input_images = small(7);
    usage.video_seconds = small(8);
    usage.audio_seconds = small(9);
    usage.search_queries = small(10);
    let mut told = |at: usize| small(at).map(Tokens);
    let told =
        Told { input: told(11), output: told(12), cache_read: told(13), cache_write: told(14) };
    usage.told = is_known(15).then_some(told);
    let tier = from.u8();
    usage.partial = tier & 0x80 != 0;
    usage.service_tier = match tier & 0x7f {
        0 => None,
        code => Some(ServiceTier::from_code(code - 1).ok_or(Torn)?),
    };
    Ok(usage)
}

/// A guardrail's units in what is left at an entry's end: 0 is none, as those have it that were written before
/// there were any; else one more than they are. Saturates.
pub(super) fn write_units(usage: &Usage, to: &mut Writer) {
    let kept = usage.guardrail_units.map_or(0, |units| units.saturating_add(1).min(UNITS_KEPT_MAX));
    to.bytes(&kept.to_le_bytes()[..UNITS_BYTES]);
}

pub(super) fn read_units(from: &mut Reader<'_>) -> Option<u64> {
    let mut bytes = [0; size_of::<u64>()];
    bytes[..UNITS_BYTES].copy_from_slice(from.bytes(UNITS_BYTES));
    u64::from_le_bytes(bytes).checked_sub(1)
}
