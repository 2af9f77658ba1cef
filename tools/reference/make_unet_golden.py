#!/usr/bin/python3
"""Networks that the U-Net is tested against: small ones with random weights, evaluated by PyTorch in
float64, so that what a comparison shows is our own rounding.

  make_unet_golden.py [FOLDER]     default: tests/golden beside this script's project

Writes unet_NAME.weights.safetensors and unet_NAME.io.safetensors for each network below, in the layout
that `dpc verify` reads: settings in the weights' metadata; sample, timestep, global_cond, target,
output, loss, every gradient of the first step, and the losses of three AdamW steps on that batch.
Needs python3-torch and python3-numpy.
"""
import json
import os
import struct
import sys

import torch
from torch import nn

from unet_torch import Unet

# One level has no way up; a group of one channel makes the bias before it irrelevant.
NETWORKS = {
    "one_level": dict(input_dim=3, global_cond_dim=5, down_dims=[8], kernel_size=3, group_count=4,
                      step_embed_dim=6, horizon=7, batch=4),
    "small": dict(input_dim=2, global_cond_dim=6, down_dims=[8, 16], kernel_size=5, group_count=4,
                  step_embed_dim=8, horizon=8, batch=3),
    "three_levels": dict(input_dim=5, global_cond_dim=0, down_dims=[4, 8, 8], kernel_size=3, group_count=4,
                         step_embed_dim=4, horizon=12, batch=2),
    "step_size": dict(input_dim=2, global_cond_dim=4, down_dims=[8], kernel_size=3, group_count=4,
                      step_embed_dim=6, horizon=4, batch=3, step_size_dim=1),
}
# What `dpc verify` reads from the weights' metadata, by the reference's names.
SETTINGS = {"input_dim": "input_dim", "global_cond_dim": "global_cond_dim", "down_dims": "down_dims",
            "kernel_size": "kernel_size", "n_groups": "group_count",
            "diffusion_step_embed_dim": "step_embed_dim", "horizon": "horizon",
            "step_size_dim": "step_size_dim"}
LR, BETAS, EPS, WEIGHT_DECAY, STEPS = 1e-3, (0.95, 0.999), 1e-8, 1e-2, 3


# --- what is recorded ------------------------------------------------------------------------------


def randomise(net):
    """Move normalisations off 1 and 0, and round all weights to what float32 can hold."""
    with torch.no_grad():
        for name, p in net.named_parameters():
            if ".block.1." in name:
                p.add_(0.3 * torch.randn_like(p))
            p.copy_(p.float().double())


def record(net, input_dim, global_cond_dim, horizon, batch, step_size_dim=0, **_):
    sample = torch.randn(batch, horizon, input_dim).double().requires_grad_()
    cond = torch.randn(batch, global_cond_dim).double().requires_grad_()
    target = torch.randn(batch, horizon, input_dim).double()
    timestep = torch.randint(0, 100, (batch,))
    optimizer = torch.optim.AdamW(net.parameters(), lr=LR, betas=BETAS, eps=EPS, weight_decay=WEIGHT_DECAY)
    io = {"sample": sample, "timestep": timestep, "global_cond": cond, "target": target}
    sizes = ()
    if step_size_dim:
        io["step_size"] = torch.tensor([0.0, 12.5, 100.0])[:batch].double()
        sizes = (io["step_size"],)
    losses = []
    for step in range(STEPS + 1):
        optimizer.zero_grad()
        output = net(sample, timestep.double(), cond, *sizes)
        loss = nn.functional.mse_loss(output, target)
        losses.append(loss.item())
        if step == STEPS:
            break
        loss.backward()
        if step == 0:
            io.update({"output": output, "loss": loss.reshape(1), "grad_input.sample": sample.grad.clone(),
                       "grad_input.global_cond": cond.grad.clone()})
            io.update({"grad." + name: p.grad.clone() for name, p in net.named_parameters()})
        optimizer.step()
    io["adamw_losses"] = torch.tensor(losses)
    for name in ("final_conv.1.weight", "down_modules.0.0.blocks.0.block.0.weight"):
        io["adamw." + name] = dict(net.named_parameters())[name]
    return io


def save(path, tensors, metadata):
    header, data = {"__metadata__": metadata}, b""
    for name, tensor in tensors.items():
        if tensor.numel() == 0:
            continue
        whole = tensor.dtype == torch.int64
        values = tensor.detach().numpy().astype("<i8" if whole else "<f4").tobytes()
        header[name] = {"dtype": "I64" if whole else "F32", "shape": list(tensor.shape),
                        "data_offsets": [len(data), len(data) + len(values)]}
        data += values
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.join(here, "..", "..", "tests", "golden")
    torch.set_num_threads(1)
    for number, (name, settings) in enumerate(NETWORKS.items()):
        torch.manual_seed(number)
        net = Unet(**settings).double()
        randomise(net)
        base = os.path.join(folder, "unet_" + name)
        metadata = {theirs: str(settings[ours]) for theirs, ours in SETTINGS.items() if ours in settings}
        save(base + ".weights.safetensors", net.state_dict(), metadata)
        adamw = f"lr {LR} betas {BETAS[0]} {BETAS[1]} eps {EPS} weight_decay {WEIGHT_DECAY}"
        save(base + ".io.safetensors", record(net, **settings), {"adamw": adamw, "steps": str(STEPS)})


if __name__ == "__main__":
    main()
