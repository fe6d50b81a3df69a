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
import scripted_relay
from harness import wait_for

QUICK = (("report.period", "200ms"), ("report.retry", "300ms"),
         ("report.settle", "300ms"), ("report.errbit_timeout", "30s"))


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
        """Waits until so many more whole looks for alarms have been taken: one
        is due five minutes after the last, whatever there is to see."""
        for _ in range(count):
            self.sql("UPDATE postbatch.alarm_look"
                     " SET looked_at = looked_at - interval '5 min'")
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

    def test_what_waits_too_long_in_the_hands_of_a_worker(self):
        self.set(("report.waiting", "1s"), ("relay.main.rate_per_min", "1"))
        self.dispatcher.start()
        self.emit("Good", {"recipient": 1, "subject": "one a minute"})
        self.emit("Good", {"recipient": 2, "subject": "so this one waits"})
        notice = self.wait_kind("LettersWaiting")[0]
        self.assertGreaterEqual(notice["params"]["oldest_s"], 1)

    def test_gaps_of_an_importer(self):
        gap = ("INSERT INTO postbatch.intake_gap"
               " (source, from_nr, to_nr, reason)"
               " VALUES ('backend', %d, %d, 'lost')")
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
        self.sql("""
            CREATE TABLE IF NOT EXISTS postbatch.intake_unknown (
              source text NOT NULL, type text NOT NULL,
              first_event_id bigint NOT NULL,
              first_at timestamptz NOT NULL DEFAULT now(),
              last_at timestamptz NOT NULL DEFAULT now(),
              events bigint NOT NULL);
            INSERT INTO postbatch.intake_unknown
                   (source, type, first_event_id, events)
            VALUES ('backend', 'SRCSRV_NEW', 17, 3)""")
        notice = self.wait_kind("UnknownType")[0]
        self.assertEqual(notice["params"]["event_id"], 17)
        self.looks()
        self.assertEqual(self.errbit.kinds(),
                         ["SyncLost", "TypeFault", "UnknownType"])

    def test_a_run_that_ends_reports_before(self):
        self.set(("report.period", "30s"))
        self.emit("Unheard", {})
        self.emit("Good", {"recipient": 1, "subject": "x", "odd": 1})
        self.run_once()
        self.assertEqual(self.errbit.kinds(), [
            "QuarantinedEvent", "TypeFault", "UnlistedKey"])


