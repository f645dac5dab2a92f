#!/usr/bin/env python3
"""Measures rule sets on streams of generate.py: pools seeds, a row a variant, with 95 % intervals.

    measure.py --seeds 11 12 13 --rules rules --rules volume=DIR --variants base no-links

Streams are made in --work and found again there by a later run.
"""

import argparse
import collections
import json
import math
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

from envelope import VARIANTS, WORLDS

HERE = Path(__file__).parent
GRACE = timedelta(hours=24)
STAGES = {"alert": 0, "notify": 1, "respond": 2}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--rules", action="append", help="[NAME=]FOLDER, several times")
    parser.add_argument("--accounts", type=int, default=200)
    parser.add_argument("--days", type=int, default=60)
    parser.add_argument("--late", type=float, default=0)
    parser.add_argument("--duplicates", type=float, default=0)
    parser.add_argument("--own", action="store_true", help="streams of `satpam simulate` instead")
    parser.add_argument("--satpam", default="target/release/satpam")
    parser.add_argument("--work", type=Path, default=Path("/tmp/satpam-streams"))
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--kinds", action="store_true", help="also a row a kind of attack")
    parser.add_argument("--ablation", action="store_true", help="also what is lost without each rule")
    parser.add_argument("--false-alarms", action="store_true", help="also which rules raised the false alarms")
    options = parser.parse_args()
    if options.own:
        options.variants = ["base"]
    return options


def folder_of(options, seed, variant):
    source = "own-" if options.own else ""
    size = f"{options.accounts}x{options.days}-{options.late}-{options.duplicates}"
    return options.work / f"{source}{seed}-{size}" / variant


def make_streams(options, seed):
    """Makes what is missing of a seed; the views of one world at once."""
    missing = [variant for variant in options.variants if not (folder_of(options, seed, variant) / "labels.ndjson").exists()]
    views = [variant for variant in missing if variant not in WORLDS]
    for together in [views] * bool(views) + [[variant] for variant in missing if variant in WORLDS]:
        out = folder_of(options, seed, together[0])
        if options.own:
            command = [options.satpam, "simulate", "--out", out]
        else:
            command = [sys.executable, HERE / "generate.py", "--out", out.parent if len(together) > 1 else out]
            command += [word for variant in together for word in ("--variant", variant)]
        for key in ("accounts", "days", "late", "duplicates"):
            command += [f"--{key}", str(getattr(options, key))]
        subprocess.run(command + ["--seed", str(seed)], check=True, stdout=subprocess.DEVNULL)


def backtest(options, seed, variant, rules):
    folder = folder_of(options, seed, variant)
    alerts = folder / f"alerts-{rules.name}.ndjson"
    command = [options.satpam, "backtest", "--from", folder / "events.ndjson", "--labels", folder / "labels.ndjson",
               "--rules", rules, "--format", "json", "--alerts-out", alerts]
    command += ["--ablation"] * options.ablation
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    report = json.loads(done.stdout)
    report["false"] = false_alarms(alerts, folder / "labels.ndjson")
    return report


def false_alarms(alerts, labels):
    """The alerts outside the time of every attack."""
    spans = collections.defaultdict(list)
    for line in open(labels, encoding="utf-8"):
        label = json.loads(line)
        spans[label["account"]].append((datetime.fromisoformat(label["first"]), datetime.fromisoformat(label["last"]) + GRACE))
    found = []
    for line in open(alerts, encoding="utf-8"):
        alert = json.loads(line)
        time = datetime.fromisoformat(alert["time"])
        if alert["kind"] == "alert" and not any(first <= time <= last for first, last in spans[alert["account"]]):
            found.append(alert)
    return found


def share(part, whole):
    """A share with its interval (Wilson)."""
    if not whole:
        return "-"
    z, value = 1.96, part / whole
    scale = 1 + z * z / whole
    center = (value + z * z / (2 * whole)) / scale
    half = z * math.sqrt(value * (1 - value) / whole + z * z / (4 * whole * whole)) / scale
    return f"{value:.2f} ({max(0, center - half):.2f}-{min(1, center + half):.2f})"


