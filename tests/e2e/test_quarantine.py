"""postbatch quarantine: what is set aside, all about one event, and letting it
go. (Sending on after the fix: test_poison.py.)"""

import os
import subprocess
import unittest

import harness
from harness import wait_for

BAD_DATA, USAGE = 65, 64


class Quarantine(harness.DispatchCase):
    keeps = ("maildir",)
    types = {"Good": {}, "Broken": {"text": "one\ntwo {{#subject}}{{>text}}"
                                            "{{/subject}}\n"}}

    def setUp(self):
        super().setUp()
        self.recipients(1)
        fine = {"recipient": 1, "subject": "fine"}
        self.broken = self.emit("Broken", fine)
        self.lacking = self.emit("Good", {"recipient": 1, "subjct": "x\x1b[31m",
                                          "list": [1, {"a": "b"}]})
        self.typed = self.emit("Good", {"recipient": 1, "subject": 7})
        self.unheard = self.emit("Goood", fine)
        self.run_once()
        self.assertEqual(self.number(
            "SELECT count(*) FROM postbatch.quarantine"), 4)

    def quarantine(self, *words, status=0, **options):
        done = self.dispatcher.command("quarantine", *words, **options)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        self.assertNotIn("\x1b", done.stdout)
        return done.stdout

    def listed(self, *options):
        """The ids that list shows."""
        return [int(line.split()[1])
                for line in self.quarantine("list", *options).splitlines()
                if line.startswith("event ")]

    def test_list_by_type_and_stage(self):
        every = [self.broken, self.lacking, self.typed, self.unheard]
        self.assertEqual(sorted(self.listed()), every)
        self.assertEqual(self.listed("--type", "Broken"), [self.broken])
        self.assertEqual(self.listed("--stage", "render"), [self.broken])
        self.assertEqual(self.listed("--stage", "contract"), [self.typed])
        self.assertEqual(sorted(self.listed("--stage", "route")),
                         [self.lacking, self.unheard])
        self.assertEqual(self.listed("--stage", "route", "--type", "Goood"),
                         [self.unheard])
        self.assertEqual(self.listed("--event", str(self.typed), "--event",
                                     str(self.broken)),
                         [self.broken, self.typed])
        self.assertEqual(self.listed("--stage", "none"), [])

    def test_show_names_the_line_of_the_template(self):
        said = self.quarantine("show", str(self.broken))
        path = os.path.join(self.dispatcher.settings["templates.path"],
                            "tests", "Broken", "text.mustache")
        for line in ("event        %d" % self.broken, "type         Broken",
                     "stage        render", "template     %s, line 2" % path,
                     "             two {{#subject}}{{>text}}{{/subject}}",
                     "fate         waits", "letters      1 that left it out",
                     '    "subject": "fine",', "payload", "{"):
            self.assertIn(line + "\n", said)
        self.assertIn("now          it would be set aside at stage \"render\"",
                      said)
        self.assertIn("postbatch quarantine release --event %d" % self.broken,
                      said)
        with open(path, "w") as f:
            f.write("{{subject}}\n")
        said = self.quarantine("show", str(self.broken))
        self.assertIn("now          its letter can be written\n", said)

    def test_show_names_what_may_have_been_meant(self):
        said = self.quarantine("show", str(self.lacking))
        self.assertIn("reason       required key is missing: subject\n", said)
        self.assertIn("unknown key  'subjct', nearest in the contract: "
                      "'subject'\n", said)
        self.assertIn('            "a": "b"\n', said)
        said = self.quarantine("show", str(self.unheard))
        self.assertIn("nearest      the type Good\n", said)
        self.assertIn("add the type to the templates", said)

    def test_show_takes_no_time_of_day_for_a_line(self):
        self.sql("UPDATE postbatch.quarantine SET reason = 'key ''at'' (such"
                 " as 10:30:00) is not of type string but integer'"
                 " WHERE event_id = %d" % self.typed)
        said = self.quarantine("show", str(self.typed))
        self.assertIn("(such as 10:30:00)", said)
        self.assertNotIn("template ", said)

    def test_show_what_is_not_there(self):
        self.quarantine("show", "7", status=BAD_DATA)
        self.sql("DELETE FROM postbatch.event WHERE id = %d" % self.typed)
        self.assertIn("payload      is gone",
                      self.quarantine("show", str(self.typed)))

    def test_drop_asks_and_keeps_the_reason(self):
        words = ("drop", str(self.typed), str(self.unheard), "--reason",
                 "a test\x1b[0m of the app")
        for answer in ("", "no\n"):
            self.assertIn("nothing was done",
                          self.quarantine(*words, input=answer))
        self.assertEqual(len(self.listed()), 4)
        said = self.quarantine(*words, input="y\n")
        self.assertIn("Drop these 2 for good?", said)
        self.assertIn("2 dropped", said)
        self.assertEqual(sorted(self.listed()), [self.broken, self.lacking])
        self.assertEqual(len(self.listed("--all")), 4)
        self.assertRegex(self.quarantine("list", "--all", "--event",
                                         str(self.typed)),
                         r"dropped .* by .*: a test\?\[0m of the app")
        self.assertIn("fate         dropped",
                      self.quarantine("show", str(self.typed)))
        # For good: it is not released, nor dropped twice.
        self.assertIn("0 released", self.quarantine(
            "release", "--event", str(self.typed)))
        self.assertIn("0 set aside", self.quarantine(*words, "--yes"))
        self.assertRegex(self.dispatcher.must("stats").stdout,
                         r"events in quarantine +2\n")
        self.run_once()
        self.assertEqual(self.sink.mails(), [])

    def test_drop_by_type(self):
        self.assertIn("1 dropped", self.quarantine(
            "drop", "--type", "Good", "--stage", "contract", "--reason", "x",
            "--yes"))
        self.assertEqual(self.sql(
            "SELECT event_id, drop_reason, dropped_by IS NOT NULL,"
            " dropped_at = released_at FROM postbatch.quarantine"
            " WHERE dropped_at IS NOT NULL"), [[str(self.typed), "x", "t",
                                                "t"]])

    def test_dropped_ones_go_in_the_end(self):
        self.quarantine("drop", "--type", "Good", "--reason", "x", "--yes")
        self.sql("UPDATE postbatch.quarantine SET released_at = now() -"
                 " interval '91 days' WHERE dropped_at IS NOT NULL")
        self.sql("SELECT postbatch.housekeeping()")
        self.assertEqual(len(self.listed("--all")), 2)

    def test_mistakes(self):
        one = str(self.typed)
        for words in (("drop", one), ("drop", "--reason", "x"),
                      ("drop", "--reason", "", one),
                      ("drop", "--all", "--reason", "x"),
                      ("drop", "x", "--reason", "x"), ("show",),
                      ("show", one, str(self.broken)), ("show", "--all"),
                      ("release",), ("release", one), ("away", one),
                      ("list", one), ("list", "--event", "1; DROP")):
            self.quarantine(*words, status=USAGE)
        self.assertEqual(len(self.listed()), 4)


