//! The shapes in which model families answer (guide §3.4), as recorded.
//!
//! Numbers are deterministic so that tests can compute them: input tokens = content bytes / 4,
//! rounded up, unless a directive says another number; output tokens = text deltas (embeddings: none). JSON is written by hand to keep the
//! order of keys that AWS sends; all text put in is JSON-safe.

pub mod ai21;
pub mod amazon;
pub mod anthropic;
pub mod cohere;
pub mod converse;
pub mod deepseek;
pub mod meta;
pub mod mistral;
pub mod openai;
pub mod pictures;
pub mod twelvelabs;

/// Families that answer differently.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(missing_docs, reason = "the variants are the families' names")]
pub enum Family {
    Claude,
    Nova,
    Llama,
    TitanText,
    TitanEmbed,
    CommandR,
    CohereEmbed,
    /// Cohere's Command, before Command R.
    Command,
    /// Cohere's and Amazon's.
    Rerank,
    Mistral,
    Jamba,
    /// AI21's Jurassic-2.
    J2,
    DeepSeekR1,
    /// Nova Canvas and Titan's image generators.
    Canvas,
    Stability,
    /// TwelveLabs' Pegasus: text about a video.
    Pegasus,
    /// gpt-oss, Qwen, DeepSeek V3 and others that answer as OpenAI's chat completions.
    OpenAi,
}

impl Family {
    /// The family of a model id. An ARN is judged by its tail, and is Claude's if that says nothing.
    /// `None`: no such model.
    pub fn of(model_id: &str) -> Option<Self> {
        const BY_PREFIX: [(&str, Family); 30] = [
            ("anthropic.", Family::Claude),
            ("amazon.nova-canvas-", Family::Canvas),
            ("amazon.titan-image-", Family::Canvas),
            ("amazon.rerank-", Family::Rerank),
            ("amazon.nova-", Family::Nova),
            ("meta.llama", Family::Llama),
            ("amazon.titan-text-", Family::TitanText),
            ("amazon.titan-tg1-", Family::TitanText),
            ("amazon.titan-embed-", Family::TitanEmbed),
            ("cohere.command-r", Family::CommandR),
            ("cohere.command-", Family::Command),
            ("cohere.embed-", Family::CohereEmbed),
            ("cohere.rerank-", Family::Rerank),
            ("mistral.mi", Family::Mistral),
            ("ai21.jamba-", Family::Jamba),
            ("ai21.j2-", Family::J2),
            ("stability.", Family::Stability),
            ("twelvelabs.pegasus-", Family::Pegasus),
            ("deepseek.r1-", Family::DeepSeekR1),
            ("deepseek.v3", Family::OpenAi),
            ("openai.gpt-oss-", Family::OpenAi),
            ("qwen.", Family::OpenAi),
            ("moonshot.", Family::OpenAi),
            ("moonshotai.", Family::OpenAi),
            ("nvidia.", Family::OpenAi),
            ("minimax.", Family::OpenAi),
            ("zai.", Family::OpenAi),
            ("writer.", Family::OpenAi),
            ("mistral.pixtral-", Family::OpenAi),
            ("google.gemma-", Family::OpenAi),
        ];
        let tail =
            if model_id.starts_with("arn:") { model_id.rsplit('/').next()? } else { model_id };
        let bare = tail.split_once('.').filter(|(area, _)| {
            matches!(*area, "us" | "eu" | "apac" | "global" | "us-gov" | "jp" | "au" | "ca")
        });
        let bare = bare.map_or(tail, |(_, rest)| rest);
        let known = BY_PREFIX
            .iter()
            .find(|(prefix, _)| bare.starts_with(prefix))
            .map(|(_, family)| *family);
        known.or_else(|| model_id.starts_with("arn:").then_some(Self::Claude))
    }

    /// Whether its answer is text, which has output tokens; if not, neither streams nor Converse has it.
    pub fn speaks(self) -> bool {
        self.counts_tokens() && !matches!(self, Self::TitanEmbed | Self::CohereEmbed)
    }

    /// Whether anything counts its tokens; if not, it is billed by the piece.
    pub fn counts_tokens(self) -> bool {
        !matches!(self, Self::Rerank | Self::Canvas | Self::Stability)
    }

    /// Whether InvokeModelWithResponseStream serves it.
    pub fn streams(self) -> bool {
        self.speaks() && self != Self::J2
    }

    /// Whether Converse serves it.
    pub fn converses(self) -> bool {
        self.speaks() && self != Self::Pegasus
    }

    /// Whether it counts cached tokens.
    pub fn caches(self) -> bool {
        matches!(self, Self::Claude | Self::Nova)
    }
}

