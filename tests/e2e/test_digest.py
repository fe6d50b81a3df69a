"""Hourly, daily and weekly letters, and types that wait to gather: when they
are due, that each is promoted once, and what a digest looks like."""

import re
import signal
import unittest

import harness
from harness import wait_for
from sql_case import PINS, SqlCase, compose, literal, read

ZONE = "Europe/Berlin"


class WhenLettersAreDue(SqlCase):
    """next_due(): pure arithmetic of clocks."""

    def due(self, frequency, at, zone=None, window=0):
        return self.value(
            "SET TIME ZONE 'UTC'; SELECT postbatch.next_due(%s, %d, %s, %s)" %
            (literal(frequency), window, literal(zone), literal(at)))

    def test_the_next_full_hour_day_or_week(self):
        self.query("sync_digest", 8, 1, "UTC")
        for frequency, at, due in (
                ("hourly", "2026-11-22 14:05:10+00", "2026-11-22 15:00:00+00"),
                ("hourly", "2026-11-22 14:00:00+00", "2026-11-22 15:00:00+00"),
                ("daily", "2026-11-22 07:59:59+00", "2026-11-22 08:00:00+00"),
                ("daily", "2026-11-22 08:00:00+00", "2026-11-23 08:00:00+00"),
                ("weekly", "2026-11-22 14:00:00+00", "2026-11-23 08:00:00+00"),
                ("weekly", "2026-11-23 08:00:00+00",
                 "2026-11-30 08:00:00+00")):
            with self.subTest(frequency, at=at):
                self.assertEqual(due, self.due(frequency, at))

    def test_where_the_recipient_is(self):
        self.query("sync_digest", 8, 5, ZONE)
        at = "2026-11-22 06:30:00+00"
        self.assertEqual("2026-11-22 07:00:00+00", self.due("daily", at))
        self.assertEqual("2026-11-22 23:00:00+00",
                         self.due("daily", at, "Asia/Tokyo"))
        self.assertEqual("2026-11-22 07:15:00+00",
                         self.due("hourly", at, "Asia/Kathmandu"))
        self.assertEqual("2026-11-27 07:00:00+00", self.due("weekly", at))
        for odd in ("", "Mars/Olympus", "x" * 1000, "+99:99"):
            with self.subTest(odd):
                self.assertEqual("2026-11-22 07:00:00+00",
                                 self.due("daily", at, odd))

    def test_when_clocks_change(self):
        self.query("sync_digest", 2, 1, ZONE)
        for at, due in (
                # 02:00 is not there on that day, and twice on this.
                ("2026-03-29 00:30:00+00", "2026-03-29 01:00:00+00"),
                ("2026-10-24 23:30:00+00", "2026-10-25 01:00:00+00")):
            self.assertEqual(due, self.due("daily", at))
        for minute in range(0, 240, 7):
            at = "2026-10-24 23:%02d:00+00" % (minute % 60)
            self.assertEqual("t", self.value(
                "SELECT postbatch.next_due('hourly', 0, %s, t) > t AND"
                " postbatch.next_due('hourly', 0, %s, t)"
                " <= t + interval '2 hours' FROM (SELECT timestamptz %s +"
                " %d * interval '1 min' AS t) AS x" %
                (literal(ZONE), literal(ZONE), literal(at), minute)))

    def test_an_unknown_time_zone_is_told(self):
        self.assertEqual([["f"]], self.query("sync_digest", 8, 1, "Nowhere"))
        self.assertEqual([["8", "1", "UTC"]], self.sql(
            "SELECT hour, weekday, time_zone FROM postbatch.digest_time"))
        self.assertEqual([["t"]], self.query("sync_digest", 8, 1, ZONE))

    def test_windows_end_together(self):
        for at, due in (("14:05:10", "14:10:00"), ("14:09:59.9", "14:10:00"),
                        ("14:10:00", "14:15:00")):
            self.assertEqual("2026-11-22 %s+00" % due, self.due(
                "instant", "2026-11-22 %s+00" % at, window=300000))


