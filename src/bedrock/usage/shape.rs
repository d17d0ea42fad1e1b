//! Where each family's numbers stand: the rows of guide §3.4 as tables of paths.

use super::{Family, ServiceTier};
use crate::wire::json::{Path, Paths, Step, Take};
use Step::{Each, Key};

/// What a number found counts; named as the fields of `Counts`. The label of its path is this, in the low bits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(super) enum Count {
    Input,
    InputWithCached,
    Output,
    CacheRead,
    CacheWrite,
    CacheWrite5m,
    CacheWrite1h,
    Images,
    Results,
    GuardrailUnits,
    Tier,
}

impl Count {
    const ALL: [Self; 11] = [
        Self::Input,
        Self::InputWithCached,
        Self::Output,
        Self::CacheRead,
        Self::CacheWrite,
        Self::CacheWrite5m,
        Self::CacheWrite1h,
        Self::Images,
        Self::Results,
        Self::GuardrailUnits,
        Self::Tier,
    ];
}

/// Set in the label of what AWS bills by.
const BILLED: u8 = 0x80;
/// The label of a cache detail's lifetime, which guards its count.
const LIFETIME: u8 = 0x7f;
const LIFETIMES: &[&str] = &["5m", "1h"];

/// What a label stands for, and whether AWS bills by it; `None` for a guard.
pub(super) fn meaning(label: u8) -> Option<(Count, bool)> {
    let count = Count::ALL.get(usize::from(label & !BILLED))?;
    Some((*count, label & BILLED != 0))
}

const fn told(count: Count, steps: &'static [Step]) -> Path {
    Path { steps, take: Take::Number, label: count as u8 }
}

const fn billed(count: Count, steps: &'static [Step]) -> Path {
    Path { steps, take: Take::Number, label: count as u8 | BILLED }
}

const fn counted(count: Count, steps: &'static [Step]) -> Path {
    Path { steps, take: Take::Count, label: count as u8 }
}

const fn units(steps: &'static [Step]) -> Path {
    told(Count::GuardrailUnits, steps)
}

const fn tier(steps: &'static [Step]) -> Path {
    Path { steps, take: Take::Word(ServiceTier::WORDS), label: Count::Tier as u8 }
}

const fn detail(count: Count, lifetime: u64) -> Path {
    const STEPS: &[Step] = &[USAGE, Key("cacheDetails"), Each, Key("inputTokens")];
    let take = Take::NumberIf { guard: LIFETIME, equals: lifetime };
    Path { steps: STEPS, take, label: count as u8 }
}

const USAGE: Step = Key("usage");
const MESSAGE: Step = Key("message");
const METADATA: Step = Key("metadata");
const METRICS: Step = Key("amazon-bedrock-invocationMetrics");
const CREATION: Step = Key("cache_creation");
const TRACE: Step = Key("trace");
const MADE: Step = Key("modelInvocationOutput");
const RESPONSE: Step = Key("response");
const BILLED_UNITS: [Step; 3] = [RESPONSE, Key("meta"), Key("billed_units")];
const SHORT: Step = Key("ephemeral_5m_input_tokens");
const LONG: Step = Key("ephemeral_1h_input_tokens");

const METRICS_INPUT: Path = billed(Count::Input, &[METRICS, Key("inputTokenCount")]);
const METRICS_OUTPUT: Path = billed(Count::Output, &[METRICS, Key("outputTokenCount")]);
const METRICS_READ: Path = billed(Count::CacheRead, &[METRICS, Key("cacheReadInputTokenCount")]);
const METRICS_WRITE: Path = billed(Count::CacheWrite, &[METRICS, Key("cacheWriteInputTokenCount")]);

const CLAUDE_INPUT: Path = told(Count::Input, &[USAGE, Key("input_tokens")]);
const CLAUDE_OUTPUT: Path = told(Count::Output, &[USAGE, Key("output_tokens")]);
const CLAUDE_READ: Path = told(Count::CacheRead, &[USAGE, Key("cache_read_input_tokens")]);
const CLAUDE_WRITE: Path = told(Count::CacheWrite, &[USAGE, Key("cache_creation_input_tokens")]);
const CLAUDE_SHORT: Path = told(Count::CacheWrite5m, &[USAGE, CREATION, SHORT]);
const CLAUDE_LONG: Path = told(Count::CacheWrite1h, &[USAGE, CREATION, LONG]);
const CLAUDE_TIER: Path = tier(&[USAGE, Key("service_tier")]);

const NOVA_INPUT: Path = told(Count::Input, &[USAGE, Key("inputTokens")]);
const NOVA_OUTPUT: Path = told(Count::Output, &[USAGE, Key("outputTokens")]);
const NOVA_READ: Path = told(Count::CacheRead, &[USAGE, Key("cacheReadInputTokenCount")]);
const NOVA_WRITE: Path = told(Count::CacheWrite, &[USAGE, Key("cacheWriteInputTokenCount")]);

