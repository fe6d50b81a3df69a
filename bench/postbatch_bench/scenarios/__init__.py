"""The table of scenarios: a module each, in the order in which they run.

A scenario has
    NAME       what it is called on the command line
    TITLE      what it measures, in words
    SCALES     at which scales it runs when nothing is chosen
    PROMISES   names of figures that must be told, if only as missing
    run(bench) measures and adds figures to bench.results; raises Missing when
               it cannot be done here
"""

import importlib

NAMES = ("one_to_one", "fan_out", "gather", "digest", "failures",
         "round_trip", "tls", "backlog", "workers", "lag", "cold_start",
         "idle", "poison", "peers", "lanes", "as_asked")

TABLE = [importlib.import_module("postbatch_bench.scenarios." + name)
         for name in NAMES]


# When there is only a minute, the longest comes last.
LONGEST = "backlog"


def choose(only, scale):
    """The scenarios of a scale, or those named by number or name."""
    if only is None:
        chosen = [s for s in TABLE if scale in s.SCALES]
        if scale == "quick":
            chosen.sort(key=lambda s: s.NAME == LONGEST)
        return chosen
    chosen = []
    for word in only.split(","):
        found = [s for number, s in enumerate(TABLE, 1)
                 if word in (s.NAME, str(number))]
        if not found:
            raise SystemExit("postbatch-bench: no scenario \"%s\"; there are "
                             "%s" % (word, ", ".join(NAMES)))
        chosen += found
    return chosen