class Holding(SqlCase):
    """The statements: held by the router, promoted once."""

    def setUp(self):
        super().setUp()
        self.recipients(9)
        self.contracts({"name": "x"}, {"name": "y"},
                       {"name": "slow", "grouping": "gather", "gather_max": 3,
                        "window_ms": 60000})
        self.sql("INSERT INTO postbatch.preference VALUES"
                 " (1, 'x', 'addressee', 'daily'),"
                 " (1, 'y', 'addressee', 'hourly'),"
                 " (2, 'x', 'addressee', 'off'),"
                 " (3, 'x', 'addressee', 'weekly')")

    def held(self):
        return [(int(r), int(e)) for r, e in self.sql(
            "SELECT r, e FROM postbatch.held, unnest(recipient_ids, event_ids)"
            " AS p (r, e) ORDER BY r, e")]

    def come(self):
        """All that is held is due."""
        self.sql("UPDATE postbatch.held SET due_at = now()")

    def promote(self, digest_max=100, pairs=1000000, end="COMMIT"):
        rows = self.sql("PREPARE lock AS %s; PREPARE promote AS %s; BEGIN;"
                        "EXECUTE lock; EXECUTE promote(%d, %d); %s" %
                        (read("queries", "route_lock.sql"),
                         read("queries", "promote.sql"), digest_max, pairs,
                         end))
        return [int(v) for v in rows[1][:3]] + [rows[1][3]]

    def letters(self):
        """[(recipient, [events])] of all batches, in their order."""
        found = []
        for row in self.sql("SELECT recipient_ids::text, event_ids::text,"
                            " letters::text, n FROM postbatch.batch"
                            " ORDER BY id"):
            numbers = [[int(v) for v in text.strip("{}").split(",") if v]
                       for text in row[:3]]
            numbers[2] = numbers[2] or list(range(len(numbers[0])))
            batch = {}
            for recipient, event, letter in zip(*numbers):
                batch.setdefault((letter, recipient), []).append(event)
            self.assertEqual(int(row[3]), len(batch))
            found += [(k[1], v) for k, v in sorted(batch.items())]
        return found

    def test_one_letter_for_all_that_is_due(self):
        x = [self.emit("x", {"recipients": [1, 2, 3, 4]}) for _ in range(2)]
        y = self.emit("y", {"recipients": [1, 4]})
        step = self.route()
        self.assertEqual((3, 5), (step["letters"], step["held"]))
        self.assertEqual([(4, x[0]), (4, x[1]), (4, y)], self.pairs())
        self.assertEqual([(1, x[0]), (1, x[1]), (1, y), (3, x[0]),
                          (3, x[1])], self.held())
        self.assertEqual([0, 0, 0, "t"], self.promote())  # not due yet
        self.sql("DELETE FROM postbatch.batch")
        self.come()
        self.assertEqual("t", self.query("peek", 10)[0][5])
        self.assertEqual([5, 2, 1, "t"], self.promote())
        self.assertEqual([(1, [x[0], x[1], y]), (3, x)], self.letters())
        self.assertEqual([], self.held())
        self.assertEqual("f", self.query("peek", 10)[0][5])
        self.assertEqual([0, 0, 0, "t"], self.promote())

    def test_too_many_for_one_letter(self):
        x = [self.emit("x", {"recipient": 1}) for _ in range(7)]
        self.route()
        self.come()
        self.assertEqual([7, 3, 1, "t"], self.promote(digest_max=3))
        self.assertEqual([(1, x[:3]), (1, x[3:6]), (1, x[6:])],
                         self.letters())

    def test_without_a_type_for_digests_a_letter_each(self):
        x = [self.emit("x", {"recipient": 1}) for _ in range(2)]
        self.route()
        self.come()
        self.promote(digest_max=1)
        self.assertEqual([(1, [x[0]]), (1, [x[1]])], self.letters())

    def test_rolled_back_is_still_held(self):
        self.emit("x", {"recipient": 1})
        self.route()
        self.come()
        self.assertEqual([1, 1, 1, "t"], self.promote(end="ROLLBACK"))
        self.assertEqual(1, len(self.held()))
        self.assertEqual([1, 1, 1, "t"], self.promote())
        self.assertEqual(1, len(self.letters()))

    def test_without_the_lock_nothing_is_promoted(self):
        self.emit("x", {"recipient": 1})
        self.route()
        self.come()
        self.assertEqual("0", self.query("promote", 100, 1000)[0][0])

    def test_due_times_are_taken_whole(self):
        for hours in (3, 2, 1):
            for _ in range(2):
                self.emit("x", {"recipients": [1, 3]})
            self.route()
            self.sql("UPDATE postbatch.held SET due_at = now() - %d *"
                     " interval '1 hour' WHERE due_at > now()" % hours)
        self.assertEqual("3", self.value(
            "SELECT count(DISTINCT due_at) FROM postbatch.held"))
        self.assertEqual([4, 2, 1, "f"], self.promote(pairs=1))
        self.assertEqual([8, 2, 1, "t"], self.promote(pairs=8))

    def test_due_times_of_later_steps_are_not_read(self):
        self.sql("INSERT INTO postbatch.held (due_at, recipient_ids,"
                 " event_ids, roles) SELECT now() - i * interval '1 h',"
                 " p.ones, p.ones, p.ones::smallint[]"
                 " FROM generate_series(1, 20) AS i,"
                 " (SELECT array_agg(1::bigint) AS ones"
                 "    FROM generate_series(1, 20000)) AS p")
        self.assertLess(self.buffers_of_due("100, 1"), 100)

    def buffers_of_due(self, arguments):
        """What is read to find the due times of one step."""
        plan = [row[0] for row in self.sql(
            "%s PREPARE lock AS %s; PREPARE promote AS %s; BEGIN; EXECUTE lock;"
            "EXPLAIN (ANALYZE, BUFFERS, COSTS off) EXECUTE promote(%s);"
            "ROLLBACK" % (PINS, read("queries", "route_lock.sql"),
                          read("queries", "promote.sql"), arguments))]
        at = next(i for i, line in enumerate(plan) if "CTE due" in line)
        buffers = next(line for line in plan[at:] if "Buffers:" in line)
        return int(re.search(r"hit=(\d+)", buffers)[1])

    def test_a_small_step_does_not_read_all_that_is_due(self):
        self.sql("INSERT INTO postbatch.held (due_at, recipient_ids,"
                 " event_ids, roles)"
                 " SELECT now() - i / 4 * interval '1 s', ARRAY[i], '{1}',"
                 " '{1}' FROM generate_series(1, 20000) AS i")
        self.assertLess(self.buffers_of_due("100, 10"), 100)
        self.assertEqual("f", self.promote(pairs=1)[3])

    def test_many_recipients(self):
        self.recipients(1200, first=100)
        self.sql("INSERT INTO postbatch.preference"
                 " VALUES (NULL, 'x', 'addressee', 'hourly')")
        for _ in range(3):
            self.emit("x", {"recipients": list(range(100, 1300))})
        self.assertEqual(3600, self.route()["held"])
        self.come()
        self.assertEqual([3600, 1200, 24, "t"], self.promote())
        letters = self.letters()
        self.assertEqual(1200, len(letters))
        self.assertEqual({3}, {len(events) for _, events in letters})
        self.assertEqual(1200, len({r for r, _ in letters}))

    def test_a_window_gathers_by_type(self):
        first = [self.emit("slow", {"recipients": [5, 6]}) for _ in range(2)]
        self.assertEqual(4, self.route()["held"])
        more = [self.emit("slow", {"recipient": 5}, "urgent"),
                self.emit("slow", {"recipient": 5}),
                self.emit("slow", {"recipient": 5})]
        self.route()
        self.assertEqual([], self.pairs())
        self.sql("UPDATE postbatch.held SET due_at = now()")
        self.promote()
        self.assertEqual(
            sorted([(5, first + more[1:2]), (5, more[2:]), (6, first),
                    (5, more[:1])]), sorted(self.letters()))
        self.assertEqual([["1", "1"], ["2", "3"]], self.sql(
            "SELECT urgency, n FROM postbatch.batch ORDER BY urgency"))

    def test_a_window_is_no_digest(self):
        self.sql("INSERT INTO postbatch.preference"
                 " VALUES (5, 'slow', 'addressee', 'daily')")
        s = self.emit("slow", {"recipients": [5, 6]})
        self.route()
        self.assertEqual([["", "{5}", "3"], ["slow", "{6}", "2"]], self.sql(
            "SELECT t.name, recipient_ids, h.urgency FROM postbatch.held AS h"
            " LEFT JOIN postbatch.event_type AS t ON t.id = type_id"
            " ORDER BY recipient_ids"))
        self.assertEqual([(5, s), (6, s)], self.held())

    def test_giants_hold_too(self):
        self.recipients(50, first=100)
        self.sql("INSERT INTO postbatch.preference SELECT i, 'x', 'addressee',"
                 " 'daily' FROM generate_series(100, 109) AS i")
        giant = self.emit("x", {"recipients": list(range(100, 150))})
        self.route(pairs=100, fanout=10)
        while self.query("fanout_step", 20, 0,
                         text=compose("fanout_step", self.roles)):
            pass
        self.assertEqual([(i, giant) for i in range(100, 110)], self.held())
        self.assertEqual([(i, giant) for i in range(110, 150)], self.pairs())

    def test_inactive_recipients_are_not_held(self):
        self.sql("UPDATE postbatch.recipient SET state = 'inactive'"
                 " WHERE id = 1")
        self.emit("x", {"recipients": [1, 3]})
        self.assertEqual(1, self.route()["held"])

    def test_the_leaf_of_a_held_event_stays(self):
        event = self.emit("x", {"recipient": 1})
        self.route()
        self.route()
        self.assertIn("wait for their digest", self.value(
            "SELECT postbatch.needs_leaf((%d & 15)::smallint)" % event))


