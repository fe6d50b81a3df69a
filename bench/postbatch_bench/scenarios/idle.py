"""What nothing to do costs: CPU of the worker and of all PostgreSQL processes
of its cluster, with no event coming."""

import time

from postbatch_bench import fill, procfs

NAME = "idle"
TITLE = "a worker with nothing to do"
SCALES = ("tiny", "normal", "full")
PROMISES = ("idle_cpu_percent",)


def run(bench):
    world, results = bench.world, bench.results
    bench.needs_sink()
    seconds = bench.pick(tiny=0.5, normal=30)
    # The time between two looks grows to its longest within about a minute.
    rest = bench.pick(tiny=0, normal=60)
    with world.database(fill.one_to_one(100, bench.size)) as dsn, \
            world.sink(bench.setup) as sink, \
            world.dispatcher(dsn, bench.setup, sink.port) as dispatcher, \
            world.service(dispatcher) as process:
        world.harness.wait_for(lambda: sink.accepted() >= 100, "the mails")
        time.sleep(rest)
        worker, pg = procfs.tree_cpu(process.pid), world.pg_cpu()
        began = time.monotonic()
        time.sleep(seconds)
        took = time.monotonic() - began
        worker = procfs.tree_cpu(process.pid) - worker
        pg = world.pg_cpu() - pg
    results.add("idle_cpu_percent", (worker + pg) / took * 100, "%",
                "of one core over %.0f s: worker %.2f, PostgreSQL %.2f; "
                "after %.0f s of rest" % (took, worker / took * 100,
                                          pg / took * 100, rest))
