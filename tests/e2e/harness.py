"""What end-to-end tests stand on: a private PostgreSQL, the sink, Postfix and
the dispatcher, all on free loopback ports, all stopped when a test ends.

Nothing here sleeps for luck: wait_for() polls a condition until its deadline.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
BUILD = os.environ.get("POSTBATCH_BUILD", os.path.join(ROOT, "build"))
POSTBATCH = os.path.join(BUILD, "postbatch")
SINK = os.path.join(BUILD, "postbatch-sink")
SANITIZED = bool(os.environ.get("POSTBATCH_SANITIZED"))
# Everything is slower under the sanitizers; deadlines are, too.
PATIENCE = 4 if SANITIZED else 1


def wait_for(condition, what, seconds=30):
    """Polls condition() until it is true; fails naming what was awaited."""
    deadline = time.monotonic() + seconds * PATIENCE
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError("waited %d s in vain for: %s" %
                         (seconds * PATIENCE, what))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def stop_process(process, seconds=20):
    """SIGTERM, then SIGKILL; gives the exit status."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(seconds * PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    return process.returncode


class Postgres:
    """A private cluster; one a test class, with a database a test."""

    def __init__(self, fast=True):
        self.directory = tempfile.mkdtemp(prefix="postbatch-pg-")
        os.chmod(self.directory, 0o755)
        self.script = os.path.join(ROOT, "bench", "private-postgres")
        command = ["sh", self.script, "start", self.directory]
        if fast:
            command.append("--fast")
        done = subprocess.run(command, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE)
        if done.returncode != 0:
            raise RuntimeError("private-postgres: " + done.stderr.decode())
        self.conninfo = done.stdout.decode().strip().splitlines()[-1]

    def stop(self):
        subprocess.run(["sh", self.script, "stop", self.directory],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        shutil.rmtree(self.directory, ignore_errors=True)

    def database(self, name):
        """Creates an empty database and gives its conninfo."""
        psql(self.conninfo, 'DROP DATABASE IF EXISTS "%s" WITH (FORCE)' % name)
        psql(self.conninfo, 'CREATE DATABASE "%s"' % name)
        return self.conninfo + " dbname=" + name


def psql(conninfo, sql, check=True):
    """Runs SQL; gives the rows as lists of strings."""
    done = subprocess.run(
        ["psql", "-X", "-q", "-A", "-t", "-F", "\x1f", "-v",
         "ON_ERROR_STOP=1", conninfo],
        input=sql.encode(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if check and done.returncode != 0:
        raise AssertionError("psql: " + done.stderr.decode())
    return [line.split("\x1f")
            for line in done.stdout.decode().split("\n") if line]


def value(conninfo, sql):
    """The single value of a query."""
    rows = psql(conninfo, sql)
    return rows[0][0] if rows else None


class Sink:
    """The project's own relay for tests; see postbatch-sink --help."""

    def __init__(self, *options, directory=None):
        self.directory = directory or tempfile.mkdtemp(prefix="postbatch-sink-")
        self.port_file = os.path.join(self.directory, "port")
        self.summary_file = os.path.join(self.directory, "summary.json")
        self.process = subprocess.Popen(
            [SINK, "--listen", "127.0.0.1:0", "--port-file", self.port_file,
             "--summary", self.summary_file, "--count"] + list(options),
            stdout=subprocess.DEVNULL)
        wait_for(lambda: os.path.exists(self.port_file) and
                 open(self.port_file).read().strip(), "the sink to listen")
        self.port = int(open(self.port_file).read().split()[0].split(":")[-1])

    def summary(self):
        """What the sink has seen until now."""
        before = (os.stat(self.summary_file).st_mtime_ns
                  if os.path.exists(self.summary_file) else 0)
        self.process.send_signal(signal.SIGUSR1)
        wait_for(lambda: os.path.exists(self.summary_file) and
                 os.stat(self.summary_file).st_mtime_ns > before,
                 "the sink's summary")
        with open(self.summary_file) as f:
            return json.load(f)

    def stop(self):
        stop_process(self.process)
        with open(self.summary_file) as f:
            summary = json.load(f)
        shutil.rmtree(self.directory, ignore_errors=True)
        return summary


class Dispatcher:
    """Starts postbatch commands with a configuration of their own."""

    def __init__(self, conninfo, port, settings=(), templates=None,
                 relay=()):
        self.directory = tempfile.mkdtemp(prefix="postbatch-run-")
        self.config = os.path.join(self.directory, "postbatch.ini")
        self.settings = dict([
            ("database.dsn", conninfo),
            ("templates.path", templates or os.path.join(ROOT, "templates")),
            ("mail.from_email", "notify@example.org"),
            ("mail.domain", "notify.example.org"),
            ("relay.main.host", "127.0.0.1"),
            ("relay.main.port", str(port)),
            ("relay.main.tls", "none"),
        ])
        self.settings.update(dict(settings))
        self.write_config()
        self.processes = []

    def write_config(self):
        sections = {}
        for key, text in self.settings.items():
            section, name = key.rsplit(".", 1)
            sections.setdefault(section.replace(".", " "), []).append(
                "%s = %s\n" % (name, text))
        with open(self.config, "w") as f:
            for section, lines in sections.items():
                f.write("[%s]\n%s\n" % (section, "".join(lines)))

    def command(self, *arguments, **options):
        """Runs a command to its end; gives the CompletedProcess (text)."""
        return subprocess.run([POSTBATCH, "-c", self.config] +
                              list(arguments), stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, **options)

    def must(self, *arguments, **options):
        """As command(); a non-zero status fails the test."""
        done = self.command(*arguments, **options)
        if done.returncode != 0:
            raise AssertionError("postbatch %s: exit %d\n%s%s" %
                                 (" ".join(arguments), done.returncode,
                                  done.stdout, done.stderr))
        return done

    def start(self, *arguments):
        """Starts "postbatch run" in the background; log in self.log."""
        self.log = os.path.join(self.directory, "log")
        with open(self.log, "ab") as log:
            process = subprocess.Popen(
                [POSTBATCH, "-c", self.config, "run"] + list(arguments),
                stdout=log, stderr=log)
        self.processes.append(process)
        return process

    def read_log(self):
        with open(self.log) as f:
            return f.read()

    def stop(self):
        for process in self.processes:
            stop_process(process)
        shutil.rmtree(self.directory, ignore_errors=True)


class DispatchCase(unittest.TestCase):
    """A test with its own database, sink and dispatcher.

    Subclasses may set sink_options and settings.
    """

    sink_options = ()
    settings = ()

    @classmethod
    def setUpClass(cls):
        cls.postgres = Postgres()

    @classmethod
    def tearDownClass(cls):
        cls.postgres.stop()

    def setUp(self):
        self.dsn = self.postgres.database("test")
        self.sink = Sink(*self.sink_options)
        self.dispatcher = Dispatcher(self.dsn, self.sink.port, self.settings)
        self.addCleanup(self.end)
        self.dispatcher.must("migrate")

    def end(self):
        self.dispatcher.stop()
        if self.sink.process.poll() is None:
            self.sink.stop()

    def sql(self, text):
        return psql(self.dsn, text)

    def value(self, text):
        return value(self.dsn, text)


@contextlib.contextmanager
def temporary_directory(prefix="postbatch-"):
    directory = tempfile.mkdtemp(prefix=prefix)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
