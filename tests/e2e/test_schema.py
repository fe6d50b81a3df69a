"""The schema: what applications may do and nothing else, the statements that
a worker lives on, what operators run, and the plans of the hot statements."""

import os
import re
import subprocess
import unittest

import harness
from sql_case import PINS, SqlCase, compose, literal, read

FOREVER = "-infinity"


class Emit(SqlCase):
    def last(self):
        return self.sql("SELECT type, payload, urgency FROM postbatch.event"
                        " ORDER BY id DESC LIMIT 1")[0]

    def test_whatever_is_given_is_taken(self):
        for arguments, event in (
                ("'x', '{\"a\": 1}'", ["x", '{"a": 1}', ""]),
                ("'x', '{\"a\": 1}'::jsonb, 'urgent'", ["x", '{"a": 1}', "1"]),
                ("'x', '{}', 'bulk'", ["x", "{}", "3"]),
                ("'x', '{}', 'loud'", ["x", "{}", ""]),
                ("'x', '{bad'", ["x", '"{bad"', ""]),
                ("'x', '{\"a\": \"\\u0000\"}'",
                 ["x", '"{\\"a\\": \\"\\\\u0000\\"}"', ""]),
                ("'x', repeat('[', 100000)", None),
                ("'x', NULL::text", ["x", "null", ""]),
                ("NULL, NULL::jsonb", ["", "null", ""]),
                ("payload => '{}', type => 'y'", ["y", "{}", ""])):
            with self.subTest(arguments):
                self.assertTrue(self.value("SELECT postbatch.emit(%s)" %
                                           arguments))
                if event:
                    self.assertEqual(event, self.last())

    def test_many_at_once(self):
        self.assertEqual("3", self.value(
            "SELECT postbatch.emit('x', ARRAY['{}', NULL, '[]']::jsonb[])"))
        self.assertEqual("0", self.value(
            "SELECT postbatch.emit('x', NULL::jsonb[])"))
        self.assertEqual("3", self.value("SELECT count(*) FROM"
                                         " postbatch.event"))

    def test_what_is_rolled_back_is_not_there(self):
        self.sql("BEGIN; SELECT postbatch.emit('x', '{}'); ROLLBACK;")
        self.assertEqual("0", self.value("SELECT count(*) FROM"
                                         " postbatch.event"))

    def test_the_leaf_is_in_the_id_and_xid_is_that_of_the_top(self):
        self.assertEqual(["t", "t", "t"], self.sql(
            "BEGIN; SAVEPOINT s; SELECT postbatch.emit('x', '{}') IS NULL;"
            "SELECT id & 15 = ring, tableoid = ('postbatch.event_' || ring)"
            "::regclass, xid = pg_current_xact_id() FROM postbatch.event;"
            "COMMIT;")[1])

    def test_an_address_with_a_line_break_is_refused(self):
        for email in ("a@b\n", "a\rb@c", "a b@c", "<a@b>", "\t@b", "a",
                      "a@b\x7f", "@", "a" * 400 + "@b"):
            with self.subTest(email), self.assertRaises(AssertionError):
                self.sql("INSERT INTO postbatch.recipient (email)"
                         " VALUES (%s)" % literal(email))
        self.sql("INSERT INTO postbatch.recipient (email)"
                 " VALUES ('jörg+x@exämple.org')")