class Delivery(ReportCase):
    """What becomes of reports when Errbit is in trouble; what becomes of
    mail meanwhile."""

    types = {"Good": {}}

    def setUp(self):
        super().setUp()
        self.recipients(5)

    def mail(self, count):
        """So many mails go out, and at once."""
        before = self.sink.accepted()
        self.sql("SELECT count(postbatch.emit('Good', jsonb_build_object("
                 "'recipient', 1 + i %% 5, 'subject', 'fine')))"
                 " FROM generate_series(1, %d) AS i" % count)
        self.wait_accepted(before + count, 10)

    def unheard(self, first, count):
        self.sql("SELECT count(postbatch.emit('Unheard' || i, '{}'::jsonb))"
                 " FROM generate_series(%d, %d) AS i" %
                 (first, first + count - 1))

    def test_nothing_is_written_while_there_is_nothing_to_tell(self):
        self.set(("report.period", "100ms"))
        self.dispatcher.start()
        wait_for(lambda: self.value(
            "SELECT isfinite(looked_at) FROM postbatch.alarm_look") == "t",
            "the first look")
        top = "SELECT pg_snapshot_xmax(pg_current_snapshot())"
        before = self.number(top)
        seen = set()

        def has_looked():
            seen.add(self.value(
                "SELECT query_start FROM pg_stat_activity"
                " WHERE datname = current_database()"
                "   AND application_name = 'postbatch alarms'"))
            return len(seen) > 20
        wait_for(has_looked, "twenty looks")
        # The worker's sign of life may be among them.
        self.assertLess(self.number(top) - before, 4)
        # Something to tell is told as soon as ever.
        self.unheard(1, 1)
        self.wait_kind("QuarantinedEvent", 1, 5)
        self.sql("INSERT INTO postbatch.intake_unknown"
                 " (source, type, first_event_id, events)"
                 " VALUES ('backend', 'SRCSRV_NEW', 17, 3)")
        self.wait_kind("UnknownType", 1, 5)

    def test_down_and_up_again(self):
        self.errbit.stop()
        self.dispatcher.start()
        self.unheard(1, 6)
        wait_for(lambda: "errbit was not told" in self.dispatcher.read_log(),
                 "a line about Errbit")
        self.mail(50)
        self.assertEqual(self.due("errbit"), 6)
        self.assertEqual(self.due("log"), 0)
        back = errbit.Errbit(port=self.errbit.port)
        self.addCleanup(back.stop)
        wait_for(lambda: self.due("errbit") == 0, "all reports told")
        self.assertEqual(len(back.of_kind("QuarantinedEvent")), 6)
        self.assertEqual(len({n["params"]["cause"] for n in back.notices}), 6)
        self.assertEqual(back.faults, [])

    def test_busy_then_well(self):
        self.errbit.mode = 500
        self.dispatcher.start()
        self.unheard(1, 1)
        wait_for(lambda: len(self.errbit.requests) >= 3, "three tries")
        self.errbit.mode = 201
        self.wait_kind("QuarantinedEvent")
        waits = [b - a for a, b in zip(self.errbit.requests,
                                       self.errbit.requests[1:])]
        self.assertGreaterEqual(waits[1], 0.5)  # 300 ms, then twice that
        self.assertGreaterEqual(waits[0], 0.25)

    def test_a_key_that_is_not_known(self):
        self.errbit.key = "another"
        self.dispatcher.start()
        self.unheard(1, 1)
        wait_for(lambda: "errbit takes no reports of ours" in
                 self.dispatcher.read_log(), "a line about the key")
        self.assertRegex(self.dispatcher.read_log(),
                         r'status=422 says="Your API key is unknown" '
                         r'mend="[^"]*check report.errbit_api_key')
        self.assertNotIn(errbit.Errbit.KEY, self.dispatcher.read_log())
        self.errbit.key = errbit.Errbit.KEY  # a person has mended it
        self.wait_kind("QuarantinedEvent")

    def test_a_notice_that_is_refused_is_not_sent_again(self):
        self.errbit.mode = 400
        self.dispatcher.start()
        self.unheard(1, 1)
        wait_for(lambda: "errbit refuses a report" in
                 self.dispatcher.read_log(), "a line about the refusal")
        self.errbit.mode = 201
        self.unheard(2, 1)
        self.wait_kind("QuarantinedEvent")
        self.looks()
        self.assertEqual([n["context"]["action"]
                          for n in self.errbit.notices], ["Unheard2"])
        self.assertEqual(len(self.errbit.requests), 2)

    def test_mail_flows_while_errbit_hangs(self):
        self.errbit.mode = "hang"
        self.set(("report.errbit_timeout", "60s"))
        process = self.dispatcher.start()
        self.unheard(1, 10)
        wait_for(lambda: len(self.errbit.requests) == 4,
                 "as many requests as go out at a time")
        for _ in range(3):
            self.mail(100)
        self.assertEqual(self.due("log"), 0)
        self.assertEqual(len(self.errbit.requests), 4)
        began = time.monotonic()
        self.assertEqual(harness.stop_process(process), 0)
        self.assertLess(time.monotonic() - began, 5 * harness.PATIENCE)

    def test_certificates_are_verified(self):
        folder = os.path.join(self.dispatcher.directory, "certificates")
        os.mkdir(folder)
        made = scripted_relay.Certificates(folder)
        for pair, authority, is_told in (
                ("good", "", False), ("good", "stranger", False),
                ("other", "ca", False), ("expired", "ca", False),
                ("good", "ca", True)):
            with self.subTest("%s, trusting %s" % (pair, authority)):
                tracker = errbit.Errbit(pair=made.pair(pair))
                self.addCleanup(tracker.stop)
                self.set(("report.errbit_url", tracker.url),
                         ("report.errbit_ca_file",
                          authority and made.path(authority + ".pem")))
                self.sql("DELETE FROM postbatch.alarm")
                self.unheard(1, 1)
                said = self.run_once().stderr
                self.assertEqual(len(tracker.notices), int(is_told), said)
                self.assertEqual(tracker.requests == [], not is_told)

    def test_no_more_than_so_many_a_minute(self):
        self.set(("report.per_minute", "5"))
        self.dispatcher.start()
        self.unheard(1, 3)
        self.wait_kind("QuarantinedEvent", 3)
        self.unheard(4, 40)
        rest = self.wait_kind("ManyCauses")[0]
        self.assertEqual(rest["params"]["causes"], 39)
        self.assertEqual(len(rest["params"]["some_of_them"]), 39)
        # The last single one is on its way at the same time.
        wait_for(lambda: self.due("errbit") == 0, "all of it told")
        singles = self.errbit.of_kind("QuarantinedEvent")
        self.assertEqual(len(singles), 4)
        self.looks()
        self.assertEqual(len(self.errbit.notices), 5)

    def test_settings_that_cannot_work(self):
        for key, text, words in (
                ("report.errbit_url", "errbit.example.org", "http://"),
                ("report.errbit_api_key", "", "report.errbit_api_key_file"),
                ("report.errbit_api_key", "a b", "report.errbit_api_key_file"),
                ("report.errbit_project_id", "../1", "project"),
                ("report.errbit_api_key_file", "/nowhere/key", "/nowhere/key"),
                ("report.command", "/nowhere/hook", "/nowhere/hook"),
                ("report.command", "hook 'x", "quote")):
            with self.subTest(key + " = " + text):
                done = self.dispatcher.command("-s", key + "=" + text, "stats")
                self.assertEqual(done.returncode, os.EX_CONFIG)
                self.assertIn(words, done.stderr)

    def test_migrations_that_fail(self):
        dsn = self.postgres.database("halfway")
        self.set(("database.dsn", dsn))
        self.dispatcher.must("migrate", "--to", "3")
        harness.psql(dsn, "CREATE TABLE postbatch.alarm ()")
        done = self.dispatcher.command("migrate")
        self.assertEqual(done.returncode, os.EX_UNAVAILABLE)
        self.assertRegex(done.stderr, "0006_alarms.sql: ERROR")
        notice, = self.errbit.of_kind("MigrationFailed")
        self.assertRegex(notice["params"]["said"], "0006_alarms.sql.*exists")
        frame, = notice["errors"][0]["backtrace"]
        self.assertEqual(frame["file"], "sql/0006_alarms.sql")
        # Errbit away: told, and the same exit.
        self.errbit.stop()
        done = self.dispatcher.command("migrate")
        self.assertEqual(done.returncode, os.EX_UNAVAILABLE)
        self.assertIn("Errbit was not told", done.stderr)


