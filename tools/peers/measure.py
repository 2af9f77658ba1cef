#!/usr/bin/python3
"""Speed of dpc beside that of ONNX Runtime and PyTorch; tools/peers/run installs and builds first.

    measure.py step [--json FILE] [--sizes small,medium,large] [--threads 1,2] [--rounds N] [--quick]
    measure.py train [--json FILE] [--sizes small,medium] [--batches 64,256] [--rounds N] [--quick]

Every peer is a process that stays alive, pinned to as many processors as it has threads, and that
works only while it is told to. They take turns: a burst of steps each, round after round, so that
what disturbs the machine disturbs all of them. A ratio is the median over rounds of the ratio of the
medians within a round. Exits 77 where something that is compared with is not installed.
"""
import argparse
import importlib.util
import json
import math
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import tempfile

from peer import Peer, median_ratio, take_turns

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
POLICY = ROOT / "policy/pretrained/pusht.safetensors"
NODE_MODULES = ROOT / "build/node_modules"
SCHEMA = "/usr/include/onnx"  # of libonnx-dev


def run_tool(*command):
    return subprocess.run([str(word) for word in command], check=True, text=True,
                          stdout=subprocess.PIPE).stdout


# --- step: one denoising step -------------------------------------------------------------------


def make_inputs(folder):
    """The same for all: numbers that are exact in float."""
    def wave(count, phase):
        return [round(64 * math.sin(1.7 * i + phase)) / 64 for i in range(count)]
    path = folder / "inputs.json"
    path.write_text(json.dumps({"sample": wave(32, 0), "timestep": [50], "cond": wave(40, 1)}))
    return path


def start_step_peers(args, folder, size, threads):
    """Everybody who takes part, with the weights of one file."""
    inputs = make_inputs(folder)
    network = ["--policy", POLICY] if size == "small" else ["--random", size]
    source = [POLICY] if size == "small" else network
    models = {form: folder / f"{size}.{form}.onnx" for form in ("conv", "matmul")}
    for form, model in models.items():
        run_tool(args.build / "dpc-export", *source, "--form", form, "--quiet", "--onnx", model)
    models["exported"] = folder / f"{size}.torch.onnx"
    with_schema = {**os.environ, "PYTHONPATH": str(folder)}
    subprocess.run([sys.executable, HERE / "torch_peer.py", "export", models["conv"],
                    models["exported"]], check=True, env=with_schema)
    ours = [args.build / "peers/dpc-peer", *network, "--threads", threads, inputs]
    peers = [Peer("dpc", [*ours, "--precision", precision], threads)
             for precision in run_tool(ours[0], "--list").split()]
    if size == "small" and threads == 1:
        peers += [Peer("dpc", [*ours, "--precision", precision], threads, {"DPC_ISA": "avx2"})
                  for precision in ("fp32", "int8")]
    for form, model in models.items():
        peers.append(Peer("ONNX Runtime", ["node", HERE / "onnx_peer.mjs", NODE_MODULES, form, model,
                                           threads, inputs], threads))
    for mode in ("eager", "jit"):
        peers.append(Peer("PyTorch", [sys.executable, HERE / "torch_peer.py", mode, models["conv"],
                                      threads, inputs], threads, {"PYTHONPATH": str(folder)}))
    return peers


def compare_outputs(peers):
    """How far each peer's output is from PyTorch's: root mean square over that of the output, so
    that networks whose outputs differ in size can be compared."""
    reference = peers[-2].hello["output"]
    return [math.dist(peer.hello["output"], reference) / math.hypot(*reference) for peer in peers]


