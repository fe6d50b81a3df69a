"""What benchmarks stand on: processes watched through /proc, a private
PostgreSQL, the sink, and results that say what they count.

CPU seconds are utime + stime of a process and of its children that have
ended; WAL is the distance between two insert positions.
"""

import fcntl
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    """CPU of a process and its ended children; 0 when it is gone."""
    try:
        with open("/proc/%d/stat" % pid) as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return sum(int(x) for x in fields[11:15]) / TICK
    except (OSError, IndexError):
        return 0.0


def used_cpu():
    """CPU seconds of all children of this process that have ended."""
    use = resource.getrusage(resource.RUSAGE_CHILDREN)
    return use.ru_utime + use.ru_stime


def smtp_source_program():
    """Postfix's load generator, or None."""
    return (shutil.which("smtp-source") or
            ("/usr/sbin/smtp-source"
             if os.path.exists("/usr/sbin/smtp-source") else None))


def children(pid):
    """All processes below pid."""
    found, todo = [], [pid]
    while todo:
        parent = todo.pop()
        try:
            with open("/proc/%d/task/%d/children" % (parent, parent)) as f:
                below = [int(x) for x in f.read().split()]
        except OSError:
            below = []
        found += below
        todo += below
    return found


def peak_rss_mb(pid):
    try:
        with open("/proc/%d/status" % pid) as f:
            for line in f:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) / 1024.0
    except OSError:
        pass
    return 0.0


def psql(conninfo, sql):
    done = subprocess.run(["psql", "-X", "-q", "-A", "-t", "-v",
                           "ON_ERROR_STOP=1", conninfo], input=sql.encode(),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode != 0:
        raise RuntimeError("psql: " + done.stderr.decode())
    return done.stdout.decode().strip()


class Postgres:
    """A private cluster with durable commits, as a site would run it."""

    def __init__(self, directory=None):
        self.directory = directory or tempfile.mkdtemp(
            prefix="postbatch-bench-pg-")
        os.makedirs(self.directory, exist_ok=True)
        os.chmod(self.directory, 0o755)
        self.script = os.path.join(ROOT, "bench", "private-postgres")
        done = subprocess.run(["sh", self.script, "start", self.directory],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if done.returncode != 0:
            raise RuntimeError("private-postgres: " + done.stderr.decode())
        self.conninfo = done.stdout.decode().strip().splitlines()[-1]
        self.data = psql(self.conninfo, "SHOW data_directory")
        with open(os.path.join(self.data, "postmaster.pid")) as f:
            self.pid = int(f.readline())

    def database(self, name):
        psql(self.conninfo, 'CREATE DATABASE "%s"' % name)
        return self.conninfo + " dbname=" + name

    def cpu(self):
        """CPU seconds of the whole cluster since it started."""
        return cpu_seconds(self.pid) + sum(cpu_seconds(p)
                                           for p in children(self.pid))

    def wal(self):
        return int(psql(self.conninfo, "SELECT pg_wal_lsn_diff("
                        "pg_current_wal_insert_lsn(), '0/0')::bigint"))

    def stop(self):
        subprocess.run(["sh", self.script, "remove", self.directory],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Sink:
    """The project's own relay for tests and benchmarks."""

    def __init__(self, build, *options):
        self.directory = tempfile.mkdtemp(prefix="postbatch-bench-sink-")
        port_file = os.path.join(self.directory, "port")
        self.summary_file = os.path.join(self.directory, "summary.json")
        self.process = subprocess.Popen(
            [os.path.join(build, "postbatch-sink"), "--listen",
             "127.0.0.1:0", "--port-file", port_file, "--summary",
             self.summary_file, "--count"] + list(options),
            stdout=subprocess.DEVNULL)
        self.port = int(self.wait_for(port_file).split()[0].split(":")[-1])

    def wait_for(self, path, after=0):
        """What the sink writes to a file later than after (ns)."""
        while self.process.poll() is None:
            if os.path.exists(path) and os.stat(path).st_mtime_ns > after:
                with open(path) as f:
                    text = f.read()
                if text:
                    return text
            time.sleep(0.005)
        raise RuntimeError("postbatch-sink: exit %d" % self.process.returncode)

    def summary(self):
        before = (os.stat(self.summary_file).st_mtime_ns
                  if os.path.exists(self.summary_file) else 0)
        self.process.send_signal(signal.SIGUSR1)
        return json.loads(self.wait_for(self.summary_file, before))

    def stop(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


class Results:
    """Named figures; printed as they come, written at the end."""

    def __init__(self):
        self.rows = []

    def add(self, name, value, unit, note=""):
        self.rows.append({"name": name, "value": round(float(value), 3),
                          "unit": unit, "note": note})
        shape = "%12.1f" if abs(value) >= 10 else "%12.2f"
        print("  %-36s %s %-11s %s" % (name, shape % value, unit, note),
              flush=True)

    def write(self, path):
        """Puts the rows into the file at path. Rows of the same names are
        replaced where they stand, those of other benchmarks stay."""
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path + ".lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.merge(path)
        print("written: " + path)

    def merge(self, path):
        rows = {}
        if os.path.exists(path):
            with open(path) as f:
                rows = {row["name"]: row for row in json.load(f)}
        rows.update((row["name"], row) for row in self.rows)
        with open(path + ".new", "w") as f:
            json.dump(list(rows.values()), f, indent=2)
            f.write("\n")
        os.replace(path + ".new", path)


def watch(process, every=0.05):
    """Waits for a process; gives (wall s, cpu s, peak rss MB)."""
    began = time.monotonic()
    cpu, rss = 0.0, 0.0
    while process.poll() is None:
        cpu = max(cpu, cpu_seconds(process.pid))
        rss = max(rss, peak_rss_mb(process.pid))
        time.sleep(every)
    return time.monotonic() - began, cpu, rss


def progress(text):
    print(text, file=sys.stderr, flush=True)
