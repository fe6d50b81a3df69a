"""The day of the digests: many letters were held for their recipients' day
and are due at once."""

from postbatch_bench import fill
from postbatch_bench.ground import Missing

NAME = "digest"
TITLE = "many daily letters due at once"
SCALES = ("tiny", "normal", "full")
PROMISES = ("digest_mails_per_s",)

DAILY = """
  INSERT INTO postbatch.preference (type, role, frequency)
  VALUES ('gathered', 'addressee', 'daily');"""


def run(bench):
    """Holds the letters, makes them all due, and sends them."""
    bench.needs_sink()
    world, each = bench.world, bench.options.events_per_recipient
    mails = bench.mails(tiny=100, normal=50000)
    filled = DAILY + fill.gathered(mails, each, bench.size)
    with world.database(filled) as dsn, \
            world.sink(bench.setup, mails) as sink, \
            world.dispatcher(dsn, bench.setup, sink.port) as dispatcher:
        holding = world.measure(dispatcher)
        held = int(world.value(dsn, "SELECT coalesce(sum(cardinality("
                               "event_ids)), 0) FROM postbatch.held"))
        if held == 0:
            raise Missing("\"daily\" is sent at once: the dispatcher holds "
                          "no letters for a digest yet")
        world.sql(dsn, "UPDATE postbatch.held SET due_at = now()"
                       " - interval '1 second'")
        world.admin.run("CHECKPOINT")
        figures = world.measure(dispatcher)
        figures.sink = sink.summary()
        figures.mails = figures.sink["distinct"]
        world.check(figures, mails)
    results = bench.results
    results.add("digest_mails_per_s", figures.mails_per_s, "mails/s",
                "%d digests of %d events, all due at once" % (mails, each))
    results.add("digest_pg_cpu_us_per_mail", figures.pg_us, "us",
                "held to ledger")
    results.add("digest_worker_cpu_us_per_mail", figures.worker_us, "us")
    results.add("digest_holding_cpu_us_per_event",
                (holding.pg_cpu_s + holding.worker_cpu_s) / held * 1e6, "us",
                "event to held, PostgreSQL and worker")
