"""A world for each run: a database with events in it, a sink, the dispatcher;
and what the run cost each of them.

All runs share one cluster with durable commits, as a site would have it; each
has a database and a sink of its own, so that none sees what another left.
"""

import contextlib
import dataclasses
import os
import shutil
import subprocess
import tempfile
import time

from postbatch_bench import ground, procfs
from postbatch_bench.ground import TEMPLATES

LONGEST_S = 1200  # of one run


@dataclasses.dataclass(frozen=True)
class Setup:
    """How the dispatcher and the sink of a run are set up."""

    lanes: int = 4
    window: int = 64
    gear: str = "auto"
    workers: int = 1
    round_trip_ms: float = 0
    dot_delay_ms: float = 0
    temporary: float = 0    # share of mails refused for now, 0 to 1
    permanent: float = 0    # ... refused for good
    dropped: float = 0      # ... that end their connection without a reply
    tls: str = "none"

    def but(self, **changes):
        return dataclasses.replace(self, **changes)


@dataclasses.dataclass
class Figures:
    """What a run cost. CPU is user and system; PostgreSQL's is that of all
    processes of the cluster, the worker's that of all its processes."""

    mails: int
    wall_s: float
    worker_cpu_s: float
    pg_cpu_s: float
    wal_bytes: int
    rss_mb: float
    sink: dict

    @property
    def mails_per_s(self):
        return self.mails / self.wall_s

    def _each(self, seconds):
        return seconds / self.mails * 1e6

    @property
    def pg_us(self):
        return self._each(self.pg_cpu_s)

    @property
    def worker_us(self):
        return self._each(self.worker_cpu_s)

    @property
    def both_us(self):
        """Microseconds a mail of PostgreSQL and worker together."""
        return self.pg_us + self.worker_us

    @property
    def sink_us(self):
        return (self.sink["cpu_user_us_per_mail"] +
                self.sink["cpu_system_us_per_mail"])

    @property
    def at_relay_per_s(self):
        """Mails a second from the first to the last at the relay, without
        the start of the program."""
        return self.mails / max(self.sink["mail_seconds"], 1e-6)


