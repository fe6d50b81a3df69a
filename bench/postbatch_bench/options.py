"""The command line, and how much is measured at which scale.

Scales: tiny (a hundred mails, for the tests of the harness itself), quick
(within a minute), normal (what "make bench" runs) and full (10 million events
waiting). What is said on the command line goes before what a scale says.
"""

import argparse

from postbatch_bench.world import Setup

SCALES = ("tiny", "quick", "normal", "full")


def _share(text):
    share = float(text.rstrip("%")) / (100 if text.endswith("%") else 1)
    if not 0 <= share < 1:
        raise argparse.ArgumentTypeError("not a share: " + text)
    return share


def _count(text):
    """A number; 10k and 1m are understood."""
    factor = {"k": 1000, "m": 1000000}.get(text[-1:].lower(), 1)
    return int(float(text[:-1] if factor > 1 else text) * factor)


def _add_what(parser):
    group = parser.add_argument_group("what is measured")
    group.add_argument("--list", action="store_true",
                       help="name the scenarios and end")
    group.add_argument("--only", metavar="WHICH",
                       help="numbers or names of scenarios, with commas")
    scale = group.add_mutually_exclusive_group()
    for name, words in (("quick", "all within a minute"),
                        ("full", "with ten million events waiting"),
                        ("tiny", "a hundred mails: does the harness work?")):
        scale.add_argument("--" + name, dest="scale", action="store_const",
                           const=name, help=words)
    group.add_argument("--rounds", type=int, metavar="N",
                       help="of every comparison (A B A B ...)")
    group.add_argument("--pictures", nargs="?", const="", metavar="FOLDER",
                       help="only draw BUILD/bench/latest.json again, into "
                       "FOLDER (BUILD/bench/pictures)")
    group.add_argument("--profile", action="store_true",
                       help="where a mail's microseconds go, by perf")


def _add_load(parser):
    group = parser.add_argument_group("the load")
    group.add_argument("--mails", type=_count, metavar="N",
                       help="of a run, where the scenario does not vary them")
    group.add_argument("--size", type=int, default=2700, metavar="OCTETS",
                       help="of a mail, about (2700)")
    group.add_argument("--fan-out", type=_count, metavar="N",
                       help="subscribers of the one event")
    group.add_argument("--events-per-recipient", type=int, default=10,
                       metavar="N", help="that one letter gathers (10)")
    group.add_argument("--backlog", type=_count, metavar="N",
                       help="most events waiting")


def _add_setup(parser):
    preset = Setup()
    group = parser.add_argument_group(
        "the dispatcher and the relay, where the scenario does not vary them")
    group.add_argument("--relay", metavar="HOST:PORT",
                       help="a real relay in place of the sink. It gets mail "
                       "to user1@example.net and so on!")
    group.add_argument("--lanes", type=int, default=preset.lanes)
    group.add_argument("--window", type=int, default=preset.window)
    group.add_argument("--gear", default=preset.gear,
                       choices=("auto", "lockstep", "pipelined", "streamed"))
    group.add_argument("--workers", type=int, default=preset.workers)
    group.add_argument("--round-trip", dest="round_trip_ms", type=float,
                       default=0, metavar="MS")
    group.add_argument("--dot-delay", dest="dot_delay_ms", type=float,
                       default=0, metavar="MS",
                       help="how long the sink takes to accept a mail")
    group.add_argument("--tls", default=preset.tls,
                       choices=("none", "starttls"))
    for name, words in (("temporary", "refused for now"),
                        ("permanent", "refused for good"),
                        ("dropped", "left without a reply")):
        group.add_argument("--" + name, type=_share, metavar="SHARE",
                           help="of mails, %s: 0.05 or 5%%%%" % words)


def read(arguments=None):
    """The options; ends the program when they make no sense."""
    parser = argparse.ArgumentParser(
        prog="postbatch-bench",
        description="Fills events, runs the real dispatcher against the sink "
        "or a given relay, and says what it costs whom.")
    parser.add_argument("--build", default="build", help="(build)")
    parser.add_argument("--output", metavar="FILE",
                        help="of figures (BUILD/bench/latest.json)")
    _add_what(parser)
    _add_load(parser)
    _add_setup(parser)
    options = parser.parse_args(arguments)
    options.scale = options.scale or "normal"
    return options


def setup(options):
    """The Setup that the options ask for; its failures are asked for by the
    scenarios that can count them."""
    return Setup(lanes=options.lanes, window=options.window,
                 gear=options.gear, workers=options.workers,
                 round_trip_ms=options.round_trip_ms,
                 dot_delay_ms=options.dot_delay_ms, tls=options.tls)