def measure_step(args, size, threads):
    """The rows of one table: size and threads."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        run_tool("protoc", f"-I{SCHEMA}", f"--python_out={folder}", "onnx.proto")
        peers = start_step_peers(args, folder, size, threads)
        for peer in peers:
            peer.choose_burst(args.burst)
        take_turns(peers, args.rounds)
    rows = [{"size": size, "threads_asked": threads, **peer.summary(), "difference": difference}
            for peer, difference in zip(peers, compare_outputs(peers))]
    for peer, row in zip(peers, rows):
        if peer.name == "dpc":
            row["onnxruntime_ratio"] = median_ratio(peers, "ONNX Runtime", peer)
            row["onnxruntime_exported_ratio"] = median_ratio(peers, "ONNX Runtime", peer, "exported")
            row["torch_ratio"] = median_ratio(peers, "PyTorch", peer)
    return rows


def print_step_title():
    print("One denoising step, batch 1. Of dpc: what runs in each step; the part of the condition "
          "that\nis the same for all steps of a chunk, or for all chunks, is computed before. The "
          "others\ncompute all of it, as the network is written. ONNX Runtime runs the models of dpc "
          "export in\nits two forms, and the one that PyTorch's exporter makes; ONNX/dpc is the "
          "fastest of them.\n")
    print(f"{'size':7} {'threads':>7}  {'':24} {'p50 us':>9} {'p99 us':>9} {'ONNX/dpc':>9} "
          f"{'exported':>9} {'Torch/dpc':>9} {'difference':>11}")


def print_step_row(row):
    ratios = "".join(f" {row[key]:9.2f}" if key in row else " " * 10
                     for key in ("onnxruntime_ratio", "onnxruntime_exported_ratio", "torch_ratio"))
    who = f"{row['peer']} {row['variant']}"
    if row["threads"] != row["threads_asked"]:
        who += f" ({row['threads']})"
    print(f"{row['size']:7} {row['threads_asked']:7}  {who:24} {row['p50_us']:9.1f} "
          f"{row['p99_us']:9.1f}{ratios} {row['difference']:11.1e}", flush=True)


def step(args):
    """All tables of the benchmark "step"."""
    print_step_title()
    rows = []
    for size in (args.sizes or "small,medium,large").split(","):
        for threads in map(int, args.threads.split(",")):
            if threads > len(os.sched_getaffinity(0)):
                print(f"{size}: {threads} threads want as many processors; left out")
                continue
            made = measure_step(args, size, threads)
            for row in made:
                print_step_row(row)
            rows += made
            print()
    return rows


# --- train: one update ----------------------------------------------------------------------------

CHANNELS = {"small": "64,128,256", "medium": "128,256,512", "large": "256,512,1024"}
# PyTorch's threads spin while they wait, and so do those that OpenBLAS adds to them; beside any other
# program that makes it many times slower. It takes part as it is on an idle machine only.
CALM = {"OMP_WAIT_POLICY": "passive", "OPENBLAS_NUM_THREADS": "1"}


def start_train_peers(args, size, batch, threads):
    peers = [Peer("dpc", [args.build / "peers/dpc-train-peer", size, "--batch", batch,
                          "--threads", threads], threads)]
    variants = [("eager", CALM), ("jit", CALM)]
    if args.idle and not args.quick:
        variants.append(("eager", {}))
    for mode, environment in variants:
        peers.append(Peer("PyTorch", [sys.executable, HERE / "torch_train_peer.py", mode,
                                      CHANNELS[size], batch, threads], threads, environment))
        peers[-1].hello["variant"] += " calm" if environment else ""
    return peers


def measure_train(args, size, batch):
    """The rows of one table: size and batch."""
    peers = start_train_peers(args, size, batch, len(os.sched_getaffinity(0)))
    for peer in peers:
        peer.choose_few(4 * args.burst)
    take_turns(peers, args.rounds)
    rows = [{"size": size, "batch": batch, **peer.summary(), "loss": peer.hello["loss"]}
            for peer in peers]
    for row in rows:
        row["samples_per_second"] = 1e6 * batch / row["p50_us"]
    rows[0]["torch_ratio"] = median_ratio(peers, "PyTorch", peers[0])
    return rows


def train(args):
    """All tables of the benchmark "train"."""
    print("One update on all processors: noise, forward, loss, backward, clipping, AdamW and the "
          "moving\naverage. Torch/dpc is that of the fastest PyTorch.\n")
    print(f"{'size':7} {'batch':>5}  {'':24} {'p50 ms':>9} {'samples/s':>9} {'Torch/dpc':>9}")
    rows = []
    for size in (args.sizes or "small,medium").split(","):
        for batch in map(int, args.batches.split(",")):
            made = measure_train(args, size, batch)
            for row in made:
                ratio = f" {row['torch_ratio']:9.2f}" if "torch_ratio" in row else ""
                who = f"{row['peer']} {row['variant']}"
                print(f"{size:7} {batch:5}  {who:24} {row['p50_us'] / 1e3:9.1f} "
                      f"{row['samples_per_second']:9.0f}{ratio}", flush=True)
            rows += made
            print()
    return rows


BENCHMARKS = {"step": step, "train": train}


# --- the command --------------------------------------------------------------------------------


def missing(benchmark):
    """What is not installed, or None."""
    onnx = benchmark == "step"
    if onnx and not ((NODE_MODULES / "onnxruntime-node").exists() and shutil.which("node")):
        return "onnxruntime-node"
    for module in ("torch", "google.protobuf") if onnx else ("torch",):
        try:
            if importlib.util.find_spec(module) is None:
                return module
        except ModuleNotFoundError:
            return module
    return None


def parse_arguments():
    parser = argparse.ArgumentParser(prog="tools/peers/run")
    parser.add_argument("benchmark", choices=BENCHMARKS)
    parser.add_argument("--json", metavar="FILE", help="write all figures")
    parser.add_argument("--sizes")
    parser.add_argument("--threads", default="1,2", help="step: of a peer")
    parser.add_argument("--batches", default="64,256", help="train: windows of an update")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--burst", type=float, default=0.15, help="seconds of a peer's turn")
    parser.add_argument("--quick", action="store_true", help="only to see that it works")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    args = parser.parse_args()
    if args.quick:
        args.sizes, args.threads, args.rounds, args.burst = "small", "1", 2, 0.01
        args.batches = "8"
    return args


def cpu_name():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def main():
    args = parse_arguments()
    absent = missing(args.benchmark)
    if absent is not None:
        print(f"skipped: {absent} is not installed (tools/setup --peers)")
        return 77
    load = os.getloadavg()[0]
    args.idle = load <= 0.5
    if not args.idle:
        print(f"other programs are running (load {load:.1f}): figures will be rough", file=sys.stderr)
    rows = BENCHMARKS[args.benchmark](args)
    if args.json:
        report = {"benchmark": args.benchmark, "cpu": cpu_name(), "load_before": load,
                  "rounds": args.rounds, "burst_s": args.burst, "rows": rows}
        pathlib.Path(args.json).write_text(json.dumps(report, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
