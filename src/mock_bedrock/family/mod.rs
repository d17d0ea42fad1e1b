//! The shapes in which model families answer (guide §3.4), as recorded.
//!
//! Numbers are deterministic so that tests can compute them: input tokens = content bytes / 4,
//! rounded up; output tokens = text deltas (embeddings: none). JSON is written by hand to keep the
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
    Mistral,
    Jamba,
    DeepSeekR1,
    /// gpt-oss, Qwen, DeepSeek V3 and others that answer as OpenAI's chat completions.
    OpenAi,
}

impl Family {
    /// The family of a model id. An ARN is judged by its tail, and is Claude's if that says nothing.
    /// `None`: no such model.
    pub fn of(model_id: &str) -> Option<Self> {
        const BY_PREFIX: [(&str, Family); 20] = [
            ("anthropic.", Family::Claude),
            ("amazon.nova-", Family::Nova),
            ("meta.llama", Family::Llama),
            ("amazon.titan-text-", Family::TitanText),
            ("amazon.titan-tg1-", Family::TitanText),
            ("amazon.titan-embed-", Family::TitanEmbed),
            ("cohere.command-r", Family::CommandR),
            ("cohere.embed-", Family::CohereEmbed),
            ("mistral.mi", Family::Mistral),
            ("ai21.jamba-", Family::Jamba),
            ("deepseek.r1-", Family::DeepSeekR1),
            ("deepseek.v3", Family::OpenAi),
            ("openai.gpt-oss-", Family::OpenAi),
            ("qwen.", Family::OpenAi),
            ("moonshot.", Family::OpenAi),
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

    /// Whether it embeds text: no output tokens, no streams, no Converse.
    pub fn embeds(self) -> bool {
        matches!(self, Self::TitanEmbed | Self::CohereEmbed)
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
}

impl Usage {
    /// All of them.
    pub fn total(self) -> u64 {
        self.input + self.output + self.cache_read + self.cache_write
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
}

impl Saying<'_> {
    /// The whole text.
    pub fn text(&self) -> String {
        self.deltas.concat()
    }

    /// `"amazon-bedrock-invocationMetrics":{…}`, as the last chunk of a stream carries it.
    pub fn metrics(&self) -> String {
        let Usage { input, output, cache_read, cache_write } = self.usage;
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
        Family::Mistral => mistral::whole(saying),
        Family::Jamba => ai21::whole(saying),
        Family::DeepSeekR1 => deepseek::whole(saying),
        Family::OpenAi => openai::whole(saying),
    }
}

/// The events of InvokeModelWithResponseStream's answer, each the JSON inside one `chunk`.
/// Embedding families have none.
pub fn events(family: Family, saying: &Saying<'_>) -> Vec<String> {
    match family {
        Family::Claude => anthropic::events(saying),
        Family::Nova => amazon::nova_events(saying),
        Family::Llama => meta::events(saying),
        Family::TitanText => amazon::titan_events(saying),
        Family::TitanEmbed | Family::CohereEmbed => Vec::new(),
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
