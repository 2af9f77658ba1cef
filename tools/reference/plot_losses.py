#!/usr/bin/python3
"""Draw loss curves of `dpc train` (metrics.jsonl) and train_torch.py (.csv) into one SVG.

    plot_losses.py out.svg "dpc=run/metrics.jsonl" "PyTorch=curve.csv"

Loss on a logarithmic axis, mean over about 50 steps. Needs nothing beyond Python.
"""

import csv
import json
import math
import sys

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 760, 380, 60, 20, 20, 45
COLORS = ["#0b6fb8", "#d1495b", "#2e933c", "#7b4b94"]
WINDOW = 50  # steps that are averaged


def read(path):
    """Pairs (step, loss)."""
    with open(path, encoding="utf-8") as file:
        if path.endswith(".csv"):
            return [(int(row["step"]), float(row["loss"])) for row in csv.DictReader(file)]
        rows = [json.loads(line) for line in file if line.endswith("\n")]
        return [(row["step"], row["loss"]) for row in rows if "loss" in row]


def smooth(points):
    """Means over blocks of about WINDOW steps, none of them shorter than a line of the file."""
    out, block, begin = [], [], 0
    for step, loss in points:
        block.append(loss)
        if step - begin >= WINDOW:
            out.append((step, sum(block) / len(block)))
            block, begin = [], step
    return out


def ticks(low, high):
    """1, 2, 5 times powers of ten inside the range."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [m * 10.0**d for d in decades for m in (1, 2, 5) if low <= m * 10.0**d <= high]


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    curves = [(name, smooth(read(path)))
              for name, path in (argument.split("=", 1) for argument in sys.argv[2:])]
    losses = [loss for _, points in curves for _, loss in points]
    last = max(step for _, points in curves for step, _ in points)
    low, high = min(losses) / 1.15, max(losses) * 1.15

    def x(step):
        return LEFT + step / last * (WIDTH - LEFT - RIGHT)

    def y(loss):
        share = math.log(loss / low) / math.log(high / low)
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    svg = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
           'font-family="sans-serif" font-size="12">',
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>']
    for loss in ticks(low, high):
        svg.append(f'<path d="M{LEFT} {y(loss):.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>'
                   f'<text x="{LEFT - 6}" y="{y(loss) + 4:.1f}" text-anchor="end">{loss:g}</text>')
    for i in range(6):
        step = round(last * i / 5)
        svg.append(f'<text x="{x(step):.1f}" y="{HEIGHT - BOTTOM + 18}" '
                   f'text-anchor="middle">{step}</text>')
    svg.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}" text-anchor="middle">'
               'step</text>'
               f'<text x="14" y="{(TOP + HEIGHT - BOTTOM) / 2}" text-anchor="middle" '
               f'transform="rotate(-90 14 {(TOP + HEIGHT - BOTTOM) / 2})">training loss</text>')
    for i, (name, points) in enumerate(curves):
        path = "L".join(f"{x(step):.1f} {y(loss):.1f}" for step, loss in points)
        color = COLORS[i % len(COLORS)]
        svg.append(f'<path d="M{path}" fill="none" stroke="{color}" stroke-width="1.6"/>'
                   f'<text x="{WIDTH - RIGHT - 8}" y="{TOP + 18 * (i + 1)}" text-anchor="end" '
                   f'fill="{color}">{name}</text>')
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        file.write("\n".join(svg) + "\n</svg>\n")


if __name__ == "__main__":
    main()
