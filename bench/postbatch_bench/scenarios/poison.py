"""What poison costs: as many events once sound and once with every tenth of
them poison in one of ten ways (bench/poison/kinds.py), in turn. Each poison
event must be set aside with its own reason, and all others mailed once."""

import os
import shutil
import sys

from postbatch_bench import fill
from postbatch_bench.ground import BENCH
from postbatch_bench.rounds import add_median, add_ratio, in_rounds

sys.path.append(os.path.join(BENCH, "poison"))
import kinds  # noqa: E402

NAME = "poison"
TITLE = "every tenth event is poison"
SCALES = ("tiny", "normal", "full")
PROMISES = ("poison_ratio", "poison_cpu_ratio")
PEOPLE = 1000


def check_reasons(bench, dsn, events):
    found = "\n".join(row[0] for row in bench.world.sql(dsn, kinds.COUNT))
    if found != kinds.expected(events):
        raise RuntimeError("in quarantine:\n%s\nexpected:\n%s" % (
            found, kinds.expected(events)))


def once(bench, templates, events, is_poisoned):
    """The Figures of the mails that are left, CPU for all events."""
    filled = fill.recipients(PEOPLE) + kinds.insert(
        events, fill.words(bench.size), is_poisoned)
    poison = kinds.poison_count(events) if is_poisoned else 0
    with bench.world.database(filled) as dsn:
        figures = bench.world.dispatch(
            dsn, events - poison, bench.setup, templates__path=templates,
            worker__payload_max=kinds.PAYLOAD_MAX)
        if is_poisoned:
            check_reasons(bench, dsn, events)
        return figures


def run(bench):
    results, events = bench.results, bench.mails(tiny=100, normal=100000)
    templates = os.path.join(bench.world.directory, "poison")
    os.makedirs(templates)
    try:
        kinds.make_templates(templates)
        seen = in_rounds(
            {name: lambda is_poisoned=is_poisoned: once(
                bench, templates, events, is_poisoned)
             for name, is_poisoned in (("sound", False), ("poison", True))},
            bench.rounds(tiny=1, normal=2))
    finally:
        shutil.rmtree(templates)
    rates = {name: [r.mails_per_s for r in runs]
             for name, runs in seen.items()}
    cpus = {name: [r.pg_cpu_s + r.worker_cpu_s for r in runs]
            for name, runs in seen.items()}
    add_median(results, "poison_clean_mails_per_s", rates["sound"],
               "mails/s", "all events sound")
    add_median(results, "poison_mails_per_s", rates["poison"], "mails/s",
               "every tenth event poison, in ten ways")
    add_ratio(results, "poison_ratio", rates["poison"], rates["sound"],
              "mails/s; all %d reasons right" % kinds.poison_count(events))
    add_ratio(results, "poison_events_ratio",
              [events / r.wall_s for r in seen["poison"]],
              [events / r.wall_s for r in seen["sound"]],
              "events/s: the mails are a tenth fewer, the events are not")
    add_ratio(results, "poison_cpu_ratio", cpus["poison"], cpus["sound"],
              "CPU of dispatcher and PostgreSQL, for as many events")
