#!/usr/bin/env python3
"""Runs clients within bounds, reads what they printed, and makes tables of it; the scripts beside it call it.

read.py run LOG --core N --limit SECONDS [--until TEXT COUNT] -- COMMAND…
    Runs COMMAND on a core. LOG.out and LOG.err get what it prints, LOG.usage its time and CPU as JSON. Ends it after
    the limit, or when TEXT was printed COUNT times.
read.py row TOOL LOG ROWS [show=FIGURE,…] NAME=VALUE…
    Appends one JSON line: the names, and the figures that TOOL printed. Times in microseconds, memory in bytes.
read.py table ROWS REFERENCE[|…] FIGURE,… TITLE
    Medians over rounds as Markdown and as JSON lines, with ratios of these figures to the first side that begins with a
    reference.
"""
import json
import os
import re
import resource
import signal
import statistics
import subprocess
import sys
import threading
import time

TICK = os.sysconf("SC_CLK_TCK")


def cpu_of(pid):
    """User and system seconds of a process that runs, at the system's tick."""
    fields = open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()
    return int(fields[11]) / TICK, int(fields[12]) / TICK


def run(log, *rest):
    split = rest.index("--")
    options, command = rest[:split], list(rest[split + 1:])
    core = int(options[options.index("--core") + 1])
    limit = float(options[options.index("--limit") + 1])
    at = options.index("--until") if "--until" in options else None
    text, left = (options[at + 1], int(options[at + 2])) if at is not None else (None, 0)

    def prepare():
        os.setsid()
        os.sched_setaffinity(0, {core})

    began, marks, over = time.monotonic(), [], False
    with open(f"{log}.out", "w") as printed, open(f"{log}.err", "w") as complained:
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=complained, stdin=subprocess.DEVNULL,
                                 preexec_fn=prepare, text=True)

        def end(*_):
            nonlocal over
            over = True
            for number in [signal.SIGINT, signal.SIGKILL]:
                try:
                    os.killpg(child.pid, number)
                except ProcessLookupError:
                    return
                time.sleep(0.5)

        for number in [signal.SIGINT, signal.SIGTERM]:
            signal.signal(number, lambda number, _: (end(), sys.exit(128 + number)))
        alarm = threading.Timer(limit, end)
        alarm.daemon = True
        alarm.start()
        for line in child.stdout:
            printed.write(line)
            if text and text in line and left > 0:
                marks.append([time.monotonic() - began, *cpu_of(child.pid), line.strip()])
                left -= 1
                if left == 0:
                    end()
        code = child.wait()
        alarm.cancel()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    usage = {"wall": time.monotonic() - began, "user": used.ru_utime, "system": used.ru_stime, "marks": marks,
             "code": code, "ended": over}
    json.dump(usage, open(f"{log}.usage", "w"))
    if code and not over:
        sys.exit(f"{command[0]} ended with {code}: {log}.err")


def whole(log, count):
    """CPU for each of COUNT units, of the whole process from its start to its end."""
    usage = json.load(open(f"{log}.usage"))
    return {"cpu_us": (usage["user"] + usage["system"]) / count * 1e6, "cpu_user_us": usage["user"] / count * 1e6}


def spread(p50, p99):
    """The two quantiles, and how much further out the one is."""
    return {"p50_us": p50, "p99_us": p99, "p99_over_p50": p99 / p50 if p50 and p99 else None}


def read_connects(log):
    """How fast handshakes were done, as the echo server saw them, and how long each connect took, as wsbench says."""
    marks = [(int(n), int(at)) for n, at in re.findall(r"^opened (\d+) (\d+)$", open(f"{log}.server").read(), re.M)]
    first = max(n for n, (count, _) in enumerate(marks) if count == 1)
    run_of = marks[first:]
    (begun, start), (all_of, end) = run_of[0], run_of[-1]
    tenth, then = next(mark for mark in run_of if mark[0] >= all_of * 0.9)
    (cell,) = json.load(open(f"{log}.summary.json"))
    total = cell["connect"]["total"]
    return {"connects_per_second": (all_of - begun) / (end - start) * 1e9,
            "last_connects_per_second": (all_of - tenth) / (end - then) * 1e9,
            **spread(*((total[q] / 1e3 if total[q] else None) for q in ["p50", "p99"])),
            "connected": cell["connect"]["sessions"]["connected"]}


def micros(text):
    """A length of time as tools print it."""
    value, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()
    return float(value) * {"us": 1, "ms": 1e3, "s": 1e6, "m": 6e7}[unit]


