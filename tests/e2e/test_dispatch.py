"""From an event in a transaction to a mail at the relay: who gets one, how
many, in what order, how soon, and what is in it."""

import email.utils
import os
import re
import signal
import time
import unittest

import harness
from harness import measured, scaled, wait_for

TYPES = {
    "Each": {"originator": "sender"},
    "Gathered": {
        "batching": {"rule": "gather", "window": "0s", "max": 3},
        "subject": "{{event_count}}: {{#events}}{{subject}} {{/events}}",
    },
    "Threaded": {"thread": "talk-{{topic}}",
                 "headers": {"X-Topic": "{{topic}}"}},
}


class Who(harness.DispatchCase):
    """Which recipients get how many letters."""

    keeps = ("maildir",)
    types = TYPES

    def subscribe(self, topic, *recipients):
        for recipient in recipients:
            self.sql("INSERT INTO postbatch.subscription (topic, recipient_id)"
                     " VALUES ('%s', %d)" % (topic, recipient))

    def prefer(self, recipient, type_name, role, frequency):
        self.sql("INSERT INTO postbatch.preference VALUES (%s, '%s', '%s',"
                 " '%s')" % (recipient, type_name, role, frequency))

    def mailed(self):
        """Sorted pairs of address and subject that came in all."""
        self.run_once()
        return sorted((m["Delivered-To"], m["Subject"])
                      for m in self.sink.mails())

    def test_one_event_is_one_mail(self):
        self.recipients(3)
        self.emit("notice", {"recipient": 2, "subject": "Hello", "body": "!"})
        self.assertEqual(self.mailed(), [("u2@example.org", "Hello")])
        self.assertEqual(self.verdicts(), {"sent": 1})
        self.assertEqual(self.sql("SELECT recipient_id, attempt, code FROM"
                                  " postbatch.ledger"), [["2", "0", "250"]])

    def test_the_number_of_a_role_may_be_high(self):
        """Each start that fails after it has asked for numbers uses them up."""
        self.recipients(1)
        self.sql("SELECT setval(pg_get_serial_sequence('postbatch.role',"
                 " 'id'), 32000)")
        self.emit("notice", {"recipient": 1, "subject": "High", "body": "!"})
        self.assertEqual(self.mailed(), [("u1@example.org", "High")])
        self.assertEqual(self.sink.mails()[0]["X-Postbatch-Role"],
                         "addressee")

    def test_who_has_two_roles_gets_one_mail(self):
        self.recipients(1)
        self.subscribe("news", 1)
        self.emit("Each", {"recipients": [1, "u1", 1], "topic": "news",
                           "subject": "Once"})
        self.assertEqual(self.mailed(), [("u1@example.org", "Once")])

    def test_each_event_is_a_letter_of_its_own(self):
        self.recipients(2)
        for n in range(3):
            self.emit("Each", {"recipients": [1, 2], "subject": str(n)})
        self.assertEqual(self.mailed(), [
            ("u%d@example.org" % r, str(n)) for r in (1, 2) for n in range(3)])

    def test_gathered_events_share_letters(self):
        self.recipients(2)
        for n in range(7):
            self.emit("Gathered", {"recipient": 1, "subject": str(n)})
        self.emit("Gathered", {"recipient": 2, "subject": "a"})
        self.emit("Gathered", {"recipient": 2, "subject": "b"})
        self.assertEqual(self.mailed(), [
            ("u1@example.org", "1: 6"), ("u1@example.org", "3: 0 1 2"),
            ("u1@example.org", "3: 3 4 5"), ("u2@example.org", "2: a b")])
        self.assertEqual(self.number(
            "SELECT sum(1 + coalesce(cardinality(more_events), 0))"
            " FROM postbatch.ledger WHERE verdict = 1"), 9)

    def test_off_is_off(self):
        self.recipients(2)
        self.prefer(1, "Each", "addressee", "off")
        self.emit("Each", {"recipients": [1, 2], "subject": "Hello"})
        self.assertEqual(self.mailed(), [("u2@example.org", "Hello")])

    def test_own_preference_goes_before_the_default(self):
        self.recipients(3)
        self.subscribe("news", 1, 2, 3)
        self.prefer("NULL", "Each", "subscriber", "off")
        self.prefer(2, "Each", "subscriber", "instant")
        self.emit("Each", {"topic": "news", "subject": "Hello"})
        self.assertEqual(self.mailed(), [("u2@example.org", "Hello")])

    def test_a_second_role_counts_when_the_first_is_off(self):
        self.recipients(2)
        self.subscribe("news", 1)
        self.prefer("NULL", "Each", "addressee", "off")
        self.emit("Each", {"recipients": [1, 2], "topic": "news",
                           "subject": "Hello"})
        self.assertEqual(self.mailed(), [("u1@example.org", "Hello")])
        self.assertEqual(self.value(
            "SELECT r.name FROM postbatch.ledger AS l"
            " JOIN postbatch.role AS r ON r.id = l.role"), "subscriber")

    def test_the_originator_hears_nothing(self):
        self.recipients(2)
        self.emit("Each", {"recipients": [1, 2], "sender": "u1",
                           "subject": "Mine"})
        self.assertEqual(self.mailed(), [("u2@example.org", "Mine")])

    def test_the_inactive_get_nothing(self):
        self.recipients(2)
        self.sql("UPDATE postbatch.recipient SET state = 'inactive'"
                 " WHERE id = 1")
        self.emit("Each", {"recipients": [1, 2], "subject": "Hello"})
        self.assertEqual(self.mailed(), [("u2@example.org", "Hello")])

    def test_the_suppressed_are_skipped_with_the_reason(self):
        self.recipients(2)
        self.sql("INSERT INTO postbatch.suppression (email, reason)"
                 " VALUES ('u1@example.org', 'asked to be left alone')")
        self.emit("Each", {"recipients": [1, 2], "subject": "Hello"})
        self.assertEqual(self.mailed(), [("u2@example.org", "Hello")])
        self.assertEqual(self.sql(
            "SELECT recipient_id, reply FROM postbatch.ledger"
            " WHERE verdict = 5"), [["1", "asked to be left alone"]])

    def test_nobody_to_write_to_is_nothing_to_do(self):
        self.emit("Each", {"recipients": [1, "nobody"], "topic": "nothing",
                           "subject": "Hello"})
        self.assertEqual(self.mailed(), [])
        self.assertEqual(self.number(
            "SELECT count(*) FROM postbatch.quarantine"), 0)

    def test_what_is_rolled_back_sends_nothing(self):
        self.recipients(1)
        session = harness.Session(self.dsn)
        self.addCleanup(session.close)
        emit = ("SELECT postbatch.emit('Each', '{\"recipient\": 1,"
                " \"subject\": \"%s\"}'::jsonb)")
        session.run("BEGIN; " + emit % "rolled back" + "; ROLLBACK")
        session.run("BEGIN; " + emit % "kept" + "; SAVEPOINT s; " +
                    emit % "taken back" + "; ROLLBACK TO s; COMMIT")
        self.assertEqual(self.mailed(), [("u1@example.org", "kept")])
        self.assertEqual(self.number("SELECT count(*) FROM postbatch.event"), 1)


