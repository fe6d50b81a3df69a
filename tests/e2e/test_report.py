"""Errors go where people look: each cause once, to Errbit, to a command and
to the log, whatever state these are in, and never at the cost of mail."""

import json
import os
import re
import stat
import time
import unittest

import errbit
import harness
from harness import wait_for

QUICK = (("report.period", "200ms"), ("report.retry", "300ms"),
         ("report.settle", "300ms"), ("report.errbit_timeout", "2s"))


class ReportCase(harness.DispatchCase):
    keeps = ("maildir",)

    def setUp(self):
        super().setUp()
        self.errbit = errbit.Errbit()
        self.addCleanup(self.errbit.stop)
        self.set(("report.errbit_url", self.errbit.url),
                 ("report.errbit_api_key", errbit.Errbit.KEY),
                 ("report.errbit_project_id", "7"), *QUICK)
        self.session = harness.Session(self.dsn)
        self.addCleanup(self.session.close)

    def sql(self, text):
        return self.session.run(text)

    def set(self, *settings):
        self.dispatcher.settings.update(settings)
        self.dispatcher.write_config()

    def wait_kind(self, kind, count=1, seconds=20):
        return wait_for(lambda: len(self.errbit.of_kind(kind)) >= count and
                        self.errbit.of_kind(kind),
                        "%d %s at Errbit; there are %s" %
                        (count, kind, self.errbit.kinds()), seconds)

    def looks(self, count=3):
        """Waits until so many more looks for alarms have been taken."""
        for _ in range(count):
            before = self.value("SELECT looked_at FROM postbatch.alarm_look")
            wait_for(lambda: self.value(
                "SELECT looked_at FROM postbatch.alarm_look") != before,
                "another look for alarms")

    def due(self, backend):
        """Causes that this backend was not told of."""
        return self.number("""
            SELECT count(*) FROM postbatch.alarm AS a
              LEFT JOIN postbatch.alarm_report AS r
                ON r.cause = a.cause AND r.backend = '%s'
             WHERE a.round > coalesce(r.told_round, 0)""" % backend)

    def tearDown(self):
        self.assertEqual(self.errbit.faults, [])


