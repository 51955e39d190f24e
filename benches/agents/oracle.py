#!/usr/bin/env python3
"""Three agents and one process against the same oracle: do they say the same of it?

    benches/agents/oracle.py [FILE]            # a table as Markdown, in FILE too

    --agents N       [3]
    --rounds N       both in turn, so often [3]
    --apart          on machines with networks of their own: namespaces, which take root
    --wsbench PATH   [target/release/wsbench]

The target holds each message for a time that is drawn by the message's number, so both are shown the very same delays. Their
quantiles may differ by a histogram's precision, a 1024th, and by the floor: what `wsbench selftest --suite floor` says that an
echo costs on this machine at its 99th percentile, 500 µs at least. A run that calls itself INVALID says nothing, and is tried
again up to three times. Exit code 1: they differ by more; 77: nothing can be said.
"""
import argparse
import json
import pathlib
import re
import subprocess
import sys

from fleet import ROOT, Fleet

SCENARIO = """
name = "oracle"
seed = 11
[workload.echo]
payload = "64B"
[load]
sessions = 60
rate = "1k/s"
arrival = "constant"
connect_rate = "2k/s"
warmup = "500ms"
duration = "12s"
[target.embedded.oracle]
reply_delay = "lognormal(20ms, 0.5)"
[transports.tcp]
"""
QUANTILES = ["p50", "p90", "p99"]
UNITS = {"ns": 1, "µs": 1e3, "ms": 1e6, "s": 1e9}


def floor(program, folder):
    """What an echo over TCP costs here at its 99th percentile, and 500 µs at least; nanoseconds. The least of three looks, since
    whatever else the machine does would only make it easier to agree."""
    costs = []
    for _ in range(3):
        words = [program, "selftest", "--suite", "floor", "--quiet", "--format", "json", "--out", folder / "floor.json"]
        subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        text = (folder / "floor.json").read_text()
        found = re.search(r"echo over tcp, p50 / p99.*?([\d.]+) (ns|µs|ms|s) / ([\d.]+) (ns|µs|ms|s)", text, re.S)
        costs.append(float(found[3]) * UNITS[found[4]])
    return max(500e3, min(costs))


def quantiles(printed):
    arm = json.loads(printed)[0]
    return {name: arm["response_time"][name] for name in QUANTILES}


def tried(run):
    """The figures of the first run that trusts them; None: none of three does."""
    for _ in range(3):
        code, printed = run()
        if code == 0:
            return quantiles(printed)
        if code != 95:
            sys.exit(f"a run ended with {code}: {printed}")
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=pathlib.Path, nargs="?")
    parser.add_argument("--agents", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--wsbench", type=pathlib.Path, default=ROOT / "target/release/wsbench")
    parser.add_argument("--apart", action="store_true")
    given = parser.parse_args()
    program, number, rows = given.wsbench.resolve(), iter(range(1000)), []
    with Fleet(program, given.agents, given.apart) as fleet:
        cost = floor(program, fleet.path)

        def here():
            file = fleet.path / "here.toml"
            file.write_text(SCENARIO)
            words = [program, "run", file, "--out", fleet.path / f"here-{next(number)}", "--no-charts", "--quiet"]
            done = subprocess.run(fleet.on("s", words + ["--format", "json"]), capture_output=True, text=True)
            return done.returncode, done.stdout

        def there():
            name = f"there-{next(number)}"
            run, _ = fleet.begin_run(SCENARIO, name, ["--quiet", "--format", "json"])
            run.wait(300)
            return run.returncode, (fleet.path / f"{name}.out").read_text()

        for _ in range(given.rounds):
            rows.append((tried(here), tried(there)))
    lines = [f"| quantile | one process | {given.agents} agents | difference | allowed |", "|---|---|---|---|---|"]
    is_worse = False
    for one, many in rows:
        if one is None or many is None:
            continue
        for name in QUANTILES:
            a, b = one[name], many[name]
            allowed = max(a, b) / 1024 + cost
            is_worse |= abs(a - b) > allowed
            lines.append(f"| {name} | {a / 1e6:.3f} ms | {b / 1e6:.3f} ms | {(b - a) / 1e6:+.3f} ms | {allowed / 1e6:.3f} ms |")
    table = "\n".join(lines) + "\n"
    print(table, end="")
    if given.file:
        given.file.write_text(table)
    sys.exit(1 if is_worse else 77 if len(lines) == 2 else 0)


main()
