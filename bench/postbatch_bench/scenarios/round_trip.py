"""Throughput against the distance to the relay: round trips of 0 to 50 ms, in
each gear, over 1, 4 and 16 lanes. Counted from the first to the last mail at
the sink, so that the start of the program does not weigh on the short runs.
"""

from postbatch_bench import fill
from postbatch_bench.ground import progress

NAME = "round_trip"
TITLE = "round trips of 0 to 50 ms, in each gear, over 1, 4 and 16 lanes"
SCALES = ("tiny", "normal", "full")
PROMISES = ()

GEARS = ("lockstep", "pipelined", "streamed")
# Round trips a mail, to guess how many mails fill a cell's time.
TRIPS = {"lockstep": 4, "pipelined": 1, "streamed": 1 / 64}
FASTEST = {"lockstep": 8000, "pipelined": 20000, "streamed": 40000}


def guess(gear, lanes, rtt_ms):
    """About how many mails a second a cell will give."""
    if rtt_ms == 0:
        return FASTEST[gear]
    return min(FASTEST[gear], lanes * 1000 / rtt_ms / TRIPS[gear])


def run(bench):
    bench.needs_sink()
    seconds = bench.pick(tiny=0.01, normal=1.0)
    for rtt_ms in bench.pick(tiny=(1,), normal=(0, 1, 5, 20, 50)):
        for gear in GEARS:
            for lanes in bench.pick(tiny=(4,), normal=(1, 4, 16)):
                mails = max(20, int(guess(gear, lanes, rtt_ms) * seconds))
                if bench.options.scale == "tiny":
                    mails = min(mails, 100)
                progress("%g ms, %s, %d lanes: %d mails" %
                         (rtt_ms, gear, lanes, mails))
                figures = bench.world.once(
                    fill.one_to_one(mails, bench.size), mails,
                    bench.setup.but(round_trip_ms=rtt_ms, gear=gear,
                                    lanes=lanes))
                bench.results.add(
                    "rtt%g_%s_%d_lanes_mails_per_s" % (rtt_ms, gear, lanes),
                    figures.at_relay_per_s, "mails/s",
                    "first to last of %d mails at the sink" % mails)
