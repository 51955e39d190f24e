#!/usr/bin/env python3
"""What a coordinator does for each agent and second: messages and bytes over the bus, CPU, memory, the result's size.

    benches/agents/measure.py [FILE]           # a table as Markdown, in FILE too

    --agents LIST    how many [3,50]
    --seconds N      that are looked at, in the middle of the measured window [20]
    --wsbench PATH   [target/release/wsbench]

nats-server, agents, coordinator and target are processes of this machine, and the load is small: what is looked at is the
coordinator, by the server's own counts of its connection and by the system's of its process. Everything runs on 127.0.0.1.
"""
import argparse
import json
import pathlib
import re
import sys
import time

from fleet import ROOT, Fleet, children_of, cpu_of

SCENARIO = """
name = "agents"
seed = 1
[workload.chat]
rooms = {rooms}
payload = "128B"
[load]
sessions = {sessions}
rate = "200/s"
connect_rate = "500/s"
warmup = "1s"
duration = "{duration}s"
[transports.tcp]
"""


def memory_of(pid):
    """The most that it ever held, bytes; 0 once it has ended."""
    found = re.search(r"VmHWM:\s+(\d+) kB", open(f"/proc/{pid}/status").read())
    return int(found[1]) * 1024 if found else 0


def look(fleet, run):
    return {"at": time.monotonic(), "cpu": cpu_of(run.pid), "server": cpu_of(fleet.server.pid), **fleet.coordinator()}


def measure(program, agents, seconds):
    sessions = 3 * agents
    scenario = SCENARIO.format(rooms=agents, sessions=sessions, duration=seconds + 10)
    with Fleet(program, agents) as fleet:
        run, out = fleet.begin_run(scenario, "run")
        while not all(children_of(agent.pid) for agent in fleet.agents):
            if run.poll() is not None:
                sys.exit((fleet.path / "run.log").read_text())
            time.sleep(0.1)
        # Workers calibrate first; by now they connect.
        time.sleep(5)
        before = look(fleet, run)
        time.sleep(seconds)
        after = look(fleet, run)
        memory = 0
        # One that has ended keeps its number until it is asked for how.
        while not memory or memory_of(run.pid):
            memory = max(memory, memory_of(run.pid))
            time.sleep(0.02)
        run.wait()
        if run.returncode not in (0, 95):
            sys.exit((fleet.path / "run.log").read_text())
        size = (out / "result.json").stat().st_size
        trial = json.loads((out / "result.json").read_text())["cells"][0]["trials"][0]
    took = after["at"] - before["at"]
    rate = {key: (after[key] - before[key]) / took for key in after if key != "at"}
    clocks = sorted(part["clock"]["uncertainty"] for part in trial["agents"])
    bus = [part["bus"] for part in trial["agents"]]
    total = {key: sum(part[key] for part in bus) for key in bus[0]}
    return {"agents": agents, "size": size, "memory": memory, "clock": clocks[len(clocks) // 2], "worst": clocks[-1],
            "rate": rate, "bus": total}


ROWS = [
    ("messages from an agent, a second", lambda r: f"{r['rate']['out_msgs'] / r['agents']:.2f}"),
    ("messages to an agent, a second", lambda r: f"{r['rate']['in_msgs'] / r['agents']:.2f}"),
    ("bytes from an agent, a second", lambda r: f"{r['rate']['out_bytes'] / r['agents']:.0f}"),
    ("bytes to an agent, a second", lambda r: f"{r['rate']['in_bytes'] / r['agents']:.0f}"),
    ("bytes from an agent, a whole trial", lambda r: f"{r['bus']['bytes_received'] / r['agents']:.0f}"),
    ("bytes to an agent, a whole trial", lambda r: f"{r['bus']['bytes_sent'] / r['agents']:.0f}"),
    ("packets sent again, a whole trial", lambda r: f"{r['bus']['resent']}"),
    ("coordinator, share of a core", lambda r: f"{r['rate']['cpu']:.2%}"),
    ("of it for each agent", lambda r: f"{r['rate']['cpu'] / r['agents']:.3%}"),
    ("nats-server, share of a core", lambda r: f"{r['rate']['server']:.2%}"),
    ("coordinator's memory at its peak", lambda r: f"{r['memory'] / 2**20:.1f} MiB"),
    ("result.json, a trial", lambda r: f"{r['size'] / 1000:.0f} kB"),
    ("uncertainty of a clock, median / worst", lambda r: f"{r['clock'] / 1000:.0f} / {r['worst'] / 1000:.0f} µs"),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=pathlib.Path, nargs="?")
    parser.add_argument("--agents", default="3,50")
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--wsbench", type=pathlib.Path, default=ROOT / "target/release/wsbench")
    given = parser.parse_args()
    results = [measure(given.wsbench.resolve(), int(count), given.seconds) for count in given.agents.split(",")]
    lines = ["| | " + " | ".join(f"{r['agents']} agents" for r in results) + " |", "|---" * (len(results) + 1) + "|"]
    lines += [f"| {name} | " + " | ".join(figure(r) for r in results) + " |" for name, figure in ROWS]
    table = "\n".join(lines) + "\n"
    print(table, end="")
    if given.file:
        given.file.write_text(table)


main()