const TITAN_INPUT: Path = told(Count::Input, &[Key("inputTextTokenCount")]);
const TITAN_OUTPUT: Path = told(Count::Output, &[Key("results"), Each, Key("tokenCount")]);
const TITAN_OUTPUT_STREAM: Path = told(Count::Output, &[Key("totalOutputTextTokenCount")]);
const LLAMA_INPUT: Path = told(Count::Input, &[Key("prompt_token_count")]);
const LLAMA_OUTPUT: Path = told(Count::Output, &[Key("generation_token_count")]);

const OPENAI_INPUT: Path = told(Count::InputWithCached, &[USAGE, Key("prompt_tokens")]);
const OPENAI_OUTPUT: Path = told(Count::Output, &[USAGE, Key("completion_tokens")]);
const OPENAI_READ: Path =
    told(Count::CacheRead, &[USAGE, Key("prompt_tokens_details"), Key("cached_tokens")]);
const OPENAI_TIER: Path = tier(&[Key("service_tier")]);

const COHERE_INPUT: Path =
    told(Count::Input, &[BILLED_UNITS[0], BILLED_UNITS[1], BILLED_UNITS[2], Key("input_tokens")]);
const COHERE_OUTPUT: Path =
    told(Count::Output, &[BILLED_UNITS[0], BILLED_UNITS[1], BILLED_UNITS[2], Key("output_tokens")]);

const CONVERSE: Paths = Paths::new(&[
    NOVA_INPUT,
    NOVA_OUTPUT,
    told(Count::CacheRead, &[USAGE, Key("cacheReadInputTokens")]),
    NOVA_READ,
    told(Count::CacheWrite, &[USAGE, Key("cacheWriteInputTokens")]),
    NOVA_WRITE,
    Path {
        steps: &[USAGE, Key("cacheDetails"), Each, Key("ttl")],
        take: Take::Word(LIFETIMES),
        label: LIFETIME,
    },
    detail(Count::CacheWrite5m, 0),
    detail(Count::CacheWrite1h, 1),
    tier(&[Key("serviceTier"), Key("type")]),
    tier(&[Key("serviceTier")]),
]);
const CLAUDE: Paths = Paths::new(&[
    CLAUDE_INPUT,
    CLAUDE_OUTPUT,
    CLAUDE_READ,
    CLAUDE_WRITE,
    CLAUDE_SHORT,
    CLAUDE_LONG,
    CLAUDE_TIER,
]);
const CLAUDE_STREAM: Paths = Paths::new(&[
    METRICS_INPUT,
    METRICS_OUTPUT,
    METRICS_READ,
    METRICS_WRITE,
    CLAUDE_INPUT,
    CLAUDE_OUTPUT,
    CLAUDE_READ,
    CLAUDE_WRITE,
    CLAUDE_SHORT,
    CLAUDE_LONG,
    CLAUDE_TIER,
    told(Count::Input, &[MESSAGE, USAGE, Key("input_tokens")]),
    told(Count::Output, &[MESSAGE, USAGE, Key("output_tokens")]),
    told(Count::CacheRead, &[MESSAGE, USAGE, Key("cache_read_input_tokens")]),
    told(Count::CacheWrite, &[MESSAGE, USAGE, Key("cache_creation_input_tokens")]),
    told(Count::CacheWrite5m, &[MESSAGE, USAGE, CREATION, SHORT]),
    told(Count::CacheWrite1h, &[MESSAGE, USAGE, CREATION, LONG]),
    tier(&[MESSAGE, USAGE, Key("service_tier")]),
]);
const NOVA: Paths = Paths::new(&[NOVA_INPUT, NOVA_OUTPUT, NOVA_READ, NOVA_WRITE, TITAN_INPUT]);
const TITAN: Paths = Paths::new(&[TITAN_INPUT, TITAN_OUTPUT]);
const LLAMA: Paths = Paths::new(&[LLAMA_INPUT, LLAMA_OUTPUT, OPENAI_INPUT, OPENAI_OUTPUT]);
const OPENAI: Paths = Paths::new(&[OPENAI_INPUT, OPENAI_OUTPUT, OPENAI_READ, OPENAI_TIER]);
const OPENAI_API: Paths = Paths::new(&[
    OPENAI_INPUT,
    OPENAI_OUTPUT,
    OPENAI_READ,
    OPENAI_TIER,
    // The Responses API's names; in a stream they are in the last event's `response`.
    told(Count::InputWithCached, &[USAGE, Key("input_tokens")]),
    CLAUDE_OUTPUT,
    told(Count::CacheRead, &[USAGE, Key("input_tokens_details"), Key("cached_tokens")]),
    told(Count::InputWithCached, &[RESPONSE, USAGE, Key("input_tokens")]),
    told(Count::Output, &[RESPONSE, USAGE, Key("output_tokens")]),
    told(Count::CacheRead, &[RESPONSE, USAGE, Key("input_tokens_details"), Key("cached_tokens")]),
    tier(&[RESPONSE, Key("service_tier")]),
]);
/// One trace is of one step.
const AGENT: Paths = Paths::new(&[
    told(
        Count::Input,
        &[TRACE, Key("preProcessingTrace"), MADE, METADATA, USAGE, Key("inputTokens")],
    ),
    told(
        Count::Output,
        &[TRACE, Key("preProcessingTrace"), MADE, METADATA, USAGE, Key("outputTokens")],
    ),
    told(
        Count::Input,
        &[TRACE, Key("routingClassifierTrace"), MADE, METADATA, USAGE, Key("inputTokens")],
    ),
    told(
        Count::Output,
        &[TRACE, Key("routingClassifierTrace"), MADE, METADATA, USAGE, Key("outputTokens")],
    ),
    told(
        Count::Input,
        &[TRACE, Key("orchestrationTrace"), MADE, METADATA, USAGE, Key("inputTokens")],
    ),
    told(
        Count::Output,
        &[TRACE, Key("orchestrationTrace"), MADE, METADATA, USAGE, Key("outputTokens")],
    ),
    told(
        Count::Input,
        &[TRACE, Key("postProcessingTrace"), MADE, METADATA, USAGE, Key("inputTokens")],
    ),
    told(
        Count::Output,
        &[TRACE, Key("postProcessingTrace"), MADE, METADATA, USAGE, Key("outputTokens")],
    ),
]);
const NOTHING: Paths = Paths::new(&[]);
const RERANK: Paths = Paths::new(&[counted(Count::Results, &[Key("results"), Each])]);
const IMAGE: Paths = Paths::new(&[
    counted(Count::Images, &[Key("images"), Each]),
    counted(Count::Images, &[Key("artifacts"), Each]),
]);
/// Policies that have a price: word filters, and what AWS calls free, have none. The units are summed.
const GUARDRAIL: Paths = Paths::new(&[
    units(&[USAGE, Key("topicPolicyUnits")]),
    units(&[USAGE, Key("contentPolicyUnits")]),
    units(&[USAGE, Key("contentPolicyImageUnits")]),
    units(&[USAGE, Key("sensitiveInformationPolicyUnits")]),
    units(&[USAGE, Key("contextualGroundingPolicyUnits")]),
    units(&[USAGE, Key("automatedReasoningPolicyUnits")]),
]);
const COHERE: Paths = Paths::new(&[COHERE_INPUT, COHERE_OUTPUT]);
const ANY: Paths = Paths::new(&[
    CLAUDE_INPUT,
    CLAUDE_OUTPUT,
    CLAUDE_READ,
    CLAUDE_WRITE,
    CLAUDE_SHORT,
    CLAUDE_LONG,
    NOVA_INPUT,
    NOVA_OUTPUT,
    NOVA_READ,
    NOVA_WRITE,
    TITAN_INPUT,
    TITAN_OUTPUT,
    LLAMA_INPUT,
    LLAMA_OUTPUT,
    OPENAI_INPUT,
    OPENAI_OUTPUT,
    OPENAI_READ,
    COHERE_INPUT,
    COHERE_OUTPUT,
]);