class Rights(SqlCase):
    def denied(self, role, statement):
        with self.assertRaisesRegex(AssertionError, "permission denied"):
            self.sql("SET ROLE %s; %s" % (role, statement))

    def test_an_application_may_emit_and_nothing_else(self):
        self.sql("SET ROLE postbatch_app; SELECT postbatch.emit('x', '{}');"
                 "SELECT postbatch.emit('x', '{}'::jsonb, 'bulk');"
                 "SELECT postbatch.emit('x', ARRAY['{}']::jsonb[]);")
        for table in ("event", "event_3", "recipient", "ledger_letter",
                      "ledger_batch", "route", "quarantine",
                      "schema_version"):
            for statement in ("SELECT * FROM postbatch.%s",
                              "DELETE FROM postbatch.%s",
                              "TRUNCATE postbatch.%s"):
                self.denied("postbatch_app", statement % table)
        self.denied("postbatch_app", "INSERT INTO postbatch.event"
                    " (type, payload) VALUES ('x', '{}')")
        for call in ("to_bigint('1'::text)", "sync_types('[]')",
                     "housekeeping()", "grant_rights()"):
            self.denied("postbatch_app", "SELECT postbatch." + call)
        self.denied("postbatch_app", "CREATE TABLE postbatch.x ()")

    def test_nobody_else_may_emit(self):
        self.sql("DROP ROLE IF EXISTS stranger; CREATE ROLE stranger")
        self.denied("stranger", "SELECT postbatch.emit('x', '{}')")
        self.sql("DROP ROLE stranger")

    def test_emit_minds_nobodys_search_path(self):
        self.sql("CREATE SCHEMA trap; GRANT ALL ON SCHEMA trap TO"
                 " postbatch_app; SET ROLE postbatch_app;"
                 "CREATE FUNCTION trap.coalesce2() RETURNS int LANGUAGE sql"
                 " AS 'SELECT 1'; CREATE FUNCTION trap.unnest(jsonb[])"
                 " RETURNS SETOF jsonb LANGUAGE plpgsql"
                 " AS $$ BEGIN RAISE 'caught as %', current_user; END $$;"
                 "SET search_path = trap, pg_catalog;"
                 "SELECT postbatch.emit('x', ARRAY['{}']::jsonb[]);"
                 "RESET ROLE; DROP SCHEMA trap CASCADE")

    def test_a_worker_has_what_it_needs(self):
        self.sql("""
            SET ROLE postbatch_worker;
            SELECT * FROM postbatch.sync_types('[{"name": "x", "roles":
                [{"name": "addressee"}]}]');
            INSERT INTO postbatch.recipient (email) VALUES ('a@b');
            SELECT postbatch.emit('x', '{}');
            DELETE FROM postbatch.batch; TRUNCATE postbatch.event_3;
            TRUNCATE postbatch.ledger_31, postbatch.ledger_batch_31;
            SELECT * FROM postbatch.housekeeping();
            SELECT * FROM postbatch.schema_version;""")
        self.denied("postbatch_worker",
                    "DELETE FROM postbatch.schema_version")
        with self.assertRaisesRegex(AssertionError, "must be owner"):
            self.sql("SET ROLE postbatch_worker; DROP TABLE postbatch.batch")
        for name in sorted(os.listdir(os.path.join(harness.ROOT, "sql",
                                                   "queries"))):
            if name.endswith("_part.sql"):
                continue
            with self.subTest(name):
                self.sql("SET ROLE postbatch_worker; %s PREPARE q AS %s" %
                         (PINS, read("queries", name)))

    def test_an_owner_who_may_create_no_roles_is_told(self):
        admin = self.postgres.conninfo
        harness.psql(admin, "DROP DATABASE IF EXISTS plain")
        harness.psql(admin, "DROP ROLE IF EXISTS plain_owner;"
                     "CREATE ROLE plain_owner LOGIN")
        harness.psql(admin, "CREATE DATABASE plain OWNER plain_owner")
        self.sql("DROP OWNED BY postbatch_app; DROP ROLE postbatch_app;")
        # libpq takes the last of two settings.
        dsn = admin + " dbname=plain user=plain_owner"
        text = "".join(read(os.path.basename(p)) for p in
                       __import__("sql_case").migrations())
        done = subprocess.run(["psql", "-Xq1", "-v", "ON_ERROR_STOP=1", dsn],
                              input=text, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertIn("the role postbatch_app is missing", done.stderr)
        self.assertIn("CREATE ROLE postbatch_app NOLOGIN", done.stderr)
        self.sql("CREATE ROLE postbatch_app NOLOGIN")
        harness.psql(dsn, "SELECT postbatch.grant_rights()")
        harness.psql(admin + " dbname=plain", "SET ROLE postbatch_app;"
                     "SELECT postbatch.emit('x', '{}')")
        self.sql("SELECT postbatch.grant_rights()")


class Contracts(SqlCase):
    def types(self, columns="*"):
        return self.sql("SELECT %s FROM postbatch.event_type ORDER BY name" %
                        columns)

    def test_types_come_change_go_and_come_back(self):
        self.contracts({"name": "a", "roles": [{"name": "r"}, {"name": "s"}]},
                       {"name": "b"})
        first = self.types("name, id")
        self.contracts({"name": "a", "roles": [{"name": "s"}, {"name": "t",
                        "frequency": "daily"}], "urgency": 3,
                        "required": ["k", "l"], "originator": "who"})
        rows = self.types("name, id, urgency, originator_key, required_keys,"
                          " role_names, role_frequencies, fault IS NULL")
        self.assertEqual([["a", first[0][1], "3", "who", "{k,l}", "{s,t}",
                           "{instant,daily}", "t"]], rows[:1])
        self.assertEqual(first[1], rows[1][:2])
        self.assertEqual("f", rows[1][7])
        self.assertEqual([["a", "s", "0"], ["a", "t", "1"],
                          ["b", "addressee", "0"]], self.sql(
            "SELECT t.name, r.name, position FROM postbatch.event_type_role"
            " JOIN postbatch.event_type AS t ON t.id = type_id"
            " JOIN postbatch.role AS r ON r.id = role_id ORDER BY 1, 3"))
        self.contracts({"name": "b"})
        self.assertEqual([["a", "f"], ["b", "t"]],
                         self.types("name, fault IS NULL"))

    def test_starting_often_uses_nothing_up(self):
        for _ in range(3):
            self.contracts({"name": "a"})
            seen = self.types("id, xmin")
        self.contracts({"name": "a"})
        self.assertEqual(seen, self.types("id, xmin"))


class WorkerCase(SqlCase):
    """With what a worker does."""

    AT = "2026-01-02 03:04:05.678901+00"

    def setUp(self):
        super().setUp()
        self.recipients(1200)
        self.contracts({"name": "x"},
                       {"name": "g", "grouping": "gather", "gather_max": 9})

    def many(self, count, type_name="x"):
        self.sql("SELECT postbatch.emit('%s', array_agg(jsonb_build_object("
                 "'recipient', r))) FROM generate_series(1, %d) AS r" %
                 (type_name, count))
        self.route()

    def lease(self, worker=1, count=10, ms=60000):
        return {int(r[0]): r for r in self.query(
            "lease", worker, ms, count, [1, 2, 3], FOREVER)}

    def settle(self, batch, worker, epoch, *columns):
        return self.settle_sent(batch, worker, epoch, 0, 0, [], *columns)

    def settle_sent(self, batch, worker, epoch, n, code, apart, *columns):
        """The same with letters that were plainly sent."""
        columns = columns or ([],) * 6
        return self.query("settle", batch, worker, epoch, *columns,
                          self.AT, n, code, apart)[0]


class Worker(WorkerCase):
    """lease, renew, settle, give back."""

    def test_two_workers_never_hold_the_same_batch(self):
        self.many(1200)
        mine = self.lease(1, 2)
        rest = self.lease(2, 5)
        self.assertEqual((2, 1), (len(mine), len(rest)))
        self.assertFalse(set(mine) & set(rest))
        self.assertEqual({}, self.lease(3))

    def test_a_row_that_is_being_taken_is_passed_over(self):
        self.many(1200)
        rows = self.sql(
            "%s PREPARE lease AS %s; BEGIN;"
            "SELECT id FROM postbatch.batch ORDER BY id LIMIT 1 FOR UPDATE;"
            % (PINS, read("queries", "lease.sql")))
        self.assertEqual(1, len(rows))
        holder = subprocess.Popen(["psql", "-qAtX", self.dsn],
                                  stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True,
                                  bufsize=1)
        self.addCleanup(holder.communicate)
        holder.stdin.write("BEGIN; SELECT id FROM postbatch.batch ORDER BY id"
                           " LIMIT 1 FOR UPDATE;\n")
        locked = int(holder.stdout.readline())
        self.assertNotIn(locked, self.lease(1, 5))

    def test_urgent_before_normal_before_bulk(self):
        for urgency in ("bulk", "normal", "urgent"):
            self.emit("x", {"recipient": 1}, urgency)
        self.route()
        self.assertEqual(["1", "2", "3"], [
            next(iter(self.lease(1, 1).values()))[1] for _ in "123"])
        self.assertEqual({}, self.lease())

    def test_the_order_of_urgencies_is_the_callers(self):
        for urgency in ("urgent", "bulk"):
            self.emit("x", {"recipient": 1}, urgency)
        self.route()
        rows = self.query("lease", 1, 1000, 1, [3, 1, 2], FOREVER)
        self.assertEqual("3", rows[0][1])

    def test_what_a_lease_gives(self):
        self.many(3)
        (batch, row), = self.lease(7).items()
        self.assertEqual(["2", "0", str(batch), "1"], row[1:5])
        self.assertEqual("t", self.value(
            "SELECT now() - timestamptz '%s' < interval '1 min'" % row[5]))
        self.assertEqual(["3", "{1,2,3}"], row[6:8])
        self.assertEqual(["", "{%s}" % ",".join(
            [str(self.roles["addressee"])] * 3)], row[9:])

    def test_a_lease_that_ran_out_goes_to_the_next_and_fences_the_first(self):
        self.many(1)
        (batch, _), = self.lease(1, ms=-1).items()
        (again, row), = self.lease(2).items()
        self.assertEqual((batch, "2"), (again, row[4]))
        self.assertEqual([], self.query("renew", 1, 60000, [batch], [1]))
        self.assertEqual(["f", "0"], self.settle(
            batch, 1, 1, [1], [27], [0], [1], [60], [1]))
        self.assertEqual("1", self.value("SELECT count(*) FROM"
                                         " postbatch.batch"))
        self.assertEqual([[str(batch)]],
                         self.query("renew", 2, 60000, [batch], [2]))
        self.assertEqual(["t", "0"], self.settle(batch, 2, 2))
        self.assertEqual("0", self.value("SELECT count(*) FROM"
                                         " postbatch.batch"))

    def test_the_same_worker_in_a_later_epoch_is_fenced_too(self):
        self.many(1)
        (batch, _), = self.lease(1, ms=-1).items()
        self.lease(1)
        self.assertEqual("f", self.settle(batch, 1, 1)[0])

    def test_give_back(self):
        self.many(1)
        (batch, _), = self.lease(1).items()
        self.assertEqual([], self.query("give_back", 2, [batch]))
        self.assertEqual([[str(batch)]], self.query("give_back", 1, [batch]))
        self.assertEqual([batch], list(self.lease(2)))

    def test_settling_puts_what_is_deferred_into_new_batches(self):
        self.many(4)
        (batch, row), = self.lease(1).items()
        events = row[8].strip("{}").split(",")
        role = self.roles["addressee"]
        self.assertEqual(["t", "2"], self.settle(
            batch, 1, 1, [2, 3, 4], [int(e) for e in events[1:]], [1, 2, 3],
            [role] * 3, [300, 60, 60], [1, 1, 1]))
        rows = self.sql(
            "SELECT attempt, origin, n, recipient_ids, letters,"
            " round(extract(epoch FROM due_at - now()) / 60), routed_at ="
            " (SELECT min(routed_at) FROM postbatch.batch)"
            " FROM postbatch.batch ORDER BY due_at")
        self.assertEqual([["1", str(batch), "2", "{3,4}", "", "1", "t"],
                          ["1", str(batch), "1", "{2}", "", "5", "t"]], rows)
        self.assertEqual({}, self.lease(1))
        self.sql("UPDATE postbatch.batch SET due_at = now()")
        again = self.lease(1, 1)
        (second, row), = again.items()
        self.assertEqual(["1", str(batch)], row[2:4])
        self.settle(second, 1, 1, [3], [int(events[2])], [0], [role], [0],
                    [2])
        self.assertEqual([["2", str(batch)]], self.sql(
            "SELECT attempt, origin FROM postbatch.batch ORDER BY attempt"
            " DESC LIMIT 1"))

    def test_settling_keeps_letters_of_several_events_together(self):
        for _ in range(2):
            self.sql("SELECT postbatch.emit('g', array_agg("
                     "jsonb_build_object('recipient', r)))"
                     " FROM generate_series(1, 3) AS r")
        self.route()
        (batch, row), = self.lease(1).items()
        self.assertEqual("{0,0,1,1,2,2}", row[9])
        events = [int(e) for e in row[8].strip("{}").split(",")]
        self.settle(batch, 1, 1, [1, 1, 3, 3], events[:2] + events[4:],
                    [0, 0, 2, 2], [1] * 4, [60] * 4, [1] * 4)
        self.assertEqual([["2", "{1,1,3,3}", "{0,0,1,1}"]], self.sql(
            "SELECT n, recipient_ids, letters FROM postbatch.batch"))

    def test_fetching(self):
        self.sql("INSERT INTO postbatch.suppression VALUES"
                 " ('u1@example.org', '550 no such user', NULL),"
                 " ('u2@example.org', 'old', now() - interval '1 s');"
                 "UPDATE postbatch.recipient SET state = 'inactive',"
                 " email = 'U3@Example.org', name = 'Three' WHERE id = 3")
        rows = sorted(self.query("fetch_recipients", [1, 9999], [2], [3]))
        self.assertEqual(
            [["1", "u1@example.org", "", "", "t", "550 no such user"],
             ["2", "u2@example.org", "", "", "t", ""],
             ["3", "U3@Example.org", "Three", "", "f", ""]], rows)
        event = self.emit("x", {"recipient": 1})
        for single, first, last in (([event, event + 16], [], []),
                                    ([], [event - 16], [event + 16])):
            (row,) = self.query("fetch_events", event & 15, single, first,
                                last, 1000)
            self.assertEqual([str(event), "x", '{"recipient": 1}'], row[:3])

    def test_quarantine_drift_and_suppression(self):
        for _ in range(2):
            self.query("quarantine_events", [5, 5, 6], ["x"] * 3,
                       ["render"] * 3, ["first", "second", "third"],
                       [1500000000123456] * 3)
        self.assertEqual([["5", "first"], ["6", "third"]], self.sql(
            "SELECT event_id, reason FROM postbatch.quarantine ORDER BY 1"))
        long = "k" * 9000
        rows = self.query("drift_add", ["x", "x", "x"], ["a", "a", long],
                          [7, 5, 9], [2, 3, 1])
        self.assertEqual([["x", "a", "t"], ["x", long[:200], "t"]], rows)
        rows = self.query("drift_add", ["x"], ["a"], [9], [1])
        self.assertEqual([["x", "a", "f"]], rows)
        self.assertEqual([["5", "6"]], self.sql(
            "SELECT first_event_id, events FROM postbatch.drift"
            " WHERE key = 'a'"))
        self.query("suppress_add", ["A@b.org", "a@B.org", "c@d"],
                   ["no", "no", "full"], [None, None, 60])
        self.assertEqual([["a@b.org", "t"], ["c@d", "f"]], self.sql(
            "SELECT email, until IS NULL FROM postbatch.suppression"
            " ORDER BY 1"))

    def test_workers(self):
        def seen(host, pid, parent):
            return sorted(self.query("worker_seen", ids[pid], host, pid,
                                     parent))

        ids = {}
        for host, pid, parent in (("a", 42, 40), ("a", 43, 40), ("a", 44, 44),
                                  ("b", 50, 40), ("b", 51, 40)):
            (ids[pid],), = self.query("worker_start", host, pid, parent)
            ids[pid] = int(ids[pid])
        # The other parents, each once: on this host, and on another.
        self.assertEqual([["f", "40"], ["t", "44"]], seen("a", 42, 40))
        self.assertEqual([["f", "40"], ["f", "44"]], seen("b", 50, 40))
        self.sql("UPDATE postbatch.worker SET seen_at = now() -"
                 " interval '31 s' WHERE host = 'b'")
        self.assertEqual([["t", "44"]], seen("a", 43, 40))
        # Forgotten, and back under its old id.
        self.sql("DELETE FROM postbatch.worker WHERE host <> 'b'")
        self.assertEqual([], seen("a", 42, 40))
        self.assertEqual([["t", "40"]], seen("a", 44, 44))
        worker = ids[42]
        self.many(1)
        (batch, _), = self.lease(int(worker)).items()
        self.query("worker_stop", int(worker), [batch])
        self.assertEqual("0", self.value("SELECT count(*) FROM postbatch.worker"
                                         " WHERE id = %d" % worker))
        self.assertEqual([batch], list(self.lease(2)))


class Ledger(WorkerCase):
    """One row for the letters of a batch that were plainly sent, and a view
    that tells of each."""

    def rows(self, where="true"):
        return self.sql("SELECT recipient_id, event_id, more_events, verdict,"
                        " code, enhanced, role, attempt, reply"
                        " FROM postbatch.ledger WHERE %s ORDER BY 1, 2" %
                        where)

    def test_plainly_sent_letters_share_a_row(self):
        self.many(4)
        (batch, row), = self.lease(1).items()
        events = row[8].strip("{}").split(",")
        self.assertEqual(["t", "0"],
                         self.settle_sent(batch, 1, 1, 4, 250, []))
        role = str(self.roles["addressee"])
        self.assertEqual([[str(i + 1), events[i], "", "1", "250", "", role,
                           "0", ""] for i in range(4)], self.rows())
        self.assertEqual([[str(batch), "4", "t", "t"]], self.sql(
            "SELECT DISTINCT l.batch_id, b.n, l.at = '%s' AND b.at = l.at,"
            " l.ring = postbatch.ring(l.at, 32) FROM postbatch.ledger AS l,"
            " postbatch.ledger_batch AS b" % self.AT))
        self.assertEqual("0", self.value("SELECT count(*)"
                                         " FROM postbatch.ledger_letter"))

    def test_without_any_there_is_no_row(self):
        self.many(2)
        (batch, _), = self.lease(1).items()
        self.assertEqual(["t", "0"], self.settle(batch, 1, 1))
        self.assertEqual([], self.rows())

    def test_letters_that_stand_apart_are_not_told_of(self):
        self.many(4)
        (batch, row), = self.lease(1).items()
        events = row[8].strip("{}").split(",")
        role = self.roles["addressee"]
        self.assertEqual(["t", "1"], self.settle_sent(
            batch, 1, 1, 2, 0, [2, 3], [2], [int(events[1])], [1], [role],
            [60], [1]))
        self.assertEqual([["1", events[0], ""], ["4", events[3], ""]],
                         [[r[0], r[1], r[4]] for r in self.rows()])
        # The rest of a batch is settled under the name of its origin.
        self.sql("UPDATE postbatch.batch SET due_at = now()")
        (again, _), = self.lease(1).items()
        self.settle_sent(again, 1, 1, 1, 251, [])
        self.assertEqual([["2", events[1], "", "1", "251", "", str(role), "1",
                           ""]], self.rows("attempt = 1"))
        self.assertEqual([[str(batch)]], self.sql(
            "SELECT DISTINCT batch_id FROM postbatch.ledger"))

    def test_a_letter_about_several_events_is_one_row(self):
        for _ in range(3):
            self.emit("g", {"recipients": [1, 2, 3]})
        self.route()
        (batch, row), = self.lease(1).items()
        events = row[8].strip("{}").split(",")
        self.assertEqual("{0,0,0,1,1,1,2,2,2}", row[9])
        self.settle_sent(batch, 1, 1, 2, 250, [4, 5, 6])
        self.assertEqual(
            [["1", events[0], "{%s,%s}" % tuple(events[1:3])],
             ["3", events[6], "{%s,%s}" % tuple(events[7:])]],
            [r[:3] for r in self.rows()])
        # By its first event, by another, and by who got it.
        for about, found in (
                ("'{%s}', NULL, NULL" % events[0], ["1", "3"]),
                ("'{%s}', NULL, NULL" % events[2], ["1", "3"]),
                ("'{%s,77}', '{1,2}', '%s'" % (events[1], self.AT), ["1"]),
                ("NULL, '{3}', NULL", ["3"]), ("NULL, '{2}', NULL", []),
                ("'{77}', NULL, NULL", []), ("NULL, '{1}', now()", [])):
            with self.subTest(about):
                self.assertEqual(found, [r for r, in self.sql(
                    "SELECT recipient_id FROM postbatch.ledger_about(%s)"
                    " ORDER BY 1" % about)])

    def test_who_lost_the_lease_writes_nothing(self):
        self.many(2)
        (batch, _), = self.lease(1, ms=-1).items()
        self.lease(2)
        self.assertEqual(["f", "0"],
                         self.settle_sent(batch, 1, 1, 2, 250, []))
        self.assertEqual([], self.rows())
        self.settle_sent(batch, 2, 2, 2, 250, [])
        self.assertEqual(2, len(self.rows()))

    def test_a_worker_of_the_version_before_goes_on_settling(self):
        self.sql("COPY postbatch.ledger_7 (ring, at, batch_id, recipient_id,"
                 " event_id, more_events, verdict, code, enhanced, role,"
                 " attempt, reply) FROM STDIN;\n7\t2026-01-02\t5\t6\t16\t"
                 "{32,48}\t1\t250\t\\N\t1\t0\t\\N\n\\.\n")
        self.assertEqual([["6", "16", "{32,48}", "1", "250", "", "1", "0",
                           ""]], self.rows("ring = 7"))

    def test_conditions_reach_both_kinds(self):
        plan = "\n".join(r[0] for r in self.sql(
            "EXPLAIN (COSTS off) SELECT * FROM postbatch.ledger"
            " WHERE ring = 7 AND at > '2026-01-01'"))
        leaves = set(re.findall(r"on (ledger_\w+)", plan))
        self.assertEqual({"ledger_7", "ledger_batch_7"},
                         {leaf for leaf in leaves if leaf[-1].isdigit() and
                          "_at" not in leaf})
        self.assertEqual(2, len(re.findall(r"Filter:.*at > ", plan)) or
                         len(re.findall(r"Cond:.*at > ", plan)), plan)
        # What is never in ledger_batch does not ask it.
        plan = "\n".join(r[0] for r in self.sql(
            "EXPLAIN (COSTS off) SELECT * FROM postbatch.ledger"
            " WHERE verdict = 3"))
        self.assertNotIn("ledger_batch", plan)
        self.assertIn("ledger_7", plan)

    def note_both(self, ring, ago):
        at = "now() - interval '%s'" % ago
        self.sql("INSERT INTO postbatch.ledger_batch (ring, at, batch_id, n,"
                 " recipient_ids, event_ids, roles) VALUES"
                 " (%s, %s, 1, 1, '{1}', '{16}', '{1}');"
                 "INSERT INTO postbatch.ledger_letter (ring, at, batch_id,"
                 " recipient_id, event_id, verdict) VALUES"
                 " (%s, %s, 1, 1, 32, 3)" % (ring, at, ring, at))

    def test_housekeeping_empties_both_leaves(self):
        tomorrow = self.value("SELECT postbatch.ring(now() +"
                              " interval '1 day', 32)")
        for ring in (tomorrow, "(%s + 30) %% 32" % tomorrow):
            self.note_both(ring, "31 days")
        self.assertEqual("4", self.value("SELECT count(*)"
                                         " FROM postbatch.ledger"))
        self.assertEqual([["ledger_" + tomorrow, "emptied"],
                          ["ledger_batch_" + tomorrow, "emptied"]],
                         [r for r in self.query("housekeeping")
                          if r[0].startswith("ledger")])
        self.assertEqual("2", self.value("SELECT count(*)"
                                         " FROM postbatch.ledger"))
        self.assertEqual([], [r for r in self.query("housekeeping")
                              if r[0].startswith("ledger")])

    def test_housekeeping_keeps_what_a_fast_clock_wrote_into_tomorrow(self):
        tomorrow = self.value("SELECT postbatch.ring(now() +"
                              " interval '1 day', 32)")
        self.note_both(tomorrow, "-1 minute")
        self.assertEqual({"kept: it came into use again"},
                         {r[1] for r in self.query("housekeeping")
                          if r[0].startswith("ledger")})
        self.assertEqual("2", self.value("SELECT count(*)"
                                         " FROM postbatch.ledger"))


class Operators(SqlCase):
    """resend, stats, housekeeping, reseat."""

    def setUp(self):
        super().setUp()
        self.recipients(5)
        self.contracts({"name": "x"})
        self.events = [self.emit("x", {"recipient": r}) for r in (1, 2, 3)]

    def note(self, recipient, event, verdict, ago="1 hour", more=None):
        self.sql("INSERT INTO postbatch.ledger_letter (at, batch_id,"
                 " recipient_id, event_id, more_events, verdict, role) VALUES (now() -"
                 " interval '%s', 1, %d, %d, %s, %d, 1)" %
                 (ago, recipient, event, literal(more), verdict))

    def preview(self, *arguments):
        return [(int(r[0]), int(r[2]), r[8]) for r in
                self.query("resend_preview", *arguments)]

    def test_all_failed_are_sent_again_once(self):
        a, b, c = self.events
        self.note(1, a, 2, "3 hours")
        self.note(1, a, 3, "2 hours")
        self.note(2, b, 3, "2 hours")
        self.note(2, b, 1, "1 hour")      # arrived after all
        self.note(3, c, 4)
        self.note(1, c, 3, "20 days")     # too long ago
        self.note(3, b, 3, more=[c])      # one letter, two events
        self.note(99, b, 3)               # the recipient is gone
        since = self.value("SELECT now() - interval '1 day'")
        wanted = [(1, a, ""), (3, b, ""), (3, c, ""),
                  (99, b, "the recipient is gone")]
        self.assertEqual(wanted, sorted(
            self.preview(None, None, since, [3])))
        self.assertEqual([["2", "1", "1"]],
                         self.query("resend_do", None, None, since, [3]))
        self.assertEqual([["2", "{1,3,3}", "{0,1,1}", ""]], self.sql(
            "SELECT n, recipient_ids, letters, origin FROM postbatch.batch"))
        self.assertEqual([wanted[3]], self.preview(None, None, since, [3]))
        self.assertEqual([["0", "0", "1"]],
                         self.query("resend_do", None, None, since, [3]))

    def test_by_event_and_by_recipient(self):
        a, b, c = self.events
        for recipient in (1, 2):
            for event in (a, b):
                self.note(recipient, event, 3)
        self.assertEqual([(1, b, ""), (2, b, "")],
                         self.preview([b], None, None, [3]))
        for name in ("u2", "2", "u2@example.org"):
            self.assertEqual([(2, a, ""), (2, b, "")],
                             self.preview(None, name, None, [3]))
        self.assertEqual([], self.preview(None, "nobody", None, [3]))
        self.assertEqual([], self.preview([b], None, None, [4, 5]))

    def test_many_failures_are_not_looked_through_for_each_row(self):
        """As on a connection without pins, where more failed than work_mem
        holds."""
        for name in ("resend_preview", "resend_do"):
            with self.subTest(name):
                plan = "\n".join(r[0] for r in self.sql(
                    "BEGIN; SET LOCAL work_mem = '64kB';"
                    "INSERT INTO postbatch.ledger_letter (batch_id,"
                    "  recipient_id, event_id, verdict)"
                    "  SELECT 1, i, 16, 3 FROM generate_series(1, 20000) AS i;"
                    "ANALYZE postbatch.ledger_letter; PREPARE q AS %s;"
                    "EXPLAIN (COSTS off) EXECUTE q(NULL, NULL, NULL, '{3}');"
                    "ROLLBACK" % read("queries", name + ".sql")))
                self.assertNotRegex(plan, r"Filter:.*\(SubPlan")

    def test_stats(self):
        self.emit("nothing", {})
        self.note(1, self.events[0], 1, "1 minute")
        self.note(1, self.events[0], 3, "1 minute")

        def stats(names):
            rows = self.sql("PREPARE q AS %s; \\pset tuples_only off\n"
                            "EXECUTE q(100, 400);" % read("queries", "stats.sql"))
            row = dict(zip(rows[0], rows[1]))
            return [row[n] for n in names.split()]
        self.assertEqual(["4", "t", "0", "1", "1"], stats(
            "waiting_events waiting_events_exact waiting_letters sent_1h"
            " failed_1h"))
        self.route()
        self.query("lease", 1, 60000, 1, [1, 2, 3], FOREVER)
        self.emit("x", {"recipient": 1})
        self.route()
        self.assertEqual(["0", "", "1", "3", "1"], stats(
            "waiting_events oldest_event_s waiting_letters leased_letters"
            " quarantined"))

    def test_an_old_leaf_is_emptied_when_nothing_needs_it(self):
        tomorrow = int(self.value(
            "SELECT postbatch.ring(now() + interval '1 day', 16)"))
        leaf = "event_%d" % tomorrow
        old = "((id >> 4) << 4) | %d" % tomorrow
        keep = (self.events[2] >> 4) << 4 | tomorrow
        self.sql("UPDATE postbatch.event SET ring = %d, id = %s" %
                 (tomorrow, old))

        def clean():
            return [r for r in self.query("housekeeping") if r[0] == leaf]
        self.assertIn("not routed yet", clean()[0][1])
        self.contracts({"name": "x", "required": ["gone"]})
        self.route()
        self.route()   # the next window begins behind them
        self.sql("INSERT INTO postbatch.fanout VALUES (%d)" % keep)
        self.assertIn("not fanned out yet", clean()[0][1])
        self.sql("UPDATE postbatch.fanout SET done = true")
        self.sql("INSERT INTO postbatch.batch (urgency, n, recipient_ids,"
                 " event_ids, roles) VALUES (2, 1, '{1}', '{%d}', '{1}')" %
                 keep)
        self.assertIn("not sent yet", clean()[0][1])
        self.sql("DELETE FROM postbatch.batch")
        reader = subprocess.Popen(["psql", "-qAtX", self.dsn],
                                  stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True,
                                  bufsize=1)
        reader.stdin.write("BEGIN; SELECT count(*) FROM postbatch.event;\n")
        self.assertEqual("3", reader.stdout.readline().strip())
        self.assertIn("busy", clean()[0][1])
        reader.communicate("COMMIT;\n")
        self.assertEqual([[leaf, "emptied"]], clean())
        self.assertEqual([], clean())
        self.assertEqual("0", self.value("SELECT count(*) FROM"
                                         " postbatch.event"))
        # What was in quarantine can still be sent on.
        self.contracts({"name": "x"})
        rows = self.query("release", [keep], None)
        self.assertEqual([[str(keep), "route"], "f"],
                         [rows[0][:2], rows[0][3]])
        self.assertEqual(1, self.route()["letters"])

    def test_a_leaf_is_kept_when_letters_come_up_meanwhile(self):
        """They are sent again after it was asked what needs the leaf."""
        tomorrow = int(self.value(
            "SELECT postbatch.ring(now() + interval '1 day', 16)"))
        old = (self.events[0] >> 4) << 4 | tomorrow
        self.route()
        self.route()
        self.sql("DELETE FROM postbatch.batch; UPDATE postbatch.event SET"
                 " ring = %d, id = ((id >> 4) << 4) | %d; INSERT INTO"
                 " postbatch.quarantine (event_id, type, stage, reason)"
                 " VALUES (%d, 'x', 'render', 'r')" %
                 (tomorrow, tomorrow, old))
        self.note(1, old, 3)
        # Housekeeping has asked and waits for this row.
        resend = harness.Session(self.dsn)
        self.addCleanup(resend.close)
        resend.run("BEGIN; UPDATE postbatch.quarantine SET reason = 's'")
        house = subprocess.Popen(
            ["psql", "-qAtX", self.dsn, "-c",
             read("queries", "housekeeping.sql")],
            stdout=subprocess.PIPE, text=True)
        harness.wait_for(lambda: self.value(
            "SELECT count(*) FROM pg_locks WHERE NOT granted") == "1",
            "housekeeping to wait")
        self.assertEqual([["1", "1", "0"]], self.query(
            "resend_do", [old], None, None, [3]))
        resend.run("COMMIT")
        said = house.communicate()[0]
        self.assertIn("event_%d|kept: it came into use again" % tomorrow, said)
        self.assertEqual("3", self.value("SELECT count(*) FROM"
                                         " postbatch.event"))

    def test_after_a_restore_from_a_dump(self):
        self.route()
        self.emit("x", {"recipient": 4})
        far = "'99999999999'"
        self.sql("UPDATE postbatch.event SET xid = %s;"
                 "UPDATE postbatch.route SET snap_cur ="
                 " '99999999:99999999:'::pg_snapshot" % far)
        self.assertEqual("t", self.query("peek", 1)[0][4])
        self.assertEqual(0, self.route()["letters"])
        self.assertEqual([["1"]], self.query("reseat"))
        self.assertEqual(1, self.route()["letters"])
        self.assertEqual(["f", "f", "f"], [self.query("peek", 1)[0][i]
                                           for i in (0, 1, 4)])
        self.assertEqual([1, 2, 3, 4], [r for r, _ in self.pairs()])


class Plans(SqlCase):
    """Under the pinned settings no hot statement reads a whole table."""

    def explain(self, text, arguments):
        return "\n".join(r[0] for r in self.sql(
            "%s PREPARE q AS %s; EXPLAIN (COSTS off) EXECUTE q(%s)" %
            (PINS, text, ",".join(map(literal, arguments)))))

    def test_no_sequential_scans(self):
        self.contracts({"name": "x", "roles": [{"name": "addressee"},
                                               {"name": "subscriber"}]})
        one = [[1]] * 2
        cases = {
            "route": (5000, 50000, 20000), "peek": (10,),
            "fanout_step": (10000, 0), "route_skip": ("why",),
            "lease": (1, 1000, 4, [1, 2, 3], FOREVER),
            "renew": (1, 1000, [1], [1]), "give_back": (1, [1]),
            "fetch_recipients": ([1, 2], [4], [9]),
            "fetch_events": (1, [1, 65], [81], [145], 9),
            "settle": (1, 1, 1, *one, *one, *one, "now", 1, 250, [1]),
        }
        for name, arguments in cases.items():
            with self.subTest(name):
                plan = self.explain(compose(name, self.roles), arguments)
                # The route row is the whole of its table.
                scans = re.findall(r"Seq Scan on (\w+)", plan)
                self.assertEqual([], [s for s in scans if s != "route"])

    def test_a_view_of_recipients_is_not_read_as_a_whole(self):
        """A site may have one in place of the table."""
        self.recipients(20)
        rows = self.sql(
            "%s BEGIN; ALTER TABLE postbatch.recipient RENAME TO person;"
            "CREATE VIEW postbatch.recipient AS"
            "  SELECT DISTINCT ON (id) * FROM postbatch.person;"
            "PREPARE q AS %s; EXECUTE q('{1}', '{5}', '{9}');"
            "EXPLAIN (ANALYZE) EXECUTE q('{1}', '{5}', '{9}'); ROLLBACK" %
            (PINS, read("queries", "fetch_recipients.sql")))
        self.assertEqual(["1", "5", "6", "7", "8", "9"],
                         sorted(row[0] for row in rows if len(row) > 1))
        scans = [row[0] for row in rows if " on person" in row[0]]
        self.assertEqual(2, len(scans), rows)
        self.assertIn("rows=6 ", scans[0].split("actual")[1])
        self.assertIn("never executed", scans[1])

    def test_a_late_router_does_not_walk_over_what_it_has_read(self):
        plan = self.explain(compose("route", self.roles), (1, 2, 3))
        self.assertIn("Index Cond: ((ROW(xid, id) > ROW(", plan)


class Migrate(unittest.TestCase):
    """The command, on a cluster of its own."""

    @classmethod
    def setUpClass(cls):
        if not os.path.exists(harness.POSTBATCH):
            raise unittest.SkipTest(harness.POSTBATCH + " is not built")
        cls.postgres = harness.Postgres()
        cls.addClassCleanup(cls.postgres.stop)

    def setUp(self):
        self.dsn = self.postgres.database("migrate")
        self.dispatcher = harness.Dispatcher(self.dsn, 1)
        self.addCleanup(self.dispatcher.stop)

    def test_from_nothing_and_again(self):
        self.dispatcher.must("migrate")
        before = harness.psql(self.dsn, "SELECT * FROM"
                              " postbatch.schema_version ORDER BY 1")
        self.assertGreaterEqual(len(before), 3)
        self.dispatcher.must("migrate")
        self.assertEqual(before, harness.psql(
            self.dsn, "SELECT * FROM postbatch.schema_version ORDER BY 1"))

    def test_print_is_what_psql_can_run(self):
        text = self.dispatcher.must("migrate", "--print").stdout
        self.assertEqual("f", harness.value(
            self.dsn, "SELECT to_regclass('postbatch.event') IS NOT NULL"))
        harness.psql(self.dsn, text)
        self.assertEqual("", self.dispatcher.must("migrate",
                                                  "--print").stdout)

    def test_a_ledger_with_rows_is_taken_along(self):
        self.dispatcher.must("migrate", "--to", "8")
        harness.psql(self.dsn, "INSERT INTO postbatch.ledger (ring, batch_id,"
                     " recipient_id, event_id, verdict, reply) SELECT i % 32,"
                     " 1, i, 16, 3, 'no ' || i FROM generate_series(0, 99)"
                     " AS i; GRANT SELECT ON postbatch.ledger TO PUBLIC;"
                     "GRANT USAGE ON SCHEMA postbatch TO PUBLIC")
        columns = ("SELECT attname, atttypid::regtype FROM pg_attribute WHERE"
                   " attrelid = 'postbatch.ledger'::regclass AND attnum > 0"
                   " ORDER BY attnum")
        content = "SELECT * FROM postbatch.ledger ORDER BY recipient_id"
        before = [harness.psql(self.dsn, q) for q in (columns, content)]
        self.dispatcher.must("migrate")
        self.assertEqual(before, [harness.psql(self.dsn, q)
                                  for q in (columns, content)])
        self.assertEqual("4", harness.value(
            self.dsn, "SELECT count(*) FROM postbatch.ledger_3"))
        # Who could read it still can, without more rights than that.
        harness.psql(self.dsn, "INSERT INTO postbatch.ledger_batch (batch_id,"
                     " n, recipient_ids, event_ids, roles) VALUES (1, 1,"
                     " '{100}', '{16}', '{1}')")
        self.assertEqual([["101"]], harness.psql(
            self.dsn, "SET ROLE postbatch_app;"
            " SELECT count(*) FROM postbatch.ledger"))

    def test_up_to_a_version(self):
        self.dispatcher.must("migrate", "--to", "1")
        self.assertEqual("1", harness.value(
            self.dsn, "SELECT max(version) FROM postbatch.schema_version"))
        self.dispatcher.must("migrate")
        back = self.dispatcher.command("migrate", "--to", "1")
        self.assertNotEqual(0, back.returncode)
        self.assertIn("only go forward", back.stderr)

    def test_a_changed_file_is_refused(self):
        self.dispatcher.must("migrate")
        harness.psql(self.dsn, "UPDATE postbatch.schema_version"
                     " SET sha256 = 'x' WHERE version = 2")
        done = self.dispatcher.command("migrate")
        self.assertNotEqual(0, done.returncode)
        self.assertIn("0002_functions.sql is not the file", done.stderr)

    def test_a_newer_database_is_refused(self):
        self.dispatcher.must("migrate")
        harness.psql(self.dsn, "INSERT INTO postbatch.schema_version"
                     " VALUES (9000, '9000_future.sql', '')")
        done = self.dispatcher.command("migrate")
        self.assertNotEqual(0, done.returncode)
        self.assertIn("9000_future.sql", done.stderr)

    def test_two_at_once(self):
        both = [subprocess.Popen([harness.POSTBATCH, "-c",
                                  self.dispatcher.config, "migrate"],
                                 stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE,
                                 env=harness.ENVIRONMENT) for _ in "ab"]
        answers = [process.communicate() for process in both]
        self.assertEqual([0, 0], [process.returncode for process in both],
                         answers)
        self.assertEqual([["1"], ["2"], ["3"]], harness.psql(
            self.dsn, "SELECT version FROM postbatch.schema_version"
            " ORDER BY 1 LIMIT 3"))


if __name__ == "__main__":
    unittest.main()
