#!/usr/bin/env node
// An episode log and the recording of a run, read by the official MCAP library: index, check sums,
// schemas, every value of the log, every tick of the run.
//
//     tests/mcap_core.mjs BUILD_DIR
//
// Exits 77 (skipped) where the npm packages @mcap/core and fzstd are not there; tools/setup --test
// installs them into build/node_modules.
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import assert from "node:assert/strict";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const build = resolve(process.argv[2]);

function load(name) {
  for (const folder of [join(root, "build"), dirname(build), build]) {
    try {
      return createRequire(join(folder, "package.json"))(name);
    } catch (error) {
      if (error.code !== "MODULE_NOT_FOUND") throw error;
    }
  }
  console.log(`skipped: ${name} is not installed (tools/setup --test)`);
  process.exit(77);
}

const { McapIndexedReader, McapStreamReader } = load("@mcap/core");
const { decompress } = load("fzstd");
const decompressHandlers = { zstd: (data) => decompress(data) };

// --- protobuf, as far as our messages need it ---------------------------------------------------

/** Fields of a message: [[number, value], ...]; values are BigInt (numbers) or bytes. */
function parse(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const fields = [];
  let at = 0;
  const varint = () => {
    for (let value = 0n, shift = 0n; ; shift += 7n) {
      const byte = view.getUint8(at++);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.byteLength) {
    const tag = Number(varint());
    let value;
    if ((tag & 7) === 0) value = varint();
    else if ((tag & 7) === 1) (value = view.getBigUint64(at, true)), (at += 8);
    else if ((tag & 7) === 2) {
      const size = Number(varint());
      value = bytes.subarray(at, at + size);
      at += size;
    } else assert.fail(`wire type ${tag & 7}`);
    fields.push([tag >> 3, value]);
  }
  return fields;
}

const get = (fields, number) => fields.find(([n]) => n === number)?.[1];

function floats(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: bytes.byteLength / 4 }, (_, i) => view.getFloat32(4 * i, true));
}

// --- what the golden file holds: see tools/reference/make_import_golden.py ------------------------

const golden = (field, row, column) =>
  Math.fround((((31 * row + 7 * column + 13 * field) % 251) - 100) / 3);

function checkCommand(message, tick) {
  const fields = parse(message.data);
  assert.equal(get(fields, 3) ?? 0n, BigInt(tick));
  const expected = Array.from({ length: 14 }, (_, column) => golden(0, tick, column));
  assert.deepEqual(floats(get(fields, 4)), expected);
}

function checkObservation(message, tick, length) {
  const fields = parse(message.data);
  assert.equal(get(fields, 4) ?? 0n, BigInt(tick));
  assert.equal(get(fields, 8) ?? 0n, tick >= length - 1 ? 1n : 0n); // done
  if (tick === length) return assert.equal(get(fields, 6), undefined);
  const object = floats(get(fields, 6)).slice(0, 14);
  assert.deepEqual(object, Array.from({ length: 14 }, (_, column) => golden(1, tick, column)));
}

// --- a run ----------------------------------------------------------------------------------------

function recordRun(folder) {
  const endpoint = `ipc://${folder}/robot`;
  const file = join(folder, "run.mcap");
  const config = join(folder, "run.yaml");
  const policy = join(root, "policy", "pretrained", "pusht.safetensors");
  writeFileSync(config, `run:\n  policy: "${policy}"\n  pace: lockstep\n`);
  const seeds = ["--seeds", "100000:100001"];
  const robot = spawn(join(build, "dpc-sim"), ["--pace", "lockstep", ...seeds, "--endpoint", endpoint], {
    stdio: "ignore",
  });
  const more = [`link.endpoint=${endpoint}`, "link.dead_after=20", "run.warm_up=1", "sampler.steps=2"];
  try {
    execFileSync(join(build, "dpc-run"), ["-q", config, `run.record=${file}`, ...more]);
  } finally {
    robot.kill();
  }
  return new Uint8Array(readFileSync(file));
}

