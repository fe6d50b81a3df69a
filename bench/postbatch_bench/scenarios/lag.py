"""Lag: from the commit of an event to the relay's 250 for its mail, at a
steady rate of events.

An application is played by a psql that commits every few milliseconds; the
time of a commit is when psql has its answer. The sink's log says when a mail
was accepted, and its recipient which event it was: each has its own.
"""

import contextlib
import time

from postbatch_bench import fill
from postbatch_bench.ground import progress

NAME = "lag"
TITLE = "from the commit to the relay's 250, at 10, 1,000 and 10,000 mails/s"
SCALES = ("tiny", "quick", "normal", "full")
PROMISES = ("lag_p50_ms", "lag_p99_ms")
TICK_S = 0.01
PERCENTILES = (50, 90, 99, 100)
TOLD = 1000  # the rate whose figures are lag_p50_ms and lag_p99_ms


def emit(session, rate, seconds, size):
    """Commits events at that rate; gives [(first number, end, time)] of the
    transactions and how long it took."""
    committed, number = [], 1
    began = time.monotonic()
    while True:
        now = time.monotonic() - began
        if now >= seconds:
            return committed, now
        due = int(now * rate) + 1
        if due > number:
            session.run(
                "INSERT INTO postbatch.event (type, payload) SELECT"
                " 'measure', %s FROM generate_series(%d, %d) AS i" % (
                    fill.payload("'recipient', i", "i", size), number,
                    due - 1))
            committed.append((number, due, time.time()))
            number = due
        time.sleep(max(0, max(TICK_S, 1 / rate) -
                       (time.monotonic() - began - now)))


def percentile(ordered, share):
    return ordered[min(len(ordered) - 1, int(len(ordered) * share / 100))]


def lags_ms(committed, arrivals):
    """Sorted lags, of all mails."""
    at = {row[3]: row[0] for row in arrivals}
    return sorted(
        (at["user%d@example.net" % number] - when) * 1000
        for first, end, when in committed for number in range(first, end))


def once(bench, rate, seconds):
    """Gives (sorted lags in ms, the rate that was kept)."""
    world, most = bench.world, int(rate * seconds) + 1
    with world.database(fill.recipients(most)) as dsn, \
            world.sink(bench.setup, most, keeps=("log",)) as sink, \
            world.dispatcher(dsn, bench.setup, sink.port) as dispatcher:
        with world.service(dispatcher), contextlib.closing(
                world.harness.Session(dsn)) as session:
            world.harness.wait_for(
                lambda: world.value(dsn, "SELECT count(*) FROM"
                                    " postbatch.worker") != "0",
                "the worker to start")
            committed, took = emit(session, rate, seconds, bench.size)
            sent = committed[-1][1] - 1
            world.harness.wait_for(lambda: sink.accepted() >= sent,
                                   "%d mails" % sent, 60)
        return lags_ms(committed, sink.arrivals()), sent / took


def run(bench):
    bench.needs_sink()
    results, told = bench.results, None
    seconds = bench.pick(tiny=0.1, quick=3, normal=10)
    for rate in bench.pick(tiny=(TOLD,), quick=(TOLD,),
                           normal=(10, TOLD, 10000)):
        progress("%d mails/s" % rate)
        lags, kept = once(bench, rate, seconds)
        for share in PERCENTILES:
            name = "p%d" % share if share < 100 else "max"
            results.add("lag_%d_per_s_%s_ms" % (rate, name),
                        percentile(lags, share), "ms",
                        "%d mails, %.0f/s kept" % (len(lags), kept))
        if rate == TOLD:
            told = lags
    if told:
        for share in (50, 99):
            results.add("lag_p%d_ms" % share, percentile(told, share), "ms",
                        "commit to the relay's 250, at %d mails/s" % TOLD)
