#!/usr/bin/env node
// Run a model of `dpc export` in ONNX Runtime, for tests/test_export.c.
//
//     tests/onnx_run.mjs MODEL CASES OUTPUTS
//
// CASES is a JSON array of {"batch", "sample", "timestep", "cond"}, numbers without their shapes;
// OUTPUTS gets the array of their predictions. Exits 77 (skipped) where the npm package
// onnxruntime-node is not there; tools/setup --peers installs it into build/node_modules.
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");

function load(name) {
  try {
    return createRequire(join(root, "build", "package.json"))(name);
  } catch (error) {
    if (error.code !== "MODULE_NOT_FOUND") throw error;
    console.log(`skipped: ${name} is not installed (tools/setup --peers)`);
    process.exit(77);
  }
}

const { InferenceSession, Tensor } = load("onnxruntime-node");
const [model, cases, outputs] = process.argv.slice(2);
const session = await InferenceSession.create(model, { intraOpNumThreads: 1 });

async function run({ batch, ...values }) {
  const feeds = {};
  for (const { name, shape } of session.inputMetadata) {
    const dims = shape.map((dim) => (dim === "batch" ? batch : dim));
    feeds[name] = new Tensor("float32", Float32Array.from(values[name]), dims);
  }
  const { prediction } = await session.run(feeds);
  return Array.from(prediction.data);
}

const predictions = [];
for (const one of JSON.parse(readFileSync(cases, "utf8"))) predictions.push(await run(one));
writeFileSync(outputs, JSON.stringify(predictions));