class TwoAtOnce(harness.DispatchCase):
    """Two people send the same letters again at the same instant."""

    sink_options = ("--fault", "rcpt~u@=550 5.1.1 nobody here")
    count = 20

    def setUp(self):
        super().setUp()
        self.recipients(self.count)
        self.sql("UPDATE postbatch.recipient SET email = 'u@example.org'"
                 " WHERE id = 1")
        self.emit_notices(self.count)
        self.run_once()
        self.held = harness.Session(self.dsn)
        self.addCleanup(self.held.close)

    def together(self, *words):
        """Runs a command twice, both at one instant; gives what they said."""
        self.held.run("BEGIN")
        self.held.run("SELECT pg_advisory_xact_lock(1885499764, 1)")
        both = [subprocess.Popen(
            [harness.POSTBATCH, "-c", self.dispatcher.config] + list(words),
            stdout=subprocess.PIPE, text=True, env=harness.ENVIRONMENT)
            for _ in range(2)]
        wait_for(lambda: self.number(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
            " AND NOT granted") == 2, "both to wait for the lock")
        self.held.run("ROLLBACK")
        said = [process.communicate()[0] for process in both]
        self.assertEqual([process.returncode for process in both], [0, 0])
        return said

    def test_resend(self):
        event = self.value("SELECT event_id FROM postbatch.ledger"
                           " WHERE recipient_id = 7")
        said = self.together("resend", "--event", event, "--yes")
        self.assertEqual(sorted(line.splitlines()[-1] for line in said),
                         ["0 letters queued in 0 batches",
                          "1 letter queued in 1 batch"])
        self.assertEqual(self.number("SELECT sum(n) FROM postbatch.batch"), 1)
        self.assertEqual(self.verdicts()["resent"], 1)

    def test_release(self):
        event = self.value("SELECT event_id FROM postbatch.ledger"
                           " WHERE recipient_id = 7")
        self.sql("INSERT INTO postbatch.ledger_letter (batch_id, recipient_id,"
                 " event_id, verdict) SELECT batch_id, recipient_id, event_id,"
                 " 5 FROM postbatch.ledger WHERE event_id = %s" % event)
        self.sql("INSERT INTO postbatch.quarantine (event_id, type, stage,"
                 " reason, created_at) SELECT id, type, 'render', 'x',"
                 " created_at FROM postbatch.event WHERE id = %s" % event)
        said = self.together("quarantine", "release", "--event", event)
        self.assertEqual(sorted(line[:10] for line in said),
                         ["0 released", "1 released"])
        self.assertEqual(self.number("SELECT sum(n) FROM postbatch.batch"), 1)


if __name__ == "__main__":
    unittest.main()
