"""Processes through /proc: CPU and memory.

CPU of a living process is read from schedstat (nanoseconds) where it has one
thread, and else from stat, whose clock has a tick of 10 ms.
"""

import os
import time

TICK = os.sysconf("SC_CLK_TCK")


def _read(path):
    try:
        with open(path) as f:
            return f.read()
    except OSError:
        return None


def _stat(pid):
    text = _read("/proc/%d/stat" % pid)
    return text.rsplit(")", 1)[1].split() if text else None


def own_cpu(pid):
    """CPU seconds of a process, without its children; 0 when it is gone."""
    fields = _stat(pid)
    if fields is None:
        return 0.0
    if fields[17] == "1":  # threads
        text = _read("/proc/%d/schedstat" % pid)
        if text:
            return int(text.split()[0]) / 1e9
    return (int(fields[11]) + int(fields[12])) / TICK


def ended_cpu(pid):
    """CPU seconds of the children of a process that have ended."""
    fields = _stat(pid)
    return (int(fields[13]) + int(fields[14])) / TICK if fields else 0.0


def children(pid):
    """All processes below pid."""
    found, todo = [], [pid]
    while todo:
        parent = todo.pop()
        text = _read("/proc/%d/task/%d/children" % (parent, parent)) or ""
        below = [int(x) for x in text.split()]
        found += below
        todo += below
    return found


def tree_cpu(pid):
    """CPU seconds of a process and all its descendants, living or not."""
    return sum(own_cpu(p) + ended_cpu(p) for p in [pid] + children(pid))


def peak_rss_mb(pid):
    """The most memory a process had resident; 0 when it is gone."""
    for line in (_read("/proc/%d/status" % pid) or "").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024.0
    return 0.0


class Ended:
    """What an ended process used: wall_s, cpu_s with its children, and the
    most memory that one of its processes had (MB). (Not ru_maxrss: that is
    never less than what its parent, this program, had when it began it.)"""

    def __init__(self, status, use, wall_s, rss_mb):
        self.status = status
        self.wall_s = wall_s
        self.cpu_s = use.ru_utime + use.ru_stime
        self.rss_mb = rss_mb


def watch(process, began, longest_s=600, every=0.02):
    """Waits for a child process (a Popen, started at began on the monotonic
    clock) and gives an Ended. One that takes too long is killed."""
    rss_mb = peak_rss_mb(process.pid)
    while True:
        pid, status, use = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        if time.monotonic() - began > longest_s:
            process.kill()
            process.wait()
            raise TimeoutError("not done after %d s" % longest_s)
        rss_mb = max([rss_mb] + [peak_rss_mb(p) for p in
                                 [process.pid] + children(process.pid)])
        time.sleep(every)
    process.returncode = os.waitstatus_to_exitcode(status)
    return Ended(process.returncode, use, time.monotonic() - began, rss_mb)
