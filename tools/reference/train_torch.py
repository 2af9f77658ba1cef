#!/usr/bin/python3
"""The training of `dpc train`, in PyTorch: same data, windows, network, schedule, loss, optimiser,
learning-rate curve and batch; other random numbers. Writes the loss curve as CSV, to be laid over
metrics.jsonl (plot_losses.py does that).

    train_torch.py REPLAY.zarr curve.csv [--steps N] [--batch N] [--config run/config.yaml]

Needs Debian's python3-torch, python3-numpy, python3-zarr (and python3-yaml for --config).
"""

import argparse
import csv
import math
import sys
import time

import numpy as np
import torch
from torch import nn

from unet_torch import Unet

DEFAULTS = {
    "unet": {"down_dims": [64, 128, 256], "kernel_size": 5, "group_count": 8,
             "step_embed_dim": 256, "horizon": 16},
    "policy": {"n_obs": 2, "n_actions": 8},
    "schedule": {"steps": 100},
    "train": {"steps": 6000, "batch": 256, "learning_rate": 3e-4, "warmup_steps": 300,
              "clip_norm": 1.0, "seed": 42, "log_every": 10},
    "adamw": {"beta1": 0.95, "beta2": 0.999, "epsilon": 1e-8, "weight_decay": 1e-6},
    "dataset": {"val_ratio": 0.02, "seed": 42},
}


# --- the data -----------------------------------------------------------------------------------


def normalize(rows, train_rows):
    low, high = rows[train_rows].min(0), rows[train_rows].max(0)
    constant = high - low < 1e-4
    scale = np.where(constant, 1, 2 / np.where(constant, 1, high - low))
    offset = np.where(constant, -low, -1 - low * scale)
    return torch.from_numpy((rows * scale + offset).astype(np.float32))


def load(path, settings):
    """Normalised observations and actions, and the clamped rows of every training window."""
    import zarr  # here: tools/peers/torch_train_peer.py does without
    root = zarr.open(path, "r")
    ends = root["meta/episode_ends"][:]
    begins = np.concatenate([[0], ends[:-1]])
    obs = np.concatenate([root["data/keypoint"][:].reshape(ends[-1], -1),
                          root["data/state"][:, :2]], axis=1).astype(np.float64)
    action = root["data/action"][:].astype(np.float64)

    count = len(ends)
    held_out = min(max(1, round(settings["dataset"]["val_ratio"] * count)), count - 1)
    drawn = np.random.default_rng(settings["dataset"]["seed"]).permutation(count)
    train = drawn[held_out:]
    train_rows = np.concatenate([np.arange(begins[e], ends[e]) for e in train])

    horizon = settings["unet"]["horizon"]
    before, after = settings["policy"]["n_obs"] - 1, settings["policy"]["n_actions"] - 1
    windows = []
    for e in train:
        for first in range(begins[e] - before, ends[e] - horizon + after + 1):
            windows.append(np.clip(np.arange(first, first + horizon), begins[e], ends[e] - 1))
    return normalize(obs, train_rows), normalize(action, train_rows), torch.tensor(
        np.array(windows))


# --- training -----------------------------------------------------------------------------------


def cumulative_alpha(steps):
    def level(s):
        return math.cos((s + 0.008) / 1.008 * math.pi / 2) ** 2

    betas = [min(1 - level((t + 1) / steps) / level(t / steps), 0.999) for t in range(steps)]
    return torch.tensor(np.cumprod(1 - np.array(betas)), dtype=torch.float32)


def rate_factor(done, train):
    if done < train["warmup_steps"]:
        return done / train["warmup_steps"]
    progress = (done - train["warmup_steps"]) / max(1, train["steps"] - train["warmup_steps"])
    return 0.5 * (1 + math.cos(math.pi * min(progress, 1)))


def train(path, curve, settings, until):
    options, adamw = settings["train"], settings["adamw"]
    torch.manual_seed(options["seed"])
    obs, action, windows = load(path, settings)
    n_obs = settings["policy"]["n_obs"]
    model = Unet(action.shape[1], n_obs * obs.shape[1], **settings["unet"])
    optimizer = torch.optim.AdamW(model.parameters(), lr=options["learning_rate"],
                                  betas=(adamw["beta1"], adamw["beta2"]), eps=adamw["epsilon"],
                                  weight_decay=adamw["weight_decay"])
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: rate_factor(s, options))
    alphas = cumulative_alpha(settings["schedule"]["steps"])
    print(f"{len(windows)} windows, {sum(p.numel() for p in model.parameters())} parameters",
          file=sys.stderr)

    writer = csv.writer(curve)
    writer.writerow(["step", "loss", "samples_per_second"])
    order = torch.empty(0, dtype=torch.int64)
    losses, began = [], time.monotonic()
    for step in range(1, min(options["steps"], until) + 1):
        while len(order) < options["batch"]:
            order = torch.cat([order, torch.randperm(len(windows))])
        rows, order = windows[order[:options["batch"]]], order[options["batch"]:]
        clean, cond = action[rows], obs[rows[:, :n_obs]].flatten(1)
        noise = torch.randn_like(clean)
        t = torch.randint(0, len(alphas), (len(rows),))
        a = alphas[t][:, None, None]
        noisy = a.sqrt() * clean + (1 - a).sqrt() * noise

        loss = nn.functional.mse_loss(model(noisy, t.float(), cond), noise)
        optimizer.zero_grad()
        loss.backward()
        if options["clip_norm"] > 0:
            nn.utils.clip_grad_norm_(model.parameters(), options["clip_norm"])
        optimizer.step()
        scheduler.step()

        losses.append(loss.item())
        if step % options["log_every"] == 0:
            rate = len(losses) * options["batch"] / (time.monotonic() - began)
            writer.writerow([step, f"{np.mean(losses):.6g}", f"{rate:.1f}"])
            curve.flush()
            print(f"step {step}/{options['steps']}  loss {np.mean(losses):.4f}  {rate:.0f} "
                  "samples/s", file=sys.stderr)
            losses, began = [], time.monotonic()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("zarr")
    parser.add_argument("csv")
    parser.add_argument("--config", help="config.yaml that `dpc train` wrote")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--until", type=int, default=1 << 30, help="stop after this step")
    parser.add_argument("--threads", type=int, help="PyTorch's threads")
    arguments = parser.parse_args()

    settings = {section: dict(values) for section, values in DEFAULTS.items()}
    if arguments.config:
        import yaml
        with open(arguments.config, encoding="utf-8") as file:
            read = yaml.safe_load(file)
        for section, values in settings.items():
            # YAML 1.1 takes 1e-8 for a text
            values.update({key: float(value) if isinstance(values.get(key), float) else value
                           for key, value in read.get(section, {}).items()})
    if arguments.steps:
        settings["train"]["steps"] = arguments.steps
    if arguments.batch:
        settings["train"]["batch"] = arguments.batch
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    with open(arguments.csv, "w", encoding="utf-8", newline="") as curve:
        train(arguments.zarr, curve, settings, arguments.until)


if __name__ == "__main__":
    main()
