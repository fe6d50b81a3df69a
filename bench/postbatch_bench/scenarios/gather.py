"""Gathered letters: ten events in a row for a recipient become one mail."""

from postbatch_bench import fill
from postbatch_bench.rounds import add_median, in_rounds

NAME = "gather"
TITLE = "letters that gather ten events each"
SCALES = ("tiny", "normal", "full")
PROMISES = ("gather_mails_per_s",)


def run(bench):
    results, each = bench.results, bench.options.events_per_recipient
    mails = bench.mails(tiny=100, normal=50000)
    filled = fill.gathered(mails, each, bench.size)
    runs = in_rounds(
        {"gather": lambda: bench.world.once(
            filled, mails, bench.setup,
            router__step=5000 // each * each)},
        bench.rounds(tiny=1, normal=2))["gather"]
    add_median(results, "gather_mails_per_s", [r.mails_per_s for r in runs],
               "mails/s", "%d events a mail, start of the program to its end"
               % each)
    add_median(results, "gather_events_per_s",
               [r.mails_per_s * each for r in runs], "events/s",
               "the same, in events")
    add_median(results, "gather_pg_cpu_us_per_mail", [r.pg_us for r in runs],
               "us", "all PostgreSQL processes, a mail of %d events" % each,
               1)
    add_median(results, "gather_worker_cpu_us_per_mail",
               [r.worker_us for r in runs], "us",
               "user and system, a mail of %d events" % each, 1)
