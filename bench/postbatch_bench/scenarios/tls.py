"""What STARTTLS costs: the same run with and without, in turn."""

from postbatch_bench import fill
from postbatch_bench.rounds import add_median, add_ratio, in_rounds

NAME = "tls"
TITLE = "with and without STARTTLS"
SCALES = ("tiny", "normal", "full")
PROMISES = ("tls_mails_per_s", "tls_worker_cpu_ratio")


def run(bench):
    bench.needs_sink()
    results, mails = bench.results, bench.mails(tiny=100, normal=50000)
    filled = fill.one_to_one(mails, bench.size)
    seen = in_rounds(
        {tls: lambda tls=tls: bench.world.once(filled, mails,
                                               bench.setup.but(tls=tls))
         for tls in ("none", "starttls")},
        bench.rounds(tiny=1, normal=3))
    add_median(results, "tls_mails_per_s",
               [r.mails_per_s for r in seen["starttls"]], "mails/s",
               "start of the program to its end")
    add_median(results, "tls_worker_cpu_us_per_mail",
               [r.worker_us for r in seen["starttls"]], "us",
               "user and system, with TLS", 1)
    add_ratio(results, "tls_worker_cpu_ratio",
              [r.worker_us for r in seen["starttls"]],
              [r.worker_us for r in seen["none"]],
              "CPU of the worker, with over without")
    add_ratio(results, "tls_throughput_ratio",
              [r.mails_per_s for r in seen["starttls"]],
              [r.mails_per_s for r in seen["none"]], "mails/s, likewise")
