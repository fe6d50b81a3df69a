"""Every tenth recipient is refused: connections are kept all the same."""

import unittest

from harness import Sink, scaled
from lanes import drive

LANES = 4
MAILS = scaled(10000)
ENOUGH = "452 4.5.3 Too many recipients: Too many messages sent"
REPLIES = {
    "550 5.1.1 No such user": ("failed", True),
    "450 4.2.0 Mailbox busy": ("deferred", False),
}


class LaneRefusals(unittest.TestCase):
    def check(self, gear, reply):
        verdict, is_dead = REPLIES[reply]
        sink = Sink("--fault", "rcpt@every:10=" + reply)
        try:
            done = drive(sink.port, gear=gear, lanes=LANES, mails=MAILS,
                         letters=True)
        finally:
            summary = sink.stop()
        refused = done.having(verdict)
        self.assertEqual(len(refused), MAILS // 10)
        self.assertEqual(done.having("sent"), set(range(MAILS)) - refused)
        for letter in refused:
            last = done.tries[letter][-1]
            self.assertEqual((last["code"], last["suppress"]),
                             (int(reply[:3]), is_dead))
        self.assertEqual(done.result["tries"], MAILS)
        self.assertEqual((summary["distinct"], summary["doubles"]),
                         (MAILS - len(refused), 0))
        self.assertEqual(summary["offences"], [])
        self.assertLessEqual(summary["connections"], LANES)

    def test_pipelined(self):
        for reply in REPLIES:
            with self.subTest(reply=reply):
                self.check("pipelined", reply)

    def test_streamed(self):
        for reply in REPLIES:
            with self.subTest(reply=reply):
                self.check("streamed", reply)

    def check_strange(self, gear, *options):
        """A relay that takes refusals in a way of its own."""
        sink = Sink("--fault", "rcpt@every:10=550 5.1.1 No such user",
                    *options)
        try:
            done = drive(sink.port, gear=gear, lanes=LANES,
                         mails=MAILS).result
        finally:
            summary = sink.stop()
        self.assertEqual((done["sent"], done["failed"]),
                         (MAILS - MAILS // 10, MAILS // 10))
        self.assertEqual(summary["distinct"], MAILS - MAILS // 10)
        self.assertEqual(summary["offences"], [])
        self.assertLessEqual(summary["connections"], LANES)

    def test_relay_that_needs_rset(self):
        self.check_strange("streamed", "--bdat-needs-rset")

    def test_relay_that_wants_content_for_nobody(self):
        """354 though all recipients were refused: RFC 2920 section 3.1."""
        self.check_strange("pipelined", "--fault",
                           "data@every:10=354 Go ahead")

    def test_relay_that_has_enough_of_a_connection(self):
        """OpenSMTPD says 452 4.5.3 after 100 mails: the letter is not to
        blame, and another connection takes it."""
        for gear in ("lockstep", "pipelined", "streamed"):
            with self.subTest(gear=gear):
                sink = Sink("--fault", "mail@every:100=" + ENOUGH)
                try:
                    done = drive(sink.port, gear=gear, lanes=1, mails=1000,
                                 again=10).result
                finally:
                    summary = sink.stop()
                self.assertEqual(done["sent"], 1000)
                self.assertEqual(summary["distinct"], 1000)
                self.assertEqual(summary["offences"], [])
                self.assertIn(summary["connections"], (11, 12))

    def test_relay_that_has_enough_of_all_connections(self):
        """It rests, longer each time, and is not asked in a loop."""
        sink = Sink("--fault", "mail=" + ENOUGH)
        try:
            done = drive(sink.port, gear="pipelined", lanes=1, mails=1,
                         again=3, rest=100).result
        finally:
            summary = sink.stop()
        self.assertEqual((done["returned"], done["tries"]), (1, 4))
        self.assertEqual(summary["connections"], 4)
        self.assertGreaterEqual(done["seconds"], 0.25)


if __name__ == "__main__":
    unittest.main()
