#!/usr/bin/env python3
"""Measures two devices that have no provider: the live road, with the binary, on this machine.

    cargo build --release -p handfast-cli
    scripts/live.py [--binary target/release/handfast] [--nodes 5] [--runs 5] [COUNT…]

For each count of records (100, 1 000 and 100 000 unless others are given): one device imports that
many, makes an invite, and another one joins with it. Then both watch: what an edit by a third
process takes until the other device shows it, and what a device at rest holds and uses. All on a
closed network of that many `handfast dht` nodes. Times are wall-clock and medians (fastest–slowest).
"""
import argparse
import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

from size import Process, contacts

EDITS = 20
AT_REST = 20


class World:
    """DHT nodes, and devices in a folder that goes away."""

    def __init__(self, binary, folder, nodes):
        self.binary, self.folder, self.nodes = binary, pathlib.Path(folder), []
        self.environment = dict(os.environ, HANDFAST_KEYS="file", HOME=str(folder))
        self.road = ["--dht", "local", "--bootstrap", self.node()]
        for _ in range(nodes - 1):
            self.node(*self.road[2:])

    def node(self, *more):
        command = [self.binary, "dht", "--listen", "127.0.0.1:0", "--json", *more]
        node = Process(command, self.environment)
        self.nodes.append(node)
        return node.wait_for("listening")["address"]

    def start(self, device, *args):
        home = self.folder / device
        return Process([self.binary, "--home", home, *args, "--json"], self.environment)

    def run(self, device, *args):
        return self.start(device, *args).end()

    def close(self):
        for node in self.nodes:
            stop(node)


def stop(process):
    process.child.terminate()
    process.child.wait()


@contextlib.contextmanager
def world(binary, nodes):
    with tempfile.TemporaryDirectory() as folder:
        world = World(binary, folder, nodes)
        try:
            yield world
        finally:
            world.close()


def said(process, kind):
    """When a process said something of a kind, on the clock of all."""
    return [process.began + at for at, line in list(process.lines) if line.get("type") == kind]


def pair(world, count):
    """Two devices, one with records, that pair by invite. Seconds until both exchange, and until
    both have everything; and the two peaks of memory."""
    for device in "ab":
        world.run(device, "init", "--name", device)
    if count:
        file = world.folder / "contacts.jsonl"
        contacts(file, count)
        world.run("a", "records", "import", file, "--into", "contacts", "--key", "id")
    invites = world.start("a", "invite", "--no-verify", *world.road)
    code = invites.wait_for("invite")["code"]
    joins = world.run("b", "join", code, "--yes", *world.road)
    invites.end()
    def until(kind):
        return max(said(side, kind)[0] for side in (invites, joins)) - joins.began

    return until("exchanging"), until("finished"), invites.megabytes, joins.megabytes


def edits(world):
    """Seconds from the start of a `records set` until the other device shows it."""
    watching = {device: world.start(device, "sync", "--watch", *world.road) for device in "ab"}
    taken = []
    try:
        for watch in watching.values():
            watch.wait_for("connected")
        time.sleep(2)
        for number in range(EDITS):
            begun = time.perf_counter()
            world.run("a", "records", "set", "notes", "--key", f"edit {number}", "text=milk")
            while not (shown := [at for at in said(watching["b"], "records_changed") if at > begun]):
                time.sleep(0.001)
            taken.append(shown[0] - begun)
            time.sleep(1)
        time.sleep(10)
        return taken, [at_rest(watch.child.pid) for watch in watching.values()]
    finally:
        for watch in watching.values():
            stop(watch)


def at_rest(pid):
    """Resident megabytes, those of them that are its own, and milliseconds of CPU a second."""
    def used():
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
        return sum(map(int, fields[11:13])) * 1000 / os.sysconf("SC_CLK_TCK")

    before = used()
    time.sleep(AT_REST)
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    status = dict(line.split(":", 1) for line in lines)
    megabytes = [int(status[name].split()[0]) / 1024 for name in ("VmRSS", "RssAnon")]
    return *megabytes, (used() - before) / AT_REST


def spread(values, unit=1, digits=2):
    low, middle, high = (f(values) * unit for f in (min, statistics.median, max))
    return f"{middle:.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("counts", nargs="*", type=int)
    parser.add_argument("--binary", default="target/release/handfast")
    parser.add_argument("--nodes", type=int, default=5)
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    print("| records | both exchange after, s | both have all after, s | peak MB, who has them / who gets them |")
    print("|---|---|---|---|")
    for count in args.counts or [100, 1_000, 100_000]:
        rows = []
        for _ in range(args.runs):
            with world(args.binary, args.nodes) as one:
                rows.append(pair(one, count))
        exchanging, all_there, *peaks = zip(*rows)
        peaks = " / ".join(f"{statistics.median(peak):.0f}" for peak in peaks)
        print(f"| {count:,} | {spread(exchanging)} | {spread(all_there)} | {peaks} |".replace(",", " "), flush=True)
    with world(args.binary, args.nodes) as one:
        pair(one, 0)
        taken, resting = edits(one)
    print(f"\nan edit by another process, ms: {spread(taken, 1000, 0)}")
    for resident, own, cpu in resting:
        print(f"at rest: {resident:.1f} MB resident, {own:.1f} MB its own, {cpu:.1f} ms of CPU a second")


if __name__ == "__main__":
    main()
