"""A relay that refuses: some mails for now (they are tried again at once),
some for good, some left without a reply when their connection ends. Nothing
may be lost; what comes twice must have been unsure before.
"""

import time

from postbatch_bench import fill
from postbatch_bench.rounds import add_median, in_rounds

NAME = "failures"
TITLE = "a relay that refuses, defers and hangs up"
SCALES = ("tiny", "normal", "full")
PROMISES = ("failures_mails_per_s", "failures_lost")
LONGEST_S = 300


def shares(options):
    """What the command line says, or the usual bad day."""
    given = (options.temporary, options.permanent, options.dropped)
    if given == (None, None, None):
        given = (0.05, 0.01, 0.0005)
    return [share or 0 for share in given]


def settle(world, dsn, mails, dispatcher, process):
    """Waits until every letter is sent or failed; gives the seconds."""
    began = time.monotonic()
    while time.monotonic() - began < LONGEST_S:
        ended = int(world.value(  # by its tables: the view costs more
            dsn, "SELECT (SELECT count(*) FROM postbatch.ledger_letter"
            " WHERE verdict IN (1, 3)) + (SELECT coalesce(sum(n), 0)"
            " FROM postbatch.ledger_batch)"))
        if ended >= mails:
            return time.monotonic() - began
        if process.poll() is not None:
            raise RuntimeError("postbatch run: exit %d\n%s" % (
                process.returncode, dispatcher.read_log()[-2000:]))
        time.sleep(0.1)
    raise RuntimeError("after %d s %d of %d letters have their end" %
                       (LONGEST_S, ended, mails))


def once(bench, setup, mails):
    world = bench.world
    with world.database(fill.one_to_one(mails, bench.size)) as dsn, \
            world.sink(setup, mails) as sink, \
            world.dispatcher(dsn, setup, sink.port, retry__first="1ms",
                             retry__max="1s", relay__main__rest="10ms",
                             relay__main__rest_max="50ms") as dispatcher:
        with world.service(dispatcher) as process:
            seconds = settle(world, dsn, mails, dispatcher, process)
        verdicts = {int(v): int(n) for v, n in world.sql(
            dsn, "SELECT verdict, count(*) FROM postbatch.ledger GROUP BY 1")}
        return seconds, verdicts, sink.summary()


def run(bench):
    bench.needs_sink()
    temporary, permanent, dropped = shares(bench.options)
    setup = bench.setup.but(temporary=temporary, permanent=permanent,
                            dropped=dropped)
    results, mails = bench.results, bench.mails(tiny=100, normal=50000)
    runs = in_rounds({"failures": lambda: once(bench, setup, mails)},
                     bench.rounds(tiny=1, normal=2))["failures"]
    note = "%g%% refused for now, %g%% for good, %g%% without a reply" % (
        temporary * 100, permanent * 100, dropped * 100)
    add_median(results, "failures_mails_per_s", [mails / r[0] for r in runs],
               "mails/s", note + "; until every letter has its end")
    lost = doubles = unsure = 0
    for _, verdicts, seen in runs:
        lost += max(0, verdicts.get(1, 0) - seen["distinct"])
        doubles += seen["doubles"]
        unsure += verdicts.get(4, 0)
    results.add("failures_lost", lost, "mails", "sent, but never came")
    results.add("failures_doubles", doubles, "mails",
                "came twice; %d were unsure and sent again" % unsure)
    results.add("failures_deferred", runs[-1][1].get(2, 0), "",
                "verdicts, of one run")
    results.add("failures_failed", runs[-1][1].get(3, 0), "",
                "verdicts, of one run")
    if lost or doubles > unsure:
        raise RuntimeError("%d lost, %d twice, %d unsure" %
                           (lost, doubles, unsure))