/// The tokens of one answer.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Usage {
    /// Without those read from or written to a cache.
    pub input: u64,
    /// Text deltas.
    pub output: u64,
    /// Input tokens read from a cache.
    pub cache_read: u64,
    /// Input tokens written to a cache.
    pub cache_write: u64,
    /// … of these, for an hour.
    pub cache_write_1h: u64,
    /// Nobody says for how long.
    pub unsplit: bool,
    /// What the body tells, where that is to differ from what is billed.
    pub told_input: Option<u64>,
    /// Images, or results of a rerank.
    pub pieces: usize,
}

impl Usage {
    /// All of them.
    pub fn total(self) -> u64 {
        self.told() + self.output + self.cache_read + self.cache_write
    }

    /// Input tokens as the body has them.
    pub fn told(self) -> u64 {
        self.told_input.unwrap_or(self.input)
    }

    /// Tokens written to a cache for five minutes, and for an hour; `None` if nobody says.
    pub fn split(self) -> Option<[u64; 2]> {
        let long = self.cache_write_1h.min(self.cache_write);
        (!self.unsplit).then_some([self.cache_write - long, long])
    }
}

/// Milliseconds that answers claim to have taken: constants, so that answers are the same each time.
pub const INVOCATION_LATENCY_MS: u64 = 312;
/// To the first byte.
pub const FIRST_BYTE_LATENCY_MS: u64 = 87;

/// What a model says: deltas of text, and the tokens spent.
pub struct Saying<'a> {
    /// JSON-safe pieces of text.
    pub deltas: &'a [String],
    /// The tokens.
    pub usage: Usage,
    /// Whether the family counts cached tokens.
    pub caches: bool,
    /// The service tier, if the answer names one.
    pub tier: Option<&'static str>,
}

impl Saying<'_> {
    /// The whole text.
    pub fn text(&self) -> String {
        self.deltas.concat()
    }

    /// `"amazon-bedrock-invocationMetrics":{…}`, as the last chunk of a stream carries it.
    pub fn metrics(&self) -> String {
        let Usage { input, output, cache_read, cache_write, .. } = self.usage;
        let cache = if self.caches {
            format!(
                r#","cacheReadInputTokenCount":{cache_read},"cacheWriteInputTokenCount":{cache_write}"#
            )
        } else {
            String::new()
        };
        format!(
            r#""amazon-bedrock-invocationMetrics":{{"inputTokenCount":{input},"outputTokenCount":{output},"invocationLatency":{INVOCATION_LATENCY_MS},"firstByteLatency":{FIRST_BYTE_LATENCY_MS}{cache}}}"#
        )
    }
}

/// The content of InvokeModel's answer.
pub fn whole(family: Family, saying: &Saying<'_>) -> String {
    match family {
        Family::Claude => anthropic::whole(saying),
        Family::Nova => amazon::nova_whole(saying),
        Family::Llama => meta::whole(saying),
        Family::TitanText => amazon::titan_whole(saying),
        Family::TitanEmbed => amazon::titan_embedding(saying),
        Family::CommandR => cohere::whole(saying),
        Family::CohereEmbed => cohere::embedding(),
        Family::Command => cohere::command(saying),
        Family::Rerank => cohere::rerank(saying),
        Family::Mistral => mistral::whole(saying),
        Family::Jamba => ai21::whole(saying),
        Family::J2 => ai21::jurassic(saying),
        Family::Canvas => pictures::canvas(saying),
        Family::Stability => pictures::stability(saying),
        Family::Pegasus => twelvelabs::whole(saying),
        Family::DeepSeekR1 => deepseek::whole(saying),
        Family::OpenAi => openai::whole(saying),
    }
}

/// The events of InvokeModelWithResponseStream's answer, each the JSON inside one `chunk`.
/// Families that do not stream have none.
pub fn events(family: Family, saying: &Saying<'_>) -> Vec<String> {
    match family {
        Family::Claude => anthropic::events(saying),
        Family::Nova => amazon::nova_events(saying),
        Family::Llama => meta::events(saying),
        Family::TitanText => amazon::titan_events(saying),
        Family::TitanEmbed
        | Family::CohereEmbed
        | Family::Rerank
        | Family::J2
        | Family::Canvas
        | Family::Stability => Vec::new(),
        Family::Command => cohere::command_events(saying),
        Family::Pegasus => twelvelabs::events(saying),
        Family::CommandR => cohere::events(saying),
        Family::Mistral => mistral::events(saying),
        Family::Jamba => ai21::events(saying),
        Family::DeepSeekR1 => deepseek::events(saying),
        Family::OpenAi => openai::events(saying),
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
