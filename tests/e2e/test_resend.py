"""postbatch resend: letters again, on request, once."""

import unittest

import harness

# Five of the fifty recipients are refused by the first relay.
REFUSED = {3, 13, 23, 33, 43}


class Resend(harness.DispatchCase):
    keeps = ("log",)
    sink_options = ("--fault", "rcpt~u3@=550 5.2.3 too big for this mailbox",
                    "--fault", "rcpt~3@=550 5.2.3 too big for this mailbox")

    def setUp(self):
        super().setUp()
        self.recipients(50)
        self.emit_notices(50)
        self.run_once()
        self.assertEqual(self.verdicts(), {"sent": 45, "failed": 5})
        self.assertEqual({int(r) for r, in self.sql(
            "SELECT recipient_id FROM postbatch.ledger WHERE verdict = 3")},
            REFUSED)

    def resend(self, *options):
        return self.dispatcher.must("resend", *options).stdout

    def mend_relay(self):
        """The next run meets a relay that refuses nobody; gives the names of
        the letters that the old one got."""
        names = {row[1] for row in self.sink.arrivals()}
        self.stop_sink()
        self.sink = harness.Sink(keeps=self.keeps)
        self.dispatcher.settings["relay.main.port"] = str(self.sink.port)
        self.dispatcher.write_config()
        return names

    def state(self):
        return self.sql("SELECT (SELECT count(*) FROM postbatch.batch),"
                        " (SELECT count(*) FROM postbatch.ledger)")

    def test_a_dry_run_changes_nothing(self):
        before = self.state()
        said = self.resend("--failed", "--dry-run")
        self.assertIn("5 to send again, 0 not possible", said)
        self.assertIn("u13@example.org: failed", said)
        self.assertIn("too big for this mailbox", said)
        self.assertEqual(self.state(), before)

    def test_without_an_answer_nothing_is_done(self):
        before = self.state()
        done = self.dispatcher.must("resend", "--failed", input="")
        self.assertIn("nothing was done", done.stdout)
        done = self.dispatcher.must("resend", "--failed", input="no\n")
        self.assertIn("nothing was done", done.stdout)
        self.assertEqual(self.state(), before)

    def test_all_that_failed_once(self):
        names = self.mend_relay()
        self.assertIn("5 letters queued", self.resend("--failed", "--yes"))
        self.assertIn("0 to send again", self.resend("--failed", "--yes"))
        self.run_once()
        self.assert_each_once(5)
        self.assertEqual({row[3] for row in self.sink.arrivals()},
                         {"u%d@example.org" % r for r in REFUSED})
        self.assertFalse(names & {row[1] for row in self.sink.arrivals()})
        self.assertIn("0 to send again", self.resend("--failed", "--yes"))
        self.run_once()
        self.assert_each_once(5)
        self.assertEqual(self.verdicts(),
                         {"sent": 50, "failed": 5, "resent": 5})

    def test_what_fails_again_can_be_sent_again(self):
        self.resend("--failed", "--yes")
        self.run_once()
        self.assertEqual(self.verdicts(),
                         {"sent": 45, "failed": 10, "resent": 5})
        self.mend_relay()
        self.assertIn("5 letters queued", self.resend("--failed", "--yes"))
        self.run_once()
        self.assert_each_once(5)

    def test_letters_of_one_event(self):
        names = self.mend_relay()
        event = self.value("SELECT event_id FROM postbatch.ledger"
                           " WHERE recipient_id = 7")
        before = self.state()
        self.assertIn("1 to send again",
                      self.resend("--event", event, "--dry-run"))
        self.assertEqual(self.state(), before)
        self.assertIn("1 letter queued",
                      self.resend("--event", event, "--yes"))
        self.assertIn("0 to send again",
                      self.resend("--event", event, "--yes"))
        self.run_once()
        self.assert_each_once(1)
        [(_, name, _, to)] = self.sink.arrivals()
        self.assertEqual(to, "u7@example.org")
        self.assertNotIn(name, names)

    def test_letters_to_one_recipient(self):
        self.mend_relay()
        for who in ("u7", "u8@example.org", "9"):
            self.assertIn("1 letter queued",
                          self.resend("--recipient", who, "--yes"))
        self.run_once()
        self.assertEqual({row[3] for row in self.sink.arrivals()},
                         {"u%d@example.org" % r for r in (7, 8, 9)})

    def test_what_cannot_be_sent_is_named(self):
        self.sql("DELETE FROM postbatch.recipient WHERE id = 13")
        said = self.resend("--failed", "--dry-run")
        self.assertIn("NOT POSSIBLE: the recipient is gone", said)
        self.assertIn("4 to send again, 1 not possible", said)

    def test_mistakes_are_refused(self):
        for options, status in (((), 64), (("--yes",), 64),
                                (("--event", "seven"), 65),
                                (("--failed", "--since", "whenever"), 65)):
            done = self.dispatcher.command("resend", *options)
            self.assertEqual(done.returncode, status, options)
            self.assertTrue(done.stderr)


class ResendGathered(harness.DispatchCase):
    """A letter about several events stays one letter."""

    types = {"Gathered": {
        "batching": {"rule": "gather", "window": "0s", "max": 50},
        "subject": "{{event_count}}"}}
    keeps = ("maildir",)

    def test_one_letter_stays_one(self):
        self.recipients(1)
        for n in range(4):
            self.emit("Gathered", {"recipient": 1, "subject": str(n)})
        self.run_once()
        done = self.dispatcher.must("resend", "--recipient", "u1", "--yes")
        self.assertIn("1 letter queued", done.stdout)
        self.run_once()
        first, second = self.sink.mails()
        self.assertEqual((first["Subject"], second["Subject"]), ("4", "4"))
        self.assertNotEqual(first["Message-ID"], second["Message-ID"])


if __name__ == "__main__":
    unittest.main()