class Relays(ReportCase):
    types = {"Good": {}}

    def setUp(self):
        super().setUp()
        self.recipients(5)

    def another_sink(self, *options):
        self.sink.stop()
        self.sink = harness.Sink(*options, keeps=self.keeps,
                                 port=self.sink.port)

    def test_down_and_back(self):
        self.set(("relay.main.rest", "100ms"), ("relay.main.rest_max", "300ms"))
        self.sink.process.terminate()
        self.sink.process.wait()
        self.dispatcher.start()
        self.emit("Good", {"recipient": 1, "subject": "late"})
        notice = self.wait_kind("RelayDown")[0]
        self.assertEqual(notice["errors"][0]["message"],
                         "relay main: it cannot be reached")
        self.assertEqual(notice["params"]["where"],
                         "127.0.0.1:%d" % self.sink.port)
        self.sink = harness.Sink(keeps=self.keeps, port=self.sink.port)
        self.wait_accepted(1)
        over = self.wait_kind("RelayDown", 2)[1]
        self.assertEqual(over["errors"][0]["message"],
                         "relay main: it takes letters again")
        self.looks()
        self.assertEqual(len(self.errbit.notices), 2)

    def test_paused_once_for_two_workers(self):
        self.another_sink("--fault", "connect=554 5.7.1 go away")
        self.set(("relay.main.pause", "500ms"), ("worker.processes", "2"))
        self.dispatcher.start()
        self.sql("SELECT count(postbatch.emit('Good', jsonb_build_object("
                 "'recipient', 1 + i % 5, 'subject', 'fine')))"
                 " FROM generate_series(1, 1500) AS i")
        notice = self.wait_kind("RelayPaused")[0]
        self.assertIn("go away", notice["params"]["why"])
        wait_for(lambda: self.number(  # each tells of it once a minute
            "SELECT count FROM postbatch.alarm WHERE kind = 'RelayPaused'")
            >= 2, "both workers to have met it")
        self.looks()
        self.assertEqual(self.errbit.kinds(), ["RelayPaused"])

    def test_credentials(self):
        self.set(("relay.main.user", "notify"), ("relay.main.password", "x"))
        self.dispatcher.start()
        self.emit("Good", {"recipient": 1, "subject": "late"})
        notice = self.wait_kind("RelayAccess")[0]
        self.assertIn("AUTH was not offered", notice["params"]["why"])
        self.assertIn("check user, password", notice["params"]["see"])

    def test_the_sender_is_refused(self):
        self.another_sink("--fault", "mail=550 5.1.8 we do not know you")
        self.dispatcher.start()
        self.emit("Good", {"recipient": 1, "subject": "late"})
        notice = self.wait_kind("SenderRefused")[0]
        self.assertIn("we do not know you", notice["params"]["why"])


