#!/usr/bin/python3
"""PyTorch's side of tools/peers/run train; see dpc_train_peer.c for what is said and answered.

    torch_train_peer.py eager|jit CHANNELS BATCH THREADS    # CHANNELS as in 64,128,256

One update is what dpc's is: noise, forward, loss, backward, clipping, AdamW and the moving average;
each in the fastest form that this PyTorch has (the optimiser and the average as one call over all
tensors). The loop is that of tools/reference/train_torch.py.
"""
import json
import pathlib
import sys
import time

import torch
from torch import nn

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "reference"))
from train_torch import cumulative_alpha  # noqa: E402
from unet_torch import Unet  # noqa: E402

HORIZON, ACTION, COND, LEVELS, WINDOWS = 16, 2, 40, 100, 10000


class Trainer:
    """A network, its optimiser and average, and random data."""

    def __init__(self, mode, channels, batch):
        torch.manual_seed(1)
        self.net = Unet(ACTION, COND, channels, 5, 8, 256)
        self.average = [p.detach().clone() for p in self.net.parameters()]
        self.optimizer = torch.optim.AdamW(self.net.parameters(), lr=3e-4, betas=(0.95, 0.999),
                                           eps=1e-8, weight_decay=1e-6, foreach=True)
        self.alphas = cumulative_alpha(LEVELS)
        self.action = torch.rand(WINDOWS, HORIZON, ACTION) * 2 - 1
        self.cond = torch.rand(WINDOWS, COND) * 2 - 1
        self.batch = batch
        if mode == "jit":
            self.net = torch.jit.trace(self.net, self.draw()[1:])

    def draw(self):
        rows = torch.randint(0, WINDOWS, (self.batch,))
        clean, noise = self.action[rows], torch.randn(self.batch, HORIZON, ACTION)
        t = torch.randint(0, LEVELS, (self.batch,))
        a = self.alphas[t][:, None, None]
        return noise, a.sqrt() * clean + (1 - a).sqrt() * noise, t.float(), self.cond[rows]

    def step(self):
        noise, *given = self.draw()
        loss = nn.functional.mse_loss(self.net(*given), noise)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimizer.step()
        with torch.no_grad():
            torch._foreach_mul_(self.average, 0.999)
            torch._foreach_add_(self.average, list(self.net.parameters()), alpha=0.001)
        return loss.item()


def main():
    mode, channels, batch, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    torch.set_flush_denormal(True)
    trainer = Trainer(mode, [int(width) for width in channels.split(",")], int(batch))
    loss = trainer.step()
    print(json.dumps({"variant": f"fp32 {mode}", "version": torch.__version__,
                      "threads": torch.get_num_threads(), "loss": loss}), flush=True)
    for line in sys.stdin:
        times = []
        for _ in range(int(line)):
            before = time.perf_counter_ns()
            trainer.step()
            times.append((time.perf_counter_ns() - before) / 1e3)
        print(json.dumps({"us": times}), flush=True)


if __name__ == "__main__":
    main()
