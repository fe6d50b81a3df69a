"""One event for all subscribers of a topic: as many mails as there are."""

from postbatch_bench import fill
from postbatch_bench.rounds import add_median, in_rounds

NAME = "fan_out"
TITLE = "one event, 100,000 mails"
SCALES = ("tiny", "quick", "normal", "full")
PROMISES = ("e2e_fanout_mails_per_s",)


def run(bench):
    results = bench.results
    subscribers = bench.options.fan_out or bench.pick(tiny=100, quick=100000)
    filled = fill.fan_out(1, subscribers, bench.size)
    runs = in_rounds(
        {"fan-out": lambda: bench.world.once(filled, subscribers,
                                             bench.setup)},
        bench.rounds(tiny=1, quick=1, normal=3))["fan-out"]
    add_median(results, "e2e_fanout_mails_per_s",
               [r.mails_per_s for r in runs], "mails/s",
               "%d subscribers, start of the program to its end" %
               subscribers)
    add_median(results, "fanout_pg_cpu_us_per_mail",
               [r.pg_us for r in runs], "us",
               "all PostgreSQL processes, event to ledger", 1)
    add_median(results, "fanout_worker_cpu_us_per_mail",
               [r.worker_us for r in runs], "us", "user and system", 1)
    add_median(results, "fanout_wal_bytes_per_mail",
               [r.wal_bytes / r.mails for r in runs], "bytes",
               "event to ledger", 1)