class Kinds(ReportCase):
    types = {
        "Good": {},
        "Broken": {"text": "Hello\n{{#subject}} and no end\n"},
        "Fragile": {"text": "{{subject}}\n"},
    }

    def setUp(self):
        super().setUp()
        self.recipients(5)

    def test_each_cause_once_with_two_workers(self):
        self.set(("worker.processes", "2"))
        self.dispatcher.start()
        for n in range(30):
            self.emit("Good", {"recipient": 1 + n % 5, "subject": "fine",
                               "coment": "a slip"})
            self.emit("Unheard%d" % (n % 2), {"n": n})
            self.emit("Good", [n])
            self.emit("Broken", {"recipient": 1, "subject": "x"})
            self.emit("Good", {"recipient": 1, "subject": n})
        self.wait_accepted(30)
        self.wait_kind("UnlistedKey")
        self.wait_kind("TypeFault")
        # Two names, a payload of a wrong shape, a subject that is a number.
        self.wait_kind("QuarantinedEvent", 4)
        wait_for(lambda: self.number(
            "SELECT sum(count) FROM postbatch.alarm"
            " WHERE kind = 'QuarantinedEvent'") == 90, "all events counted")
        self.looks()
        self.assertEqual(self.errbit.kinds(), ["QuarantinedEvent"] * 4 +
                         ["TypeFault", "UnlistedKey"])

        drift = self.errbit.of_kind("UnlistedKey")[0]
        self.assertEqual(drift["errors"][0]["message"],
                         'Good: payload key "coment" is in no contract')
        self.assertEqual(drift["errors"][0]["backtrace"][0]["file"],
                         "Good/contract.json")
        self.assertEqual(drift["params"]["keys"], ["coment"])
        self.assertEqual(drift["context"]["severity"], "warning")
        fault = self.errbit.of_kind("TypeFault")[0]
        self.assertEqual(fault["errors"][0]["backtrace"][0],
                         {"file": "Broken/text.mustache", "line": 2,
                          "function": "Broken"})
        self.assertEqual(self.number(
            "SELECT count FROM postbatch.alarm WHERE kind = 'TypeFault'"), 30)
        found = {(n["context"]["action"], n["context"]["component"])
                 for n in self.errbit.of_kind("QuarantinedEvent")}
        self.assertEqual(found, {("Unheard0", "route"), ("Unheard1", "route"),
                                 ("Good", "route"), ("Good", "contract")})
        # The same in the log, once each, of both workers together.
        log = self.dispatcher.read_log()
        self.assertEqual(len(re.findall(r'msg="alarm" kind=', log)), 6)

    def test_faults_that_are_mended(self):
        self.set(("worker.processes", "1"))
        process = self.dispatcher.start()
        self.wait_kind("TypeFault")
        harness.stop_process(process)
        text = os.path.join(self.dispatcher.settings["templates.path"],
                            "tests", "Broken", "text.mustache")
        with open(text, "w") as f:
            f.write("Hello {{subject}}\n")
        self.dispatcher.start()
        over = self.wait_kind("TypeFault", 2)[1]
        self.assertIn("can be mailed again", over["errors"][0]["message"])
        self.assertEqual(over["context"]["severity"], "info")
        self.assertIs(over["params"]["is_over"], True)

    def test_a_hundred_thousand_events_of_ten_causes(self):
        count = harness.scaled(100000)
        self.dispatcher.start()
        self.wait_kind("TypeFault")
        self.sql("""
            INSERT INTO postbatch.event (type, payload)
            SELECT CASE WHEN i %% 10 < 5 THEN 'Nobody' || i %% 5
                        ELSE 'Good' END,
                   CASE i %% 10 WHEN 5 THEN '[]' WHEN 6 THEN '"x"'
                     WHEN 7 THEN '7' WHEN 8 THEN 'true'
                     ELSE '{"recipient": 1}' END::jsonb
              FROM generate_series(0, %d) AS i""" % (count - 1))
        self.emit("Good", {"recipient": 1, "subject": "fine"})
        self.wait_accepted(1)
        wait_for(lambda: self.number(
            "SELECT coalesce(sum(count), 0) FROM postbatch.alarm"
            " WHERE kind = 'QuarantinedEvent'") == count,
            "%d events counted" % count, 60)
        self.wait_kind("QuarantinedEvent", 10)
        self.looks()
        self.assertEqual(self.errbit.kinds(),
                         ["QuarantinedEvent"] * 10 + ["TypeFault"])

    def test_back_after_a_quiet_time(self):
        self.set(("report.quiet", "2s"))
        self.dispatcher.start()
        self.emit("Unheard", {})
        self.wait_kind("QuarantinedEvent")
        self.emit("Unheard", {})
        self.looks()
        self.assertEqual(len(self.errbit.of_kind("QuarantinedEvent")), 1)
        wait_for(lambda: self.value(
            "SELECT is_over FROM postbatch.alarm WHERE action = 'Unheard'")
            == "t", "the cause to be over")
        self.emit("Unheard", {})
        again = self.wait_kind("QuarantinedEvent", 2)
        self.assertEqual(again[0]["errors"], again[1]["errors"])
        self.assertEqual(again[0]["context"], again[1]["context"])
        self.assertEqual(again[1]["params"]["count"], 1)

    def test_told_again_while_it_goes_on(self):
        self.set(("report.repeat", "1s"))
        self.dispatcher.start()

        def go_on():
            self.emit("Unheard", {})
            return len(self.errbit.of_kind("QuarantinedEvent")) >= 3
        wait_for(go_on, "three reports of what goes on")

    def test_random_names_are_one_cause_in_the_end(self):
        self.set(("report.per_minute", "1000"))
        self.dispatcher.start()
        self.sql("SELECT count(postbatch.emit('Name' || i, '{}'::jsonb))"
                 " FROM generate_series(1, 700) AS i")
        wait_for(lambda: self.number(
            "SELECT coalesce(sum(count), 0) FROM postbatch.alarm"
            " WHERE kind = 'QuarantinedEvent'") >= 501, "the alarms")
        self.assertEqual(self.number(
            "SELECT count(*) FROM postbatch.alarm"
            " WHERE kind = 'QuarantinedEvent'"), 201)
        self.wait_kind("QuarantinedEvent", 201)

    def test_what_waits_too_long(self):
        self.set(("report.waiting", "1s"), ("router.enabled", "no"))
        self.dispatcher.start()
        self.emit("Good", {"recipient": 1, "subject": "late"})
        notice = self.wait_kind("EventsWaiting")[0]
        self.assertEqual(notice["params"]["limit_s"], 1)
        self.assertGreaterEqual(notice["params"]["oldest_s"], 1)
        self.dispatcher.processes.pop().terminate()
        self.set(("router.enabled", "yes"))
        self.dispatcher.start()
        self.wait_accepted(1)
        over = self.wait_kind("EventsWaiting", 2)[1]
        self.assertIs(over["params"]["is_over"], True)

    def test_gaps_of_an_importer(self):
        self.sql("""
            CREATE TABLE IF NOT EXISTS postbatch.intake_gap (
              source text NOT NULL, from_nr bigint NOT NULL,
              to_nr bigint NOT NULL, at timestamptz NOT NULL DEFAULT now(),
              reason text NOT NULL)""")
        gap = ("INSERT INTO postbatch.intake_gap"
               " (source, from_nr, to_nr, reason)"
               " VALUES ('backend', %d, %d, 'sync=lost')")
        self.dispatcher.start()
        self.sql(gap % (100, 180))
        notice = self.wait_kind("SyncLost")[0]
        self.assertEqual(notice["context"]["action"], "backend")
        self.assertEqual((notice["params"]["from"], notice["params"]["to"]),
                         (100, 180))
        self.sql(gap % (200, 220))
        wait_for(lambda: self.value("SELECT count FROM postbatch.alarm"
                                    " WHERE kind = 'SyncLost'") == "2",
                 "the second gap counted")
        self.looks()
        self.assertEqual(self.errbit.kinds(), ["SyncLost", "TypeFault"])

    def test_a_run_that_ends_reports_before(self):
        self.set(("report.period", "30s"))
        self.emit("Unheard", {})
        self.emit("Good", {"recipient": 1, "subject": "x", "odd": 1})
        self.run_once()
        self.assertEqual(self.errbit.kinds(), [
            "QuarantinedEvent", "TypeFault", "UnlistedKey"])


if __name__ == "__main__":
    unittest.main()
