// Anthropic's npm SDK, unmodified, configured by the environment alone; called by scripts/anthropic_sdks.py.
import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";

const client = new Anthropic();
const model = process.env.MODEL;
const words = { model, max_tokens: 64, messages: [{ role: "user", content: "Hello" }] };

const message = await client.messages.create(words);
assert.equal(message.content[0].text, "Hello!");

const stream = client.messages.stream(words);
const pieces = [];
stream.on("text", (piece) => pieces.push(piece));
const whole = await stream.finalMessage();
assert.deepEqual(pieces, ["Hel", "lo!"]);
assert.equal(whole.usage.output_tokens, 12);

const counted = await client.messages.countTokens({ model, messages: words.messages });
assert.equal(counted.input_tokens, 25);

const models = [];
for await (const one of client.models.list()) models.push(one.id);
assert.deepEqual(models, [model]);

const batch = await client.messages.batches.retrieve("msgbatch_1");
const results = [];
for await (const one of await client.messages.batches.results(batch.id)) results.push(one.custom_id);
assert.deepEqual(results, ["one"]);

await assert.rejects(client.messages.create({ ...words, max_tokens: 0 }), Anthropic.BadRequestError);
const retried = await client.messages.create({ ...words, max_tokens: 529 });
assert.equal(retried.id, "msg_1");
