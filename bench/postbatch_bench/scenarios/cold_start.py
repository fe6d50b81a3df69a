"""From starting the program to the first mail at the relay, with one event
waiting."""

import time

from postbatch_bench import fill
from postbatch_bench.rounds import add_median

NAME = "cold_start"
TITLE = "cold start to the first mail"
SCALES = ("tiny", "quick", "normal", "full")
PROMISES = ("cold_start_ms",)


def once(bench):
    """Milliseconds; the sink's log has the wall clock."""
    world = bench.world
    with world.database(fill.one_to_one(1, bench.size)) as dsn, \
            world.sink(bench.setup, keeps=("log",)) as sink, \
            world.dispatcher(dsn, bench.setup, sink.port) as dispatcher:
        began = time.time()
        with world.service(dispatcher):
            world.harness.wait_for(lambda: sink.accepted() >= 1, "the mail")
            return (sink.arrivals()[0][0] - began) * 1000


def run(bench):
    bench.needs_sink()
    times = [once(bench) for _ in range(bench.rounds(tiny=1, quick=3,
                                                     normal=7))]
    add_median(bench.results, "cold_start_ms", times, "ms",
               "start of the program to the first 250, one event waiting", 1)