def read_wsbench(log):
    (cell,) = json.load(open(f"{log}.summary.json"))
    (full,) = json.load(open(f"{log}/result.json"))["cells"]
    trials = full["trials"]
    generator = [trial["generator"] for trial in trials]

    def us(quantile, of="response_time"):
        value = cell[of][quantile]
        return None if value is None else value / 1e3

    figures = {
        "per_second": cell["delivered_rate"],
        "cpu_us": cell["cpu_us_per_message"]["generator"], **spread(us("p50"), us("p99")),
        "lateness_p50_us": us("p50", "send_lateness"), "lateness_p99_us": us("p99", "send_lateness"),
        "connected": cell["connect"]["sessions"]["connected"],
        "core": sum(g["cpu_nanos"] for g in generator) / sum(g["wall_nanos"] for g in generator),
        "mean_us": cell["response_time"]["mean"] / 1e3 if cell["response_time"]["mean"] else None,
        "invalid": sorted({f["code"] for t in trials for f in t["invalid"]}) or None,
    }
    if full["load"]["rate"]:
        figures["kept"] = cell["counters"]["sent"] / (full["load"]["duration"] / 1e9) / full["load"]["rate"]
    user = [g.get("cpu_user_nanos") for g in generator]
    if None not in user and figures["cpu_us"]:
        figures["cpu_user_us"] = figures["cpu_us"] * sum(user) / sum(g["cpu_nanos"] for g in generator)
    sessions = max(t["outcome"]["sessions"]["peak"] for t in trials)
    for side in ["generator", "target"]:
        usages = [t[side] if side == "generator" else (t["target"] or {}).get("usage") for t in trials]
        if not all(usages) or not sessions:
            continue
        for state, field in [("idle", "rss_ramped"), ("used", "rss_peak")]:
            grown = [u[field] - u["rss_before_connecting"] for u in usages if u.get(field)]
            if grown:
                figures[f"{side}_rss_{state}"] = statistics.median(grown) / sessions
    return figures


def read_wrk(log):
    text = open(f"{log}.out").read()
    count = int(re.search(r"(\d+) requests in", text)[1])
    quantile = {q: micros(v) for q, v in re.findall(r"^\s+(50|99)%\s+(\S+)$", text, re.M)}
    errors = re.search(r"Socket errors: (.*)", text)
    return {"per_second": float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1]), **whole(log, count),
            **spread(quantile.get("50"), quantile.get("99")), "errors": errors and errors[1]}


def read_oha(log):
    said = json.load(open(f"{log}.out"))
    count = sum(said["statusCodeDistribution"].values())
    errors = {k: v for k, v in said["errorDistribution"].items() if "deadline" not in k}
    return {"per_second": said["summary"]["requestsPerSec"], **whole(log, count), "errors": errors or None,
            **spread(said["latencyPercentiles"]["p50"] * 1e6, said["latencyPercentiles"]["p99"] * 1e6)}


def read_autocannon(log):
    said = json.load(open(f"{log}.out"))
    return {"per_second": said["requests"]["total"] / said["duration"], **whole(log, said["requests"]["total"]),
            **spread(said["latency"]["p50"] * 1e3, said["latency"]["p99"] * 1e3), "errors": said["errors"] or None}


def read_load_test(log):
    """Prints a rate every 4 seconds of its own clock; what stands between the last two marks is measured by ours."""
    usage = json.load(open(f"{log}.usage"))
    (begin, user, system, _), *_, (end, user_end, system_end, _) = usage["marks"]
    count = sum(float(line.split()[1]) * 4 for *_, line in usage["marks"][1:])
    user, system = user_end - user, system_end - system
    return {"per_second": count / (end - begin), "cpu_us": (user + system) / count * 1e6,
            "cpu_user_us": user / count * 1e6}


def read_sockperf(log):
    text = re.sub(r"\x1b\[[\d;]*m", "", open(f"{log}.out").read())
    (_, everything), (seconds, valid) = re.findall(r"RunTime=([\d.]+) sec;.* ReceivedMessages=(\d+)", text)
    quantile = {q: float(v) for q, v in re.findall(r"percentile (50|99)\.000 =\s+([\d.]+)", text)}
    return {"per_second": int(valid) / float(seconds), **whole(log, int(everything)),
            "mean_us": float(re.search(r"avg-rtt=([\d.]+)", text)[1]), **spread(quantile.get("50"), quantile.get("99"))}


def read_artillery(log):
    said = json.load(open(f"{log}.json"))["aggregate"]
    sent, wall = said["counters"].get("websocket.messages_sent", 0), (said["lastMetricAt"] - said["firstMetricAt"]) / 1e3
    if sent:
        return {"sent_per_second": sent / wall, **whole(log, sent)}
    count, time_of = said["counters"]["http.responses"], said["summaries"]["http.response_time"]
    return {"per_second": count / wall, **whole(log, count), **spread(time_of["p50"] * 1e3, time_of["p99"] * 1e3)}


def read_tsung(log):
    """Its log has a line of `stats: request COUNT MEAN …` for every ten seconds; it can't tell how long it really ran, but what
    it was asked for."""
    counts = re.findall(r"^stats: request (\d+) ([\d.]+) ", open(f"{log}.tsung").read(), re.M)
    seconds = int(re.search(r'<load duration="(\d+)"', open(f"{log}.xml").read())[1])
    count = sum(int(n) for n, _ in counts)
    mean = sum(int(n) * float(ms) for n, ms in counts) / count
    return {"per_second": count / seconds, **whole(log, count), "mean_us": mean * 1e3}