HOOK = """#!/bin/sh
# Keeps what it was given; the body in one file a run.
n=$(ls %(folder)s | wc -l)
cat > %(folder)s/$n.json
env > %(folder)s/$n.env
echo "$0 says $1"
%(rest)s
"""


class Command(ReportCase):
    types = {"Good": {}}

    def hook(self, rest, argument="'two words'"):
        folder = os.path.join(self.dispatcher.directory, "reports")
        path = os.path.join(self.dispatcher.directory, "hook")
        os.mkdir(folder)
        with open(path, "w") as f:
            f.write(HOOK % {"folder": folder, "rest": rest})
        os.chmod(path, stat.S_IRWXU)
        self.set(("report.errbit_url", ""), ("report.environment", "rehearsal"),
                 ("report.command", "%s %s $HOME" % (path, argument)))
        self.folder = folder

    def bodies(self):
        """What the runs that have ended were given, by the action."""
        found = []
        for name in os.listdir(self.folder):
            env = os.path.join(self.folder, name.replace(".json", ".env"))
            if name.endswith(".json") and os.path.exists(env):
                with open(os.path.join(self.folder, name)) as f:
                    found.append(json.loads(f.read()))
        return sorted(found, key=lambda body: body["action"])

    def test_it_gets_the_report(self):
        self.hook("exit 0")
        self.dispatcher.start()
        for n in range(3):
            self.emit("Unheard%d" % n, {"n": n})
        self.emit('"$(touch pwned)" \'; touch pwned', {})
        wait_for(lambda: len(self.bodies()) == 4, "four runs")
        wait_for(lambda: self.due("command") == 0, "all told")
        body = self.bodies()[1]
        self.assertEqual(body["kind"], "QuarantinedEvent")
        self.assertEqual(body["action"], "Unheard0")
        self.assertEqual(body["environment"], "rehearsal")
        self.assertEqual(body["params"]["reason"],
                         "no event type has this name")
        self.assertEqual(self.bodies()[0]["action"],
                         '"$(touch pwned)" \'; touch pwned')
        for name in os.listdir(self.folder):
            if name.endswith(".env"):
                with open(os.path.join(self.folder, name)) as f:
                    text = f.read()
                self.assertIn("ALARM_KIND=QuarantinedEvent\n", text)
                self.assertIn("ALARM_STATE=open\n", text)
                self.assertNotIn("POSTBATCH_", text)
        self.assertIn('says two words"', self.dispatcher.read_log())
        self.assertFalse(os.path.exists(os.path.join(harness.ROOT, "pwned")))
        self.looks()
        self.assertEqual(len(self.bodies()), 4)

    def test_it_is_killed_at_its_limit_and_run_again(self):
        self.set(("report.command_timeout", "500ms"))
        self.hook("sleep 600 & echo $! >> %s; wait" % os.path.join(
            self.dispatcher.directory, "pids"))
        process = self.dispatcher.start()
        self.recipients(1)
        self.emit("Unheard", {})
        wait_for(lambda: len(self.bodies()) >= 1, "the first run")
        self.emit("Good", {"recipient": 1, "subject": "fine"})
        self.wait_accepted(1)
        wait_for(lambda: "killed after 500 ms" in self.dispatcher.read_log(),
                 "the end of the first run")
        wait_for(lambda: len(self.bodies()) >= 2, "a second run")
        self.assertEqual(harness.stop_process(process), 0)
        with open(os.path.join(self.dispatcher.directory, "pids")) as f:
            pids = [int(line) for line in f]
        for pid in pids:  # what it has started is gone with it
            wait_for(lambda: not os.path.exists("/proc/%d" % pid) or
                     self.is_dead(pid), "process %d to end" % pid)

    @staticmethod
    def is_dead(pid):
        try:
            with open("/proc/%d/stat" % pid) as f:
                return f.read().rsplit(")", 1)[1].split()[0] in "ZX"
        except FileNotFoundError:
            return True

    def test_it_fails_then_works(self):
        self.hook("test -e %s/again || { touch %s/again; exit 3; }" %
                  ((self.dispatcher.directory,) * 2))
        process = self.dispatcher.start()
        self.emit("Unheard", {})
        wait_for(lambda: len(self.bodies()) == 2 and
                 self.due("command") == 0, "a second run")
        self.assertIn("exit status 3", self.dispatcher.read_log())
        # No zombie is left.
        with open("/proc/%d/task/%d/children" % (process.pid,
                                                 process.pid)) as f:
            self.assertEqual(f.read().split(), [])

    def test_in_a_worker_that_is_itself_a_child(self):
        self.hook("exit 0")
        self.set(("worker.processes", "2"))
        self.dispatcher.start()
        self.emit("Unheard", {})
        wait_for(lambda: self.due("command") == 0 and len(self.bodies()) == 1,
                 "one run")
        self.looks()
        self.assertEqual(len(self.bodies()), 1)
        self.assertNotIn("a worker died", self.dispatcher.read_log())