class Digests(harness.DispatchCase):
    """Through the dispatcher: due times are moved, nobody waits for them."""

    keeps = ("maildir", "log")
    settings = (("router.step", "1"),)  # so that there are rows to hold
    types = {"one": {"headline": "One: {{subject}}"},
             "two": {"headline": "Two: {{subject}}"},
             "many": {"batching": {"rule": "gather", "max": 5},
                      "text": "{{#events}}<{{subject}}>{{/events}}\n"}}

    def setUp(self):
        super().setUp()
        harness.psql(self.dsn, "INSERT INTO postbatch.recipient (id, email)"
                     " SELECT i, 'u' || i || '@example.org'"
                     " FROM generate_series(1, 500) AS i;"
                     "INSERT INTO postbatch.preference VALUES"
                     " (NULL, 'one', 'addressee', 'daily'),"
                     " (NULL, 'two', 'addressee', 'hourly'),"
                     " (NULL, 'many', 'addressee', 'weekly')")

    def emit(self, type_name, subject, recipients):
        return harness.value(self.dsn, "SELECT postbatch.emit(%s, %s::jsonb)" %
                             (literal(type_name),
                              literal({"subject": subject,
                                       "recipients": recipients})))

    def held(self):
        return int(harness.value(
            self.dsn, "SELECT coalesce(sum(cardinality(event_ids)), 0)"
            " FROM postbatch.held"))

    def come(self, count):
        wait_for(lambda: self.held() == count, "%d held pairs" % count)
        self.assertEqual(0, self.sink.accepted())
        harness.psql(self.dsn,
                     "UPDATE postbatch.held SET due_at = now()")

    def test_what_people_get(self):
        self.dispatcher.start()
        first = self.emit("one", "alpha", [1, 2])
        self.emit("two", "beta & co", [1])
        self.emit("one", "gamma", [1])
        for name in ("a", "b"):
            self.emit("many", name, [3])
        self.come(6)
        wait_for(lambda: self.sink.accepted() == 3, "three letters")
        mails = {m["To"]: m for m in self.sink.mails()}
        digest = mails["u1@example.org"]
        self.assertEqual("3 events: One: alpha ...", digest["Subject"])
        text = digest.get_body(("plain",)).get_content()
        for line in ("* One: alpha", "* Two: beta & co", "* One: gamma"):
            self.assertIn(line, text)
        self.assertIn("Two: beta &amp; co",
                      digest.get_body(("html",)).get_content())
        self.assertEqual("digest", digest["X-Postbatch-Type"])
        self.assertIn(".1.%s@" % first, digest["Message-ID"])
        # A digest of one event is that event's own mail.
        self.assertEqual("alpha", mails["u2@example.org"]["Subject"])
        self.assertEqual("one", mails["u2@example.org"]["X-Postbatch-Type"])
        # Of one type that gathers, that type's.
        self.assertIn("<a><b>", mails["u3@example.org"].get_body(
            ("plain",)).get_content())
        self.assertEqual([["3", "6"]], wait_for(
            lambda: [row for row in harness.psql(
                self.dsn, "SELECT count(*), sum(1 + coalesce(cardinality("
                "more_events), 0)) FROM postbatch.ledger WHERE verdict = 1")
                if row[0] == "3"], "three rows of the ledger"))

    def test_a_digest_is_settled_and_resent_as_one(self):
        self.dispatcher.start()
        harness.psql(self.dsn, "SELECT postbatch.emit('two', '{\"subject\":"
                     " \"urgent\", \"recipient\": 1}'::jsonb, 'urgent')")
        for subject in ("alpha", "beta"):
            self.emit("one", subject, [1])
        self.come(3)
        wait_for(lambda: self.sink.accepted() == 1, "the digest")
        wait_for(lambda: harness.value(
            self.dsn, "SELECT count(*) FROM postbatch.ledger") == "1",
            "its row of the ledger")
        self.dispatcher.must("resend", "--recipient", "u1@example.org",
                             "--yes")
        wait_for(lambda: self.sink.accepted() == 2, "the digest again")
        subjects = [m["Subject"] for m in self.sink.mails()]
        self.assertEqual(["3 events: Two: urgent ..."] * 2, subjects)

    def test_killed_while_promoting(self):
        people = harness.scaled(400)
        harness.psql(self.dsn, "INSERT INTO postbatch.event (type, payload)"
                     " SELECT t, jsonb_build_object('subject', t || i,"
                     " 'recipients', (SELECT jsonb_agg(r) FROM"
                     " generate_series(1, %d) AS r))"
                     " FROM unnest('{one,two}'::text[]) AS t,"
                     " generate_series(1, 5) AS i" % people)
        process = self.dispatcher.start()
        wait_for(lambda: self.held() == 10 * people, "all held")
        killed = 0
        for hours in range(8, 0, -1):
            # A share of the pairs falls due at a time, in a step of its own.
            harness.psql(self.dsn, "UPDATE postbatch.held SET due_at = now() -"
                         " %d * interval '1 s' WHERE ctid IN (SELECT ctid FROM"
                         " postbatch.held WHERE due_at > now() LIMIT 1)" %
                         hours)
            process.send_signal(signal.SIGKILL)
            process.wait()
            killed += 1
            process = self.dispatcher.start()
        harness.psql(self.dsn, "UPDATE postbatch.held SET due_at = now()")
        wait_for(lambda: harness.value(
            self.dsn, "SELECT count(DISTINCT (recipient_id, e)) = %d"
            " FROM postbatch.ledger,"
            " unnest(event_id || coalesce(more_events, '{}')) AS e"
            " WHERE verdict = 1" % (10 * people)) == "t",
            "a verdict on every pair", 60)
        wait_for(lambda: harness.value(
            self.dsn, "SELECT count(*) FROM postbatch.batch") == "0",
            "the last settling")
        arrivals = self.sink.arrivals()
        ids = [a[1] for a in arrivals]
        unsure = int(harness.value(
            self.dsn, "SELECT count(*) FROM postbatch.ledger"
            " WHERE verdict = 4"))
        self.assertLessEqual(len(ids) - len(set(ids)), unsure)
        pairs = harness.value(
            self.dsn, "SELECT count(*) - count(DISTINCT (recipient_id, e))"
            " FROM (SELECT DISTINCT ON (batch_id, recipient_id, event_id)"
            " recipient_id, event_id, more_events FROM postbatch.ledger"
            " WHERE verdict = 1) AS l,"
            " unnest(event_id || coalesce(more_events, '{}')) AS e")
        self.assertEqual("0", pairs)
        harness.measured("%d letters about %d pairs, killed %d times, %d"
                         " unsure" % (len(set(ids)), 10 * people, killed,
                                      unsure))