class Ledger(harness.DispatchCase):
    """What became of each letter reads the same, whether it has a row of its
    own or shares one."""

    types = TYPES
    sink_options = ("--fault", "rcpt~u5@=550 5.2.3 too big for it",
                    "--fault", "rcpt~u6@=451 4.2.1 later")
    settings = (("retry.first", "1h"),)

    def test_own_rows_and_shared_ones_say_the_same(self):
        self.recipients(60)
        self.sql("INSERT INTO postbatch.suppression (email, reason)"
                 " VALUES ('u4@example.org', 'asked to be left alone')")
        told = []
        for replies in ("all", "trouble"):
            self.dispatcher.settings["ledger.replies"] = replies
            self.dispatcher.write_config()
            first = self.emit("Each", {"recipients": list(range(1, 61)),
                                       "subject": "Hello"})
            for n in range(3):
                self.emit("Gathered", {"recipients": [1, 2, 4, 5, 6],
                                       "subject": str(n)})
            self.dispatcher.must("run", "--once")
            told.append(self.sql(
                "SELECT recipient_id, (event_id - %d) >> 4,"
                " ARRAY(SELECT (e - %d) >> 4 FROM unnest(more_events) AS e),"
                " verdict, code, role, attempt, ring = postbatch.ring(at, 32),"
                " CASE WHEN verdict <> 1 THEN enhanced || ' ' || reply END"
                " FROM postbatch.ledger WHERE event_id >= %d"
                " ORDER BY 1, 2" % (first, first, first)))
            shared = self.number("SELECT coalesce(sum(n), 0)"
                                 " FROM postbatch.ledger_batch")
            if replies == "all":
                self.assertEqual(shared, 0)
                self.assertEqual(self.sql(
                    "SELECT count(*) FROM postbatch.ledger"
                    " WHERE verdict = 1 AND reply IS NULL"), [["0"]])
        self.assertEqual(told[0], told[1])
        self.assertEqual(len(told[1]), 65)
        verdicts = [row[3] for row in told[1]]
        self.assertEqual([verdicts.count(v) for v in "1235"], [59, 2, 2, 2])
        self.assertEqual(shared, 59)
        self.assertEqual(self.sql(
            "SELECT count(DISTINCT at) = count(DISTINCT batch_id)"
            " FROM postbatch.ledger WHERE event_id >= %d" % first), [["t"]])


