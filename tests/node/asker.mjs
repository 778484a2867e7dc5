// Asks a MultiProxy with the Node SDKs: one question per line in, one answer per line out.
//
// A question is {dialect, way, body}, where a way is how the SDK is used: `whole` without a
// stream, `raw` with every event as it comes, `helper` with what the stream helper makes of
// them, `parsed` and `parsedHelper` with a structured answer. An answer is {answer} or {error}.

import { createInterface } from "node:readline";
import Anthropic from "@anthropic-ai/sdk";
import { jsonSchemaOutputFormat } from "@anthropic-ai/sdk/helpers/json-schema";
import OpenAI from "openai";

const [url] = process.argv.slice(2);
const options = { apiKey: "unused", maxRetries: 0, timeout: 30_000 };
const { chat, responses } = new OpenAI({ ...options, baseURL: `${url}/v1` });
const { messages } = new Anthropic({ ...options, baseURL: url });

async function events(stream) {
  const all = [];
  for await (const event of await stream) all.push(event);
  return all;
}

// The final message, the blocks as their own events told them, and the text as it grew.
async function helped(stream) {
  const blocks = [];
  let text = "";
  stream.on("contentBlock", (block) => blocks.push(structuredClone(block)));
  stream.on("text", (_, snapshot) => (text = snapshot));
  return { ...(await stream.finalMessage()), told: { blocks, text } };
}

// What makes this SDK parse an answer; the other one does so by itself.
const parsing = ({ output_config, ...body }) => ({
  ...body,
  output_config: { format: jsonSchemaOutputFormat(output_config.format.schema) },
});

const withUsage = (body) => ({ ...body, stream_options: { include_usage: true } });

const WAYS = {
  chat: {
    whole: (body) => chat.completions.create(body),
    raw: (body) => events(chat.completions.create({ ...body, stream: true })),
    helper: (body) => chat.completions.stream(withUsage(body)).finalChatCompletion(),
    parsed: (body) => chat.completions.parse(body),
    parsedHelper: (body) => chat.completions.stream(body).finalChatCompletion(),
  },
  messages: {
    whole: (body) => messages.create(body),
    raw: (body) => events(messages.create({ ...body, stream: true })),
    helper: (body) => helped(messages.stream(body)),
    parsed: (body) => messages.parse(parsing(body)),
    parsedHelper: (body) => messages.stream(parsing(body)).finalMessage(),
    counted: (body) => messages.countTokens(body),
  },
  responses: {
    whole: (body) => responses.create(body),
    raw: (body) => events(responses.create({ ...body, stream: true })),
    helper: (body) => responses.stream(body).finalResponse(),
    parsed: (body) => responses.parse(body),
    parsedHelper: (body) => responses.stream(body).finalResponse(),
  },
};

function told(error) {
  // The SDKs' classes are what a program catches; a class of their own or a plain error.
  const { status = null, code = null, type = null, message } = error;
  return { class: error.constructor.name, isSdks: isSdks(error), status, code, type, message };
}

const isSdks = (error) => error instanceof OpenAI.APIError || error instanceof Anthropic.APIError;

for await (const line of createInterface({ input: process.stdin })) {
  const { dialect, way, body } = JSON.parse(line);
  let outcome;
  try {
    outcome = { answer: await WAYS[dialect][way](body) };
  } catch (error) {
    outcome = { error: told(error) };
  }
  process.stdout.write(`${JSON.stringify(outcome)}\n`);
}