class Morning(harness.DispatchCase):
    """Digests for thousands, due at once, through a slow relay."""

    keeps = ("log",)
    settings = (("router.ahead", "1000"), ("relay.main.rate_per_s", "1000"))
    types = {"one": {}, "two": {}}
    PEOPLE = 5000

    def test_an_urgent_mail_passes_them(self):
        self.recipients(self.PEOPLE + 1)
        self.sql("INSERT INTO postbatch.preference"
                 " VALUES (NULL, 'one', 'addressee', 'daily')")
        self.emit("one", {"subject": "x", "recipients":
                          list(range(1, self.PEOPLE + 1))})
        self.dispatcher.start()
        wait_for(lambda: self.number(
            "SELECT coalesce(sum(cardinality(event_ids)), 0)"
            " FROM postbatch.held") == self.PEOPLE, "what is held")
        self.assertEqual(64, self.number(
            "SELECT count(DISTINCT due_at) FROM postbatch.held"))
        self.sql("UPDATE postbatch.held SET due_at = due_at"
                 " - interval '2 days'")
        self.wait_accepted(200)
        self.emit("two", {"subject": "now", "recipient": self.PEOPLE + 1},
                  "urgent")
        self.wait_accepted(self.PEOPLE + 1)
        self.assert_each_once(self.PEOPLE + 1)
        order = [row[3] for row in self.sink.arrivals()]
        place = order.index("u%d@example.org" % (self.PEOPLE + 1))
        harness.measured("an urgent mail arrived after %d of %d digests" %
                         (place, self.PEOPLE))
        self.assertLess(place, self.PEOPLE // 2)


class Backlog(harness.DispatchCase):
    """More events than may wait in batches, and something that is due."""

    keeps = ("log",)
    settings = (("router.ahead", "4000"), ("router.step", "200"),
                ("relay.main.rate_per_s", "3000"))
    types = {"one": {}, "two": {}}
    PEOPLE = 10000

    def test_it_does_not_hold_up_what_is_due(self):
        """Urgent events that were gathered are promoted among them."""
        self.recipients(self.PEOPLE + 1)
        self.sql("INSERT INTO postbatch.preference"
                 " VALUES (NULL, 'one', 'addressee', 'daily')")
        self.emit("one", {"subject": "x", "recipient": self.PEOPLE + 1})
        self.dispatcher.start()
        wait_for(lambda: self.number(
            "SELECT count(*) FROM postbatch.held") == 1, "what is held")
        self.sql("SELECT postbatch.emit('two', jsonb_build_object("
                 "'subject', 'x', 'recipient', i))"
                 " FROM generate_series(1, %d) AS i" % self.PEOPLE)
        self.wait_accepted(2000)
        self.sql("UPDATE postbatch.held SET urgency = 1,"
                 " due_at = due_at - interval '2 days'")
        self.wait_accepted(self.PEOPLE + 1)
        self.assert_each_once(self.PEOPLE + 1)
        order = [row[3] for row in self.sink.arrivals()]
        place = order.index("u%d@example.org" % (self.PEOPLE + 1))
        harness.measured("an urgent mail that was held arrived after %d of %d"
                         " that had just happened" % (place, self.PEOPLE))
        self.assertLess(place, self.PEOPLE // 2)


if __name__ == "__main__":
    unittest.main()
