"""Runs the scenarios one after the other. One that fails is named and the
others go on; the exit status says it at the end."""

import os
import signal
import subprocess
import sys
import time
import traceback

from postbatch_bench import options as command_line
from postbatch_bench import pictures, profile, scenarios
from postbatch_bench.ground import Missing, program, progress
from postbatch_bench.results import Results
from postbatch_bench.world import World

QUICK_S = 50  # no scenario is begun after so long when all must be quick


class Bench:
    """What a scenario is given: the world to run in, the options, and where
    its figures go."""

    def __init__(self, options, results, world):
        self.options = options
        self.results = results
        self.world = world
        self.setup = command_line.setup(options)
        self.size = options.size

    def pick(self, **by_scale):
        """The value for this scale; one that is not named has the next
        smaller one's."""
        names = command_line.SCALES[:command_line.SCALES.index(
            self.options.scale) + 1]
        return next(by_scale[n] for n in reversed(names) if n in by_scale)

    def mails(self, **by_scale):
        return self.options.mails or self.pick(**by_scale)

    def rounds(self, **by_scale):
        return self.options.rounds or self.pick(**by_scale)

    def needs_sink(self):
        if self.world.relay:
            raise Missing("needs the sink: not with --relay")


def list_scenarios():
    for number, scenario in enumerate(scenarios.TABLE, 1):
        print("%3d  %-14s %s" % (number, scenario.NAME, scenario.TITLE))


def run_one(bench, scenario):
    """Runs a scenario; gives None or what went wrong."""
    bench.results.title("%s: %s" % (scenario.NAME, scenario.TITLE))
    bench.results.scenario = scenario.NAME
    before = len(bench.results.rows)
    why = None
    try:
        scenario.run(bench)
        return None
    except Missing as missing:
        why, failure = str(missing), None
    except Exception as error:
        traceback.print_exc()
        why = failure = "%s failed: %s" % (scenario.NAME, str(error)[:300])
    told = {row["name"] for row in bench.results.rows[before:]}
    for name in scenario.PROMISES:
        if name not in told:
            bench.results.missing(name, why)
    if not scenario.PROMISES:
        print("  missing: " + why)
    return failure


def run_all(bench, chosen, failures):
    """Runs the scenarios; adds what went wrong to failures."""
    began = time.monotonic()
    for number, scenario in enumerate(chosen, 1):
        late = time.monotonic() - began > QUICK_S
        if bench.options.scale == "quick" and late:
            progress("left out, a minute is over: " + scenario.NAME)
            continue
        progress("%d of %d: %s" % (number, len(chosen), scenario.NAME))
        failure = run_one(bench, scenario)
        if failure:
            failures.append(failure)


def draw(path, folder=None):
    """Draws the figures at path, beside them if no folder is named."""
    if program("gnuplot") is None:
        print("pictures are missing: gnuplot is not installed; "
              "bench/install-peers")
        return
    folder = folder or os.path.join(os.path.dirname(path), "pictures")
    try:
        for name in pictures.draw(path, folder):
            print("drawn: %s/%s.svg and .png" % (folder, name))
    except subprocess.CalledProcessError as failure:
        print("pictures are missing: gnuplot: exit %d" % failure.returncode)


def measure(options, path):
    chosen = scenarios.choose(options.only, options.scale)
    results = Results()
    progress("starting PostgreSQL")
    world = World(options.build, results, options.relay,
                  fast=options.scale == "tiny")
    failures = []
    try:
        run_all(Bench(options, results, world), chosen, failures)
    except (KeyboardInterrupt, SystemExit):
        failures.append("ended before all was measured")
    finally:
        world.stop()
    results.title("over all scenarios")
    if results.most_memory_mb:
        results.add("rss_max_mb", results.most_memory_mb, "MB",
                    "most memory of a worker, in any scenario: in " +
                    results.most_memory_in)
    results.write(path)
    draw(path)
    for failure in failures:
        print("FAILED: " + failure, file=sys.stderr)
    return 1 if failures else 0


def on_signal(number, frame):
    """Ends the program with all that it started."""
    raise SystemExit("postbatch-bench: ended by signal %d" % number)


def main(arguments=None):
    signal.signal(signal.SIGTERM, on_signal)
    options = command_line.read(arguments)
    path = options.output or os.path.join(options.build, "bench",
                                          "latest.json")
    path = os.path.abspath(path)
    if options.list:
        list_scenarios()
        return 0
    if options.pictures is not None:
        draw(path, options.pictures)
        return 0
    if options.profile:
        return profile.main(options, path)
    return measure(options, path)
