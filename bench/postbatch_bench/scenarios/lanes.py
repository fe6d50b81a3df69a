"""SMTP alone: what it costs to hand letters to a relay. The lanes of the
dispatcher in each gear, libcurl's own mail transfer and smtp-source beside
them; letters of 2 KB composed before, one process, loopback.

First CPU, in rounds, against a sink that answers at once; then time, over one
lane to a sink 20 ms and 50 ms away.
"""

import json
import os
import resource
import socket
import statistics
import subprocess
import time

from postbatch_bench.ground import program, progress
from postbatch_bench.rounds import add_median, add_ratio, in_rounds, median
from postbatch_bench.world import Setup

NAME = "lanes"
TITLE = "SMTP alone: lanes, libcurl's transfer, smtp-source"
SCALES = ("tiny", "normal", "full")
PROMISES = ("ratio_streamed_vs_libcurl", "ratio_pipelined_vs_libcurl")

SIZE = 2048
WINDOW = 64
HANDLES = (1, 4, 8)  # of libcurl's transfer
GEARS = ("streamed", "pipelined", "lockstep")
MAILS = {"streamed": 100000, "pipelined": 30000, "lockstep": 8000,
         "transfer": 5000, "smtp-source": 10000}
FAR_MAILS = {"streamed": 5000, "pipelined": 200, "lockstep": 100,
             "transfer": 100}


def drive(bench, command, mails, rtt_ms=0, **options):
    """One run of bench-smtp against a sink of its own: its line of JSON."""
    with bench.world.sink(Setup(round_trip_ms=rtt_ms), mails) as sink:
        words = [os.path.join(bench.world.build, "bench-smtp"), command,
                 "--relay", "127.0.0.1:%d" % sink.port, "--mails",
                 str(mails), "--size", str(SIZE)]
        for name, text in options.items():
            words += ["--" + name, str(text)]
        done = subprocess.run(words, stdout=subprocess.PIPE, check=True)
        seen = sink.summary()
    if (seen["distinct"], seen["doubles"]) != (mails, 0) or seen["offences"]:
        raise RuntimeError("%s: sink saw %d of %d mails, %d twice, offences"
                           " %s" % (" ".join(words), seen["distinct"], mails,
                                    seen["doubles"], seen["offences"]))
    return json.loads(done.stdout)


def lane(bench, gear, mails, rtt_ms=0):
    return drive(bench, "lanes", mails, rtt_ms, gear=gear, lanes=1,
                 window=WINDOW)


def used_cpu():
    """CPU seconds of all children of this process that have ended."""
    use = resource.getrusage(resource.RUSAGE_CHILDREN)
    return use.ru_utime + use.ru_stime


def smtp_source(bench, mails, sessions=8):
    """Mails per CPU second of smtp-source."""
    with bench.world.sink(more=("--lenient",)) as sink:
        before = used_cpu()
        subprocess.run([program("smtp-source"), "-d", "-l", str(SIZE), "-m",
                        str(mails), "-s", str(sessions), "-f",
                        "a@example.org", "-t", "b@example.net",
                        "127.0.0.1:%d" % sink.port], check=True)
        return mails / (used_cpu() - before)


def per_cpu_s(result):
    return 1e6 / result["cpu_us_per_mail"]


def measure_cpu(bench):
    results = bench.results

    def count(name):
        return 100 if bench.options.scale == "tiny" else MAILS[name]

    contenders = {gear: lambda gear=gear: per_cpu_s(lane(
        bench, gear, count(gear))) for gear in GEARS}
    for handles in HANDLES:
        contenders["libcurl, %d handles" % handles] = (
            lambda handles=handles: per_cpu_s(drive(
                bench, "transfer", count("transfer"), lanes=handles)))
    if program("smtp-source"):
        contenders["smtp-source"] = lambda: smtp_source(
            bench, count("smtp-source"))
    seen = in_rounds(contenders, bench.rounds(tiny=1, normal=3))
    unit = "mails/CPU s"
    for gear in GEARS:
        add_median(results, "lane_%s_mails_per_cpu_s" % gear, seen[gear],
                   unit, "one lane, window %d" % WINDOW)
    best = max((name for name in seen if name.startswith("libcurl")),
               key=lambda name: median(seen[name]))
    add_median(results, "libcurl_transfer_mails_per_cpu_s", seen[best], unit,
               "the best: " + best)
    if "smtp-source" in seen:
        add_median(results, "smtp_source_mails_per_cpu_s",
                   seen["smtp-source"], unit, "8 sessions")
    else:
        results.missing("smtp_source_mails_per_cpu_s",
                        "smtp-source is not installed (postfix)")
    for gear in ("streamed", "pipelined"):
        add_ratio(results, "ratio_%s_vs_libcurl" % gear, seen[gear],
                  seen[best], "mails per CPU second, SMTP alone")


def real_rtt_ms(bench, rtt_ms):
    """What a round trip to the sink takes indeed: timers have a grain."""
    times = []
    with bench.world.sink(Setup(round_trip_ms=rtt_ms)) as sink:
        with socket.create_connection(("127.0.0.1", sink.port)) as s:
            s.recv(1000)
            for _ in range(21):
                began = time.monotonic()
                s.sendall(b"NOOP\r\n")
                s.recv(1000)
                times.append((time.monotonic() - began) * 1000)
    return statistics.median(times)


def measure_far(bench, rtt_ms):
    """One lane, rtt_ms away."""
    real = real_rtt_ms(bench, rtt_ms)
    for name in GEARS + ("transfer",):
        mails = 20 if bench.options.scale == "tiny" else FAR_MAILS[name]
        progress("%s, %g ms away" % (name, rtt_ms))
        found = (drive(bench, "transfer", mails, rtt_ms, lanes=1)
                 if name == "transfer" else lane(bench, name, mails, rtt_ms))
        trips = found["seconds"] * 1000 / real / mails
        bench.results.add("far%g_%s_mails_per_s" % (rtt_ms, name),
                          mails / found["seconds"], "mails/s",
                          "one lane, %.2f round trips of %.1f ms a mail" %
                          (trips, real))


def run(bench):
    bench.needs_sink()
    measure_cpu(bench)
    for rtt_ms in bench.pick(tiny=(1,), normal=(20, 50)):
        measure_far(bench, rtt_ms)
