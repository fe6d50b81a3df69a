"""What end-to-end tests stand on: a private PostgreSQL, the sink, Postfix and
the dispatcher, all on free loopback ports, all stopped when a test ends.

Nothing here sleeps for luck: wait_for() polls a condition until its deadline.
"""

import atexit
import contextlib
import email
import email.policy
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
BUILD = os.environ.get("TEST_BUILD", os.path.join(ROOT, "build"))
POSTBATCH = os.path.join(BUILD, "postbatch")
SINK = os.path.join(BUILD, "postbatch-sink")
SANITIZED = bool(os.environ.get("TEST_SANITIZED"))
# The tests' own variables look like settings to postbatch, which refuses
# those that it does not know.
ENVIRONMENT = {name: text for name, text in os.environ.items()
               if not name.startswith("POSTBATCH_")}
# Everything is slower under the sanitizers; deadlines are, too.
PATIENCE = 4 if SANITIZED else 1


def scaled(count):
    """A number of events or letters: a tenth of it under the sanitizers."""
    return count // 10 if SANITIZED else count


def measured(text):
    """A figure for whoever runs the tests: tests/run shows the line."""
    print("\nmeasured: " + text, flush=True)


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


def peak_memory_mb(pid):
    """The most memory a process ever had resident, in MB."""
    with open("/proc/%d/status" % pid) as f:
        for line in f:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    raise AssertionError("process %d tells no VmHWM" % pid)


