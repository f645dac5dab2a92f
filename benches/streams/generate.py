#!/usr/bin/env python3
"""Writes a labelled stream of tenants and attacks: events.ndjson and labels.ndjson.

The world is not that of `satpam simulate`: it was written from what is known of the platform and of
intruders, without a look at that generator or at the engine, to measure what was tuned elsewhere.
Same arguments, same bytes. Standard library only.
"""

import argparse
import heapq
import json
import random
from datetime import date, timedelta
from pathlib import Path

import intruders
from envelope import VARIANTS, WORLDS, stamp, written
from routine import day_of, midnight
from tenants import Tenant


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--accounts", type=int, default=200)
    parser.add_argument("--days", type=int, default=60)
    parser.add_argument("--start", type=date.fromisoformat, default=date(2026, 1, 19))
    parser.add_argument("--attacks", type=float, default=0.25, help="share of the accounts that are attacked once")
    parser.add_argument("--late", type=float, default=0, help="share of the events that arrive minutes late")
    parser.add_argument("--duplicates", type=float, default=0, help="share of the events that arrive twice")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--variant", choices=VARIANTS, action="append",
                        help="several times: a folder each, in --out; "
                             + "; ".join(f"{name}: {meaning}" for name, meaning in VARIANTS.items()))
    options = parser.parse_args()
    options.variant = options.variant or ["base"]
    if len({WORLDS.get(variant) for variant in options.variant}) > 1:
        parser.error("no-links and deliveries are worlds of their own: make them alone")
    options.world = WORLDS.get(options.variant[0])
    return options


def plan_attacks(tenants, options):
    """Which tenant is attacked, how and when: not in the first third of the stream, nor in its last two days."""
    rng = random.Random(f"{options.seed}/attacks")
    chosen = rng.sample(tenants, round(len(tenants) * options.attacks))
    plans = {}
    for place, tenant in enumerate(chosen):
        kind = intruders.KINDS[place % len(intruders.KINDS)]
        day = options.start + timedelta(days=rng.randrange(options.days // 3, options.days - (17 if kind == "ramp" else 5)))
        if kind == "dormant":
            tenant.begins, tenant.is_new = options.start, False
            tenant.sleeps = (day - timedelta(days=rng.randrange(14, 30)), options.start + timedelta(days=options.days))
        elif kind == "api_key" and not tenant.api_share:
            tenant.api_share = 0.3
        if tenant.begins > day - timedelta(days=10):
            tenant.begins, tenant.is_new = options.start, False
        plans[tenant.app] = (kind, day)
    return plans


def days_of_events(options, labels):
    """All events, a day of the stream at a time, each day in the order of time."""
    reports_deliveries = options.world == "deliveries"
    tenants = [Tenant(options.seed, index, options.start, options.days, reports_deliveries) for index in range(options.accounts)]
    plans = plan_attacks(tenants, options)
    waiting, serial = [], 0
    for number in range(options.days):
        day = options.start + timedelta(days=number)
        for tenant in tenants:
            found = day_of(tenant, day)
            kind, attacked = plans.get(tenant.app, (None, None))
            if attacked == day:
                name = f"{options.seed}-{tenant.app}"
                attack = intruders.Attack(tenant, kind, name, day, options.world != "no-links")
                hostile = attack.run()
                labels[name] = {"account": tenant.app, "attack": name, "kind": kind, "events": hostile}
                found += hostile
            for event in found:
                serial += 1
                event.id = f"e{serial}"
                heapq.heappush(waiting, (event.seconds, serial, event))
        end = midnight(day + timedelta(days=1))
        while waiting and (waiting[0][0] < end or number == options.days - 1):
            yield heapq.heappop(waiting)[2]


def arrivals(events, options):
    """The events as they arrive: (line of the file, event), some late, some twice."""
    rng = random.Random(f"{options.seed}/arrivals")
    waiting, serial = [], 0
    for event in events:
        while waiting and waiting[0][0] <= event.seconds:
            yield heapq.heappop(waiting)[2]
        moments = [event.seconds]
        if rng.random() < options.late:
            moments = [event.seconds + rng.uniform(60, 1200)]
        if rng.random() < options.duplicates:
            moments.append(moments[0] + rng.uniform(1, 1200))
        for moment in moments:
            serial += 1
            heapq.heappush(waiting, (moment, serial, event))
    while waiting:
        yield heapq.heappop(waiting)[2]


def write_labels(folder, variant, labels):
    with open(folder / "labels.ndjson", "w", encoding="utf-8") as out:
        for label in labels.values():
            events = sorted(label["events"], key=lambda event: event.seconds)
            events = [event for event in events if written(event, variant)]
            if events:
                span = {"first": stamp(events[0].seconds), "last": stamp(events[-1].seconds)}
                out.write(json.dumps({**label, **span, "events": [event.id for event in events]}) + "\n")


def main():
    options = arguments()
    labels, outputs = {}, []
    for variant in options.variant:
        folder = options.out / variant if len(options.variant) > 1 else options.out
        folder.mkdir(parents=True, exist_ok=True)
        outputs.append((variant, folder, open(folder / "events.ndjson", "w", encoding="utf-8")))
    for event in arrivals(days_of_events(options, labels), options):
        for variant, _, out in outputs:
            line = written(event, variant)
            if line:
                out.write(line + "\n")
    for variant, folder, out in outputs:
        out.close()
        write_labels(folder, variant, labels)


if __name__ == "__main__":
    main()
