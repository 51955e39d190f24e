#!/usr/bin/env python3
"""How often verdicts are right: duets of wsbench's own server with itself, and with a slower copy of itself.

    benches/verdicts/study.py FILE             # tables in FILE (Markdown); every duet's outcome in FILE.jsonl

    --alike N      duets of a server with itself [200]
    --slowed N     duets for each slowdown [40]
    --slower LIST  by how many per cent [5,10,20]
    --pairs N      of each duet [10]
    --hold TIME    how long the server holds each reply, in ms [20]
    --wsbench PATH [target/release/wsbench]

The order is drawn: alike and slowed duets take turns, so that no hour of the machine belongs to one of them. A study that is
broken off goes on where it was, by FILE.jsonl. Everything runs on 127.0.0.1. With the defaults it takes more than an hour of a
machine that does nothing else.
"""
import argparse
import functools
import json
import math
import pathlib
import random
import shutil
import statistics
import subprocess
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
METRICS = ["p50", "p99", "delivered-rate", "cpu-per-message"]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=pathlib.Path)
    parser.add_argument("--alike", type=int, default=200)
    parser.add_argument("--slowed", type=int, default=40)
    parser.add_argument("--slower", default="5,10,20")
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--hold", type=float, default=20.0)
    parser.add_argument("--wsbench", type=pathlib.Path, default=ROOT / "target/release/wsbench")
    return parser.parse_args()


def server(args, percent):
    """What starts a server that holds each reply so much longer than the other."""
    hold = round(args.hold * (1 + percent / 100) * 1000)
    return f"{args.wsbench} serve --websocket {{port}} --open --oracle 'reply_delay=constant({hold}us)'"


