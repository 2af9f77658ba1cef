#!/usr/bin/env python3
"""Initial states of the push world as numpy's legacy generator draws them.

    /usr/bin/python3 tools/reference/make_reset_golden.py    writes tests/golden/reset_states.csv

Needs Debian's python3-numpy. One line per seed: seed, agent x and y, block x and y, block angle, with
every digit that it takes to read the same bits back.
"""
import pathlib

import numpy

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
OUTPUT = ROOT / "tests" / "golden" / "reset_states.csv"

# The small ones, those that evaluations use, the corners of 32 bits, and some from all over.
SEEDS = (
    list(range(60))
    + list(range(100000, 100060))
    + [2**32 - 1, 2**32 - 2, 2**31, 2**31 - 1, 2**16, 2**16 - 1, 4242424242]
    + [int(s) for s in numpy.random.RandomState(7).randint(0, 2**32, 73, dtype=numpy.uint64)]
)


def reset_state(seed):
    """The five numbers in the order in which the benchmark draws them."""
    draw = numpy.random.RandomState(seed)
    return [
        draw.randint(50, 450),
        draw.randint(50, 450),
        draw.randint(100, 400),
        draw.randint(100, 400),
        draw.randn() * 2 * numpy.pi - numpy.pi,
    ]


def main():
    lines = ["seed,agent_x,agent_y,block_x,block_y,block_angle"]
    for seed in SEEDS:
        *places, angle = reset_state(seed)
        lines.append(",".join([str(seed), *(str(int(p)) for p in places), repr(float(angle))]))
    OUTPUT.write_text("\n".join(lines) + "\n")
    print(f"{OUTPUT}: {len(SEEDS)} seeds")


if __name__ == "__main__":
    main()
