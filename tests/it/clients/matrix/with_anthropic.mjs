// The matrix with Anthropic's SDK for Bedrock, in JavaScript, with a bearer token.
import { readFileSync } from "node:fs";
import { require, run } from "./report.mjs";

const { AnthropicBedrock } = require("@anthropic-ai/bedrock-sdk");
const { version } = JSON.parse(readFileSync("node_modules/@anthropic-ai/bedrock-sdk/package.json", "utf8"));

const messages = (asked, more) => {
  const client = new AnthropicBedrock({
    baseURL: asked.url, apiKey: asked.api_key, awsRegion: "us-east-1", maxRetries: 0, timeout: 10_000,
  });
  const content = { model: asked.model, max_tokens: 9, messages: [{ role: "user", content: "Hello" }], ...more };
  return client.messages.create(content, { headers: { "x-amzn-bedrock-mock": asked.directive } });
};

async function* types(stream) {
  for await (const event of stream) yield event.type;
}

const actions = {
  invoke: async (asked) => (await messages(asked, {})).content[0].text,
  invoke_stream: async (asked) => types(await messages(asked, { stream: true })),
};

await run(version, actions, (error) => {
  const name = error.headers?.get?.("x-amzn-errortype")?.split(":")[0];
  return { code: name ?? error.cause?.code ?? null, status: error.status ?? null };
});