def rate(count, days):
    """A rate per 1,000 account-days with its interval (Byar)."""
    def bound(count, z):
        return max(0, count * (1 - 1 / (9 * count) + z / (3 * math.sqrt(count))) ** 3)
    low = bound(count, -1.96) if count else 0
    return f"{count / days * 1000:.2f} ({low / days * 1000:.2f}-{bound(count + 1, 1.96) / days * 1000:.2f})"


def row(name, reports):
    """The pooled figures of one variant and rule set."""
    attacks = [report["attacks"] for report in reports]
    total = sum(part["attacks"] for part in attacks)
    days = sum(part["ordinary_account_days"] for part in attacks)
    def pooled(key, stage="alert"):
        return sum(round(part[key][stage] * part["attacks"]) for part in attacks)
    def count(stage):
        return sum(part["false_alarms"][stage] for part in attacks)
    # Medians of single streams cannot be pooled exactly: the middle one is given.
    before = [part["sends_before"]["alert"] for part in attacks if part["sends_before"]["alert"] is not None]
    print(f"| {name} | {total} | {share(pooled('recall'), total)} | {share(pooled('recall_before_half'), total)} "
          f"| {statistics.median(before) if before else '-':g} | {rate(count('alert'), days)} "
          f"| {share(pooled('recall', 'notify'), total)} | {rate(count('notify'), days)} "
          f"| {share(pooled('recall', 'respond'), total)} | {rate(count('respond'), days)} |", flush=True)


def kinds(reports):
    table = collections.defaultdict(lambda: [0, 0, 0, []])
    for report in reports:
        for part in report["attacks"]["by_kind"]:
            entry = table[part["kind"]]
            entry[0] += part["attacks"]
            entry[1] += part["caught"]["alert"]
            entry[2] += round(part["recall_before_half"] * part["attacks"])
            entry[3].append(part["sends_before"])
    for kind, (total, caught, half, before) in sorted(table.items()):
        known = [value for value in before if value is not None]
        print(f"| {kind} | {total} | {caught} | {half} | {statistics.median(known) if known else '-'} |")


def ablation(reports):
    """What all streams would lack without a rule; rules without which nothing changes are left out."""
    table = collections.defaultdict(collections.Counter)
    for report in reports:
        for added in report["ablation"]:
            table[added["rule"]].update({key: added[key] for key in ("attacks", "false_alarms")})
    for rule, lost in sorted(table.items(), key=lambda row: (-row[1]["attacks"], -row[1]["false_alarms"], row[0])):
        if any(lost.values()):
            print(f"| `{rule}` | {lost['attacks']} | {lost['false_alarms']} |")


def main():
    options = arguments()
    sets = []
    for given in options.rules or ["rules"]:
        name, _, folder = given.rpartition("=")
        sets.append((name or Path(folder).name, Path(folder)))
    print("| stream, rules | attacks | recall | before half | sent before | false alarms / 1,000 days | notify | false / 1,000 | respond | false / 1,000 |")
    print("|---|---|---|---|---|---|---|---|---|---|", flush=True)
    details = []
    with ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(lambda seed: make_streams(options, seed), options.seeds))
        for variant in options.variants:
            for name, folder in sets:
                reports = list(pool.map(lambda seed: backtest(options, seed, variant, folder), options.seeds))
                title = f"{'own' if options.own else variant}, {name}"
                row(title, reports)
                details.append((title, reports))
    for name, reports in details if options.kinds else ():
        print(f"\n{name}\n\n| kind | attacks | caught | before half | sent before |\n|---|---|---|---|---|")
        kinds(reports)
    for name, reports in details if options.ablation else ():
        print(f"\n{name}\n\n| without | attacks missed | false alarms less |\n|---|---|---|")
        ablation(reports)
    for name, reports in details if options.false_alarms else ():
        print(f"\n{name}: the last rule before each false alarm")
        for rule, count in collections.Counter(alert["rule"] for report in reports for alert in report["false"]).most_common():
            print(f"  {count:4} {rule}")


if __name__ == "__main__":
    main()
