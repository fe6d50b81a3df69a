"""Where a mail's microseconds go: emit, route, fetch, render, compose, send,
settle, and the kernel.

PostgreSQL's part is known by its connections: the application's, and the
dispatcher's for routing, for leasing (which fetches, too) and for settling;
the CPU of each backend is read from /proc. The worker's part is sampled by
perf with call stacks: a sample belongs to the innermost function of ours that
is no mere tool (base/), and its source file says what it does. What the kernel
does for it is told apart.
"""

import bisect
import os
import re
import subprocess
import time

from postbatch_bench import fill, options as command_line, procfs
from postbatch_bench.ground import Missing, program, progress
from postbatch_bench.results import Results
from postbatch_bench.world import World

FREQUENCY = 997  # samples a second of CPU
# A line of "perf script": address, function, object in parentheses.
FRAME = re.compile(r"\s+([0-9a-f]+) .*\(([^()]*(?:\([^()]*\))?[^()]*)\)$")

REST = "engine and loop"

# Source files of the dispatcher, the first that fits counts.
STAGES = (
    ("render", r"mail/mustache"),
    ("compose", r"mail/"),
    ("send", r"smtp/"),
    ("settle", r"store/queue_settle|store/queue_drift|engine/journal"),
    ("route", r"store/route|engine/router"),
    ("fetch", r"store/"),
    (REST, r"engine/|main\.c|cmd_"),
)
# Connections of the dispatcher, by application_name.
BACKENDS = {"postbatch router": "route", "postbatch lease": "fetch",
            "postbatch settle": "settle"}
ORDER = ("emit", "route", "fetch", "render", "compose", "send", "settle",
         REST, "background")
ABOUT = {
    "emit": "postbatch.emit() in the application's transaction",
    "route": "who hears of it: roles, preferences, batches",
    "fetch": "lease; recipients and events of a batch",
    "render": "templates",
    "compose": "payload, header fields, MIME, encoding",
    "send": "SMTP, connections",
    "settle": "ledger, journal, end of the batch",
    REST: "leases, verdicts, libev, what perf could not place",
    "background": "WAL writer, checkpoints, autovacuum",
}


# ---- the worker: perf -------------------------------------------------------

class Symbols:
    """The functions of a program by address, with their source files."""

    def __init__(self, path):
        self.path = os.path.realpath(path)
        done = subprocess.run(["nm", "-l", "--defined-only", self.path],
                              stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True,
                              check=True)
        table = []
        for line in done.stdout.splitlines():
            words = line.split("\t")
            left = words[0].split()
            if len(left) == 3 and left[1] in "tT" and len(words) == 2:
                table.append((int(left[0], 16), words[1].rsplit(":", 1)[0]))
        table.sort()
        self.starts = [row[0] for row in table]
        self.files = [row[1] for row in table]

    def file(self, address):
        place = bisect.bisect_right(self.starts, address) - 1
        return self.files[place] if place >= 0 else ""


def stage_of(frames, symbols):
    """The stage of a stack, innermost frame first: [(address, object)].
    What store/pg*.c does for nobody in particular is reading rows."""
    found = None
    for address, where in frames:
        if os.path.basename(where) != os.path.basename(symbols.path):
            continue
        path = symbols.file(address)
        stage = next((stage for stage, pattern in STAGES if re.search(
            "dispatcher/(?:%s)" % pattern, path)), None)
        if "store/pg" in path:
            found = "fetch"
        elif stage is not None:
            return found if found and stage == REST else stage
    return found or REST


def stacks(text):
    """The samples of "perf script -F ip,sym,dso", as [[(ip, object)]]."""
    found, frames = [], []
    for line in text.splitlines() + [""]:
        match = FRAME.match(line)
        if match:
            frames.append((int(match[1], 16), match[2]))
        elif frames:
            found.append(frames)
            frames = []
    return found


def is_kernel(frame):
    return "kernel" in frame[1] or frame[0] >= 1 << 63