class Form(harness.DispatchCase):
    """What the relay was given, read by another program: Python."""

    keeps = ("maildir",)
    types = TYPES

    def test_a_mail_reads_as_it_was_written(self):
        body = "Grüße,\n\n.ein Punkt\n..zwei\nFrom hier\n" + "lang " * 300
        self.sql("INSERT INTO postbatch.recipient (id, key, email, name)"
                 " VALUES (1, 'jürgen', 'juergen@example.org',"
                 " 'Jürgen \"Jo\" Müller, 田中健一')")
        event = self.emit("notice", {
            "recipient": "jürgen", "subject": "Ein Gruß an 健一 " + "ä" * 80,
            "body": body})
        self.run_once()
        [mail] = self.sink.mails()
        [path] = self.sink.files()
        self.assertEqual(mail["Subject"], "Ein Gruß an 健一 " + "ä" * 80)
        [to] = mail["To"].addresses
        self.assertEqual((to.display_name, to.addr_spec),
                         ('Jürgen "Jo" Müller, 田中健一',
                          "juergen@example.org"))
        self.assertEqual(mail["From"].addresses[0].addr_spec,
                         "notify@example.org")
        self.assertEqual(mail["Return-Path"], "<notify@example.org>")
        text = mail.get_body(("plain",)).get_content()
        html = mail.get_body(("html",)).get_content()
        for line in body.split("\n"):
            self.assertIn(line.strip(), text)
        self.assertIn("Grüße", html)
        self.assertIn("You get this mail", html)
        self.assertEqual(mail.get_content_type(), "multipart/alternative")
        self.assertIn("notice.notify.example.org", mail["List-Id"])
        self.assertEqual(mail["Auto-Submitted"], "auto-generated")
        batch, code = self.sql("SELECT batch_id, code FROM postbatch.ledger")[0]
        self.assertEqual(mail["Message-ID"],
                         "<pb.%s.1.%d@notify.example.org>" % (batch, event))
        created = float(self.value("SELECT floor(date_part('epoch',"
                                   " created_at)) FROM postbatch.event"))
        self.assertEqual(email.utils.parsedate_to_datetime(
            mail["Date"]).timestamp(), created)
        for line in harness.read_bytes(path).split(b"\r\n"):
            self.assertLessEqual(len(line), 998)
            self.assertNotRegex(line, rb"[\r\n\x00]")
        self.assert_each_once(1)

    def test_no_defects_in_any_mail(self):
        self.sql("INSERT INTO postbatch.recipient (id, email, name)"
                 " VALUES (1, 'a.b+c@example.org', ''),"
                 " (2, 'd@xn--mnchen-3ya.example', E'two\\nlines: \\u2028'),"
                 " (3, 'e@example.org', repeat('名', 200)),"
                 " (4, 'f@example.org', '=?utf-8?q?tricky?=')")
        subjects = ["plain", "", "=?utf-8?q?no?=", "x" * 900, "🎉" * 100,
                    "a\r\nBcc: evil@example.org", "\u202eback", " . "]
        for subject in subjects:
            self.emit("Each", {"recipients": [1, 2, 3, 4],
                               "subject": subject})
        self.run_once()
        mails = self.sink.mails()
        self.assertEqual(len(mails), 4 * len(subjects))
        found = {mail["Subject"] for mail in mails}
        for subject in subjects:  # none at all: the type's description
            self.assertIn(" ".join(subject.split()) or
                          "an event type for tests", found)
        for mail in mails:
            self.assertIsNone(mail["Bcc"])
            for part in mail.walk():
                self.assertEqual(part.defects, [])
            for name, header in mail.items():
                self.assertEqual(list(header.defects), [], (name, header))
        self.assert_each_once(len(mails))

    def test_threads_hang_together(self):
        self.recipients(1)
        for n in range(3):
            self.emit("Threaded", {"recipient": 1, "topic": "Früchte & mehr",
                                   "subject": "Reply %d" % n})
        self.emit("Threaded", {"recipient": 1, "topic": "other",
                               "subject": "Elsewhere"})
        self.run_once()
        mails = {m["Subject"]: m for m in self.sink.mails()}
        roots = {m["References"] for s, m in mails.items() if "Reply" in s}
        self.assertEqual(len(roots), 1)
        self.assertRegex(roots.pop(), r"^<thread\.\S+@notify\.example\.org>$")
        self.assertNotEqual(mails["Elsewhere"]["References"],
                            mails["Reply 0"]["References"])
        self.assertEqual(mails["Reply 0"]["X-Topic"], "Früchte & mehr")
        self.assertEqual(mails["Reply 0"]["In-Reply-To"],
                         mails["Reply 0"]["References"])


