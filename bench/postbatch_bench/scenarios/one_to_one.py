"""One event, one mail: the whole path, from the start of the program to its
end, with smtp-source (no database, no templates) to the same sink beside it.
"""

import subprocess
import time

from postbatch_bench import fill
from postbatch_bench.ground import program
from postbatch_bench.rounds import add_median, add_ratio, in_rounds, median

NAME = "one_to_one"
TITLE = "one event, one mail, beside smtp-source"
SCALES = ("tiny", "quick", "normal", "full")
PROMISES = ("e2e_1to1_mails_per_s", "ratio_vs_smtp_source",
            "pg_cpu_us_per_mail", "wal_bytes_per_mail",
            "worker_cpu_us_per_mail")
SESSIONS = (1, 8, 32)


def smtp_source(bench, mails):
    """Mails a second of smtp-source, at the best of SESSIONS."""
    best = 0.0
    for sessions in SESSIONS:
        with bench.world.sink(bench.setup, more=("--lenient",)) as sink:
            began = time.monotonic()
            subprocess.run(
                [program("smtp-source"), "-d", "-l", str(bench.size), "-m",
                 str(mails), "-s", str(sessions), "-f", "a@example.org",
                 "-t", "b@example.net", "127.0.0.1:%d" % sink.port],
                check=True)
            best = max(best, mails / (time.monotonic() - began))
    return best


def add_costs(results, runs):
    """What the dispatcher's runs cost whom, as medians."""
    for name, values, unit, note in (
            ("e2e_1to1_mails_per_s", [r.mails_per_s for r in runs],
             "mails/s", "start of the program to its end"),
            ("pg_cpu_us_per_mail", [r.pg_us for r in runs], "us",
             "all PostgreSQL processes, event to ledger"),
            ("worker_cpu_us_per_mail", [r.worker_us for r in runs], "us",
             "user and system"),
            ("wal_bytes_per_mail", [r.wal_bytes / r.mails for r in runs],
             "bytes", "event to ledger")):
        add_median(results, name, values, unit, note, 1)


def run(bench):
    results, mails = bench.results, bench.mails(tiny=100, quick=100000)
    filled = fill.one_to_one(mails, bench.size)
    contenders = {"dispatcher": lambda: bench.world.once(filled, mails,
                                                         bench.setup)}
    has_source = program("smtp-source") and not bench.world.relay
    if has_source:
        contenders["smtp-source"] = lambda: smtp_source(
            bench, max(mails // bench.pick(tiny=2, quick=10, normal=5), 50))
    seen = in_rounds(contenders, bench.rounds(tiny=1, quick=2, normal=3))
    runs = seen["dispatcher"]
    add_costs(results, runs)
    if runs[-1].sink:
        add_median(results, "sink_cpu_us_per_mail",
                   [r.sink_us for r in runs], "us", "of the sink", 1)
        results.add("mail_bytes", runs[-1].sink["bytes"] / mails, "bytes",
                    "mean size")
        results.add("connections", runs[-1].sink["connections"], "",
                    "to the relay, of one run")
    if not has_source:
        results.missing("ratio_vs_smtp_source", "needs the sink"
                        if bench.world.relay else
                        "smtp-source is not installed (postfix)")
        return
    best = seen["smtp-source"]
    results.add("smtp_source_mails_per_s", median(best), "mails/s",
                "best of 1, 8 and 32 sessions; no database, no templates")
    add_ratio(results, "ratio_vs_smtp_source",
              [r.mails_per_s for r in runs], best, "mails/s, whole path")
