"""What a mail costs when many wait: 10 thousand to 10 million events in the
log when the dispatcher is started, until all are sent; and the same while a
forgotten transaction holds its snapshot.

The cost is the CPU of PostgreSQL and worker together. That of starting and
ending, measured by runs without events, is taken off: with 10,000 mails it
would weigh, with a million it would not.
"""

from postbatch_bench import fill
from postbatch_bench.ground import progress
from postbatch_bench.rounds import add_median, add_ratio, median

NAME = "backlog"
TITLE = "10 thousand to 10 million events waiting; a held snapshot"
SCALES = ("tiny", "quick", "normal", "full")
PROMISES = ("backlog_cost_ratio", "held_snapshot_cost_ratio")
PEOPLE = 100000
TOGETHER = 100000  # mails that make one sample, in one run or several


def sizes(bench):
    found = bench.pick(tiny=(50, 100), quick=(10000, 100000),
                       normal=(10000, 100000, 1000000),
                       full=(10000, 100000, 1000000, 10000000))
    most = bench.options.backlog
    if most:
        found = tuple(n for n in found if n < most) + (most,)
    return found


def start_up_s(bench):
    """CPU seconds of a run that finds nothing to do: (worker, PostgreSQL)."""
    runs = [bench.world.once("", 0, bench.setup)
            for _ in range(bench.pick(tiny=1, quick=2, normal=5))]
    return (median([r.worker_cpu_s for r in runs]),
            median([r.pg_cpu_s for r in runs]))


def cost(bench, events, held, start_up):
    """Microseconds a mail, of worker and PostgreSQL, start-up taken off."""
    filled = fill.one_to_one(events, bench.size, min(events, PEOPLE))
    repeat = max(1, min(10, bench.pick(tiny=1, quick=20000, normal=TOGETHER)
                        // events))
    worker_s = pg_s = 0.0
    for _ in range(repeat):
        run = bench.world.once(filled, events, bench.setup, held)
        worker_s += run.worker_cpu_s - start_up[0]
        pg_s += run.pg_cpu_s - start_up[1]
    mails = events * repeat
    return worker_s / mails * 1e6, pg_s / mails * 1e6


def run(bench):
    results = bench.results
    start_up = start_up_s(bench)
    results.add("start_up_cpu_ms", sum(start_up) * 1000, "ms",
                "of worker and PostgreSQL, of a run without events")
    seen = {}
    counts = sizes(bench)
    # Two rounds for what is small: the largest takes its time.
    for number in range(bench.rounds(tiny=1, quick=1, normal=2)):
        for events in counts:
            if number > 0 and events > 1000000:
                continue
            for held in (False, True):
                progress("round %d: %d events%s" % (
                    number + 1, events, ", held snapshot" if held else ""))
                seen.setdefault((events, held), []).append(
                    cost(bench, events, held, start_up))
    for (events, held), found in seen.items():
        name = "backlog_%d%s" % (events, "_held" if held else "")
        add_median(results, name + "_cpu_us_per_mail",
                   [sum(f) for f in found], "us",
                   "PostgreSQL %.1f, worker %.1f" %
                   (median([f[1] for f in found]),
                    median([f[0] for f in found])), 1)

    def costs(events, held):
        return [sum(found) for found in seen[events, held]]

    most = counts[-1]
    add_ratio(results, "backlog_cost_ratio", costs(most, False),
              costs(counts[0], False),
              "CPU a mail of PostgreSQL and worker, %d over %d waiting" %
              (most, counts[0]))
    add_ratio(results, "held_snapshot_cost_ratio", costs(most, True),
              costs(most, False),
              "the same, with a held snapshot over without, %d waiting" %
              most)