class SameAgain(harness.DispatchCase):
    """A letter that is sent twice is byte for byte the same letter."""

    keeps = ("maildir",)
    sink_options = ("--fault", "content@1-3=drop-after")
    settings = (("relay.main.rest", "50ms"),)

    def test_a_letter_sent_twice_is_the_same(self):
        self.recipients(1)
        self.emit_notices(5, recipients=1)
        self.run_once()
        twins = {}
        for path in self.sink.files():
            whole = harness.read_bytes(path)
            mail = re.sub(rb"^(Return-Path|Delivered-To|X-Sink): .*\r\n", b"",
                          whole, flags=re.M)
            name = re.search(rb"^Message-ID: +(\S+)", mail, re.M | re.I)[1]
            twins.setdefault(name, []).append(mail)
        self.assertEqual(len(twins), 5)
        summary = self.sink.summary()
        self.assertGreaterEqual(summary["doubles"], 1)
        for copies in twins.values():
            self.assertEqual(set(copies), {copies[0]})
        self.assertEqual(summary["doubles"], summary["accepted"] - 5)
        self.assertGreaterEqual(self.verdicts()["unsure"], summary["doubles"])
        self.assertEqual(self.verdicts()["sent"], 5)


class Order(harness.DispatchCase):
    keeps = ("log",)
    settings = (("relay.main.lanes", "1"),)

    def test_urgent_before_normal_before_bulk(self):
        self.recipients(3)
        for recipient, urgency, count in ((3, "bulk", 1500),
                                          (2, "normal", 700),
                                          (1, "urgent", 300)):
            self.sql("SELECT count(postbatch.emit('notice',"
                     " '{\"recipient\": %d, \"subject\": \"x\", \"body\": \"\"}'"
                     "::jsonb, '%s')) FROM generate_series(1, %d)" %
                     (recipient, urgency, count))
        self.run_once()
        came = [to for _, _, _, to in self.sink.arrivals()]
        self.assertEqual(came, ["u1@example.org"] * 300 +
                         ["u2@example.org"] * 700 + ["u3@example.org"] * 1500)


