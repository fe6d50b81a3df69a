"""What "postbatch stats" says, and that saying it stays cheap."""

import json
import re
import subprocess
import time
import unittest

import harness
from harness import wait_for
from sql_case import SqlCase, read

PARAMETERS = {"stats": "10000, 400", "stats_types": "5000, 100"}


class Figures(SqlCase):
    """The queries."""

    def ask(self, name):
        """The rows, as dictionaries."""
        rows = self.sql("PREPARE q AS %s; \\pset tuples_only off\n"
                        "EXECUTE q(%s);" % (read("queries", name + ".sql"),
                                            PARAMETERS[name]))
        return [dict(zip(rows[0], row)) for row in rows[1:]
                if len(row) == len(rows[0])]

    def types(self):
        return {(r["type"], r["urgency"]): r for r in self.ask("stats_types")}

    def note(self, event, verdict, minutes=1, count=1):
        self.sql("INSERT INTO postbatch.ledger_letter (at, batch_id,"
                 " recipient_id, event_id, verdict) SELECT now() - %f * interval '1 min', 1,"
                 " i, %d, %d FROM generate_series(1, %d) AS i" %
                 (minutes, event, verdict, count))

    def test_by_type_and_urgency(self):
        self.recipients(9)
        self.contracts({"name": "x"}, {"name": "y", "urgency": 3},
                       {"name": "z"})
        self.sql("INSERT INTO postbatch.preference"
                 " VALUES (NULL, 'z', 'addressee', 'daily')")
        x = self.emit("x", {"recipients": [1, 2]})
        self.emit("x", {"recipients": [1, 2, 3]}, "urgent")
        y = self.emit("y", {"recipients": [4]})
        self.emit("z", {"recipients": [5, 6]})
        self.emit("strange", {})
        self.assertEqual(
            {("x", "1"): "1", ("x", "2"): "1", ("y", "3"): "1",
             ("z", "2"): "1", ("strange", "2"): "1"},
            {k: r["events"] for k, r in self.types().items()})
        self.assertTrue(all(float(r["oldest_s"]) >= 0
                            for r in self.types().values()))
        self.route()
        self.sql("UPDATE postbatch.batch SET lease_until = now() + interval"
                 " '1 h' WHERE urgency = 1; UPDATE postbatch.batch SET due_at"
                 " = now() + interval '1 h', attempt = 1 WHERE urgency = 3")
        self.note(x, 1, count=7)
        self.note(y, 3)
        self.note(y, 5, count=2)
        self.note(y, 1, minutes=61)
        found = self.types()
        none = dict.fromkeys(("events", "waiting", "in_flight", "later",
                              "held", "sent", "deferred", "failed", "unsure",
                              "skipped", "quarantined"), "0")
        for key, more in (
                (("x", "1"), {"in_flight": "3"}),
                (("x", "2"), {"waiting": "2", "sent": "7"}),
                (("y", "3"), {"later": "1", "failed": "1", "skipped": "2"}),
                (("z", "3"), {"held": "2"}),
                (("strange", "2"), {"quarantined": "1"})):
            with self.subTest(key):
                self.assertEqual(dict(none, **more), {
                    k: found[key][k] for k in none})
        self.assertEqual(5, len(found))
        one = self.ask("stats")[0]
        self.assertEqual(
            ["2", "3", "1", "2", "7", "1", "2", "1", "1", "3600.0"],
            [one[k] for k in ("waiting_letters", "leased_letters",
                              "later_letters", "held_letters", "sent_1h",
                              "failed_1h", "skipped_1h", "quarantined",
                              "quarantined_1h", "recent_s")])
        self.assertGreater(float(one["next_held_s"]), 0)
        self.assertEqual("0.1", one["events_per_s"])  # 5 in a minute

    def test_empty(self):
        self.assertEqual([], self.ask("stats_types"))
        one = self.ask("stats")[0]
        self.assertEqual(["0", "", "", "0", "3600.0", "0.0"],
                         [one[k] for k in (
                             "waiting_events", "oldest_event_s",
                             "next_held_s", "sent_1h", "recent_s",
                             "letters_per_s")])

    def test_a_million_rows_cost_no_more(self):
        count = 1000000
        self.contracts({"name": "x"})
        self.sql("INSERT INTO postbatch.event (type, payload)"
                 " SELECT 'x', '{}' FROM generate_series(1, 20000);"
                 "INSERT INTO postbatch.ledger_%s (ring, at, batch_id,"
                 " recipient_id, event_id, verdict, code, role)"
                 " SELECT %s, now() - (%d - i) * interval '1 ms', i / 500, i,"
                 " (SELECT max(id) FROM postbatch.event) - (i %% 10000 << 4),"
                 " 1, 250, 1 FROM generate_series(1, %d) AS i" % (
                     *[self.value("SELECT postbatch.ring(now(), 32)")] * 2,
                     count, count))
        pages = int(self.value(
            "SELECT (sum(pg_relation_size(inhrelid)) / 8192)::int"
            " FROM pg_inherits"
            " WHERE inhparent = 'postbatch.ledger_letter'::regclass"))
        for name, parameters in PARAMETERS.items():
            plan = "\n".join(r[0] for r in self.sql(
                "SET jit = off; PREPARE q AS %s; EXPLAIN (ANALYZE, BUFFERS,"
                " TIMING off) EXECUTE q(%s)" % (read("queries", name + ".sql"),
                                                parameters)))
            touched = re.search(r"Buffers: shared(?: hit=(\d+))?"
                                r"(?: read=(\d+))?", plan)
            own = pages if name == "stats" else 0
            read_pages = sum(int(n or 0) for n in touched.groups())
            took = float(re.search(r"Execution Time: ([\d.]+)", plan)[1])
            harness.measured("%s over %d rows of the ledger (%d pages):"
                             " %.0f ms, %d pages touched" %
                             (name, count, pages, took, read_pages))
            scanned = re.findall(r"Seq Scan on (ledger\w*)", plan)
            self.assertEqual([], scanned)
            tail = re.search(r"Function Scan on ledger_youngest"
                             r".*rows=(\d+) loops", plan)
            self.assertLess(int(tail[1]), 60000)
            if own:
                self.assertLess(read_pages, pages / 2)
        one = self.ask("stats")[0]
        self.assertLess(float(one["recent_s"]), 200)
        self.assertGreater(float(one["recent_s"]), 5)
        self.assertAlmostEqual(1000, int(one["sent_1h"]) /
                               float(one["recent_s"]), delta=700)

    def batches(self, count, n, back="1 s", first=1):
        """Rows of ledger_batch, the youngest a moment ago, so far apart."""
        self.sql("INSERT INTO postbatch.ledger_batch (ring, at, batch_id, code,"
                 " n, recipient_ids, event_ids, roles) SELECT"
                 " postbatch.ring(now(), 32), now() - (%d - b) * interval '%s',"
                 " b, 250, %d, array_agg(i), array_agg((b * %d + i) << 4),"
                 " array_agg(1::smallint) FROM generate_series(1, %d) AS b,"
                 " generate_series(%d, %d) AS i GROUP BY b ORDER BY b" %
                 (count, back, n, n, count, first, first + n - 1))

    def test_letters_that_share_rows_are_counted_and_cost_no_more(self):
        today = self.value("SELECT postbatch.ring(now(), 32)")
        self.batches(3000, 500, "0.1 s")
        one = self.ask("stats")[0]
        self.assertGreater(int(one["sent_1h"]), 500000)  # by 400 pages
        self.assertLess(float(one["recent_s"]), 301)
        # 5000 a second, and a while without any until we asked.
        self.assertAlmostEqual(5000, int(one["sent_1h"]) /
                               float(one["recent_s"]), delta=700)
        self.assertGreater(5001, float(one["letters_per_s"]))
        self.assertLess(2500, float(one["letters_per_s"]))
        # A row a letter: so many letters, whole batches, the youngest.
        n, whole, back = self.sql(
            "SELECT count(*), bool_or(is_whole), max(at) - min(at) < '1.5 s'"
            " FROM postbatch.ledger_tail(100)")[0]
        self.assertEqual(("7500", "f", "t"), (n, whole, back))
        # Letters with rows of their own from before that do not count: nobody
        # knows what was sent then. Those of the same time do.
        self.sql("INSERT INTO postbatch.ledger_letter (ring, at, batch_id,"
                 " recipient_id, event_id, verdict) SELECT %s, now() -"
                 " a * interval '1 s', 1, 1, 16, 3 FROM unnest('{900, 1}'"
                 "::int[]) AS a" % today)
        self.assertEqual([["3", "1"]], self.sql(
            "SELECT verdict, count(*) FROM postbatch.ledger_tail(100)"
            " WHERE verdict <> 1 GROUP BY 1"))
        self.assertEqual("1", self.ask("stats")[0]["failed_1h"])
        took = float(self.sql(
            "EXPLAIN (ANALYZE, SUMMARY) SELECT * FROM"
            " postbatch.ledger_tail(100)")[-1][0].split()[2])
        harness.measured("the youngest of 1,500,000 letters: %.0f ms" % took)

    def test_what_is_whole_is_called_whole(self):
        self.sql("TRUNCATE postbatch.ledger_batch, postbatch.ledger_letter")
        self.batches(10, 500)
        wait_for(lambda: self.ask("stats")[0]["ledger_rows"] == "5000",
                 "PostgreSQL's counts")
        self.batches(1, 1)
        self.sql("INSERT INTO postbatch.ledger_batch (at, batch_id, n, code,"
                 " recipient_ids, event_ids, roles, letters, apart) VALUES"
                 " (now(), 1, 2, 250, '{1,1,2,2,3}', '{16,32,48,64,80}',"
                 " '{1,1,1,1,1}', '{0,0,1,1,2}', '{5}')")
        self.assertEqual([["5003", "t"]], self.sql(
            "SELECT count(*), bool_and(is_whole)"
            " FROM postbatch.ledger_tail(100)"))
        self.assertEqual([["2"]], self.sql(
            "SELECT count(*) FROM postbatch.ledger_tail(100)"
            " WHERE event_id IN (16, 48) AND at = (SELECT max(at) FROM"
            " postbatch.ledger_batch)"))
        one = self.ask("stats")[0]
        self.assertEqual(["5003", "3600.0"], [one["sent_1h"], one["recent_s"]])


