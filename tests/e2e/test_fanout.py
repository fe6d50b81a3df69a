"""One event with many recipients: 128 watchers of a project, which once took
20 seconds, and a hundred thousand subscribers, who delay nobody."""

import os
import re
import time
import unittest

import harness
from harness import measured, wait_for

DEMO = os.path.join(harness.ROOT, "bench", "demo")
SUBSCRIBERS = 5000 if harness.SANITIZED else 100000
MEMORY_MB = 64


class Watchers(harness.DispatchCase):
    """A comment on openSUSE:Factory, in the service of bench/demo."""

    keeps = ("log",)

    def setUp(self):
        super().setUp()
        for name in ("obs_schema.sql", "obs_data.sql"):
            with open(os.path.join(DEMO, name)) as f:
                self.sql(f.read())

    def executions(self, since):
        """(milliseconds, first line) of the statements the server ran."""
        return [(float(took), text) for took, text in re.findall(
            r"duration: ([0-9.]+) ms  (?:execute|statement)[^:]*: (.*)",
            self.postgres.log()[since:])]

    def test_one_statement_finds_them_all(self):
        watchers = {email for email, in self.sql("""
            SELECT r.email FROM obs.watched_projects AS w
              JOIN obs.projects AS p ON p.id = w.project_id
              JOIN obs.users AS u ON u.id = w.user_id
              JOIN postbatch.recipient AS r ON r.id = u.recipient_id
             WHERE p.name = 'openSUSE:Factory' AND r.state = 'active'
               AND r.key <> 'jane'""")}
        self.assertGreater(len(watchers), 100)
        self.sql("ALTER DATABASE test SET log_min_duration_statement = 0")
        since = len(self.postgres.log())
        process = self.dispatcher.start()
        wait_for(lambda: any("worker_start" in text for _, text in
                             self.executions(since)), "the worker")
        self.emit("CommentForProject", {
            "commenter": "jane", "comment_body": "Look!",
            "project": "openSUSE:Factory"})
        self.wait_accepted(len(watchers))
        wait_for(lambda: self.verdicts().get("sent"), "the verdicts")
        harness.stop_process(process)
        mailed = {row[3] for row in self.sink.arrivals()}
        self.assertLessEqual(watchers, mailed)
        self.assert_each_once(len(mailed))
        self.assertEqual(self.verdicts(), {"sent": len(mailed)})
        self.assertEqual(self.number("SELECT count(DISTINCT batch_id)"
                                     " FROM postbatch.ledger"), 1)

        ran = self.executions(since)
        routing = [took for took, text in ran if text.startswith("-- route - ")]
        settling = [1 for _, text in ran if text.startswith("-- settle - ")]
        self.assertEqual(len(settling), 1)
        # One that found the event; the others looked and found nothing.
        measured("%d watchers of one project: routed in %.1f ms by one"
                 " statement (the %d that found nothing took %.1f ms)" %
                 (len(mailed), max(routing), len(routing) - 1,
                  sum(routing) - max(routing)))
        self.assertLess(max(routing), 1000 * harness.PATIENCE)


class Subscribers(harness.DispatchCase):
    """One event for a hundred thousand."""

    keeps = ("log",)
    sink_options = ("--expect", str(SUBSCRIBERS))
    settings = (("router.fanout_threshold", "2000"),
                ("relay.main.rate_per_s", str(SUBSCRIBERS // 5)))

    def notice(self, session, payload, urgency):
        session.run("SELECT postbatch.emit('notice', '{%s, \"subject\": \"x\","
                    " \"body\": \"y\"}'::jsonb, '%s')" % (payload, urgency))

    def test_a_giant_delays_nobody(self):
        self.recipients(SUBSCRIBERS + 10)
        self.sql("INSERT INTO postbatch.subscription (topic, recipient_id)"
                 " SELECT 'all', i FROM generate_series(1, %d) AS i;"
                 " ANALYZE postbatch.subscription, postbatch.recipient" %
                 SUBSCRIBERS)
        session = harness.Session(self.dsn)
        self.addCleanup(session.close)
        process = self.dispatcher.start()
        begun = time.time()
        self.notice(session, '"topic": "all"', "normal")
        others = {}
        for n in range(10):
            self.wait_accepted((n + 1) * SUBSCRIBERS // 12, seconds=40)
            who = SUBSCRIBERS + 1 + n
            others["u%d@example.org" % who] = time.time()
            self.notice(session, '"recipient": %d' % who,
                        "urgent" if n % 2 else "normal")
        self.wait_accepted(SUBSCRIBERS + 10, seconds=40)
        wait_for(self.is_drained, "the last verdicts")
        memory = harness.peak_memory_mb(process.pid)
        harness.stop_process(process)
        self.assert_each_once(SUBSCRIBERS + 10)
        self.assertEqual(self.verdicts(), {"sent": SUBSCRIBERS + 10})
        arrivals = self.sink.arrivals()
        self.assertEqual(len({row[3] for row in arrivals}), SUBSCRIBERS + 10)
        came = {row[3]: row[0] for row in arrivals}
        last = max(came.values())
        waits = sorted(1000 * (came[who] - at) for who, at in others.items())
        measured("one event to %d subscribers in %.1f s; small events"
                 " meanwhile: p50 %.0f ms, worst %.0f ms" %
                 (SUBSCRIBERS, last - begun, waits[len(waits) // 2],
                  waits[-1]))
        measured("most memory of the worker: %.1f MB" % memory)
        self.assertLess(waits[-1], 1500 * harness.PATIENCE)
        self.assertLess(max(others.values()), last, "it was in the middle")
        if not harness.SANITIZED:
            self.assertLess(memory, MEMORY_MB)


class Failing(harness.DispatchCase):
    """A fan-out that raises an error comes first again and again."""

    types = {"news": {"roles": ["fragile"]}}
    settings = (("router.fanout_threshold", "500"),)

    def setUp(self):
        super().setUp()
        roles = os.path.join(self.dispatcher.directory, "roles")
        os.mkdir(roles)
        with open(os.path.join(roles, "fragile.sql"), "w") as f:
            f.write("SELECT pass.event_id, s.recipient_id / CASE"
                    " WHEN pass.payload ->> 'subject' = 'bad'"
                    " AND EXISTS (SELECT FROM postbatch.fanout)"
                    " THEN 0 ELSE 1 END AS recipient_id"
                    " FROM pass JOIN postbatch.subscription AS s"
                    " ON s.topic = pass.payload ->> 'topic'\n")
        self.dispatcher.settings["templates.roles"] = roles
        self.dispatcher.write_config()
        self.recipients(1000)
        self.sql("INSERT INTO postbatch.subscription"
                 " SELECT 'all', i FROM generate_series(1, 1000) AS i")

    def test_others_go_on(self):
        for subject in "bad", "good":
            self.sql("SELECT postbatch.emit('news', '{\"topic\": \"all\","
                     " \"subject\": \"%s\"}'::jsonb)" % subject)
        self.dispatcher.start()
        self.wait_accepted(1000)
        self.assertEqual(self.sql("SELECT done FROM postbatch.fanout"
                                  " ORDER BY event_id"), [["f"], ["t"]])
        self.assert_each_once(1000)


if __name__ == "__main__":
    unittest.main()
