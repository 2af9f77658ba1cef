#!/usr/bin/python3
"""Make-believe demonstrations of two arms, in robomimic's HDF5 layout: what `dpc import` reads.

The left arm takes something from a place that changes, and hands it to the right arm, which carries
it home. Each arm has six joints and a gripper. Commands are joint positions at 50 Hz; the arms
follow them a little late.

    tools/examples/two_arms.py two_arms.hdf5 [EPISODES]        60 unless told

Debian: python3-h5py
"""
import json
import sys

import h5py
import numpy as np

RATE = 50  # Hz
LAG = 0.08  # s, of an arm behind its commands

LEFT_HOME = np.array([0.0, -0.9, 1.1, 0.0, -0.3, 0.0])
RIGHT_HOME = np.array([0.0, -0.9, 1.1, 0.0, -0.3, 0.0])
LEFT_MEET = np.array([-0.9, -0.4, 0.7, 0.3, -0.5, 0.8])
RIGHT_MEET = np.array([0.9, -0.4, 0.7, -0.3, -0.5, -0.8])
RIGHT_GOAL = np.array([-0.6, -0.2, 0.9, 0.0, -0.8, 0.0])
OPEN, CLOSED = 1.0, 0.0


def reach(place):
    """Joints with which the left gripper is at a place of the table, both in [-1, 1]."""
    x, y = place
    return np.array([0.7 * x, -0.3 + 0.35 * y, 0.5 - 0.4 * y, 0.1 * x * y, -0.6, 0.5 * x])


def script(place):
    """Where both arms go, one after the other: left joints, grip, right joints, grip, seconds."""
    there = reach(place)
    return [
        (there, OPEN, RIGHT_HOME, OPEN, 1.2),
        (there, CLOSED, RIGHT_HOME, OPEN, 0.4),
        (LEFT_MEET, CLOSED, RIGHT_MEET, OPEN, 1.4),
        (LEFT_MEET, CLOSED, RIGHT_MEET, CLOSED, 0.4),
        (LEFT_MEET, OPEN, RIGHT_MEET, CLOSED, 0.4),
        (LEFT_HOME, OPEN, RIGHT_GOAL, CLOSED, 1.4),
    ]


def commands(place, random):
    """[steps, 14] from the script, each leg a minimum-jerk motion, in a hurry or not."""
    at = np.concatenate([LEFT_HOME, [OPEN], RIGHT_HOME, [OPEN]])
    rows = []
    for left, left_grip, right, right_grip, seconds in script(place):
        to = np.concatenate([left, [left_grip], right, [right_grip]])
        steps = int(RATE * seconds * random.uniform(0.9, 1.1))
        t = np.linspace(0, 1, steps, endpoint=False)[:, None]
        rows.append(at + (to - at) * (10 * t**3 - 15 * t**4 + 6 * t**5))
        at = to
    return np.concatenate(rows)


def follow(targets, random):
    """What the arms' encoders say while they follow."""
    qpos = np.empty_like(targets)
    now = targets[0].copy()
    for k, target in enumerate(targets):
        qpos[k] = now + random.normal(0, 5e-4, now.shape)
        now = now + (target - now) / (LAG * RATE)
    return qpos


def write(path, episodes):
    random = np.random.RandomState(7)
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        env = {"env_name": "TwoArms", "env_kwargs": {"control_freq": RATE}}
        data.attrs["env_args"] = json.dumps(env)
        for number in range(episodes):
            place = random.uniform(-1, 1, 2)
            actions = commands(place, random)
            qpos = follow(actions, random)
            demo = data.create_group(f"demo_{number}")
            demo.attrs["num_samples"] = len(actions)
            demo["actions"] = actions
            demo["obs/qpos"] = qpos
            demo["obs/qvel"] = np.gradient(qpos, axis=0) * RATE
            demo["obs/object"] = np.tile(place, (len(actions), 1))
            demo["rewards"] = (np.arange(len(actions)) == len(actions) - 1).astype(float)


if __name__ == "__main__":
    write(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 60)