class Journal(ReportCase):
    """Standard error as systemd gives it: with the journal behind it."""

    types = {"Good": {}}

    def test_lines_carry_priorities(self):
        log = os.path.join(self.dispatcher.directory, "log")
        with open(log, "wb") as f:
            status = os.fstat(f.fileno())
        stream = "%d:%d" % (status.st_dev, status.st_ino)
        usual = harness.ENVIRONMENT.get("JOURNAL_STREAM")
        harness.ENVIRONMENT["JOURNAL_STREAM"] = stream
        try:
            self.dispatcher.start()
        finally:
            if usual is None:
                del harness.ENVIRONMENT["JOURNAL_STREAM"]
            else:
                harness.ENVIRONMENT["JOURNAL_STREAM"] = usual
        self.emit("Unheard", {})
        self.emit("Good", {"recipient": 1, "subject": "x", "odd": 1})
        self.recipients(1)
        self.wait_kind("QuarantinedEvent")
        wait_for(lambda: self.due("log") == 0, "the log told")
        lines = self.dispatcher.read_log().splitlines()
        self.assertTrue(lines)
        for line in lines:
            self.assertRegex(line, r"^<[3-7]>level=")
        self.assertTrue([line for line in lines if line.startswith(
            '<3>level=error msg="alarm" kind=QuarantinedEvent')])
        self.assertTrue([line for line in lines if line.startswith(
            '<4>level=warn msg="events set aside"')])


