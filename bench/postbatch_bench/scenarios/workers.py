"""One and two worker processes, in turn. Sink and PostgreSQL share the same
cores, so this says what a second process brings on this machine."""

from postbatch_bench import fill
from postbatch_bench.rounds import add_median, add_ratio, in_rounds

NAME = "workers"
TITLE = "one and two worker processes"
SCALES = ("tiny", "normal", "full")
PROMISES = ("workers_2_over_1_ratio",)


def run(bench):
    results, mails = bench.results, bench.mails(tiny=100, normal=100000)
    filled = fill.one_to_one(mails, bench.size)
    seen = in_rounds(
        {count: lambda count=count: bench.world.once(
            filled, mails, bench.setup.but(workers=count))
         for count in (1, 2)},
        bench.rounds(tiny=1, normal=3))
    for count, runs in seen.items():
        add_median(results, "workers_%d_mails_per_s" % count,
                   [r.mails_per_s for r in runs], "mails/s",
                   "start of the program to its end")
        add_median(results, "workers_%d_cpu_us_per_mail" % count,
                   [r.both_us for r in runs], "us",
                   "all worker and PostgreSQL processes", 1)
    add_ratio(results, "workers_2_over_1_ratio",
              [r.mails_per_s for r in seen[2]],
              [r.mails_per_s for r in seen[1]],
              "mails/s, with two over with one")
