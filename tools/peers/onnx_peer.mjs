// ONNX Runtime's side of tools/peers/run; see dpc_peer.c for what is said and answered.
//
//     node onnx_peer.mjs NODE_MODULES FORM MODEL THREADS INPUTS
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { createInterface } from "node:readline";

const [modules, form, model, threads, file] = process.argv.slice(2);
const require = createRequire(join(resolve(modules), "package.json"));
const { Tensor, env } = require("onnxruntime-node");
// The session beneath the public one: without a promise and a turn of the event loop in each step.
const { binding, initOrt } = require(join(dirname(require.resolve("onnxruntime-node")), "binding.js"));

initOrt();
const session = new binding.InferenceSession();
session.loadModel(model, {
  executionProviders: ["cpu"],
  executionMode: "sequential",
  graphOptimizationLevel: "all",
  intraOpNumThreads: Number(threads),
  interOpNumThreads: 1,
  extra: { session: { set_denormal_as_zero: "1" } },
});

const inputs = JSON.parse(readFileSync(file, "utf8"));
const feeds = {};
for (const { name, shape } of session.inputMetadata) {
  const dims = shape.map((dim) => Math.max(dim, 1)); // -1, any batch, is one sample
  feeds[name] = new Tensor("float32", Float32Array.from(inputs[name]), dims);
}
const step = () => session.run(feeds, { prediction: null }, {}).prediction;

const say = (message) => process.stdout.write(JSON.stringify(message) + "\n");
const output = Array.from(step().data);
say({ variant: `fp32 ${form}`, version: env.versions?.node ?? "", threads: Number(threads), output });
for await (const line of createInterface({ input: process.stdin })) {
  const us = new Float64Array(Number(line));
  for (let i = 0; i < us.length; ++i) {
    const before = process.hrtime.bigint();
    step();
    us[i] = Number(process.hrtime.bigint() - before) / 1e3;
  }
  say({ us: Array.from(us) });
}
