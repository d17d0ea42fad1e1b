// The matrix with the AWS SDK for JavaScript, version 3. With the argument `http1` over HTTP/1.1, which is not the
// default of its newer versions.
import { require, run } from "./report.mjs";

const runtimeSdk = require("@aws-sdk/client-bedrock-runtime");
const agentSdk = require("@aws-sdk/client-bedrock-agent-runtime");
const controlSdk = require("@aws-sdk/client-bedrock");
const { version } = require("@aws-sdk/client-bedrock-runtime/package.json");

const messages = [{ role: "user", content: [{ text: "Hello" }] }];
const body = JSON.stringify({ anthropic_version: "bedrock-2023-05-31", max_tokens: 9, messages });
const source = { type: "INLINE", inlineDocumentSource: { type: "TEXT", textDocument: { text: "a" } } };
const modelArn = "arn:aws:bedrock:us-east-1::foundation-model/amazon.rerank-v1:0";

const made = new Map();
let directive = "";

// One client for each service and credential, as a program would have.
function client(Client, asked) {
  directive = asked.directive;
  const key = `${Client.name} ${asked.id} ${asked.secret}`;
  if (!made.has(key)) made.set(key, make(Client, asked));
  return made.get(key);
}

function make(Client, { url, id, secret }) {
  const credentials = { accessKeyId: id, secretAccessKey: secret };
  const settings = { region: "us-east-1", endpoint: url, credentials, maxAttempts: 1 };
  if (process.argv[2] === "http1") {
    const { NodeHttpHandler } = require("@smithy/node-http-handler");
    settings.requestHandler = new NodeHttpHandler({ requestTimeout: 10_000 });
  }
  const client = new Client(settings);
  const add = (next) => (call) => {
    call.request.headers["x-amzn-bedrock-mock"] = directive;
    return next(call);
  };
  client.middlewareStack.add(add, { step: "build", name: "directive" });
  return client;
}

const runtime = (asked, Command, input) =>
  client(runtimeSdk.BedrockRuntimeClient, asked).send(new runtimeSdk[Command]({ modelId: asked.model, ...input }));
const agents = (asked, Command, input) =>
  client(agentSdk.BedrockAgentRuntimeClient, asked).send(new agentSdk[Command](input));

async function* names(stream, read = (event) => Object.keys(event)[0]) {
  for await (const event of stream) yield read(event);
}

const json = (bytes) => JSON.parse(new TextDecoder().decode(bytes));

const actions = {
  invoke: async (asked) => json((await runtime(asked, "InvokeModelCommand", { body })).body).type,
  invoke_stream: async (asked) =>
    names((await runtime(asked, "InvokeModelWithResponseStreamCommand", { body })).body, (event) =>
      json(event.chunk.bytes).type),
  converse: async (asked) => (await runtime(asked, "ConverseCommand", { messages })).stopReason,
  converse_stream: async (asked) => names((await runtime(asked, "ConverseStreamCommand", { messages })).stream),
  count_tokens: async (asked) =>
    (await runtime(asked, "CountTokensCommand", { input: { converse: { messages } } })).inputTokens,
  apply_guardrail: async (asked) => {
    const guardrail = { guardrailIdentifier: "gr-1", guardrailVersion: "1", source: "INPUT" };
    return (await runtime(asked, "ApplyGuardrailCommand", { ...guardrail, content: [{ text: { text: "hi" } }] })).action;
  },
  retrieve: async (asked) => {
    const input = { knowledgeBaseId: "KB12345678", retrievalQuery: { text: "hi" } };
    return (await agents(asked, "RetrieveCommand", input)).retrievalResults[0].content.text;
  },
  retrieve_and_generate: async (asked) =>
    (await agents(asked, "RetrieveAndGenerateCommand", { input: { text: "hi" } })).output.text,
  invoke_agent: async (asked) => {
    const input = { agentId: "A", agentAliasId: "B", sessionId: "S-1", inputText: "hi", enableTrace: true };
    return names((await agents(asked, "InvokeAgentCommand", input)).completion);
  },
  rerank: async (asked) => {
    const input = {
      queries: [{ type: "TEXT", textQuery: { text: "q" } }],
      sources: [source, source],
      rerankingConfiguration: {
        type: "BEDROCK_RERANKING_MODEL",
        bedrockRerankingConfiguration: { modelConfiguration: { modelArn } },
      },
    };
    return (await agents(asked, "RerankCommand", input)).results.map((result) => result.index);
  },
  list_foundation_models: async (asked) => {
    const answer = await client(controlSdk.BedrockClient, asked).send(new controlSdk.ListFoundationModelsCommand({}));
    return answer.modelSummaries[0].modelId;
  },
};

await run(version, actions, (error) => ({ code: error.name, status: error.$metadata?.httpStatusCode ?? null }));
// No exit: that the process ends by itself is a part of what is shown.
for (const client of made.values()) client.destroy();