class TheCommand(harness.DispatchCase):
    """In words, as JSON, and watched."""

    types = {"note": {}}

    def test_by_type_in_words_and_json(self):
        harness.psql(self.dsn, "SELECT postbatch.emit('note', '{}'::jsonb);"
                     "SELECT postbatch.emit(E'odd \\x1b[2J', '{}'::jsonb)")
        said = self.dispatcher.must("stats").stdout
        self.assertRegex(said, r"(?m)^events to route +2   oldest [\d.]+ s$")
        self.assertRegex(said, r"(?m)^note +normal +1 +\d+ s( +-){10}$")
        self.assertRegex(said, r"(?m)^odd\?\?\[2J +normal +1 ")
        stats = json.loads(self.dispatcher.must("stats", "--json").stdout)
        self.assertEqual(["note", "odd \x1b[2J"],
                         [t["type"] for t in stats["types"]])
        self.assertEqual([1, 2, None], [
            stats["types"][0]["events"], stats["waiting_events"],
            stats["oldest_letter_s"]])
        self.assertIs(True, stats["waiting_events_exact"])

    def test_watched_it_tells_rates(self):
        watch = subprocess.Popen(
            [harness.POSTBATCH, "-c", self.dispatcher.config, "stats",
             "--watch"], stdout=subprocess.PIPE, text=True,
            env=harness.ENVIRONMENT)
        self.addCleanup(watch.stdout.close)
        self.addCleanup(watch.wait)
        self.addCleanup(watch.kill)
        first = ""
        while "skipped" not in first:
            first += watch.stdout.readline()
        harness.psql(self.dsn, "SELECT count(postbatch.emit('note',"
                     " '{}'::jsonb)) FROM generate_series(1, 1000)")
        found = None
        deadline = time.monotonic() + 30 * harness.PATIENCE
        while found is None and time.monotonic() < deadline:
            found = re.match(r"(?:\x1b\S*)?events to route +1000 +"
                             r"\+([\d.]+)/s", watch.stdout.readline())
        self.assertIsNotNone(found)
        self.assertLess(10, float(found[1]))
        self.assertGreater(1000, float(found[1]))


if __name__ == "__main__":
    unittest.main()
