"""The programs of bench/peers: whether they can run here, and one run.

A peer says "ready", waits for a line, works, says "done"; what is measured
lies between (see bench/peers/README.md).
"""

import dataclasses
import os
import subprocess
import time

from postbatch_bench import fill, procfs
from postbatch_bench.ground import BENCH, TEMPLATES, Missing, program
from postbatch_bench.world import Figures

FOLDER = os.path.join(BENCH, "peers")
TABLE = """
  CREATE SCHEMA peer;
  CREATE TABLE peer.done (event_id bigint PRIMARY KEY,
                          at timestamptz NOT NULL DEFAULT now());"""
INSTALL = "; bench/install-peers installs it"


@dataclasses.dataclass(frozen=True)
class Peer:
    """name: of its figures; about: who it stands for; command: function of
    the build that gives the words, or raises Missing; mails: about how many
    it sends in three seconds."""

    name: str
    about: str
    command: object
    mails: int


def _path(*parts):
    return os.path.join(FOLDER, *parts)


def _nodemailer(build):
    if program("node") is None:
        raise Missing("node is not installed" + INSTALL)
    if not os.path.isdir(_path("nodemailer", "node_modules", "nodemailer")):
        raise Missing("nodemailer is not installed" + INSTALL)
    return ["node", _path("nodemailer", "peer.js")]


def _loads(words, what):
    """The interpreter's words, when it can load what the peer needs."""
    if program(words[0]) is None:
        raise Missing("%s is not installed%s" % (words[0], INSTALL))
    if subprocess.run(words, stdout=subprocess.DEVNULL,
                      stderr=subprocess.DEVNULL).returncode != 0:
        raise Missing(what + " is not installed" + INSTALL)
    return words[0]


def _rails(build):
    return [_loads(["ruby", "-e", "%w[actionmailer activerecord pg]"
                    ".each { |name| gem name }"],
                   "ActionMailer, Active Record or pg"),
            "-W0", _path("rails", "peer.rb")]


def _python(build):
    # Debian's python3 has Debian's packages, whatever else is in PATH.
    python = "/usr/bin/python3"
    return [_loads([python, "-c", "import psycopg2, pystache"],
                   "psycopg2 or pystache"), _path("python", "peer.py")]


def _libcurl(build):
    return [os.path.join(build, "bench-peer-libcurl")]


TABLE_OF_PEERS = (
    Peer("nodemailer", "Node: nodemailer's pool, pg, mustache", _nodemailer,
         5000),
    Peer("rails", "Rails as the Open Build Service: ActionMailer, "
         "Active Record", _rails, 200),
    Peer("python", "Python: smtplib, one connection, psycopg2, pystache",
         _python, 2000),
    Peer("libcurl_transfer", "C: libcurl's own transfer, libpq", _libcurl,
         10000),
)


def _environment(conninfo):
    """libpq's variables for a conninfo of plain words."""
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER",
             "dbname": "PGDATABASE"}
    words = dict(word.split("=", 1) for word in conninfo.split())
    return dict(os.environ, **{names[k]: v for k, v in words.items()})


def _expect(process, word, log):
    line = process.stdout.readline().strip()
    if line != word:
        process.kill()
        process.wait()
        with open(log) as f:
            raise RuntimeError("said \"%s\", not \"%s\":\n%s" %
                               (line, word, f.read()[-2000:]))


def _between(world, words, environment, log):
    """Runs a peer; gives (seconds, its CPU, PostgreSQL's, most MB)."""
    with open(log, "w") as errors:
        process = subprocess.Popen(words, stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=errors,
                                   env=environment, text=True)
    _expect(process, "ready", log)
    pg, cpu = world.pg_cpu(), procfs.tree_cpu(process.pid)
    began = time.monotonic()
    process.stdin.write("go\n")
    process.stdin.flush()
    _expect(process, "done", log)
    took = time.monotonic() - began
    found = (took, procfs.tree_cpu(process.pid) - cpu, world.pg_cpu() - pg,
             procfs.peak_rss_mb(process.pid))
    process.stdin.close()
    process.stdout.close()
    if process.wait() != 0:
        raise RuntimeError("exit %d" % process.returncode)
    return found


def run(world, peer, words, mails, size):
    """The whole job by a peer: Figures."""
    log = os.path.join(world.directory, peer.name + ".log")
    with world.database(fill.one_to_one(mails, size) + TABLE) as dsn, \
            world.sink(mails=mails, more=("--lenient",)) as sink:
        wal = world.wal()
        took, cpu, pg, rss = _between(
            world, words + ["127.0.0.1", str(sink.port), str(mails),
                            os.path.join(TEMPLATES, "measure")],
            _environment(dsn), log)
        seen = sink.summary()
        noted = int(world.value(dsn, "SELECT count(*) FROM peer.done"))
        if noted != mails:
            raise RuntimeError("%s noted %d of %d mails" %
                               (peer.name, noted, mails))
        return world.check(Figures(seen["distinct"], took, cpu, pg,
                                   world.wal() - wal, rss, seen), mails)
