#!/usr/bin/env python3
"""Measures the binary against the size of what it keeps in step, and draws the curves.

    cargo build --release -p handfast-cli
    scripts/size.py [--binary target/release/handfast] [--plots docs/plots] [COUNT…]

For each count of records (1 000 to 1 000 000 unless others are given): import, pairing of two
devices, an edit, a poll that finds nothing, a third device that comes late, and export. Every phase
is a process of its own; time is wall-clock, memory the peak resident size of that process. Prints
the table of docs/benchmarks.md. With `--file FILE --into NAME [--key FIELD]`, the same for records
of a file.
"""
import argparse
import hashlib
import json
import math
import os
import pathlib
import subprocess
import tempfile
import threading
import time

TOKEN = "a-token-for-measurements"
COUNTS = [1_000, 10_000, 100_000, 1_000_000]


class World:
    """A host and devices in a folder that goes away."""

    def __init__(self, binary, folder):
        self.binary, self.folder = binary, pathlib.Path(folder)
        self.environment = dict(
            os.environ, HANDFAST_KEYS="file", HANDFAST_AUTH_TOKEN=TOKEN, HOME=str(folder)
        )
        token = self.folder / "token"
        token.write_text(TOKEN)
        token.chmod(0o600)
        self.host = subprocess.Popen(
            [binary, "host", "--data", self.folder / "host", "--listen", "127.0.0.1:0",
             "--token-file", token, "--json"],
            env=self.environment, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
        )
        self.url = json.loads(self.host.stdout.readline())["url"]

    def close(self):
        self.host.terminate()
        self.host.wait()

    def command(self, device, *args):
        return [self.binary, "--home", self.folder / device, *args]

    def start(self, device, *args):
        return Process(self.command(device, *args, "--json"), self.environment)

    def run(self, device, *args):
        return self.start(device, *args).end()

    def stored(self):
        files = (self.folder / "host").rglob("*")
        return sum(file.stat().st_size for file in files if file.is_file())


class Process:
    """A command; notes when each line of its output came, unless nobody reads it."""

    def __init__(self, command, environment, read=True):
        self.began = time.perf_counter()
        self.child = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            stdout=subprocess.PIPE if read else subprocess.DEVNULL,
        )
        self.lines, self.errors = [], []
        self.news = threading.Condition()
        self.readers = [
            threading.Thread(target=self.read), threading.Thread(target=self.read_errors)
        ]
        for reader in self.readers:
            reader.start()

    def read(self):
        for line in self.child.stdout or []:
            at = time.perf_counter() - self.began
            if line.startswith("{"):
                with self.news:
                    self.lines.append((at, json.loads(line)))
                    self.news.notify()

    def read_errors(self):
        self.errors.extend(self.child.stderr)

    def wait_for(self, kind):
        with self.news:
            self.news.wait_for(lambda: any(line.get("type") == kind for _, line in self.lines), 60)
        return next(line for _, line in self.lines if line.get("type") == kind)

    def end(self):
        _, status, usage = os.wait4(self.child.pid, 0)
        self.seconds = time.perf_counter() - self.began
        for reader in self.readers:
            reader.join()
        if os.waitstatus_to_exitcode(status) != 0:
            raise SystemExit(f"{self.child.args} failed: {''.join(self.errors)}")
        self.megabytes = usage.ru_maxrss / 1024
        return self

    def progress(self, work):
        """When, and how much of a work was done, as often as it was said."""
        said = [(at, line) for at, line in self.lines if line.get("type") == "progress"]
        return [(at, line["done"]) for at, line in said if line["work"] == work]


def contacts(path, count):
    """Made-up records of about 200 bytes."""
    with open(path, "w", encoding="utf-8") as file:
        for number in range(count):
            noise = hashlib.sha256(str(number).encode()).hexdigest()
            file.write(json.dumps({
                "id": f"c{number:07}", "name": f"Person {noise[:10]}", "mail": f"{noise[10:22]}@example.org",
                "phone": f"+49 30 {int(noise[22:29], 16):09}", "street": f"{noise[29:37]} Street",
                "number": int(noise[37:39], 16), "city": noise[39:46], "since": 1970 + number % 55,
                "active": number % 3 > 0,
            }) + "\n")


def pair(world, one, other):
    shows = world.start(one, "pair", "--yes")
    code = shows.wait_for("code")["code"]
    scans = world.run(other, "join", code, "--yes")
    return shows.end(), scans


def measure(binary, file, into, key):
    with tempfile.TemporaryDirectory() as folder:
        world = World(binary, folder)
        try:
            return measure_in(world, file, into, key)
        finally:
            world.close()


