//! Every family that the stand-in can play, by every action that it has, at AWS's list prices.

use super::{CONVERSE, CONVERSE_STREAM, Case, Cost, INVOKE, STREAM, Seen, built_in, sum};

/// Each action has tokens of its own, so that none can pass for another.
const ALL: &[&str] = &[INVOKE, STREAM, CONVERSE, CONVERSE_STREAM];
const ONE: &[&str] = &[INVOKE];

/// How a family counts; with prices in pico-dollars per token or piece: $1 per million tokens is 1,000,000.
enum Prices {
    /// Input and output.
    Text(u64, u64),
    /// The same, of a body that names the service tier, as OpenAI's whole answers do.
    Chat(u64, u64),
    /// Input, output, cache reads, writes for 5 m and 1 h.
    Claude([u64; 5]),
    /// Input, output, cache reads.
    Nova([u64; 3]),
    /// Input alone.
    Embedding(u64),
    /// Per search unit.
    Rerank(u64),
    /// Per image.
    Image(u64),
    /// Counted, but not priced.
    Unpriced(&'static str),
}

struct Family {
    name: &'static str,
    model: &'static str,
    /// The table's, if it is not the model's own id; empty: there is none.
    key: &'static str,
    actions: &'static [&'static str],
    prices: Prices,
}

const FAMILIES: &[Family] = {
    use Prices::{Chat, Claude, Embedding, Image, Nova, Rerank, Text, Unpriced};
    const fn family(
        name: &'static str,
        model: &'static str,
        actions: &'static [&'static str],
        prices: Prices,
    ) -> Family {
        Family { name, model, key: model, actions, prices }
    }
    const fn regional(
        name: &'static str,
        model: &'static str,
        key: &'static str,
        prices: Prices,
    ) -> Family {
        Family { name, model, key, actions: ALL, prices }
    }
    &[
        family(
            "Claude",
            "anthropic.claude-haiku-4-5-20251001-v1:0",
            ALL,
            Claude([1_000_000, 5_000_000, 100_000, 1_250_000, 2_000_000]),
        ),
        family("Nova", "amazon.nova-lite-v1:0", ALL, Nova([60_000, 240_000, 15_000])),
        family("Titan text", "amazon.titan-text-express-v1", ALL, Text(200_000, 600_000)),
        family("Llama", "meta.llama3-3-70b-instruct-v1:0", ALL, Text(720_000, 720_000)),
        family("DeepSeek R1", "us.deepseek.r1-v1:0", ALL, Text(1_350_000, 5_400_000)),
        family("DeepSeek V3", "deepseek.v3-v1:0", ALL, Chat(580_000, 1_680_000)),
        family("Qwen", "qwen.qwen3-32b-v1:0", ALL, Chat(150_000, 600_000)),
        family("gpt-oss", "openai.gpt-oss-120b-1:0", ALL, Chat(150_000, 600_000)),
        regional(
            "Kimi",
            "moonshotai.kimi-k2.5",
            "us-east-1/moonshotai.kimi-k2.5",
            Chat(600_000, 3_000_000),
        ),
        family("MiniMax", "minimax.minimax-m2", ALL, Chat(300_000, 1_200_000)),
        regional("GLM", "zai.glm-5", "us-east-1/zai.glm-5", Chat(1_000_000, 3_200_000)),
        family("Nemotron", "nvidia.nemotron-nano-9b-v2", ALL, Chat(60_000, 230_000)),
        family("Gemma", "google.gemma-3-4b-it", ALL, Chat(40_000, 80_000)),
        family("Palmyra", "writer.palmyra-x5-v1:0", ALL, Chat(600_000, 6_000_000)),
        regional(
            "Mistral, prompt",
            "mistral.mistral-7b-instruct-v0:2",
            "us-east-1/mistral.mistral-7b-instruct-v0:2",
            Text(150_000, 200_000),
        ),
        family(
            "Mistral, chat",
            "us.mistral.pixtral-large-2502-v1:0",
            ALL,
            Chat(2_000_000, 6_000_000),
        ),
        family("Command", "cohere.command-text-v14", ALL, Text(1_000_000, 2_000_000)),
        Family {
            name: "Command R",
            model: "cohere.command-r-v1:0",
            key: "",
            actions: ALL,
            prices: Unpriced("no_rate"),
        },
        family("Jamba", "ai21.jamba-1-5-mini-v1:0", ALL, Text(200_000, 400_000)),
        family("J2", "ai21.j2-mid-v1", &[INVOKE, CONVERSE], Text(12_500_000, 12_500_000)),
        family("Titan embeddings", "amazon.titan-embed-text-v2:0", ONE, Embedding(20_000)),
        family("Cohere embed", "cohere.embed-english-v3", ONE, Embedding(100_000)),
        family("Cohere rerank", "cohere.rerank-v3-5:0", ONE, Rerank(2_000_000_000)),
        family("Amazon rerank", "amazon.rerank-v1:0", ONE, Rerank(1_000_000_000)),
        family("Nova Canvas", "amazon.nova-canvas-v1:0", ONE, Image(60_000_000_000)),
        family("Titan image", "amazon.titan-image-generator-v2:0", ONE, Image(8_000_000_000)),
        family("Stability", "stability.stable-image-core-v1:1", ONE, Image(40_000_000_000)),
        family("Pegasus", "twelvelabs.pegasus-1-2-v1:0", &[INVOKE, STREAM], Unpriced("no_count")),
    ]
};

