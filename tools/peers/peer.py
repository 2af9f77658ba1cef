"""Who takes part in tools/peers/run: a process that works only while it is told to."""
import json
import os
import statistics
import subprocess
import sys
import time

SETTLE = 0.02  # s between two bursts: spinning threads of the last one go to sleep
WARM_UP = 0.1  # of a burst, not counted: caches are another peer's when it begins


class Peer:
    """A process that takes steps when it is told to."""

    def __init__(self, name, command, threads, environment=None):
        cpus = sorted(os.sched_getaffinity(0))[-threads:]
        pinned = ["taskset", "-c", ",".join(map(str, cpus)), *map(str, command)]
        self.name = name
        self.process = subprocess.Popen(pinned, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, env={**os.environ, **(environment or {})})
        self.hello = self.read()
        self.rounds = []  # of times in us

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.name}: ended with code {self.process.wait()}")
        return json.loads(line)

    def burst(self, steps):
        """Times of that many steps, in us."""
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        return self.read()["us"]

    def choose_burst(self, seconds):
        """Warm up, and set the number of steps that take so long."""
        self.burst(3)
        median = statistics.median(self.burst(max(3, int(seconds * 1e6 / max(self.burst(3))))))
        self.steps = max(3, int(seconds * 1e6 / median))

    def choose_few(self, seconds):
        """The same for steps that are long themselves."""
        self.steps = max(2, int(seconds * 1e6 / min(self.burst(2))))

    def run_round(self):
        self.rounds.append(self.burst(self.steps)[int(self.steps * WARM_UP):])
        time.sleep(SETTLE)

    def stop(self):
        self.process.stdin.close()
        self.process.wait()

    @property
    def medians(self):
        return [statistics.median(times) for times in self.rounds]

    def summary(self):
        """What is reported about it."""
        times = sorted(us for times in self.rounds for us in times)
        return {"peer": self.name, "variant": self.hello["variant"],
                "threads": self.hello["threads"], "version": self.hello["version"],
                "p50_us": statistics.median(times), "p99_us": times[int(0.99 * (len(times) - 1))],
                "min_us": times[0], "count": len(times)}


def take_turns(peers, rounds):
    for _ in range(rounds):
        for peer in peers:
            peer.run_round()
    for peer in peers:
        peer.stop()


def median_ratio(peers, name, ours, variant=""):
    """How many times as long a peer takes, in its fastest variant, as one of ours does."""
    return min(statistics.median(theirs / mine for theirs, mine in zip(peer.medians, ours.medians))
               for peer in peers if peer.name == name and variant in peer.hello["variant"])