def measure_in(world, file, into, key):
    for device in "abc":
        world.run(device, "init", "--name", device)
    world.run("a", "provider", "set", "self-hosted", "--endpoint", world.url)
    figures = {}

    def note(phase, process, seconds=None):
        figures[f"{phase} s"] = process.seconds if seconds is None else seconds
        figures[f"{phase} MB"] = process.megabytes

    keyed = ["--key", key] if key else []
    note("import", world.run("a", "records", "import", file, "--into", into, *keyed))
    shows, scans = pair(world, "a", "b")
    figures["records"] = next(line for _, line in scans.lines if line["type"] == "finished")["records"]
    note("pair, shows", shows)
    note("pair, scans", scans)
    figures["at host B"] = world.stored()
    figures["home MB"] = (world.folder / "b" / "handfast.db").stat().st_size / 1e6

    world.run("a", "sync"), world.run("b", "sync"), world.run("a", "sync"), world.run("b", "sync")
    world.run("a", "records", "set", into, "--key", "new", "text=milk")
    edit = world.run("a", "sync")
    note("edit, publish", edit)
    figures["edit B"] = edit.lines[-1][1]["bytes_sent"]
    note("edit, take in", world.run("b", "sync"))
    world.run("b", "sync")
    poll = world.run("b", "sync")
    note("poll", poll)
    figures["poll B"] = poll.lines[-1][1]["bytes_sent"] + poll.lines[-1][1]["bytes_received"]

    _, late = pair(world, "a", "c")
    note("third, all", late)
    loaded = late.progress("loading")
    if loaded:
        exchanging = next(at for at, line in late.lines if line["type"] == "exchanging")
        figures["third, shown s"] = loaded[-1][0] - exchanging
        figures["third, checked s"] = late.seconds - exchanging
    note("export", Process(world.command("c", "records", "export", into), world.environment, False).end())
    figures["status s"] = world.run("c", "status").seconds
    return figures


def table(rows):
    columns = list(dict.fromkeys(name for _, figures in rows for name in figures))
    lines = ["| | " + " | ".join(f"{count:,}".replace(",", " ") for count, _ in rows) + " |",
             "|---" * (len(rows) + 1) + "|"]
    for column in columns:
        cells = (show(figures.get(column)) for _, figures in rows)
        lines.append(f"| {column} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def show(value):
    if value is None:
        return "–"
    if value >= 1000:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.3g}"


def power_of_ten(power, unit):
    for prefix, at in (("M", 6), ("k", 3)):
        if unit == "B" and power >= at:
            return f"{10**(power - at)} {prefix}B"
    return f"{10**power:g} {unit}"


COLOURS = ["#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951", "#a463f2"]


def plot(path, title, unit, rows, columns):
    """A log-log plot, readable on white and on black."""
    width, height, left, right, top, bottom = 640, 360, 64, 150, 40, 44
    points = {c: [(n, f[c]) for n, f in rows if f.get(c)] for c in columns}
    values = [value for line in points.values() for _, value in line]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    x0, x1 = (math.log10(n) for n in (rows[0][0], rows[-1][0]))
    x = lambda n: left + (math.log10(n) - x0) / (x1 - x0) * (width - left - right)
    y = lambda v: height - bottom - (math.log10(v) - low) / (high - low) * (height - top - bottom)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
           'font-family="sans-serif" font-size="12" fill="#888">',
           f'<text x="{left}" y="22" font-size="14">{title}</text>']
    for power in range(low, high + 1):
        at = y(10**power)
        out.append(f'<path d="M{left} {at:.1f}H{width - right}" stroke="#8884" fill="none"/>'
                   f'<text x="{left - 8}" y="{at + 4:.1f}" text-anchor="end">{power_of_ten(power, unit)}</text>')
    for count, _ in rows:
        out.append(f'<text x="{x(count):.1f}" y="{height - bottom + 20}" text-anchor="middle">'
                   f'{count:,}</text>'.replace(",", " "))
    out.append(f'<text x="{(left + width - right) / 2}" y="{height - 6}" text-anchor="middle">records</text>')
    labels = []
    for colour, (name, line) in zip(COLOURS, points.items()):
        path_ = "L".join(f"{x(n):.1f} {y(v):.1f}" for n, v in line)
        out.append(f'<path d="M{path_}" stroke="{colour}" stroke-width="2" fill="none"/>')
        out += [f'<circle cx="{x(n):.1f}" cy="{y(v):.1f}" r="3" fill="{colour}"/>' for n, v in line]
        labels.append([y(line[-1][1]) + 4, colour, name.rsplit(" ", 1)[0]])
    labels.sort()
    for above, label in zip(labels, labels[1:]):
        label[0] = max(label[0], above[0] + 15)
    out += [f'<text x="{width - right + 8}" y="{at:.1f}" fill="{colour}">{name}</text>'
            for at, colour, name in labels]
    path.write_text("\n".join(out) + "\n</svg>\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("counts", nargs="*", type=int)
    parser.add_argument("--binary", default="target/release/handfast")
    parser.add_argument("--plots", type=pathlib.Path)
    parser.add_argument("--file")
    parser.add_argument("--into", default="records")
    parser.add_argument("--key")
    args = parser.parse_args()
    if args.file:
        figures = measure(args.binary, args.file, args.into, args.key)
        print(table([(figures.pop("records"), figures)]))
        return
    rows = []
    for count in args.counts or COUNTS:
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "contacts.jsonl"
            contacts(file, count)
            figures = measure(args.binary, file, "contacts", "id")
        assert figures.pop("records") == count
        rows.append((count, figures))
        print(f"{count:,} records measured", flush=True)
    print(table(rows))
    if args.plots:
        args.plots.mkdir(parents=True, exist_ok=True)
        seconds = ["import s", "pair, scans s", "third, shown s", "third, all s", "export s"]
        plot(args.plots / "size-time.svg", "What grows with the data: time", "s", rows, seconds)
        small = ["edit, publish s", "edit, take in s", "poll s"]
        plot(args.plots / "size-small.svg", "What should not: one edit, one poll", "s", rows, small)
        memory = ["import MB", "pair, shows MB", "pair, scans MB", "third, all MB", "poll MB"]
        plot(args.plots / "size-memory.svg", "Peak memory of the process", "MB", rows, memory)
        plot(args.plots / "size-bytes.svg", "Bytes", "B", rows, ["at host B", "edit B", "poll B"])


if __name__ == "__main__":
    main()
