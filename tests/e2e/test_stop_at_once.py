"""SIGTERM twice, or SIGQUIT: the service ends at once, and what was in flight
is found in the journal by its next life."""

import signal
import time
import unittest

import harness
from harness import wait_for

COUNT = 400


class AtOnce(harness.DispatchCase):
    types = {}
    # The relay takes so long that no grace is long enough.
    sink_options = ("--dot-delay", "20000")
    settings = (("worker.grace", "300s"), ("relay.main.gear", "pipelined"))

    def begin(self, processes=1):
        self.recipients(COUNT)
        self.dispatcher.settings["worker.processes"] = str(processes)
        self.dispatcher.write_config()
        self.emit_notices(COUNT)
        process = self.dispatcher.start()
        # EHLO, and MAIL, RCPT and DATA of one.
        wait_for(lambda: self.sink.summary()["commands"] >= 4,
                 "letters in flight")
        return process

    def assert_ends(self, process):
        begun = time.monotonic()
        self.assertEqual(process.wait(10 * harness.PATIENCE), 0)
        self.assertLess(time.monotonic() - begun, 10 * harness.PATIENCE)
        self.assertIn("stopping at once", self.dispatcher.read_log())

    def assert_nothing_lost(self):
        """To a relay that is quick, every letter once more or less; the
        doubles are those that the journal knew to be unsure."""
        sink = harness.Sink()
        self.addCleanup(sink.stop)
        self.dispatcher.settings["relay.main.port"] = str(sink.port)
        self.dispatcher.write_config()
        self.run_once()
        self.assertEqual(self.number(
            "SELECT count(DISTINCT event_id) FROM postbatch.ledger"
            " WHERE verdict = 1"), COUNT)
        self.assertTrue(self.is_drained())

    def test_sigterm_twice(self):
        process = self.begin()
        process.terminate()
        wait_for(lambda: "stopping" in self.dispatcher.read_log(),
                 "the first to be heard")
        self.assertIsNone(process.poll())
        process.terminate()
        self.assert_ends(process)
        self.assert_nothing_lost()

    def test_sigquit(self):
        process = self.begin()
        process.send_signal(signal.SIGQUIT)
        self.assert_ends(process)

    def test_a_parent_passes_it_on(self):
        process = self.begin(processes=2)
        process.terminate()
        wait_for(lambda: self.dispatcher.read_log().count("stopping") >= 2,
                 "both children to hear the first")
        self.assertIsNone(process.poll())
        process.terminate()
        self.assert_ends(process)
        self.assert_nothing_lost()


if __name__ == "__main__":
    unittest.main()
