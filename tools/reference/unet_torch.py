"""ConditionalUnet1D of Diffusion Policy (FiLM with scale and bias) in PyTorch: what our network is
compared with. Module names give the tensors their reference names. Needs python3-torch.
"""
import math

import torch
from torch import nn


class StepEmbedding(nn.Module):
    def __init__(self, dim):
        super().__init__()
        half = dim // 2
        self.register_buffer("rates", torch.exp(-math.log(10000) / (half - 1) * torch.arange(half)),
                             persistent=False)

    def forward(self, timestep):
        angles = timestep[:, None] * self.rates
        return torch.cat([angles.sin(), angles.cos()], dim=1)


class ConvBlock(nn.Module):
    def __init__(self, inputs, outputs, kernel, groups):
        super().__init__()
        self.block = nn.Sequential(nn.Conv1d(inputs, outputs, kernel, padding=kernel // 2),
                                   nn.GroupNorm(groups, outputs), nn.Mish())

    def forward(self, x):
        return self.block(x)


class Residual(nn.Module):
    def __init__(self, inputs, outputs, cond_dim, kernel, groups):
        super().__init__()
        self.blocks = nn.ModuleList([ConvBlock(inputs, outputs, kernel, groups),
                                     ConvBlock(outputs, outputs, kernel, groups)])
        self.cond_encoder = nn.Sequential(nn.Mish(), nn.Linear(cond_dim, 2 * outputs))
        self.residual_conv = nn.Conv1d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x, cond):
        scale, shift = self.cond_encoder(cond)[:, :, None].chunk(2, dim=1)
        return self.blocks[1](scale * self.blocks[0](x) + shift) + self.residual_conv(x)


class Resample(nn.Module):
    def __init__(self, conv):
        super().__init__()
        self.conv = conv

    def forward(self, x):
        return self.conv(x)


class Unet(nn.Module):
    def __init__(self, input_dim, global_cond_dim, down_dims, kernel_size, group_count, step_embed_dim,
                 step_size_dim=0, **_):
        super().__init__()
        embed, deepest, down_dims = step_embed_dim, down_dims[-1], list(down_dims)

        def residual(inputs, outputs):
            return Residual(inputs, outputs, embed + global_cond_dim, kernel_size, group_count)

        self.diffusion_step_encoder = nn.Sequential(
            StepEmbedding(embed), nn.Linear(embed * (1 + step_size_dim), 4 * embed), nn.Mish(),
            nn.Linear(4 * embed, embed))
        self.mid_modules = nn.ModuleList([residual(deepest, deepest), residual(deepest, deepest)])
        self.down_modules, self.up_modules = nn.ModuleList(), nn.ModuleList()
        for before, dim in zip([input_dim] + down_dims, down_dims):
            last = len(self.down_modules) == len(down_dims) - 1
            shrink = nn.Identity() if last else Resample(nn.Conv1d(dim, dim, 3, 2, 1))
            self.down_modules.append(nn.ModuleList([residual(before, dim), residual(dim, dim), shrink]))
        for above, dim in zip(down_dims[:0:-1], down_dims[-2::-1]):
            grow = Resample(nn.ConvTranspose1d(dim, dim, 4, 2, 1))
            self.up_modules.append(nn.ModuleList([residual(2 * above, dim), residual(dim, dim), grow]))
        self.final_conv = nn.Sequential(
            ConvBlock(down_dims[0], down_dims[0], kernel_size, group_count), nn.Conv1d(down_dims[0], input_dim, 1))

    def forward(self, sample, timestep, global_cond, step_size=None):
        x = sample.transpose(1, 2)
        embedding, *layers = self.diffusion_step_encoder
        step = embedding(timestep)
        if step_size is not None:
            step = torch.cat([step, embedding(step_size)], dim=1)
        for layer in layers:
            step = layer(step)
        cond = torch.cat([step, global_cond], dim=1)
        skips = []
        for first, second, shrink in self.down_modules:
            x = second(first(x, cond), cond)
            skips.append(x)
            x = shrink(x)
        for module in self.mid_modules:
            x = module(x, cond)
        for first, second, grow in self.up_modules:
            x = grow(second(first(torch.cat([x, skips.pop()], dim=1), cond), cond))
        return self.final_conv(x).transpose(1, 2)