class World:
    """The cluster and all that runs on it. relay: "HOST:PORT" of a given
    relay, in place of the sink. fast: commits that are not durable, for trying
    the harness itself."""

    def __init__(self, build, results, relay=None, fast=False):
        self.build = os.path.abspath(build)
        self.harness = ground.use(build)
        self.results = results
        self.relay = relay
        self.directory = tempfile.mkdtemp(prefix="postbatch-bench-")
        self.numbers = iter(range(1, 1000000))
        self.admin = None
        self.cluster = self.harness.Postgres(fast=fast)
        try:
            # One session for all that is asked of the cluster itself.
            self.admin = self.harness.Session(self.cluster.conninfo)
            self.pid = self._postmaster()
            # Quicker where nothing waits for the disk; PostgreSQL 15 has it.
            version = int(self.admin.value("SHOW server_version_num"))
            self.how = ("STRATEGY file_copy" if fast and version >= 150000
                        else "")
            self._make_base()
        except BaseException:
            self.stop()
            raise

    def _make_base(self):
        """The migrated database that every run's is a copy of."""
        dispatcher = self.harness.Dispatcher(self.cluster.database("base"), 0)
        try:
            dispatcher.must("migrate")
        finally:
            dispatcher.stop()

    def _postmaster(self):
        data = self.admin.value("SHOW data_directory")
        with open(os.path.join(data, "postmaster.pid")) as f:
            return int(f.readline())

    def stop(self):
        if self.admin is not None:
            self.admin.close()
        self.cluster.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    # ---- PostgreSQL -------------------------------------------------------

    def sql(self, dsn, text):
        return self.harness.psql(dsn, text)

    def value(self, dsn, text):
        return self.harness.value(dsn, text)

    def pg_cpu(self):
        """CPU seconds of the whole cluster since it was started."""
        return procfs.tree_cpu(self.pid)

    def wal(self):
        return int(self.admin.value("SELECT pg_wal_lsn_diff("
                                    "pg_current_wal_insert_lsn(), '0/0')"
                                    "::bigint"))

    @contextlib.contextmanager
    def database(self, fill=""):
        """A database of its own, migrated and filled; gives its conninfo."""
        name = "run%d" % next(self.numbers)
        self.admin.run("CREATE DATABASE %s TEMPLATE base %s" %
                       (name, self.how))
        dsn = self.cluster.conninfo + " dbname=" + name
        try:
            if fill:
                self.sql(dsn, fill)
            self.admin.run("CHECKPOINT")
            yield dsn
        finally:
            self.admin.run("DROP DATABASE %s WITH (FORCE)" % name)

    @contextlib.contextmanager
    def held_snapshot(self, dsn):
        """A forgotten transaction: its snapshot stays open meanwhile."""
        session = self.harness.Session(dsn)
        try:
            session.run("BEGIN ISOLATION LEVEL REPEATABLE READ")
            session.run("SELECT count(*) FROM postbatch.route")
            yield
            session.run("COMMIT")
        finally:
            session.close()

    # ---- the sink ---------------------------------------------------------

    def certificate(self):
        """A self-signed certificate for the sink: (cert, key), made once."""
        cert = os.path.join(self.directory, "cert.pem")
        key = os.path.join(self.directory, "key.pem")
        if not os.path.exists(cert):
            subprocess.run(
                ["openssl", "req", "-x509", "-nodes", "-newkey", "ec",
                 "-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj",
                 "/CN=sink.example", "-addext",
                 "subjectAltName=IP:127.0.0.1", "-days", "30", "-keyout",
                 key, "-out", cert], check=True, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL)
        return cert, key

    def sink_options(self, setup, mails):
        options = ["--expect", str(max(mails, 1))]
        for name, text in (("--rtt", setup.round_trip_ms),
                           ("--dot-delay", setup.dot_delay_ms)):
            if text:
                options += [name, str(text)]
        for verb, share, action in (
                ("rcpt", setup.permanent, "550 5.1.1 no such user"),
                ("rcpt", setup.temporary, "450 4.2.1 mailbox busy"),
                ("content", setup.dropped, "drop-after")):
            if share:
                options += ["--fault", "%s@rate:%g=%s" % (verb, share,
                                                          action)]
        if setup.tls == "starttls":
            options += ["--starttls"] + list(self.certificate())
        elif setup.tls != "none":
            options += ["--cert"] + list(self.certificate())
        return options

    @contextlib.contextmanager
    def sink(self, setup=Setup(), mails=0, keeps=(), more=()):
        options = self.sink_options(setup, mails) + list(more)
        sink = self.harness.Sink(*options, keeps=keeps)
        try:
            yield sink
        finally:
            if sink.process.poll() is None:
                sink.stop()
            shutil.rmtree(sink.directory, ignore_errors=True)

    # ---- the dispatcher ---------------------------------------------------

    @contextlib.contextmanager
    def dispatcher(self, dsn, setup, port, **more):
        """A configured dispatcher; its processes end with the block."""
        settings = {
            "relay.main.lanes": setup.lanes,
            "relay.main.window": setup.window,
            "relay.main.gear": setup.gear,
            "relay.main.tls": setup.tls,
            "worker.processes": setup.workers,
            "log.level": "warn",
        }
        if setup.tls != "none":
            settings["relay.main.ca_file"] = self.certificate()[0]
        if self.relay:
            settings["relay.main.host"], port = self.relay.rsplit(":", 1)
        settings.update((name.replace("__", "."), text)
                        for name, text in more.items())
        found = self.harness.Dispatcher(dsn, port, settings,
                                        templates=TEMPLATES)
        try:
            yield found
        finally:
            found.stop()

    @contextlib.contextmanager
    def service(self, dispatcher, *arguments):
        """"postbatch run" in the background; gives its process, which is
        ended with the block. Its memory is noted."""
        process = dispatcher.start(*arguments)
        yield process
        self.results.memory(max(map(procfs.peak_rss_mb, [process.pid] +
                                    procfs.children(process.pid))))
        if self.harness.stop_process(process) != 0:
            raise RuntimeError("postbatch run: exit %d\n%s" % (
                process.returncode, dispatcher.read_log()[-2000:]))

    def once(self, fill, mails, setup=Setup(), held=False, **settings):
        """Fills a database, dispatches until nothing is left that is due, and
        gives the Figures; mails is how many must come. held: a forgotten
        transaction holds a snapshot, from before the events on."""
        with contextlib.ExitStack() as stack:
            dsn = stack.enter_context(self.database())
            if held:
                stack.enter_context(self.held_snapshot(dsn))
            if fill:
                self.sql(dsn, fill)
            self.admin.run("CHECKPOINT")
            return self.dispatch(dsn, mails, setup, **settings)

    def dispatch(self, dsn, mails, setup=Setup(), **settings):
        """once() on a database that is filled already."""
        if self.relay:
            with self.dispatcher(dsn, setup, 0, **settings) as dispatcher:
                figures = self.measure(dispatcher)
            figures.mails = int(self.value(
                dsn, "SELECT count(*) FROM postbatch.ledger"
                " WHERE verdict = 1"))
            return self.check(figures, mails)
        with self.sink(setup, mails) as sink, \
                self.dispatcher(dsn, setup, sink.port,
                                **settings) as dispatcher:
            figures = self.measure(dispatcher)
            figures.sink = sink.summary()
            figures.mails = figures.sink["distinct"]
            return self.check(figures, mails)

    def measure(self, dispatcher):
        """Runs "postbatch run --once": Figures without mails and sink."""
        wal, cpu = self.wal(), self.pg_cpu()
        began = time.monotonic()
        process = dispatcher.start("--once")
        ended = procfs.watch(process, began, LONGEST_S)
        if ended.status != 0:
            raise RuntimeError("postbatch run: exit %d\n%s" %
                               (ended.status, dispatcher.read_log()[-2000:]))
        figures = Figures(0, ended.wall_s, ended.cpu_s, self.pg_cpu() - cpu,
                          self.wal() - wal, ended.rss_mb, {})
        self.results.memory(ended.rss_mb)
        return figures

    def check(self, figures, mails):
        """Figures of mails that were lost or came twice mean nothing."""
        doubles = figures.sink.get("doubles", 0)
        offences = figures.sink.get("offences", [])
        if figures.mails != mails or doubles:
            raise RuntimeError("the relay saw %d of %d mails, %d twice" %
                               (figures.mails, mails, doubles))
        if offences:
            raise RuntimeError("the sink saw an offence: %s" % offences[0])
        return figures
