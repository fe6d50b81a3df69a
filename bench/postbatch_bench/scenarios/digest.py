"""The day of the digests: every recipient wants everything daily; the events
of a day are held first, then all letters are due at once."""

from postbatch_bench import fill
from postbatch_bench.rounds import add_median, in_rounds

NAME = "digest"
TITLE = "daily digests, all due at once"
SCALES = ("tiny", "normal", "full")
PROMISES = ("digest_mails_per_s",)

DAILY = """
  INSERT INTO postbatch.preference (type, role, frequency)
  VALUES ('measure', 'addressee', 'daily');"""
DUE = "UPDATE postbatch.held SET due_at = due_at - interval '2 days'"


def once(bench, filled, mails, events):
    """Holds the letters, makes them all due, and sends them: the Figures of
    holding and of sending."""
    world = bench.world
    with world.database(filled) as dsn, \
            world.sink(bench.setup, mails) as sink, \
            world.dispatcher(dsn, bench.setup, sink.port) as dispatcher:
        holding = world.measure(dispatcher)
        held = int(world.value(dsn, "SELECT coalesce(sum(cardinality("
                               "event_ids)), 0) FROM postbatch.held"))
        if held != events:
            raise RuntimeError("%d of %d events were held" % (held, events))
        holding.mails = events
        world.sql(dsn, DUE)
        world.admin.run("CHECKPOINT")
        sending = world.measure(dispatcher)
        sending.sink = sink.summary()
        sending.mails = sending.sink["distinct"]
        return holding, world.check(sending, mails)


def run(bench):
    bench.needs_sink()
    results, each = bench.results, bench.options.events_per_recipient
    mails = bench.mails(tiny=100, normal=50000)
    events = mails * each
    filled = DAILY + fill.one_to_one(events, bench.size, people=mails)
    runs = in_rounds({"digest": lambda: once(bench, filled, mails, events)},
                     bench.rounds(tiny=1, normal=2))["digest"]
    sent = [sending for _, sending in runs]
    add_median(results, "digest_mails_per_s", [r.mails_per_s for r in sent],
               "mails/s", "%d digests of %d events, held to ledger" %
               (mails, each))
    add_median(results, "digest_pg_cpu_us_per_mail", [r.pg_us for r in sent],
               "us", "all PostgreSQL processes, held to ledger", 1)
    add_median(results, "digest_worker_cpu_us_per_mail",
               [r.worker_us for r in sent], "us",
               "user and system, a digest of %d events" % each, 1)
    add_median(results, "digest_holding_cpu_us_per_event",
               [holding.both_us for holding, _ in runs], "us",
               "event to held, PostgreSQL and worker", 1)