class Incident(ReportCase):
    """2017-12-14 at the Open Build Service: a deployment took the key
    "comment" out of ServiceSuccess, and every such event was lost. Here every
    one is mailed, the key is kept, and people hear of it, once."""

    def make_templates(self):
        templates = os.path.join(self.directory, "templates")
        source = os.path.join(harness.ROOT, "templates")
        harness.shutil.copytree(source, templates)
        path = os.path.join(templates, "obs", "ServiceSuccess")
        with open(os.path.join(path, "contract.json")) as f:
            contract = json.load(f)
        contract.pop("extends")
        contract.update({
            "mailable": True,
            "keys": {name: {"type": "string"} for name in (
                "project", "package", "sender", "rev", "user", "requestid")},
            "roles": ["maintainer", "bugowner"],
            "originator": "sender",
        })
        for sample in contract["samples"].values():
            sample.pop("comment", None)
        with open(os.path.join(path, "contract.json"), "w") as f:
            json.dump(contract, f)
        for name, text in (
                ("subject", "{{project}}/{{package}} succeeded"),
                ("text", "{{project}}/{{package}}\n"),
                ("html", "<p>{{project}}/{{package}}</p>\n")):
            with open(os.path.join(path, name + ".mustache"), "w") as f:
                f.write(text)
        return templates

    def setUp(self):
        self.directory = harness.tempfile.mkdtemp(prefix="postbatch-obs-")
        self.addCleanup(harness.shutil.rmtree, self.directory,
                        ignore_errors=True)
        super().setUp()
        for key in ("report.period", "report.retry", "report.settle",
                    "report.errbit_timeout"):
            del self.dispatcher.settings[key]  # as they are out of the box
        self.dispatcher.write_config()
        with open(os.path.join(harness.ROOT, "bench", "demo",
                               "obs_schema.sql")) as f:
            harness.psql(self.dsn, f.read())
        self.sql("""
            INSERT INTO postbatch.recipient (id, key, email)
            SELECT i, 'u' || i, 'u' || i || '@example.org'
              FROM generate_series(1, 4) AS i;
            INSERT INTO obs.users (id, login, email, recipient_id)
            SELECT id, key, email, id FROM postbatch.recipient;
            INSERT INTO obs.projects (id, name) VALUES (1, 'openSUSE:Factory');
            INSERT INTO obs.packages (id, project_id, name)
            VALUES (10, 1, 'curl'), (11, 1, 'git');
            INSERT INTO obs.relationships
                   (role, project_id, package_id, user_id)
            VALUES ('maintainer', NULL, 10, 1), ('maintainer', NULL, 11, 2),
                   ('bugowner', 1, NULL, 3)""")

    def test_a_key_that_a_deployment_has_dropped(self):
        self.set(("worker.processes", "2"))
        self.dispatcher.start()
        began = time.monotonic()
        self.sql("""
            SELECT count(postbatch.emit('ServiceSuccess', jsonb_build_object(
                     'project', 'openSUSE:Factory',
                     'package', CASE i % 2 WHEN 0 THEN 'curl' ELSE 'git' END,
                     'sender', 'u4', 'comment', 'Update ' || i)))
              FROM generate_series(1, 200) AS i""")
        self.wait_accepted(400)
        notice, = self.wait_kind("UnlistedKey", 1, 60)
        self.assertLess(time.monotonic() - began, 60)
        wait_for(self.is_drained, "the last verdicts")

        # Every one is mailed, to maintainers and bug owners.
        self.assert_each_once(400)
        self.assertEqual(self.verdicts(), {"sent": 400})
        found = {}
        for mail in self.sink.mails():
            found[mail["To"]] = found.get(mail["To"], 0) + 1
        self.assertEqual({re.search("u[0-9]", to).group(): n
                          for to, n in found.items()},
                         {"u1": 100, "u2": 100, "u3": 200})
        self.assertEqual(self.number(
            "SELECT count(*) FROM postbatch.quarantine"), 0)
        # The key is kept.
        self.assertEqual(self.number(
            "SELECT count(*) FROM postbatch.event"
            " WHERE payload ->> 'comment' LIKE 'Update %'"), 200)
        wait_for(lambda: self.sql(
            "SELECT type, key, events FROM postbatch.drift") ==
            [["ServiceSuccess", "comment", "200"]], "200 events counted")
        # One notice says all of it.
        error = notice["errors"][0]
        self.assertEqual(error["message"],
                         'ServiceSuccess: payload key "comment" is in no'
                         ' contract')
        self.assertEqual(error["backtrace"][0]["file"],
                         "ServiceSuccess/contract.json")
        self.assertEqual(notice["params"]["keys"], ["comment"])
        self.assertEqual(notice["params"]["type"], "ServiceSuccess")
        self.assertEqual(self.errbit.kinds(), ["UnlistedKey"])
        self.assertEqual(self.sql(
            "SELECT a.kind, a.round, r.backend, r.told_round"
            "  FROM postbatch.alarm AS a"
            "  JOIN postbatch.alarm_report AS r USING (cause) ORDER BY 3"),
            [["UnlistedKey", "1", "errbit", "1"],
             ["UnlistedKey", "1", "log", "1"]])


if __name__ == "__main__":
    unittest.main()
