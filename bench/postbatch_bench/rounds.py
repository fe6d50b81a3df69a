"""Comparisons: A B A B, so that a change of the machine's load meets all that
is compared, and ratios of what stood in the same round, with their spread.
"""

import statistics

from postbatch_bench.ground import progress


def in_rounds(contenders, count):
    """Measures {name: function} round by round; gives {name: [values]}."""
    seen = {name: [] for name in contenders}
    for number in range(count):
        for name, measure in contenders.items():
            progress("round %d of %d: %s" % (number + 1, count, name))
            seen[name].append(measure())
    return seen


def median(values):
    return statistics.median(values)


def spread(values, digits=0):
    """Words for how far values are apart."""
    if len(values) == 1:
        return "one run"
    return "median of %d, %.*f to %.*f" % (len(values), digits, min(values),
                                          digits, max(values))


def add_median(results, name, values, unit, note="", digits=0):
    results.add(name, median(values), unit, "; ".join(
        part for part in (note, spread(values, digits)) if part))


def add_ratio(results, name, above, below, note=""):
    """The median of the ratios of the rounds."""
    ratios = [a / b for a, b in zip(above, below)]
    add_median(results, name, ratios, "", note, 2)
    return median(ratios)