/// Apart from Claude's, whose streams have names of their own for what its bodies say: the fields of any
/// other family, most of which do not occur in one chunk.
const STREAM: Paths = Paths::new(&[
    METRICS_INPUT,
    METRICS_OUTPUT,
    METRICS_READ,
    METRICS_WRITE,
    told(Count::Input, &[METADATA, USAGE, Key("inputTokens")]),
    told(Count::Output, &[METADATA, USAGE, Key("outputTokens")]),
    told(Count::CacheRead, &[METADATA, USAGE, Key("cacheReadInputTokenCount")]),
    told(Count::CacheWrite, &[METADATA, USAGE, Key("cacheWriteInputTokenCount")]),
    NOVA_INPUT,
    NOVA_OUTPUT,
    TITAN_INPUT,
    TITAN_OUTPUT_STREAM,
    LLAMA_INPUT,
    LLAMA_OUTPUT,
    OPENAI_INPUT,
    OPENAI_OUTPUT,
    OPENAI_READ,
    OPENAI_TIER,
    COHERE_INPUT,
    COHERE_OUTPUT,
    CLAUDE_INPUT,
    CLAUDE_OUTPUT,
]);

/// Converse's answer, and the `metadata` event of its stream.
pub(super) fn converse() -> Paths {
    CONVERSE
}

/// OpenAI's answers: of chat completions and of responses.
pub(super) fn openai() -> Paths {
    OPENAI_API
}

/// A `trace` event of an agent's stream: what its model used in one step.
pub(super) fn agent() -> Paths {
    AGENT
}

/// ApplyGuardrail's answer.
pub(super) fn guardrail() -> Paths {
    GUARDRAIL
}

/// An answer that tells nothing of what was used.
pub(super) fn nothing() -> Paths {
    NOTHING
}

/// InvokeModel's answer.
pub(super) fn invoke(family: Family) -> Paths {
    match family {
        Family::Claude => CLAUDE,
        Family::Nova => NOVA,
        Family::Titan => TITAN,
        Family::Llama => LLAMA,
        Family::Cohere => COHERE,
        Family::Rerank => RERANK,
        Family::Image => IMAGE,
        Family::OpenAi => OPENAI,
        Family::Unknown => ANY,
    }
}

/// One chunk of InvokeModelWithResponseStream's answer.
pub(super) fn chunk(family: Family) -> Paths {
    if family == Family::Claude { CLAUDE_STREAM } else { STREAM }
}
