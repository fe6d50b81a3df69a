"""What benchmarks and end-to-end tests stand on together: the private cluster,
the sink and the dispatcher of tests/e2e/harness.py, for one build.

harness reads its build from the environment when it is imported, so use()
comes before everything else.
"""

import importlib
import os
import shutil
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
BENCH = os.path.join(ROOT, "bench")
TEMPLATES = os.path.join(BENCH, "templates")

_began = time.monotonic()


def use(build):
    """Chooses the build; gives the tests' harness."""
    os.environ["TEST_BUILD"] = os.path.abspath(build)
    folder = os.path.join(ROOT, "tests", "e2e")
    if folder not in sys.path:
        sys.path.insert(0, folder)
    return importlib.import_module("harness")


def progress(text):
    """A line for whoever waits, with the seconds since the start."""
    print("%6.1f s  %s" % (time.monotonic() - _began, text), file=sys.stderr,
          flush=True)


def program(name):
    """Where a program is, or None; those of root count, too."""
    found = shutil.which(name)
    if found is None and os.path.exists("/usr/sbin/" + name):
        found = "/usr/sbin/" + name
    return found


class Missing(Exception):
    """Something that a measurement needs is not there; it is named in the
    results, never skipped in silence."""