function checkRun(messages) {
  const seen = { "/run": 0, "/hello": 0, "/tick": 0, "/end": 0 };
  const ticks = Number(get(parse(messages.at(-1).message.data), 1)); // says the end
  let last = 0n;
  for (const { topic, schema, message } of messages) {
    const tick = seen[topic]++;
    assert.equal(message.sequence, tick);
    checkSchema(schema);
    assert.ok(message.logTime >= last);
    assert.ok(Math.abs(Number(message.logTime / 1_000_000n) - Date.now()) < 600_000);
    last = message.logTime;
    if (topic !== "/tick") continue;
    const fields = parse(message.data);
    assert.equal(get(fields, 1) ?? 0n, BigInt(tick));
    assert.equal(get(fields, 2) ?? 0n, BigInt(tick));
    assert.equal(floats(get(fields, 6)).length, 23);
    assert.equal(floats(get(fields, 20)).length, 2);
    if (get(fields, 7) === 1n) assert.equal(floats(get(fields, 12)).length, 2 * 16);
  }
  assert.ok(ticks > 0);
  assert.deepEqual(seen, { "/run": 1, "/hello": 1, "/tick": ticks, "/end": 1 });
}

// --- the two ways of reading --------------------------------------------------------------------

const LENGTH = 9; // of the first demonstration
const COUNTS = { "/hello": 1, "/observation": LENGTH + 1, "/command": LENGTH };

// The schema is a FileDescriptorSet that holds the message.
function checkSchema(schema) {
  assert.equal(schema.encoding, "protobuf");
  const file = get(parse(schema.data), 1);
  const names = parse(file)
    .filter(([number]) => number === 4)
    .map(([, bytes]) => `dpc.${Buffer.from(get(parse(bytes), 1)).toString()}`);
  assert.ok(names.includes(schema.name));
}

function checkMessages(messages) {
  const seen = { "/hello": 0, "/observation": 0, "/command": 0 };
  for (const { topic, schema, message } of messages) {
    const tick = seen[topic]++;
    assert.equal(message.sequence, tick);
    checkSchema(schema);
    if (topic === "/hello") assert.equal(schema.name, "dpc.Hello");
    else assert.equal(message.logTime, BigInt(tick) * 50_000_000n);
    if (topic === "/observation") checkObservation(message, tick, LENGTH);
    if (topic === "/command") checkCommand(message, tick);
  }
  assert.deepEqual(seen, COUNTS);
}

async function readIndexed(bytes) {
  const readable = {
    size: async () => BigInt(bytes.byteLength),
    read: async (offset, size) => bytes.slice(Number(offset), Number(offset + size)),
  };
  const reader = await McapIndexedReader.Initialize({ readable, decompressHandlers });
  assert.match(reader.header.library, /^dpc \d/);
  assert.equal(reader.chunkIndexes.length, reader.statistics.chunkCount);
  const messages = [];
  for await (const message of reader.readMessages()) {
    const channel = reader.channelsById.get(message.channelId);
    const schema = reader.schemasById.get(channel.schemaId);
    messages.push({ topic: channel.topic, schema, message });
  }
  assert.equal(reader.statistics.messageCount, BigInt(messages.length));
  return messages;
}

function readStream(bytes) {
  const reader = new McapStreamReader({ decompressHandlers, validateCrcs: true });
  reader.append(bytes);
  const schemas = new Map();
  const channels = new Map();
  const messages = [];
  for (let record; (record = reader.nextRecord()); ) {
    if (record.type === "Schema") schemas.set(record.id, record);
    if (record.type === "Channel") channels.set(record.id, record);
    if (record.type === "Message") {
      const channel = channels.get(record.channelId);
      messages.push({ topic: channel.topic, schema: schemas.get(channel.schemaId), message: record });
    }
  }
  assert.ok(reader.done());
  return messages;
}

const folder = mkdtempSync(join(tmpdir(), "dpc-mcap-core-"));
try {
  const source = join(root, "tests", "golden", "import", "two_arms.hdf5");
  const log = join(folder, "log");
  execFileSync(join(build, "dpc-import"), ["--quiet", source, log]);
  const bytes = new Uint8Array(readFileSync(join(log, "episode_000000.mcap")));
  checkMessages(await readIndexed(bytes));
  checkMessages(readStream(bytes));
  const run = recordRun(folder);
  const ticks = await readIndexed(run);
  checkRun(ticks);
  checkRun(readStream(run));
  console.log(`${2 * LENGTH + 2 + ticks.length} messages, the same by index and by stream`);
} finally {
  rmSync(folder, { recursive: true });
}
