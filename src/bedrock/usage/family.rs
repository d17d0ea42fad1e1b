//! Families of models that report usage alike, by model id (guide §3.4).

use crate::bedrock::model;

/// Models that report usage alike.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Family {
    /// Anthropic's Messages API.
    Claude,
    /// Nova's text models.
    Nova,
    /// Titan text and Titan embeddings: `inputTextTokenCount`.
    Titan,
    /// Llama, and DeepSeek R1's streams.
    Llama,
    /// Cohere's Command R; Command, Embed and others of Cohere's say nothing, or the same.
    Cohere,
    /// Cohere's and Amazon's rerank.
    Rerank,
    /// Nova Canvas, Titan image generators, Stability.
    Image,
    /// OpenAI's chat completions: gpt-oss, Qwen, Kimi, MiniMax, GLM, DeepSeek V3, Jamba, Pixtral, Palmyra.
    OpenAi,
    /// Nothing in the body, or no model that we know: an ARN, an imported model. All of the above is
    /// looked for, apart from what is counted in arrays, whose names may mean anything.
    #[default]
    Unknown,
}

/// What follows the provider decides; the first that fits.
const BY_PREFIX: [(&str, Family); 20] = [
    ("anthropic.", Family::Claude),
    ("claude-", Family::Claude),
    ("amazon.nova-canvas", Family::Image),
    ("amazon.nova-reel", Family::Unknown),
    ("amazon.nova-", Family::Nova),
    ("amazon.titan-image", Family::Image),
    ("amazon.titan-", Family::Titan),
    ("amazon.rerank", Family::Rerank),
    ("meta.llama", Family::Llama),
    ("deepseek.r1-", Family::Llama),
    ("deepseek.", Family::OpenAi),
    ("cohere.rerank", Family::Rerank),
    ("cohere.", Family::Cohere),
    ("stability.", Family::Image),
    ("ai21.jamba", Family::OpenAi),
    ("mistral.", Family::OpenAi),
    ("openai.", Family::OpenAi),
    ("qwen.", Family::OpenAi),
    ("writer.", Family::OpenAi),
    ("google.", Family::OpenAi),
];
const CHAT_PROVIDERS: [&str; 6] =
    ["moonshot.", "moonshotai.", "minimax.", "zai.", "nvidia.", "xai."];

impl Family {
    /// The family of a model id, profile id or ARN. For an application profile or an imported model, ask
    /// with its `base_model`.
    #[must_use]
    pub fn of(model_id: &str) -> Self {
        let tail = if model::is_arn(model_id) {
            model_id.rsplit('/').next().unwrap_or_default()
        } else {
            model_id
        };
        let bare = model::without_area(tail).unwrap_or(tail);
        let known = BY_PREFIX.iter().find(|(prefix, _)| bare.starts_with(prefix));
        match known {
            Some((_, family)) => *family,
            None if CHAT_PROVIDERS.iter().any(|prefix| bare.starts_with(prefix)) => Self::OpenAi,
            None => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_profiles_and_arns_have_a_family() {
        let check = |id: &str, family| assert_eq!(Family::of(id), family, "{id}");
        check("anthropic.claude-3-5-haiku-20241022-v1:0", Family::Claude);
        check("us-gov.anthropic.claude-sonnet-4-5-20250929-v1:0", Family::Claude);
        check("global.amazon.nova-2-lite-v1:0", Family::Nova);
        check("amazon.nova-canvas-v1:0", Family::Image);
        check("amazon.titan-embed-text-v2:0", Family::Titan);
        check(
            "arn:aws:bedrock:us-east-1::foundation-model/meta.llama3-8b-instruct-v1:0",
            Family::Llama,
        );
        check("arn:aws:bedrock:us-east-1:1:inference-profile/us.deepseek.r1-v1:0", Family::Llama);
        check("deepseek.v3.2", Family::OpenAi);
        check("zai.glm-5", Family::OpenAi);
        check("cohere.command-r-v1:0", Family::Cohere);
        check("cohere.rerank-v3-5:0", Family::Rerank);
        check("amazon.rerank-v1:0", Family::Rerank);
        check("stability.sd3-large-v1:0", Family::Image);
        check("ai21.jamba-1-5-mini-v1:0", Family::OpenAi);
        check("ai21.j2-mid-v1", Family::Unknown);
        check("twelvelabs.pegasus-1-2-v1:0", Family::Unknown);
        check("arn:aws:bedrock:us-east-1:1:application-inference-profile/a1b2", Family::Unknown);
        check("", Family::Unknown);
    }
}
