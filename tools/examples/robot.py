#!/usr/bin/python3
"""A complete robot in Python, from dpc.proto alone: what a bridge to real hardware has to do.

    tools/examples/robot.py [--endpoint tcp://127.0.0.1:5755] [--episodes N]
    dpc run configs/run_pusht.yaml                        (in another terminal)

The robot is a point that moves towards its target on the table of the push world, among keypoints
that stay where they are, so a policy for Push-T can drive it. Needs python3-zmq, python3-protobuf
and protoc. Replace PointRobot by your hardware and keep the rest.
"""
import argparse
import math
import pathlib
import subprocess
import sys
import tempfile
import time

import zmq

PROTO = pathlib.Path(__file__).resolve().parents[2] / "proto"
with tempfile.TemporaryDirectory() as folder:  # dpc_pb2.py, made from dpc.proto
    subprocess.run(["protoc", f"-I{PROTO}", f"--python_out={folder}", "dpc.proto"], check=True)
    sys.path.insert(0, folder)
    import dpc_pb2

PERIOD = 0.1          # s, of one step of the policy
HEARTBEAT = 0.05      # s; both ends send one this often
DEAD_AFTER = 0.5      # s of silence after which the controller is taken for dead
STEPS = 50            # of an episode
OBSERVATION = [("keypoint", 18, "px"), ("agent_pos", 2, "px")]
ACTION = [("action", 2, "px", "agent_pos")]  # the last: which observation follows it
# What it can do: low, high, speed, acceleration and jerk, of each element; what is not known is left
# out. Commands stay within. Of the last three a controller needs all or none, from here or its settings.
LIMITS = {"action": {"low": [0, 0], "high": [512, 512]}}


class PointRobot:
    """What has to be replaced: reset, observe, and move for one step."""

    def reset(self, seed):
        self.position = [100.0 + seed % 300, 256.0]
        self.keypoints = [256.0 + 60 * f(i) for i in range(9) for f in (math.cos, math.sin)]

    def observe(self):
        return self.keypoints + self.position

    def move(self, target):
        self.position = [p + 0.5 * (t - p) for p, t in zip(self.position, target)]


def fits(need, have):
    """The same name and dim, and nothing else that differs where both say it."""
    return (need.name, need.dim) == (have.name, have.dim) and all(
        not a or not b or a == b for a, b in [(need.unit, have.unit), (need.tracks, have.tracks)])


class Link:
    """The robot's end of the link: one controller at a time, known by its session."""

    def __init__(self, endpoint):
        self.socket = zmq.Context.instance().socket(zmq.ROUTER)
        self.socket.linger = 200  # ms; lets Bye get out
        self.socket.bind(endpoint)
        self.session, self.peer, self.heard, self.spoken = 0, b"", 0.0, 0.0

    def send(self, peer, **message):
        self.socket.send_multipart([peer, dpc_pb2.FromRobot(**message).SerializeToString()])

    def hello(self, peer, hello):
        """Say what we have; accept the controller when that is what it needs."""
        have = dpc_pb2.Hello(session=hello.session, period_ns=round(PERIOD * 1e9), software="robot.py")
        for name, dim, unit in OBSERVATION:
            have.observation.add(name=name, dim=dim, unit=unit)
        for name, dim, unit, tracks in ACTION:
            have.action.add(name=name, dim=dim, unit=unit, tracks=tracks,
                            limits=dpc_pb2.Limits(**LIMITS.get(name, {})))
        wrong = [f"observation '{need.name}'" for need in hello.observation
                 if not any(fits(need, signal) for signal in have.observation)]
        if len(hello.action) != len(have.action) or not all(map(fits, hello.action, have.action)):
            wrong.append("action")
        if hello.period_ns != have.period_ns:
            wrong.append("period")
        busy = self.session != 0 and peer != self.peer
        reason = "another controller holds the robot" if busy else ", ".join(wrong)
        self.send(peer, hello=have)
        self.send(peer, hello_ack=dpc_pb2.HelloAck(session=hello.session, accepted=not reason,
                                                   reason=reason[:255], busy=busy))
        if not reason:
            self.session, self.peer, self.heard = hello.session, peer, time.monotonic()
        return not reason

    def receive(self, timeout):
        """The next message of the controller, 'hello' for a new one, or None. Keeps it alive."""
        now = time.monotonic()
        if self.session and now - self.spoken > HEARTBEAT:
            self.spoken = now
            beat = dpc_pb2.Heartbeat(session=self.session, time_ns=time.monotonic_ns())
            self.send(self.peer, heartbeat=beat)
        if not self.socket.poll(max(0, min(timeout, HEARTBEAT)) * 1000):
            if self.session and time.monotonic() - self.heard > DEAD_AFTER:
                self.session = 0  # dead: the robot must stop by itself
            return None
        peer, *frames = self.socket.recv_multipart()
        try:
            message = dpc_pb2.ToRobot.FromString(frames[0]) if len(frames) == 1 else None
        except Exception:  # not a message: protobuf has several exceptions for that
            return None
        kind = message and message.WhichOneof("message")
        if kind == "hello":
            return "hello" if self.hello(peer, message.hello) else None
        if not kind or not self.session or getattr(message, kind).session != self.session:
            return None  # from someone else, or from before
        self.peer, self.heard = peer, time.monotonic()
        if kind == "bye":
            self.session = 0
        return message


def run_episode(link, robot, episode, seed):
    """In lock-step: observe, wait for the command of this tick, move. False when cut short."""
    robot.reset(seed)
    for tick in range(STEPS + 1):
        observation = dpc_pb2.Observation(
            session=link.session, episode=episode, seed=seed, tick=tick, values=robot.observe(),
            sample_time_ns=time.monotonic_ns(), done=tick == STEPS)
        link.send(link.peer, observation=observation)
        while tick < STEPS:
            message = link.receive(HEARTBEAT)
            if message == "hello" or not link.session:
                return False  # another session, or none: begin anew
            command = message.command if message and message.HasField("command") else None
            if command and (command.episode, command.tick) == (episode, tick):
                if len(command.values) == 2 and all(map(math.isfinite, command.values)):
                    robot.move(command.values)
                    break
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--endpoint", default="tcp://127.0.0.1:5755")
    parser.add_argument("--episodes", type=int, default=3)
    args = parser.parse_args()
    link, robot = Link(args.endpoint), PointRobot()
    print(f"listening on {args.endpoint}", file=sys.stderr, flush=True)
    done = episode = session = 0
    while done < args.episodes:
        if not link.session:
            link.receive(1)
            continue
        episode = 0 if link.session != session else episode + 1
        session = link.session
        done += run_episode(link, robot, episode, seed=done)
    link.send(link.peer, bye=dpc_pb2.Bye(session=link.session, reason="all episodes done"))
    end = time.monotonic() + 0.2  # the controller answers; closing before that could lose our Bye
    while link.session and time.monotonic() < end:
        link.receive(end - time.monotonic())
    link.socket.close()
    zmq.Context.instance().term()


if __name__ == "__main__":
    main()