class Speed(harness.DispatchCase):
    keeps = ("log",)

    def test_the_first_mail_leaves_at_once(self):
        self.recipients(1)
        self.dispatcher.start()
        session = harness.Session(self.dsn)
        self.addCleanup(session.close)
        emit = ("SELECT postbatch.emit('notice', '{\"recipient\": 1,"
                " \"subject\": \"x\", \"body\": \"y\"}'::jsonb)")
        session.run(emit)
        self.wait_accepted(1)
        begun = []
        for n in range(20):
            begun.append(time.time())
            session.run(emit)
            self.wait_accepted(n + 2)
        came = [row[0] for row in self.sink.arrivals()[1:]]
        took = sorted(1000 * (b - a) for a, b in zip(begun, came))
        measured("latency from emit to relay at low load: p50 %.0f ms,"
                 " worst %.0f ms of %d" % (took[len(took) // 2], took[-1],
                                           len(took)))
        if not harness.SANITIZED:
            self.assertLess(took[len(took) // 2], 100)

    def test_the_first_mail_after_a_rest_waits_a_quarter_of_a_second(self):
        self.recipients(1)
        self.dispatcher.settings["router.poll_max"] = "250ms"
        self.dispatcher.settings["router.poll_min"] = "250ms"
        self.dispatcher.write_config()
        self.dispatcher.start()
        self.emit_notices(1)
        self.wait_accepted(1)
        begun = time.time()
        self.emit_notices(1)
        self.wait_accepted(2)
        took = 1000 * (self.sink.arrivals()[1][0] - begun)
        measured("latency at the slowest pace of looking: %.0f ms" % took)
        self.assertLess(took, 1000 * harness.PATIENCE)


class Ends(harness.DispatchCase):
    """How "run" ends: by itself with --once, in good order on SIGTERM."""

    def test_once_ends_when_nothing_is_left(self):
        self.recipients(10)
        self.emit_notices(1000, recipients=10)
        done = self.run_once()
        self.assertEqual(done.returncode, 0)
        self.assert_each_once(1000)
        self.assertTrue(self.is_drained())
        self.assertEqual(self.number("SELECT count(*) FROM postbatch.worker"),
                         0)
        self.run_once()  # and once more, with nothing to do
        self.assert_each_once(1000)

    def test_sigterm_finishes_what_is_in_flight(self):
        count = scaled(20000)
        self.recipients(100)
        self.emit_notices(count, size=500, recipients=100)
        self.dispatcher.settings["relay.main.rate_per_s"] = str(count // 3)
        self.dispatcher.write_config()
        process = self.dispatcher.start()
        self.wait_accepted(count // 10)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(30 * harness.PATIENCE), 0)
        first = self.sink.summary()
        self.assertLess(first["accepted"], count, "all were gone already")
        self.assertEqual(self.verdicts(), {"sent": first["accepted"]})
        self.assertEqual(first["doubles"], 0)
        self.assertEqual(first["without_quit"], 0)
        self.assertEqual(self.number(
            "SELECT count(*) FROM postbatch.batch"
            " WHERE lease_owner IS NOT NULL"), 0, "leases given back")
        self.assertEqual(os.listdir(self.dispatcher.settings["worker.journal"]),
                         [], "an empty journal is removed")
        self.dispatcher.settings["relay.main.rate_per_s"] = "0"
        self.dispatcher.write_config()
        self.run_once()
        self.assert_each_once(count)
        self.assertEqual(self.verdicts(), {"sent": count})

    def test_sigterm_with_nothing_to_do_ends_at_once(self):
        process = self.dispatcher.start()
        wait_for(lambda: self.number(
            "SELECT count(*) FROM postbatch.worker") == 1, "the worker")
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(20 * harness.PATIENCE), 0)
        self.assertLess(time.monotonic() - begun, 5 * harness.PATIENCE)


if __name__ == "__main__":
    unittest.main()
