"""A hundred thousand mails: each exactly once, in bounded memory."""

import time
import unittest

import harness
from harness import measured, wait_for

COUNT = 5000 if harness.SANITIZED else 100000
MEMORY_MB = 64


class Volume(harness.DispatchCase):
    sink_options = ("--expect", str(COUNT))

    def test_every_mail_exactly_once(self):
        self.recipients(COUNT)
        self.emit_notices(COUNT, size=250)
        begun = time.monotonic()
        process = self.dispatcher.start()
        self.wait_accepted(COUNT, seconds=45)
        took = time.monotonic() - begun
        wait_for(self.is_drained, "the last verdicts")
        memory = harness.peak_memory_mb(process.pid)
        self.assertEqual(harness.stop_process(process), 0)
        summary = self.assert_each_once(COUNT)
        measured("%d events to mails of %d bytes in %.1f s: %.0f mails/s" %
                 (COUNT, summary["bytes"] / COUNT, took, COUNT / took))
        measured("most memory of the worker: %.1f MB" % memory)
        self.assertEqual(self.verdicts(), {"sent": COUNT})
        self.assertEqual(self.number(
            "SELECT count(DISTINCT (recipient_id, event_id))"
            " FROM postbatch.ledger"), COUNT)
        self.assertEqual(self.number("SELECT count(*) FROM postbatch.batch"),
                         0)
        if not harness.SANITIZED:
            self.assertLess(memory, MEMORY_MB)


if __name__ == "__main__":
    unittest.main()
