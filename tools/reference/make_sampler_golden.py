#!/usr/bin/python3
"""Numbers that the samplers are tested against: DDPM, DDIM and Euler's method on a flow, DPM-Solver++
2M, Heun's method and consistency sampling, written from the formulas in numpy float64, the first two
with the conventions of diffusers. Independent of the C code: betas, grids, clipping and updates are
all worked out here.

  make_sampler_golden.py [FOLDER]     default: tests/golden beside this script's project

Writes sampler_grids.csv (which timesteps are visited), sampler_steps.csv (x after single steps for a
given x, prediction and noise) and sampler_paths.csv (each evaluation of the network from noise to
clean, for the rules that remember something). Needs python3-numpy only.
"""
import csv
import itertools
import os
import sys

import numpy as np

ELEMENTS = 2


def betas(kind, count, start=1e-4, end=0.02):
    if kind == "linear":
        return np.linspace(start, end, count)
    if kind == "scaled_linear":
        return np.linspace(np.sqrt(start), np.sqrt(end), count) ** 2
    s = np.arange(count + 1) / count
    cosine = np.cos((s + 0.008) / 1.008 * np.pi / 2) ** 2
    return np.minimum(1 - cosine[1:] / cosine[:-1], 0.999)


def grid(kind, total, count):
    """As diffusers computes it: float64 arange and linspace, numpy's round (half to even)."""
    if kind == "leading":
        return (np.arange(0, count) * (total // count)).round()[::-1].astype(int)
    if kind == "linspace":
        return np.linspace(0, total - 1, count).round()[::-1].astype(int)
    return (np.round(np.arange(total, 0, -total / count)).astype(int) - 1)[:count]


def clean_and_epsilon(prediction, a, x, output):
    if prediction == "epsilon":
        return (x - np.sqrt(1 - a) * output) / np.sqrt(a), output
    if prediction == "sample":
        return output, (x - np.sqrt(a) * output) / np.sqrt(1 - a)
    return (np.sqrt(a) * x - np.sqrt(1 - a) * output, np.sqrt(a) * output + np.sqrt(1 - a) * x)


def step(s, a, a_next, last, x, output, noise):
    clean, epsilon = clean_and_epsilon(s["prediction"], a, x, output)
    if s["clip"] > 0:
        clean = np.clip(clean, -s["clip"], s["clip"])
    if s["kind"] == "ddim":
        if s["recompute_epsilon"]:
            epsilon = (x - np.sqrt(a) * clean) / np.sqrt(1 - a)
        sigma = s["eta"] * np.sqrt((1 - a_next) / (1 - a) * (1 - a / a_next))
        direction = np.sqrt(max(1 - a_next - sigma**2, 0)) * epsilon
        return np.sqrt(a_next) * clean + direction + (0 if last else sigma * noise)
    alpha = a / a_next
    mean = (np.sqrt(a_next) * (1 - alpha) / (1 - a) * clean
            + np.sqrt(alpha) * (1 - a_next) / (1 - a) * x)
    variance = max((1 - a_next) / (1 - a) * (1 - alpha), 1e-20)
    if s["variance"] == "fixed_large":
        variance = 1 - alpha
    return mean + (0 if last else np.sqrt(variance) * noise)


def settings(random):
    """A sweep: every method, grid and prediction; schedule and clip are drawn."""
    methods = [dict(kind="ddim", eta=0.0, recompute_epsilon=0), dict(kind="ddim", eta=1.0),
               dict(kind="ddim", eta=0.3, recompute_epsilon=1),
               dict(kind="ddpm", variance="fixed_small"), dict(kind="ddpm", variance="fixed_large")]
    for total, count in ((100, 10), (100, 7), (100, 1), (50, 50), (1000, 16)):
        for method, spacing, prediction in itertools.product(
                methods, ("leading", "linspace", "trailing"), ("epsilon", "sample", "v_prediction")):
            schedule = random.choice(["squaredcos_cap_v2", "linear", "scaled_linear"])
            clip = random.choice([1.0, 0.0, 0.7])
            yield dict(dict(eta=0.0, recompute_epsilon=0, variance="fixed_small"), schedule=schedule,
                       total=total, steps=count, grid=spacing, prediction=prediction, clip=clip,
                       **method)


def flow_rows(random):
    """Euler's method from s = 0, all noise, to s = 1, all clean; with a clip, the clean chunk is
    clipped and the noise kept; with eta, part of the noise is drawn anew."""
    for count, prediction, clip, eta in itertools.product(
            (1, 3, 10), ("velocity", "sample"), (0.0, 0.7), (0.0, 0.6)):
        for i in sorted({0, count // 2, count - 1}):
            s, s_next = i / count, (i + 1) / count
            clean, noise_in, noise = (random.randn(ELEMENTS) for _ in range(3))
            x = s * clean + (1 - s) * noise_in
            output = clean - noise_in if prediction == "velocity" else clean
            output = output + 0.01 * random.randn(ELEMENTS)
            x, output, noise = (np.float64(np.float32(v)) for v in (x, output, noise))
            velocity = output if prediction == "velocity" else (output - x) / (1 - s)
            if clip == 0 and eta == 0:
                result = x + (s_next - s) * velocity
            else:
                clean = x + (1 - s) * velocity
                if clip > 0:
                    clean = np.clip(clean, -clip, clip)
                # what the old noise would leave of the new: the rest is drawn, as far as eta goes
                left = (s / (1 - s)) * ((1 - s_next) / s_next)
                drawn = eta * (1 - s_next) * np.sqrt(1 - left**2)
                kept = np.sqrt((1 - s_next)**2 - drawn**2)
                result = s_next * clean + kept * (x - s * velocity) + drawn * noise
            settings = dict(kind="ddim", schedule="flow", total=100, steps=count, grid="leading",
                            prediction=prediction, clip=clip, eta=eta, recompute_epsilon=0,
                            variance="fixed_small", i=i, timestep=f"{100 * (1 - s):.9g}")
            yield settings, x, output, noise, result


# --- whole ways from noise to clean ----------------------------------------------------------------

class Path:
    """Follows one rule; `ask` stands for the network and records what it was asked."""

    def __init__(self, s, random):
        self.s, self.random, self.rows = s, random, []
        if s["schedule"] == "flow":
            count = s["steps"]
            self.timesteps = [s["total"] * (count - i) / count for i in range(count)]
            self.levels = [(i / count, 1 - i / count) for i in range(count)]
        else:
            self.timesteps = grid(s["grid"], s["total"], s["steps"])
            alpha_bar = np.cumprod(1 - betas(s["schedule"], s["total"]))[self.timesteps]
            self.levels = list(zip(np.sqrt(alpha_bar), np.sqrt(1 - alpha_bar)))
        self.truth = random.uniform(-1.2, 1.2, ELEMENTS)
        signal, spread = self.levels[0]
        self.x = self.float(signal * self.truth + spread * random.randn(ELEMENTS))

    @staticmethod
    def float(values):
        return np.float64(np.float32(values))

    def ask(self, step, x):
        """The clean chunk by a prediction that is nearly right."""
        signal, spread = self.levels[step]
        implied = (x - signal * self.truth) / spread
        target = dict(epsilon=implied, sample=self.truth, velocity=self.truth - implied,
                      v_prediction=signal * implied - spread * self.truth)[self.s["prediction"]]
        output = self.float(target + 0.05 * self.random.randn(ELEMENTS))
        noise = self.float(self.random.randn(ELEMENTS))
        if self.s["prediction"] == "velocity":
            clean = x + spread * output
        else:
            clean, _ = clean_and_epsilon(self.s["prediction"], signal**2, x, output)
        if self.s["clip"] > 0:
            clean = np.clip(clean, -self.s["clip"], self.s["clip"])
        self.rows.append([step, x, output, noise])
        return clean, noise

    def became(self, x):
        self.rows[-1].append(x)
        return x


def follow_dpmpp_2m(path):
    """Lu et al. 2022, algorithm 2, with lambda, h and r as they are written there."""
    x, before = path.x, None
    with np.errstate(divide="ignore"):
        lambdas = [np.log(a) - np.log(b) for a, b in path.levels]
    for i, (signal, spread) in enumerate(path.levels):
        clean, _ = path.ask(i, x)
        if i + 1 == len(path.levels):
            path.became(clean)
            return
        next_signal, next_spread = path.levels[i + 1]
        h = lambdas[i + 1] - lambdas[i]
        if i == 0:  # order 1, which is DDIM
            new = next_signal * clean + next_spread * (x - signal * clean) / spread
        else:
            r = (lambdas[i] - lambdas[i - 1]) / h
            d = (1 + 1 / (2 * r)) * clean - 1 / (2 * r) * before
            new = next_spread / spread * x - next_signal * (np.exp(-h) - 1) * d
        x, before = path.became(new), clean


def follow_heun(path):
    x, count = path.x, len(path.levels)
    for i in range(count):
        h = 1 / count
        first = (path.ask(i, x)[0] - x) / path.levels[i][1]
        tried = path.became(x + h * first)
        if i + 1 == count:
            return
        second = (path.ask(i + 1, tried)[0] - tried) / path.levels[i + 1][1]
        x = path.became(x + h / 2 * (first + second))


def follow_consistency(path):
    x = path.x
    for i in range(len(path.levels)):
        clean, noise = path.ask(i, x)
        if i + 1 == len(path.levels):
            path.became(clean)
            return
        signal, spread = path.levels[i + 1]
        x = path.became(signal * clean + spread * path.s["temperature"] * noise)


FOLLOW = dict(dpmpp_2m=follow_dpmpp_2m, heun=follow_heun, consistency=follow_consistency)


def path_settings(random):
    flow = [("flow", p) for p in ("velocity", "sample")]
    others = [("squaredcos_cap_v2", "epsilon"), ("linear", "sample"), ("scaled_linear", "v_prediction")]
    for kind in FOLLOW:
        for schedule, prediction in flow if kind == "heun" else flow + others:
            spacings = ("leading",) if schedule == "flow" else ("leading", "linspace", "trailing")
            for steps, spacing in itertools.product((1, 2, 5, 10), spacings):
                yield dict(kind=kind, schedule=schedule, total=100, steps=steps, grid=spacing,
                           prediction=prediction, clip=random.choice([1.0, 0.0]),
                           temperature=random.choice([1.0, 0.5]))


def write_paths(file, random):
    columns = ["kind", "schedule", "total", "steps", "grid", "prediction", "clip", "temperature"]
    write = csv.writer(file, lineterminator="\n").writerow
    write(columns + ["i", "timestep"] + [f"{n}{e}" for n in ("x", "prediction", "noise", "result")
                                         for e in range(ELEMENTS)])
    for s in path_settings(random):
        path = Path(s, random)
        FOLLOW[s["kind"]](path)
        for i, (step, x, output, noise, result) in enumerate(path.rows):
            write([s[c] for c in columns] + [i, f"{path.timesteps[step]:.9g}"] + rounded(x)
                  + rounded(output) + rounded(noise) + [f"{v:.10g}" for v in result])


def rounded(values):
    """What C reads: the nearest float, printed so that it reads back exactly."""
    return [f"{np.float32(v):.9g}" for v in values]


def main():
    default = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tests/golden")
    folder = sys.argv[1] if len(sys.argv) > 1 else default
    random = np.random.RandomState(7)

    with open(os.path.join(folder, "sampler_grids.csv"), "w", newline="") as out:
        write = csv.writer(out, lineterminator="\n").writerow
        write(["grid", "total", "steps", "timesteps"])
        for kind in ("leading", "linspace", "trailing"):
            for total, count in [(100, k) for k in range(1, 101, 3)] + [(1000, 24), (7, 5), (1, 1)]:
                write([kind, total, count, " ".join(map(str, grid(kind, total, count)))])

    columns = ["kind", "schedule", "total", "steps", "grid", "prediction", "clip", "eta",
               "recompute_epsilon", "variance", "i", "timestep"]
    with open(os.path.join(folder, "sampler_steps.csv"), "w", newline="") as out:
        write = csv.writer(out, lineterminator="\n").writerow
        write(columns + [f"{n}{e}" for n in ("x", "prediction", "noise", "result")
                         for e in range(ELEMENTS)])
        for s in settings(random):
            alpha_bar = np.cumprod(1 - betas(s["schedule"], s["total"]))
            timesteps = grid(s["grid"], s["total"], s["steps"])
            # first, middle and last: where the rules have their edges
            for i in sorted({0, s["steps"] // 2, s["steps"] - 1}):
                last = i == s["steps"] - 1
                a = alpha_bar[timesteps[i]]
                a_next = 1.0 if last else alpha_bar[timesteps[i + 1]]
                clean, noise_in = random.uniform(-1.2, 1.2, ELEMENTS), random.randn(ELEMENTS)
                x = np.sqrt(a) * clean + np.sqrt(1 - a) * noise_in
                target = dict(epsilon=noise_in, sample=clean,
                              v_prediction=np.sqrt(a) * noise_in - np.sqrt(1 - a) * clean)
                output = target[s["prediction"]] + 0.01 * random.randn(ELEMENTS)
                noise = random.randn(ELEMENTS)
                x, output, noise = (np.float64(np.float32(v)) for v in (x, output, noise))
                result = step(s, a, a_next, last, x, output, noise)
                row = [dict(s, i=i, timestep=timesteps[i])[c] for c in columns]
                write(row + rounded(x) + rounded(output) + rounded(noise)
                      + [f"{v:.10g}" for v in result])
        for s, x, output, noise, result in flow_rows(random):
            write([s[c] for c in columns] + rounded(x) + rounded(output) + rounded(noise)
                  + [f"{v:.10g}" for v in result])
    with open(os.path.join(folder, "sampler_paths.csv"), "w", newline="") as out:
        write_paths(out, np.random.RandomState(8))


if __name__ == "__main__":
    main()