def shares(data, symbols):
    """{(stage, "user" or "kernel"): share of the samples}."""
    done = subprocess.run(
        ["perf", "script", "-i", data, "-F", "ip,sym,dso"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        errors="replace", check=True)
    counts, total = {}, 0  # addresses are those of the object's file
    for frames in stacks(done.stdout):
        side = "kernel" if is_kernel(frames[0]) else "user"
        key = (stage_of(frames, symbols), side)
        counts[key] = counts.get(key, 0) + 1
        total += 1
    if total < 50:
        raise RuntimeError("perf saw only %d samples" % total)
    progress("%d samples" % total)
    return {key: count / total for key, count in counts.items()}


class Recording:
    """perf on one process, until stop()."""

    def __init__(self, pid, data):
        self.data = data
        self.process = subprocess.Popen(
            ["perf", "record", "-q", "-e", "cpu-clock", "-F",
             str(FREQUENCY), "--call-graph", "dwarf,16384", "-p", str(pid),
             "-o", data], stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while not os.path.exists(data) or os.path.getsize(data) == 0:
            if self.process.poll() is not None or \
                    time.monotonic() > deadline:
                raise Missing("perf does not work here")
            time.sleep(0.05)

    def stop(self):
        self.process.send_signal(2)
        self.process.wait()


# ---- PostgreSQL: its backends -----------------------------------------------

def backends(world, dsn):
    """{pid: stage} of the dispatcher's connections to that database."""
    return {int(pid): BACKENDS.get(name, "background") for pid, name in
            world.sql(dsn, "SELECT pid, application_name FROM"
                      " pg_stat_activity WHERE datname = current_database()"
                      " AND pid <> pg_backend_pid()")}


def pg_stages(world, known):
    """CPU seconds of PostgreSQL until now, by stage."""
    found = dict.fromkeys(list(known.values()) + ["background"], 0.0)
    for pid in [world.pid] + procfs.children(world.pid):
        found[known.get(pid, "background")] += procfs.own_cpu(pid)
    return found


# ---- the run ----------------------------------------------------------------

def emit(session, mails, size):
    session.run("BEGIN")
    session.run("SELECT count(postbatch.emit('measure', %s)) FROM"
                " generate_series(1, %d) AS i" %
                (fill.payload("'recipient', i", "i", size), mails))


def drained(world, dsn, sink, mails):
    return (sink.accepted() >= mails and
            world.value(dsn, "SELECT count(*) FROM postbatch.batch") == "0")


def between(before, after):
    return {stage: after[stage] - before.get(stage, 0.0) for stage in after}


def record(world, options, setup, mails):
    """Runs the service; gives {stage: [PostgreSQL s, worker s, kernel s]}
    and the sink's summary."""
    data = os.path.join(world.directory, "perf.data")
    symbols = Symbols(os.path.join(world.build, "postbatch"))
    with world.database(fill.recipients(mails)) as dsn, \
            world.sink(setup, mails) as sink, \
            world.dispatcher(dsn, setup, sink.port) as dispatcher, \
            world.service(dispatcher) as process:
        world.harness.wait_for(lambda: len(set(backends(world, dsn).values()))
                               >= 3, "the worker's connections")
        session = world.harness.Session(dsn)
        app = int(session.value("SELECT pg_backend_pid()"))
        known = backends(world, dsn)
        known[app] = "emit"
        pg = pg_stages(world, known)
        progress("emitting %d events" % mails)
        emit(session, mails, options.size)
        recording = Recording(process.pid, data)
        cpu = procfs.tree_cpu(process.pid)
        progress("dispatching under perf")
        session.run("COMMIT")
        world.harness.wait_for(lambda: drained(world, dsn, sink, mails),
                               "the mails", 300)
        cpu = procfs.tree_cpu(process.pid) - cpu
        pg = between(pg, pg_stages(world, known))
        recording.stop()
        session.close()
        seen = sink.summary()
    parts = {stage: [pg.get(stage, 0.0), 0.0, 0.0] for stage in ORDER}
    for (stage, side), share in shares(data, symbols).items():
        parts[stage][1 if side == "user" else 2] += share * cpu
    return parts, seen


def report(results, parts, seen, mails):
    """The table, for people and for README."""
    total = [0.0, 0.0, 0.0]
    print("\n| step | PostgreSQL | worker | kernel, for the worker | |")
    print("|---|---:|---:|---:|---|")
    for stage in ORDER:
        us = [part / mails * 1e6 for part in parts[stage]]
        total = [a + b for a, b in zip(total, us)]
        print("| %s | %s | %s |" % (stage, " | ".join(
            "%.1f" % u if u >= 0.05 else "" for u in us), ABOUT[stage]))
        for side, u in zip(("pg", "worker", "kernel"), us):
            results.add("profile_%s_%s_us" % (stage.split()[0], side), u,
                        "us", quiet=True)
    print("| **all, us a mail** | %s | |" % " | ".join(
        "**%.1f**" % u for u in total))
    print("\nof the sink: %.1f us a mail; %d mails, cpu-clock at %d Hz" % (
        seen["cpu_user_us_per_mail"] + seen["cpu_system_us_per_mail"], mails,
        FREQUENCY))


def main(options, path):
    if program("perf") is None or program("nm") is None:
        print("the profile is missing: perf or nm is not installed; "
              "bench/install-peers")
        return 69
    results = Results()
    mails = options.mails or 200000
    world = World(options.build, results)
    try:
        parts, seen = record(world, options, command_line.setup(options),
                             mails)
    except Missing as missing:
        print("the profile is missing: %s" % missing)
        return 69
    finally:
        world.stop()
    report(results, parts, seen, mails)
    results.write(path)
    return 0