def duet(args, percent, seed):
    """One duet: what it said of the whole and of each row, and the noise of each row."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="wsbench-study-"))
    command = [args.wsbench, "duet", HERE / "held.toml", "--base", server(args, 0), "--candidate", server(args, percent),
               "--url", "/echo", "--pairs", str(args.pairs), "--seed", str(seed), "--out", folder / "out", "--quiet",
               "--format", "json"]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=1800)
    outcome = {"slower": percent, "seed": seed, "exit": done.returncode}
    try:
        comparison = json.loads(done.stdout)
    except json.JSONDecodeError:
        outcome["problem"] = done.stderr.strip()[-300:]
    else:
        outcome["verdict"] = comparison["verdict"]
        outcome["rows"] = {row["metric"]: of_row(row) for row in comparison["rows"]}
    shutil.rmtree(folder, ignore_errors=True)
    return outcome


def of_row(row):
    effect = row["effect"] or {}
    both = [(base, new) for base, new in zip(row["base"], row["new"]) if base and new]
    logs = [math.log(new / base) for base, new in both]
    return {"verdict": row["verdict"], "gated": row["is_gated"], "ratio": effect.get("ratio"), "n": len(row["base"]),
            "p": effect.get("adjusted_p_worse"), "noise": statistics.stdev(logs) if len(logs) > 1 else None}


def study(args):
    """Every duet that is to be run and has not been yet, in drawn order."""
    log = pathlib.Path(f"{args.file}.jsonl")
    done = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    had = {(outcome["slower"], outcome["seed"]) for outcome in done}
    slower = [float(percent) for percent in args.slower.split(",") if percent]
    plan = [(0.0, seed) for seed in range(1, args.alike + 1)]
    plan += [(percent, 100_000 + seed) for percent in slower for seed in range(1, args.slowed + 1)]
    random.Random(1).shuffle(plan)
    with log.open("a") as out:
        for percent, seed in [one for one in plan if one not in had]:
            outcome = duet(args, percent, seed)
            print(json.dumps(outcome), file=out, flush=True)
            done.append(outcome)
            print(f"{len(done)} of {len(plan)}: {percent:g} % slower: {outcome.get('verdict', outcome.get('problem'))}", flush=True)
    return [outcome for outcome in done if (outcome["slower"], outcome["seed"]) in set(plan)], slower


def interval(k, n):
    """Clopper–Pearson, 95 %, by bisection."""
    def tail(p, at_least):
        terms = [math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(n + 1)]
        return sum(terms[k:]) if at_least else sum(terms[: k + 1])

    def solve(is_low):
        low, high = 0.0, 1.0
        for _ in range(60):
            p = (low + high) / 2
            # The chance of so many or more rises with p, that of so few or fewer falls.
            if (tail(p, True) < 0.025) if is_low else (tail(p, False) >= 0.025):
                low = p
            else:
                high = p
        return low

    return (0.0 if k == 0 else solve(True)), (1.0 if k == n else solve(False))


@functools.cache
def expected(noise, change, n, family, rounds=1000):
    """How often a change should be found: normal log ratios of that noise, exact signed ranks, Holm's strictest step, and the
    noise threshold of 3 %. Simulated, with a fixed seed."""
    draw = random.Random(7)
    counts = [1]
    for rank in range(1, n + 1):
        wider = counts + [0] * rank
        for at, ways in enumerate(counts):
            wider[at + rank] += ways
        counts = wider
    tail = [sum(counts[at:]) / 2**n for at in range(len(counts))]
    found = 0
    for _ in range(rounds):
        logs = [draw.gauss(math.log1p(change), noise) for _ in range(n)]
        ranked = sorted(logs, key=abs)
        positive = sum(rank for rank, value in enumerate(ranked, 1) if value > 0)
        walsh = sorted((a + b) / 2 for i, a in enumerate(logs) for b in logs[i:])
        estimate = statistics.median(walsh)
        found += tail[positive] <= 0.05 / family and estimate >= math.log(1.03)
    return found / rounds


def percent(part, whole):
    return f"{100 * part / whole:.1f} %" if whole else "–"


def ended(outcome):
    """How a duet ended: with a verdict, INVALID (too few pairs that can be trusted), or without either."""
    return "invalid" if outcome["exit"] == 95 else outcome.get("verdict", "broken")


def tables(args, outcomes, slower):
    judged = [outcome for outcome in outcomes if ended(outcome) not in ("invalid", "broken")]
    text = [f"Duets of {args.pairs} pairs, trials of 300 ms at 4,000 messages a second, each held for {args.hold:g} ms.", ""]
    text += ["| candidate | duets | REGRESSION | IMPROVEMENT | NO CHANGE | INCONCLUSIVE | INVALID | broken |",
             "|---|---:|---:|---:|---:|---:|---:|---:|"]
    for change in [0.0] + slower:
        of = [outcome for outcome in outcomes if outcome["slower"] == change]
        count = lambda how: sum(ended(outcome) == how for outcome in of)
        name = "the same" if change == 0 else f"+{change:g} %"
        text.append(f"| {name} | {len(of)} | {count('regression')} | {count('improvement')} | {count('no-change')} | "
                    f"{count('inconclusive')} | {count('invalid')} | {count('broken')} |")
    alike = [outcome for outcome in judged if outcome["slower"] == 0]
    if alike:
        alarms = sum(outcome["verdict"] == "regression" for outcome in alike)
        low, high = interval(alarms, len(alike))
        text += ["", f"False alarms: {alarms} of {len(alike)} that were judged ({percent(alarms, len(alike))}, 95 % interval "
                     f"{100 * low:.1f} to {100 * high:.1f} %)."]
    text += ["", "| candidate | metric | found | 95 % interval | noise (SD of paired log ratios, median) | expected at each duet's noise |",
             "|---|---|---:|---:|---:|---:|"]
    for change in slower:
        for metric in METRICS[:2]:
            rows = [outcome["rows"][metric] for outcome in judged if outcome["slower"] == change and metric in outcome["rows"]]
            if not rows:
                continue
            found = sum(row["verdict"] == "regression" for row in rows)
            low, high = interval(found, len(rows))
            noise = statistics.median(row["noise"] for row in rows)
            chance = statistics.mean(expected(round(row["noise"], 3), change / 100, row["n"], len(METRICS)) for row in rows)
            text.append(f"| +{change:g} % | {metric} | {found} of {len(rows)} | {100 * low:.0f} to {100 * high:.0f} % | "
                        f"{100 * noise:.2f} % | {100 * chance:.0f} % |")
    return "\n".join(text) + "\n"


def main():
    args = arguments()
    args.wsbench = args.wsbench.resolve()
    args.file.parent.mkdir(parents=True, exist_ok=True)
    outcomes, slower = study(args)
    args.file.write_text(tables(args, outcomes, slower))
    print(args.file.read_text())


if __name__ == "__main__":
    main()
