"""One run exactly as the command line asks for it, for looking around:

    bench/postbatch-bench --only as_asked --mails 20k --gear lockstep \\
        --round-trip 20 --lanes 8
"""

from postbatch_bench import fill

NAME = "as_asked"
TITLE = "one run as the options say (only when asked for)"
SCALES = ()
PROMISES = ()


def run(bench):
    mails = bench.mails(tiny=100, quick=10000, normal=100000)
    figures = bench.world.once(fill.one_to_one(mails, bench.size), mails,
                               bench.setup)
    results, words = bench.results, str(bench.setup)
    results.add("asked_mails_per_s", figures.mails_per_s, "mails/s", words)
    results.add("asked_pg_cpu_us_per_mail", figures.pg_us, "us")
    results.add("asked_worker_cpu_us_per_mail", figures.worker_us, "us")
    results.add("asked_rss_mb", figures.rss_mb, "MB")
    if figures.sink:
        results.add("asked_at_relay_mails_per_s", figures.at_relay_per_s,
                    "mails/s", "first to last mail at the sink")
        results.add("asked_sink_cpu_us_per_mail", figures.sink_us, "us")