class Postgres:
    """A private cluster; one a test class, with a database a test."""

    def __init__(self, fast=True, directory=None):
        self.directory = directory or tempfile.mkdtemp(prefix="postbatch-pg-")
        os.makedirs(self.directory, exist_ok=True)
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
        subprocess.run(["sh", self.script, "remove", self.directory],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def log(self):
        """What the server has logged."""
        elsewhere = os.path.join(self.directory, "elsewhere")
        home = (read_bytes(elsewhere).decode().strip()
                if os.path.exists(elsewhere) else self.directory)
        with open(os.path.join(home, "server.log"), errors="replace") as f:
            return f.read()

    def restart(self, mode="fast"):
        """Stops and starts the server; mode "immediate" is a crash."""
        subprocess.run(["sh", self.script, "restart", self.directory, mode],
                       check=True)

    def database(self, name, template="template1"):
        """Creates a database, a copy of template; gives its conninfo."""
        psql(self.conninfo, 'DROP DATABASE IF EXISTS "%s" WITH (FORCE)' % name)
        psql(self.conninfo, 'CREATE DATABASE "%s" TEMPLATE "%s"' %
             (name, template))
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


class Session:
    """A psql that stays open, for transactions that take their time."""

    MARK = "\x1e"

    def __init__(self, conninfo):
        self.process = subprocess.Popen(
            ["stdbuf", "-oL", "psql", "-X", "-q", "-A", "-t", "-F", "\x1f",
             conninfo], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True)

    def run(self, sql):
        """Runs SQL; gives the rows. An error raises what the server said."""
        self.process.stdin.write("%s;\n\\echo %s :ERROR\n" %
                                 (sql, self.MARK))
        self.process.stdin.flush()
        lines = []
        for line in self.process.stdout:
            if line.startswith(self.MARK):
                if line.split()[-1] == "true":
                    raise AssertionError("psql: " + "".join(lines))
                return [kept.rstrip("\n").split("\x1f") for kept in lines]
            lines.append(line)
        raise AssertionError("psql ended: " + "".join(lines))

    def value(self, sql):
        return self.run(sql)[0][0]

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


class Sink:
    """The project's own relay for tests; see postbatch-sink --help.

    keeps: "maildir" for mails() and "log" for arrivals(). A port that is not
    given is any free one.
    """

    def __init__(self, *options, directory=None, keeps=(), port=0):
        self.directory = directory or tempfile.mkdtemp(prefix="postbatch-sink-")
        self.port_file = os.path.join(self.directory, "port")
        self.summary_file = os.path.join(self.directory, "summary.json")
        self.maildir = os.path.join(self.directory, "maildir")
        self.log = os.path.join(self.directory, "mails.log")
        options = list(options)
        if "maildir" in keeps:
            options += ["--maildir", self.maildir]
        if "log" in keeps:
            options += ["--mbox-log", self.log]
        self.process = subprocess.Popen(
            [SINK, "--listen", "127.0.0.1:%d" % port,
             "--port-file", self.port_file,
             "--summary", self.summary_file, "--count"] + options,
            stdout=subprocess.DEVNULL)
        wait_for(lambda: os.path.exists(self.port_file) and
                 read_bytes(self.port_file).strip(), "the sink to listen")
        self.port = int(read_bytes(self.port_file).split()[0].split(b":")[-1])

    def summary(self):
        """What the sink has seen until now."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.summary_file)
        self.process.send_signal(signal.SIGUSR1)
        wait_for(lambda: os.path.exists(self.summary_file),
                 "the sink's summary")
        with open(self.summary_file) as f:
            return json.load(f)

    def accepted(self):
        return self.summary()["accepted"]

    def files(self):
        """Paths of the mails that came, in their order."""
        new = os.path.join(self.maildir, "new")
        return [os.path.join(new, name) for name in sorted(
            os.listdir(new), key=lambda n: int(n.split("Q")[1].split(".")[0]))]

    def mails(self):
        """The mails that came, in their order, as Python parses them."""
        return [email.message_from_bytes(read_bytes(path),
                                         policy=email.policy.default)
                for path in self.files()]

    def arrivals(self):
        """A tuple a mail: time, Message-ID, sender, recipients."""
        self.summary()  # it writes the log out as well
        with open(self.log) as f:
            rows = [line.rstrip("\n").split("\t") for line in f]
        return [(float(r[0]), r[1], r[2], r[3]) for r in rows]

    def stop(self):
        stop_process(self.process)
        with open(self.summary_file) as f:
            summary = json.load(f)
        shutil.rmtree(self.directory, ignore_errors=True)
        return summary


def read_bytes(path):
    with open(path, "rb") as f:
        return f.read()


def make_type(templates, name, subject="{{subject}}", text="{{subject}}\n",
              html="<p>{{subject}}</p>\n", **contract):
    """Adds an event type to a folder of templates."""
    folder = os.path.join(templates, "tests", name)
    whole = {
        "description": "an event type for tests",
        "mailable": True,
        "keys": {
            "subject": {"type": "string", "required": True},
            "recipient": {"type": "any"},
            "recipients": {"type": "array"},
            "topic": {"type": "string"},
            "sender": {"type": "string"},
        },
        "roles": ["addressee", "subscriber"],
        "frequency": "instant",
        "urgency": "normal",
        "batching": {"rule": "each"},
        "headline": "{{subject}}",
        "samples": {
            "least": {"subject": "One"},
            "fullest": {"subject": "Two", "recipient": 1, "recipients": [1],
                        "topic": "news", "sender": "jane"},
        },
    }
    whole.update(contract)
    os.makedirs(folder)
    for file, content in (("contract.json", json.dumps(whole)),
                          ("subject.mustache", subject),
                          ("text.mustache", text), ("html.mustache", html)):
        with open(os.path.join(folder, file), "w") as f:
            f.write(content)
    return folder


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
            ("worker.journal", os.path.join(self.directory, "journal")),
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
                              stderr=subprocess.PIPE, text=True,
                              env=ENVIRONMENT, **options)

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
                stdout=log, stderr=log, env=ENVIRONMENT)
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

    Subclasses may set sink_options, keeps (see Sink) and settings; types, a
    dictionary of event types (see make_type), makes a folder of templates.
    """

    sink_options = ()
    keeps = ()
    settings = ()
    types = None

    shared = None  # the cluster of all cases of a program

    @classmethod
    def setUpClass(cls):
        if DispatchCase.shared is None:
            DispatchCase.shared = Postgres()
            atexit.register(DispatchCase.shared.stop)
            base = DispatchCase.shared.database("base")
            dispatcher = Dispatcher(base, 0)
            dispatcher.must("migrate")
            dispatcher.stop()
        cls.postgres = DispatchCase.shared

    def setUp(self):
        self.dsn = self.postgres.database("test", template="base")
        self.sink = Sink(*self.sink_options, keeps=self.keeps)
        self.addCleanup(self.stop_sink)
        self.dispatcher = Dispatcher(self.dsn, self.sink.port, self.settings,
                                     templates=self.make_templates())
        self.addCleanup(self.dispatcher.stop)

    def make_templates(self):
        if self.types is None:
            return None
        templates = tempfile.mkdtemp(prefix="postbatch-templates-")
        self.addCleanup(shutil.rmtree, templates, ignore_errors=True)
        shutil.copytree(os.path.join(ROOT, "templates", "generic"),
                        os.path.join(templates, "generic"))
        for name in os.listdir(os.path.join(ROOT, "templates")):
            if name.endswith(".mustache"):
                shutil.copy(os.path.join(ROOT, "templates", name), templates)
        for name, contract in self.types.items():
            make_type(templates, name, **contract)
        return templates

    def stop_sink(self):
        if self.sink.process.poll() is None:
            self.sink.stop()
        shutil.rmtree(self.sink.directory, ignore_errors=True)

    # ---- the database --------------------------------------------------------

    def sql(self, text):
        return psql(self.dsn, text)

    def value(self, text):
        rows = self.sql(text)
        return rows[0][0] if rows else None

    def number(self, text):
        return int(self.value(text))

    def recipients(self, count, first=1):
        """Recipients with ids from first on; keys and addresses say them."""
        self.sql("INSERT INTO postbatch.recipient (id, key, email, name)"
                 " SELECT i, 'u' || i, 'u' || i || '@example.org',"
                 " 'User ' || i FROM generate_series(%d, %d) AS i" %
                 (first, first + count - 1))

    def emit(self, type_name, payload, urgency=None):
        """Appends one event; gives its id."""
        quoted = [part.replace("'", "''")
                  for part in (type_name, json.dumps(payload), urgency or "")]
        return self.number("SELECT postbatch.emit('%s', '%s'::jsonb, '%s')" %
                           tuple(quoted))

    def emit_notices(self, count, size=40, recipients=None, urgency=None):
        """Appends notices, the i-th to the recipient 1 + i modulo recipients,
        with a body of about size bytes."""
        self.sql("""
            SELECT count(postbatch.emit('notice', jsonb_build_object(
                     'recipient', 1 + i %% %d, 'subject', 'Notice ' || i,
                     'body', repeat('All is well. ', %d)), '%s'))
              FROM generate_series(0, %d) AS i""" %
                 (recipients or count, max(1, size // 13), urgency or "",
                  count - 1))

    def verdicts(self):
        """{verdict: rows of the ledger}, by the names of "stats"."""
        names = {"1": "sent", "2": "deferred", "3": "failed", "4": "unsure",
                 "5": "skipped", "6": "resent"}
        return {names[v]: int(n) for v, n in self.sql(
            "SELECT verdict, count(*) FROM postbatch.ledger GROUP BY 1")}

    def is_drained(self):
        """No event waits and no letter; held digests do not count."""
        stats = json.loads(self.dispatcher.must("stats", "--json").stdout)
        return not (stats["waiting_events"] or stats["waiting_letters"] or
                    stats["leased_letters"] or stats["later_letters"] or
                    stats["fanouts"])

    # ---- the dispatcher ------------------------------------------------------

    def run_once(self, *options, seconds=60):
        """Runs the dispatcher until nothing is left that is due."""
        return self.dispatcher.must(*options, "run", "--once",
                                    timeout=seconds * PATIENCE)

    def wait_accepted(self, count, seconds=30):
        """Waits until the sink has so many mails."""
        wait_for(lambda: self.sink.accepted() >= count,
                 "%d mails at the sink" % count, seconds)

    def assert_each_once(self, count):
        """Every one of count letters came exactly once, in good form."""
        summary = self.sink.summary()
        found = {key: summary[key] for key in (
            "distinct", "doubles", "accepted", "anonymous")}
        self.assertEqual(found, {"distinct": count, "doubles": 0,
                                 "accepted": count, "anonymous": 0},
                         summary["double_examples"])
        self.assert_no_offence(summary)
        return summary

    def assert_no_offence(self, summary):
        """The sink saw nothing that the standards forbid."""
        self.assertEqual(summary["offences"], [])


@contextlib.contextmanager
def temporary_directory(prefix="postbatch-"):
    directory = tempfile.mkdtemp(prefix=prefix)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
