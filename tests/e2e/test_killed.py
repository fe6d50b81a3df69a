"""Workers killed in the middle: no mail is lost, and no more doubles than the
ledger owns up to."""

import os
import signal
import unittest

import harness
from harness import measured, scaled, wait_for

LANES, WINDOW = 4, 64  # as preset


class Killed(harness.DispatchCase):
    """SIGKILL in the middle; the next worker finds the journal."""

    KILLS = 5
    # The shortest lease there is: what was leased and not yet in the journal
    # waits for its end.
    settings = (("worker.lease", "5s"),)
    # Keeps letters in flight, so that a kill meets some.
    sink_options = ("--dot-delay", "5")

    def finish(self, count):
        wait_for(lambda: self.sink.summary()["distinct"] >= count and
                 self.is_drained(), "all mails, all verdicts", 40)
        self.dispatcher.stop()
        summary = self.sink.summary()
        verdicts = self.verdicts()
        doubles, unsure = summary["doubles"], verdicts.get("unsure", 0)
        measured("killed %d times in %d letters: lost %d, unsure %d,"
                 " doubles %d" % (self.KILLS, count,
                                  count - summary["distinct"], unsure,
                                  doubles))
        self.assertEqual(summary["distinct"], count, "none lost")
        self.assertLessEqual(doubles, unsure, "no double that is not said")
        self.assertLessEqual(unsure, self.KILLS * LANES * WINDOW)
        self.assertEqual(verdicts["sent"], count)
        self.assertEqual(self.number(
            "SELECT count(DISTINCT (recipient_id, event_id))"
            " FROM postbatch.ledger WHERE verdict = 1"), count)
        self.assertGreater(unsure, 0, "the kills met letters in flight")

    def test_killed_again_and_again(self):
        count = scaled(20000)
        self.recipients(100)
        self.emit_notices(count, recipients=100)
        for kill in range(1, self.KILLS + 1):
            process = self.dispatcher.start()
            self.wait_accepted(count * kill // (self.KILLS + 2))
            process.kill()
            process.wait()
        self.dispatcher.start()
        self.finish(count)

    def test_a_killed_child_is_replaced(self):
        count = scaled(20000)
        self.recipients(100)
        self.emit_notices(count, recipients=100)
        self.dispatcher.settings["worker.processes"] = "2"
        self.dispatcher.settings["relay.main.rate_per_s"] = str(count // 4)
        self.dispatcher.write_config()
        parent = self.dispatcher.start()
        tree = "/proc/%d/task/%d/children" % (parent.pid, parent.pid)
        self.wait_accepted(count // 4)
        children = harness.read_bytes(tree).split()
        self.assertEqual(len(children), 2)
        os.kill(int(children[0]), signal.SIGKILL)
        wait_for(lambda: len(set(harness.read_bytes(tree).split()) -
                             set(children)) == 1, "another child")
        wait_for(lambda: self.sink.summary()["distinct"] >= count and
                 self.is_drained(), "all mails, all verdicts", 40)
        self.assertEqual(harness.stop_process(parent), 0)
        summary = self.sink.summary()
        self.assertEqual(summary["distinct"], count)
        self.assertLessEqual(summary["doubles"],
                             self.verdicts().get("unsure", 0))
        self.assertEqual(self.verdicts()["sent"], count)


if __name__ == "__main__":
    unittest.main()