READERS = {name.removeprefix("read_"): function for name, function in list(globals().items()) if name.startswith("read_")}

COLUMNS = [
    ("per_second", "a second", 1), ("sent_per_second", "sent a second", 1), ("connects_per_second", "connects a second", 1),
    ("last_connects_per_second", "the last tenth", 1), ("connected", "connected", 1), ("kept", "of the asked rate", 1),
    ("cpu_us", "CPU µs each", 1), ("cpu_user_us", "of it user", 1), ("core", "of a core", 1),
    ("mean_us", "mean µs", 1), ("p50_us", "p50 µs", 1), ("p99_us", "p99 µs", 1), ("p99_over_p50", "p99 ÷ p50", 1),
    ("lateness_p50_us", "lateness p50 µs", 1), ("lateness_p99_us", "lateness p99 µs", 1),
    ("generator_rss_idle", "generator KB a session, idle", 1024), ("generator_rss_used", "generator KB a session, used", 1024),
    ("target_rss_idle", "target KB a session, idle", 1024), ("target_rss_used", "target KB a session, used", 1024),
]


def row(tool, log, rows, *names):
    try:
        figures = READERS[tool](log)
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError) as error:
        sys.exit(f"can't read what {tool} left at {log}: {error!r}")
    line = dict(name.split("=", 1) for name in names)
    for name, value in line.items():
        line[name] = int(value) if name in ("round", "at") and value.isdigit() else value
    if show := line.pop("show", None):
        figures = {name: figures.get(name) for name in [*show.split(","), "invalid", "errors"]}
    with open(rows, "a") as file:
        file.write(json.dumps({**line, **{k: v for k, v in figures.items() if v is not None}}) + "\n")


def shown(value):
    """A figure as a reader needs it, or a dash."""
    if value is None:
        return "–"
    digits = 0 if abs(value) >= 1000 else 1 if abs(value) >= 100 else 2
    return f"{value:,.{digits}f}"


def table(rows, references, compared, title):
    lines = [json.loads(line) for line in open(rows)]
    groups = {}
    for line in lines:
        groups.setdefault(line["at"], {}).setdefault(line["side"], {})[line["round"]] = line
    columns = [c for c in COLUMNS if any(isinstance(line.get(c[0]), (int, float)) for line in lines)]
    compared = [c for c in columns if c[0] in compared.split(",")]
    heads = [text for _, text, _ in columns] + [f"{text} ÷ reference's" for _, text, _ in compared]
    print(f"### {title}\n\n| at | side | {' | '.join(heads)} | not valid |\n|---|---|{'---:|' * (len(heads) + 1)}")
    machine = []
    for at, group in groups.items():
        reference = next((side for start in references.split("|") for side in group if side.startswith(start)), None)
        other = group.get(reference, {})
        for side, by_round in group.items():
            entry = {"measure": lines[0]["measure"], "at": at, "side": side, "rounds": len(by_round)}
            cells, ratios = [], {}
            for name, _, unit in columns:
                values = [line[name] for line in by_round.values() if isinstance(line.get(name), (int, float))]
                if not values:
                    cells.append("–")
                    continue
                entry[name] = middle = statistics.median(values)
                off = max(max(values) - middle, middle - min(values))
                cells.append(shown(middle / unit) + (f" ± {shown(off / unit)}" if len(values) > 1 else ""))
                # Both sides of a round ran next to each other, so that each ratio is taken within its round.
                pairs = [(by_round[r].get(name), other[r].get(name)) for r in by_round if r in other]
                found = [a / b for a, b in pairs if isinstance(a, (int, float)) and isinstance(b, (int, float)) and b]
                if found:
                    ratios[name] = statistics.median(found)
            entry |= {"ratio_to": reference, "ratios": ratios}
            entry["invalid"] = [line["invalid"] for line in by_round.values() if line.get("invalid")]
            entry["errors"] = [line["errors"] for line in by_round.values() if line.get("errors")]
            machine.append({name: value for name, value in entry.items() if value not in (None, [])})
            cells += [shown(ratios.get(name)) for name, _, _ in compared]
            called = f"{side} (reference)" if side == reference else side
            print(f"| {at} | {called} | {' | '.join(cells)} | {len(entry['invalid']) or ''} |")
    rounds = max(len(by_round) for group in groups.values() for by_round in group.values())
    print(f"\nMedians of {rounds} rounds in turn, ± the furthest round; ratios are taken within a round. For scripts:")
    print("\n```json")
    for entry in machine:
        print(json.dumps(entry, ensure_ascii=False))
    print("```\n")


if __name__ == "__main__":
    {"run": run, "row": row, "table": table}[sys.argv[1]](*sys.argv[2:])