pub(super) fn cases() -> Vec<Case> {
    let each = |family: &'static Family| {
        family.actions.iter().zip(0..).map(|(action, place)| case(family, action, place))
    };
    FAMILIES.iter().flat_map(each).collect()
}

fn case(family: &Family, action: &'static str, place: u64) -> Case {
    let (input, output) = (1_001 + 1_000 * place, 8 + place);
    let mut seen = Seen { input: Some(input), output: Some(output), ..Seen::default() };
    let mut directives = format!("input={input}; frames={output}");
    let cost = match family.prices {
        Prices::Text(price, output_price) | Prices::Chat(price, output_price) => {
            sum(&[(input, price), (output, output_price)])
        }
        Prices::Claude([price, output_price, read_price, short_price, long_price]) => {
            let (read, short, long) = (50_021 + place, 303 + place, 207 + 3 * place);
            let written = short + long;
            directives.push_str(&format!(
                "; cache_read={read}; cache_write={written}; cache_write_1h={long}"
            ));
            (seen.read, seen.write_5m, seen.write_1h) = (Some(read), Some(short), Some(long));
            sum(&[
                (input, price),
                (output, output_price),
                (read, read_price),
                (short, short_price),
                (long, long_price),
            ])
        }
        Prices::Nova([price, output_price, read_price]) => {
            let read = 4_003 + place;
            directives.push_str(&format!("; cache_read={read}"));
            (seen.read, seen.write_unsplit) = (Some(read), Some(0));
            sum(&[(input, price), (output, output_price), (read, read_price)])
        }
        Prices::Embedding(price) => {
            seen.output = None;
            sum(&[(input, price)])
        }
        Prices::Rerank(price) => {
            // One search unit covers a hundred results.
            directives = "results=101".to_owned();
            seen = Seen { queries: Some(2), ..Seen::default() };
            sum(&[(2, price)])
        }
        Prices::Image(price) => {
            directives = "images=3".to_owned();
            seen = Seen { images: Some(3), ..Seen::default() };
            sum(&[(3, price)])
        }
        Prices::Unpriced(why) => Cost::Unknown(why),
    };
    let is_chat = matches!(family.prices, Prices::Chat(..));
    let tier = (is_chat && action == INVOKE).then_some("default");
    let rule = if family.key.is_empty() { String::new() } else { built_in(family.key) };
    Case {
        what: family.name,
        model: family.model,
        action,
        directives,
        seen,
        tier,
        rule,
        cost,
        ..Case::default()
    }
}
