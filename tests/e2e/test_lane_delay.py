"""A relay that answers the end of content after half a second: 32 lanes wait
for it at once, and nothing else does.
"""

import unittest

from harness import SANITIZED, Sink, measured
from lanes import drive

LANES = 32
DELAY_S = 0.5
# 2 a second for each lane would be all there is.
MAILS_PER_S = LANES * 1.9
BLOCK_MS = 100 if SANITIZED else 20


class LaneDelay(unittest.TestCase):
    def measure(self, gear, rounds=8):
        """Each lane has one letter at a time, so half a second a letter."""
        mails = LANES * rounds
        sink = Sink("--dot-delay", str(int(DELAY_S * 1000)))
        try:
            done = drive(sink.port, gear=gear, lanes=LANES, mails=mails,
                         window=1, watch_loop=True).result
        finally:
            summary = sink.stop()
        measured("%s: %.1f mails/s, loop blocked at most %.1f ms" %
                 (gear, done["mails_per_s"], done["longest_block_ms"]))
        self.assertEqual(done["sent"], mails)
        self.assertEqual(summary["distinct"], mails)
        self.assertEqual(summary["offences"], [])
        return done

    def check(self, gear):
        """The best of three: other programs may have the machine."""
        for _ in range(3):
            done = self.measure(gear)
            if (done["longest_block_ms"] < BLOCK_MS and
                    done["mails_per_s"] >= MAILS_PER_S):
                return
        self.assertLess(done["longest_block_ms"], BLOCK_MS)
        self.assertGreaterEqual(done["mails_per_s"], MAILS_PER_S)

    def test_lockstep(self):
        self.check("lockstep")

    def test_pipelined(self):
        self.check("pipelined")

    def test_streamed(self):
        self.check("streamed")


if __name__ == "__main__":
    unittest.main()
