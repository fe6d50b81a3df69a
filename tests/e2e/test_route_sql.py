"""The rules by which events become batches, each shown on the statements of
sql/queries/; and that reading loses nothing and doubles nothing."""

import json
import random
import re
import subprocess
import threading
import time
import unittest

import harness
from sql_case import BULK, NORMAL, URGENT, PINS, SqlCase, compose, read


class WhoGetsMail(SqlCase):
    """Roles, preferences, states."""

    def setUp(self):
        super().setUp()
        self.recipients(9)

    def test_one_event_one_recipient(self):
        self.contracts({"name": "notice"})
        event = self.emit("notice", {"recipient": 7})
        done = self.step()
        self.assertEqual((1, 1, 1, True), (done["events"], done["letters"],
                                           done["batches"], done["finished"]))
        self.assertEqual([(7, event)], self.pairs())
        self.assertEqual(0, self.step()["events"])

    def test_addressee_by_id_by_key_and_in_a_list(self):
        self.contracts({"name": "notice"})
        for payload in ({"recipient": 1}, {"recipient": "u2"},
                        {"recipients": [3, "u4", 3, None, {}, "nobody"]},
                        {"recipient": 10 ** 30}, {"recipient": {"a": 1}},
                        {"recipient": 5.0}, {"recipient": 6.5},
                        {"recipient": None}, {"recipients": "u5"}, {}):
            self.emit("notice", payload)
        self.route()
        self.assertEqual([1, 2, 3, 4], [r for r, _ in self.pairs()])
        self.assertEqual({}, self.quarantine())

    def test_watchers_of_a_topic_are_one_pass(self):
        self.contracts({"name": "news", "roles": [{"name": "subscriber"}]})
        self.recipients(128, first=1000)
        self.sql("INSERT INTO postbatch.subscription SELECT 'curl', id"
                 " FROM postbatch.recipient WHERE id >= 1000")
        event = self.emit("news", {"topic": "curl"})
        self.assertEqual(128, self.step()["letters"])
        self.assertEqual([(1000 + i, event) for i in range(128)],
                         self.pairs())

    def test_first_role_in_the_contracts_order_wins(self):
        self.contracts({"name": "x", "roles": [{"name": "subscriber"},
                                               {"name": "addressee"}]},
                       {"name": "y", "roles": [{"name": "addressee"},
                                               {"name": "subscriber"}]})
        self.sql("INSERT INTO postbatch.subscription VALUES ('t', 1)")
        for name in "x", "y":
            self.emit(name, {"topic": "t", "recipients": [1, 2]})
        self.route()
        won = self.sql(
            "SELECT e.type, r, n.name FROM postbatch.batch AS b,"
            " unnest(recipient_ids, event_ids, roles) AS p (r, e_id, role)"
            " JOIN postbatch.event AS e ON e.id = e_id"
            " JOIN postbatch.role AS n ON n.id = role ORDER BY 1, 2")
        self.assertEqual([["x", "1", "subscriber"], ["x", "2", "addressee"],
                          ["y", "1", "addressee"], ["y", "2", "addressee"]],
                         won)

    def test_a_role_that_the_contract_does_not_name_is_not_asked(self):
        self.contracts({"name": "x", "roles": [{"name": "subscriber"}]},
                       {"name": "y", "roles": [{"name": "addressee"}]})
        self.emit("x", {"recipient": 1})
        self.assertEqual(0, self.route()["letters"])

    def test_many_roles_and_high_numbers(self):
        """Each role of number i finds the recipients i and 1000."""
        numbers = [*range(1, 11), 61, 62, 63, 254, 255, 256, 300, 1023]
        contracts = {"a": [300, 62], "b": [63], "c": [256, 255, 3],
                     "d": [254, 61], "e": numbers, "f": numbers[::-1],
                     "g": [], "h": [1023], "i": [255, 1, 10]}
        self.contracts(*({"name": name} for name in contracts))
        for name, ids in contracts.items():
            self.sql("UPDATE postbatch.event_type SET role_ids = '{%s}',"
                     " role_names = '{%s}', role_frequencies = '{%s}'"
                     " WHERE name = '%s'" % (
                         ",".join(map(str, ids)),
                         ",".join("r%d" % i for i in ids),
                         ",".join("off" if i in (10, 256) else "instant"
                                  for i in ids), name))
        text = compose("route", {
            "SELECT pass.event_id, r::bigint AS recipient_id"
            " FROM pass, unnest('{%d,1000}'::int[]) AS r" % i: i
            for i in numbers})
        for name in contracts:
            self.emit(name, {})
        self.assertEqual(len(contracts), self.step(text=text)["events"])
        won = self.sql("SELECT e.type, r, role FROM postbatch.batch AS b,"
                       " unnest(recipient_ids, event_ids, roles)"
                       " AS p (r, e_id, role)"
                       " JOIN postbatch.event AS e ON e.id = e_id")
        asked = {name: [i for i in ids if i not in (10, 256)]
                 for name, ids in contracts.items()}
        self.assertEqual(
            sorted([[name, str(i), str(i)]
                    for name, ids in asked.items() for i in ids] +
                   [[name, "1000", str(ids[0])]
                    for name, ids in asked.items() if ids]), sorted(won))

    def test_off_for_one_role_leaves_the_other(self):
        self.contracts({"name": "x", "roles": [{"name": "subscriber"},
                                               {"name": "addressee"}]})
        self.sql("INSERT INTO postbatch.subscription VALUES ('t',1),('t',2);"
                 "INSERT INTO postbatch.preference VALUES"
                 " (1, 'x', 'subscriber', 'off'),"
                 " (2, 'x', 'subscriber', 'off'),"
                 " (2, 'x', 'addressee', 'off'), (3, 'x', 'addressee', 'off')")
        event = self.emit("x", {"topic": "t", "recipients": [1, 2, 3, 4]})
        self.route()
        self.assertEqual([(1, event), (4, event)], self.pairs())
        self.assertEqual("{%d,%d}" % (2 * (self.roles["addressee"],)),
                         self.value("SELECT roles FROM postbatch.batch"))

    def test_own_row_before_default_row_before_contract(self):
        self.contracts({"name": "x", "roles": [
                            {"name": "addressee", "frequency": "off"}]},
                       {"name": "y"})
        self.sql("INSERT INTO postbatch.preference VALUES"
                 " (1, 'x', 'addressee', 'instant'),"
                 " (NULL, 'y', 'addressee', 'off'),"
                 " (2, 'y', 'addressee', 'instant'),"
                 " (3, 'y', 'subscriber', 'instant')")
        x = self.emit("x", {"recipients": [1, 2]})
        y = self.emit("y", {"recipients": [1, 2, 3]})
        self.route()
        self.assertEqual([(1, x), (2, y)], self.pairs())
        self.sql("INSERT INTO postbatch.preference VALUES"
                 " (NULL, 'x', 'addressee', 'instant')")
        x = self.emit("x", {"recipients": [2]})
        self.route()
        self.assertIn((2, x), self.pairs())

    def test_a_scope_narrows_a_preference(self):
        self.contracts({"name": "x"})
        self.sql("INSERT INTO postbatch.preference VALUES"
                 " (1, 'x', 'addressee', 'off', '{\"project\": \"noisy\"}')")
        self.emit("x", {"recipient": 1, "project": "noisy"})
        calm = self.emit("x", {"recipient": 1, "project": "calm"})
        self.route()
        self.assertEqual([(1, calm)], self.pairs())

    def test_the_originator_gets_none(self):
        self.contracts({"name": "x", "originator": "sender"})
        for payload in ({"sender": "u1"}, {"sender": "nobody"}, {},
                        {"sender": None}, {"sender": {"deep": 1}}):
            self.emit("x", dict(payload, recipients=[1, 2]))
        self.route()
        got = [r for r, _ in self.pairs()]
        self.assertEqual((4, 5), (got.count(1), got.count(2)))

    def test_an_originator_named_by_a_number(self):
        self.sql("UPDATE postbatch.recipient SET key = id WHERE id = 3")
        self.contracts({"name": "x", "originator": "sender"})
        event = self.emit("x", {"sender": 3, "recipients": [2, 3]})
        self.route()
        self.assertEqual([(2, event)], self.pairs())

    def test_inactive_recipients_get_none(self):
        self.contracts({"name": "x"})
        self.sql("UPDATE postbatch.recipient SET state = 'inactive'"
                 " WHERE id = 1")
        event = self.emit("x", {"recipients": [1, 2]})
        self.route()
        self.assertEqual([(2, event)], self.pairs())

    def test_types_that_are_not_mailable_give_nothing(self):
        self.contracts({"name": "x", "mailable": False, "required": ["a"],
                        "fault": "broken"})
        self.emit("x", {"recipient": 1})
        done = self.route()
        self.assertEqual((1, 0, 0), (done["events"], done["letters"],
                                     done["quarantined"]))


class WhatIsSetAside(SqlCase):
    """One poison event never delays another."""

    def setUp(self):
        super().setUp()
        self.recipients(9)
        self.contracts({"name": "good"},
                       {"name": "keys", "required": ["comment", "project"]},
                       {"name": "bad", "fault": "the template has no end"})

    def test_reasons(self):
        good = [self.emit("good", {"recipient": 1})]
        cases = {
            self.emit("unknown", {}): "no event type has this name",
            self.emit("", {}): "no event type has this name",
            self.emit("bad", {"recipient": 1}): "the template has no end",
            self.emit("good", [1]): "the payload is not an object but: array",
            self.emit("good", "x"): "the payload is not an object but: string",
            self.emit("good", None): "the payload is not an object but: null",
            self.emit("keys", {"recipient": 1}):
                "required key is missing: comment, project",
            self.emit("keys", {"project": 1}):
                "required key is missing: comment",
        }
        good.append(self.emit("keys", {"comment": None, "project": 1,
                                       "recipient": 2, "more": [1]}))
        done = self.step()
        self.assertEqual(len(cases), done["quarantined"])
        self.assertEqual(cases, self.quarantine())
        self.assertEqual(good, [e for _, e in self.pairs()])

    def test_a_type_whose_folder_is_gone(self):
        self.contracts({"name": "good"})
        event = self.emit("keys", {"recipient": 1})
        self.emit("good", {"recipient": 1})
        self.assertEqual(1, self.route()["letters"])
        self.assertIn("gone from the templates", self.quarantine()[event])

    def test_nothing_in_a_payload_can_fail_the_step(self):
        scalars = [None, True, 1e308, -5, 0.5, "", "\u2028", "1" * 5000,
                   "9" * 18, "9" * 19, "-9223372036854775808", [], {},
                   [[[]]], {"a": {"b": []}}, 10 ** 400]
        keys = ["recipient", "recipients", "topic", "sender", "", "%s", "'"]
        self.contracts(
            {"name": "good", "originator": "sender", "grouping": "gather",
             "gather_max": 0, "roles": [{"name": "addressee"},
                                        {"name": "subscriber"}]})
        self.sql("INSERT INTO postbatch.event (type, payload) SELECT 'good',"
                 " p FROM jsonb_array_elements($j$%s$j$) AS p" % json.dumps(
                     scalars + [{k: s} for k in keys for s in scalars]))
        self.sql("INSERT INTO postbatch.event (type, payload)"
                 " VALUES (repeat('x', 100000), '{}')")
        marker = self.emit("good", {"recipient": 1})
        self.route()
        self.assertIn((1, marker), self.pairs())

    def test_a_role_that_raises_can_be_stepped_over(self):
        role = ("SELECT event_id, (payload ->> 'recipient')::bigint"
                " AS recipient_id FROM pass")
        text = compose("route", {role: self.roles["addressee"]})
        first = self.emit("good", {"recipient": 1})
        poison = self.emit("good", {"recipient": "one"})
        last = self.emit("good", {"recipient": 2})
        with self.assertRaisesRegex(AssertionError, "invalid input syntax"):
            self.step(text=text)
        self.assertEqual(1, self.step(events=1, text=text)["letters"])
        with self.assertRaises(AssertionError):
            self.step(events=1, text=text)
        rows = self.sql(
            "PREPARE lock AS %s; PREPARE skip AS %s; BEGIN; EXECUTE lock;"
            "EXECUTE skip('a role could not read it'); COMMIT" %
            (read("queries", "route_lock.sql"),
             read("queries", "route_skip.sql")))
        self.assertEqual([str(poison), "good"], rows[1][6:])
        self.assertEqual(1, self.route(text=text)["letters"])
        self.assertEqual([(1, first), (2, last)], self.pairs())
        self.assertEqual({poison: "a role could not read it"},
                         self.quarantine())

    def test_released_events_are_routed_after_the_fix(self):
        lost = [self.emit("keys", {"recipient": r}) for r in (1, 2)]
        self.emit("unknown", {})
        self.route()
        self.assertEqual(3, len(self.quarantine()))
        self.contracts({"name": "keys"})
        rows = self.query("release", None, "keys")
        self.assertEqual([str(e) for e in lost], [r[0] for r in rows])
        self.route()
        self.assertEqual([(1, int(rows[0][2])), (2, int(rows[1][2]))],
                         self.pairs())
        self.assertEqual([], self.query("release", None, "keys"))


class HowLettersAreMade(SqlCase):
    """Grouping, urgency, sizes."""

    def batches(self):
        return self.sql("SELECT urgency, n, recipient_ids, event_ids, letters"
                        " FROM postbatch.batch ORDER BY id")

    def test_each(self):
        self.recipients(3)
        self.contracts({"name": "x"})
        a, b = [self.emit("x", {"recipients": [2, 1]}) for _ in "ab"]
        self.assertEqual(4, self.route()["letters"])
        self.assertEqual([[NORMAL, "4", "{1,1,2,2}",
                           "{%d,%d,%d,%d}" % (a, b, a, b), ""]],
                         self.batches())

    def test_gather_one_letter_per_recipient_and_type(self):
        self.recipients(3)
        self.contracts({"name": "g", "grouping": "gather", "gather_max": 2},
                       {"name": "h", "grouping": "gather", "gather_max": 50},
                       {"name": "x"})
        g = [self.emit("g", {"recipient": 1}) for _ in range(5)]
        x = self.emit("x", {"recipient": 1})
        h = [self.emit("h", {"recipients": [1, 2]}) for _ in range(3)]
        self.assertEqual(3 + 1 + 2, self.route()["letters"])
        events = g + h + [x] + h
        self.assertEqual(
            [[NORMAL, "6", "{%s}" % ",".join(["1"] * 9 + ["2"] * 3),
              "{%s}" % ",".join(map(str, events)),
              "{0,0,1,1,2,3,3,3,4,5,5,5}"]], self.batches())

    def test_urgency_of_the_event_before_that_of_the_type(self):
        self.recipients(1)
        self.contracts({"name": "x", "urgency": 1}, {"name": "y"})
        for name, urgency in (("x", None), ("x", "bulk"), ("y", "urgent"),
                              ("y", "whenever")):
            self.emit(name, {"recipient": 1}, urgency)
        self.route()
        self.assertEqual([URGENT, NORMAL, BULK],
                         [b[0] for b in self.batches()])
        self.assertEqual(["2", "1", "1"], [b[1] for b in self.batches()])

    def test_at_most_500_letters_a_batch_and_no_letter_is_split(self):
        self.recipients(1201)
        self.contracts({"name": "g", "grouping": "gather", "gather_max": 9})
        self.sql("SELECT postbatch.emit('g', array_agg(jsonb_build_object("
                 "'recipient', r))) FROM generate_series(1, 1201) AS r,"
                 " generate_series(1, 3)")
        self.assertEqual(1201, self.route()["letters"])
        self.assertEqual(["500", "500", "201"],
                         [b[1] for b in self.batches()])
        self.assertEqual("0", self.value(
            "SELECT count(*) FROM (SELECT 1 FROM postbatch.batch,"
            " unnest(recipient_ids, letters) AS p (r, l) GROUP BY r"
            " HAVING count(DISTINCT (id, l)) <> 1 OR count(*) <> 3) AS x"))
        self.assertEqual("0,499", self.value(
            "SELECT min(l) || ',' || max(l) FROM postbatch.batch,"
            " unnest(letters) AS l"))

    def test_arrays_are_parallel_and_sorted(self):
        random.seed(7)
        self.recipients(300)
        self.contracts({"name": "x"}, {"name": "g", "grouping": "gather"})
        self.sql("INSERT INTO postbatch.event (type, payload) SELECT t,"
                 " jsonb_build_object('recipients', r) FROM (VALUES %s)"
                 " AS v (t, r)" % ",".join(
                     "('%s', '%s'::jsonb)" %
                     (random.choice("xg"),
                      json.dumps(random.sample(range(1, 301), 20)))
                     for _ in range(200)))
        self.route(events=70)
        self.assertEqual("0", self.value(
            "SELECT count(*) FROM postbatch.batch WHERE"
            " cardinality(recipient_ids) <> cardinality(event_ids)"
            " OR cardinality(recipient_ids) <> cardinality(roles)"
            " OR cardinality(recipient_ids)"
            "    <> coalesce(cardinality(letters), n)"
            " OR recipient_ids <> (SELECT array_agg(r ORDER BY r)"
            "    FROM unnest(recipient_ids) AS r)"))
        self.assertEqual(4000, len(set(self.pairs())))
        self.assertEqual(4000, len(self.pairs()))

    def test_steps_are_cut_between_events_when_pairs_are_too_many(self):
        self.recipients(40)
        self.contracts({"name": "x"})
        events = [self.emit("x", {"recipients": list(range(1, 41))})
                  for _ in range(5)]
        done = self.step(pairs=100, fanout=50)
        self.assertEqual((2, 80, False), (done["events"], done["letters"],
                                          done["finished"]))
        self.route(pairs=100, fanout=50)
        self.assertEqual([(r, e) for r in range(1, 41) for e in events],
                         self.pairs())


class GiantFanOut(SqlCase):
    def setUp(self):
        super().setUp()
        self.recipients(2500)
        self.contracts({"name": "news", "roles": [
            {"name": "subscriber"}, {"name": "addressee"}],
            "originator": "sender"}, {"name": "notice"})
        self.sql("INSERT INTO postbatch.subscription SELECT 'all', id"
                 " FROM postbatch.recipient WHERE id > 1")

    def fan(self, most):
        return self.query("", most, 0, text=self.route_text("fanout_step"))

    def test_giant_events_go_in_steps_and_delay_nothing(self):
        big = self.emit("news", {"topic": "all", "recipients": [1, 2],
                                 "sender": "u9"})
        small = self.emit("notice", {"recipient": 5})
        self.sql("INSERT INTO postbatch.preference VALUES"
                 " (7, 'news', 'subscriber', 'off');"
                 "UPDATE postbatch.recipient SET state = 'inactive'"
                 " WHERE id = 8")
        done = self.step(fanout=1000)
        self.assertEqual((2, 1, 1), (done["events"], done["fanouts"],
                                     done["letters"]))
        self.assertEqual([(5, small)], self.pairs())
        steps = 0
        while True:
            rows = self.fan(600)
            steps += 1
            self.assertEqual(str(big), rows[0][0])
            if rows[0][3] == "t":
                break
        self.assertEqual([], self.fan(600))
        self.assertEqual(5, steps)
        self.assertEqual([(r, big) for r in range(1, 2501)
                          if r not in (7, 8, 9)], self.pairs("urgency = 3"))

    def test_giants_of_any_size_among_others_in_steps_of_any_size(self):
        """Whether an event is a giant does not depend on where a step ends,
        and every step gets on. (The addressee that is not there counts.)"""
        sizes = [3, 5, 0, 2500, 4, 1, 7, 50, 4, 4, 11, 2500, 9, 2]
        for pairs in 8, 13, 40:
            self.sql("DELETE FROM postbatch.batch; DELETE FROM"
                     " postbatch.fanout")
            events = [self.emit("notice", {"recipients": list(
                range(1, n + 1))}) for n in sizes]
            done = self.step(pairs=pairs, fanout=5)
            number = done["events"]
            while not done["finished"]:
                self.assertGreater(done["events"], 0)
                done = self.step(pairs=pairs, fanout=5)
                number += done["events"]
                self.assertLessEqual(done["letters"], max(pairs, 8))
                if number == len(events) and not done["events"]:
                    break
            self.assertEqual(len(events), number)
            self.assertEqual(
                sorted((r, e) for n, e in zip(sizes, events) if n < 5
                       for r in range(1, n + 1)), self.pairs())
            self.assertEqual(
                [e for n, e in zip(sizes, events) if n >= 5],
                [int(e) for e, in self.sql("SELECT event_id FROM"
                                           " postbatch.fanout ORDER BY 1")])

    def test_the_least_served_goes_first(self):
        events = [self.emit("news", {"topic": "all"}) for _ in "ab"]
        self.step(fanout=1000)
        self.assertEqual([str(e) for e in events + events],
                         [self.fan(1000)[0][0] for _ in range(4)])

    def test_a_fault_makes_it_wait(self):
        self.emit("news", {"topic": "all"})
        self.step(fanout=1000)
        self.sql("UPDATE postbatch.event_type SET fault = 'broken'")
        self.assertEqual([], self.fan(1000))
        self.sql("UPDATE postbatch.event_type SET fault = NULL")
        self.assertEqual("1000", self.fan(1000)[0][1])

    def test_keyset_from_an_index(self):
        self.sql("INSERT INTO postbatch.subscription SELECT 't' || t, id"
                 " FROM postbatch.recipient, generate_series(1, 9) AS t;"
                 "ANALYZE postbatch.subscription")
        plan = "\n".join(r[0] for r in self.sql(
            "%s PREPARE q AS %s; EXPLAIN (COSTS off) EXECUTE q(100, 0)" %
            (PINS, self.route_text("fanout_step", only=["subscriber"]))))
        self.assertRegex(plan, r"subscription_pkey on subscription.*\n"
                         r" *Index Cond: .*topic = .*recipient_id > ")


class ReadingOrder(SqlCase):
    """Ids are given at INSERT, rows appear at COMMIT."""

    def test_a_late_commit_is_not_lost(self):
        self.recipients(3)
        self.contracts({"name": "x"})
        slow = subprocess.Popen(["psql", "-qAtX", self.dsn],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                text=True, bufsize=1)
        self.addCleanup(slow.communicate)

        def say(text):
            slow.stdin.write(text + "\n")
            return slow.stdout.readline().strip()
        first = int(say("BEGIN; SELECT postbatch.emit('x',"
                        " '{\"recipient\": 1}');"))
        second = self.emit("x", {"recipient": 2})
        self.assertLess(first, second)
        self.assertEqual(1, self.route()["letters"])
        self.assertEqual([(2, second)], self.pairs())
        self.assertEqual("f", self.query("peek", 10)[0][0])
        self.assertEqual("done", say("COMMIT; SELECT 'done';"))
        self.assertEqual("t", self.query("peek", 10)[0][0])
        self.assertEqual(1, self.route()["letters"])
        self.assertEqual([(1, first), (2, second)], self.pairs())

    def test_many_stragglers_in_small_steps(self):
        self.recipients(3)
        self.contracts({"name": "x"})
        writers = [subprocess.Popen(["psql", "-qAtX", self.dsn],
                                    stdin=subprocess.PIPE,
                                    stdout=subprocess.PIPE, text=True,
                                    bufsize=1) for _ in range(5)]
        for w in writers:
            w.stdin.write("BEGIN; SELECT count(postbatch.emit('x',"
                          " '{\"recipient\": 1}'::jsonb))"
                          " FROM generate_series(1, 7);\n")
            self.assertEqual("7", w.stdout.readline().strip())
        self.emit("x", {"recipient": 2})
        self.route()
        for w in writers:
            w.communicate("COMMIT;\n")
        self.emit("x", {"recipient": 3})
        self.assertEqual(36, self.route(events=2)["letters"])
        self.assertEqual(37, len(set(self.pairs())))

    def test_one_router_at_a_time(self):
        self.contracts({"name": "x"})
        lock = read("queries", "route_lock.sql")
        holder = subprocess.Popen(["psql", "-qAtX", self.dsn],
                                  stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True,
                                  bufsize=1)
        self.addCleanup(holder.communicate)
        holder.stdin.write("BEGIN;\n%s;\n" % lock)
        self.assertTrue(holder.stdout.readline().startswith("locked"))
        rows = self.sql("PREPARE step AS %s; BEGIN; %s;"
                        "EXECUTE step(1, 1, 1); COMMIT;" %
                        (self.route_text(), lock))
        self.assertEqual([], rows)

    def test_without_the_lock_nothing_is_routed(self):
        self.recipients(1)
        self.contracts({"name": "x"})
        self.emit("x", {"recipient": 1})
        self.assertEqual([], self.sql(
            "PREPARE step AS %s; BEGIN; EXECUTE step(9, 9, 9); COMMIT;" %
            self.route_text()))
        self.assertEqual([], self.pairs())

    def test_peek(self):
        self.recipients(1)
        self.contracts({"name": "x"})

        def peek():
            return self.query("peek", 10)[0][:5]
        self.assertEqual(["f", "f", "0", "0", "f"], peek())
        self.emit("x", {"recipient": 1})
        self.assertEqual(["t", "f", "0", "0", "f"], peek())
        self.route()
        self.assertEqual(["f", "f", "1", "1", "f"], peek())
        self.query("lease", 1, 60000, 10, [1, 2, 3], "-infinity")
        self.assertEqual(["f", "f", "0", "0", "f"], peek())

    def test_peek_tells_when_the_clock_makes_something_due(self):
        def later_ms():
            return int(self.query("peek", 10)[0][6])
        self.assertEqual(30000, later_ms())
        self.sql("INSERT INTO postbatch.held (due_at, recipient_ids,"
                 " event_ids, roles) VALUES"
                 " (now() + interval '6 s', '{1}', '{16}', '{1}')")
        self.assertIn(later_ms(), range(3000, 6001))
        self.sql("INSERT INTO postbatch.batch (urgency, due_at, n,"
                 " recipient_ids, event_ids, roles) VALUES (3,"
                 " now() + interval '3 s', 1, '{1}', '{16}', '{1}')")
        self.assertIn(later_ms(), range(0, 3001))
        self.sql("UPDATE postbatch.batch SET due_at = '-infinity',"
                 " lease_until = now() + interval '60 s'")
        self.assertEqual(1000, later_ms())
        self.sql("UPDATE postbatch.held SET due_at = '-infinity'")
        self.assertEqual(0, later_ms())

    def test_peek_does_not_read_what_waits(self):
        self.contracts({"name": "x"})
        plan = [row[0] for row in self.sql(
            "%s PREPARE q AS %s; EXECUTE q(10);"
            "INSERT INTO postbatch.event (type, payload)"
            " SELECT 'x', '{}' FROM generate_series(1, 30000);"
            "EXPLAIN (ANALYZE, BUFFERS, COSTS off) EXECUTE q(10)" %
            (PINS, read("queries", "peek.sql")))]
        buffers = next(line for line in plan if "Buffers:" in line)
        self.assertLess(int(re.search(r"hit=(\d+)", buffers)[1]), 150,
                        "\n".join(plan))
        self.assertNotIn("Bitmap", "\n".join(plan))

    def test_a_straggler_does_not_read_its_leaf(self):
        """Where all events of a leaf came in one transaction and the planner
        knows it."""
        self.contracts({"name": "x"})
        self.sql("INSERT INTO postbatch.event (type, payload)"
                 " SELECT 'x', '{}' FROM generate_series(1, 20000);"
                 "ANALYZE postbatch.event")
        for name in ("route", "route_skip", "peek", "stats", "stats_types"):
            text = read("queries", name + ".sql")
            count = max(map(int, re.findall(r"\$(\d)", text)), default=0)
            plan = "\n".join(row[0] for row in self.sql(
                "%s PREPARE q AS %s; EXPLAIN (COSTS off) EXECUTE q%s" %
                (PINS, text, count and "(%s)" % ",".join(["1"] * count)
                 or "")))
            with self.subTest(name):
                self.assertNotRegex(plan, r"Filter: .*\bxid >?= ", plan)
        self.sql("TRUNCATE postbatch.event; ANALYZE postbatch.event")


class Soak(SqlCase):
    """Sixteen writers with rollbacks, savepoints and transactions held for a
    second; routers that are killed at any moment."""

    WRITERS = 16
    SECONDS = 3

    def writer(self, number, stop):
        rng = random.Random(number)
        psql = subprocess.Popen(["psql", "-qAtX", self.dsn],
                                stdin=subprocess.PIPE, text=True,
                                stdout=subprocess.DEVNULL)
        emit = ("SELECT postbatch.emit('x', '{\"recipient\": %d}'::jsonb)"
                " FROM generate_series(1, %d);")
        while time.monotonic() < stop:
            script = ["BEGIN;"]
            for _ in range(rng.randint(1, 3)):
                one = emit % (rng.randint(1, 50), rng.randint(1, 9))
                if rng.random() < 0.2:
                    one = ("SAVEPOINT s; %s ROLLBACK TO s; %s RELEASE s;" %
                           (one, one))
                script.append(one)
            hold = rng.random()
            if hold < 0.02:
                script.append("SELECT pg_sleep(1);")
            elif hold < 0.3:
                script.append("SELECT pg_sleep(0.01);")
            script.append("ROLLBACK;" if rng.random() < 0.1 else "COMMIT;")
            psql.stdin.write("\n".join(script) + "\n")
            psql.stdin.flush()
            time.sleep(rng.random() * 0.04)
        psql.communicate()

    def router(self, stop, seed):
        """Routes in lives of some tenths of a second, each killed."""
        rng = random.Random(seed)
        begin = "%s PREPARE lock AS %s; PREPARE step AS %s;" % (
            PINS, read("queries", "route_lock.sql"), self.route_text())
        while time.monotonic() < stop:
            psql = subprocess.Popen(["psql", "-qAtX", self.dsn],
                                    stdin=subprocess.PIPE, text=True,
                                    stdout=subprocess.PIPE,
                                    stderr=subprocess.DEVNULL)
            try:
                psql.stdin.write(begin + "SELECT 'born';\n")
                psql.stdin.flush()
                psql.stdout.readline()
                died = time.monotonic() + 0.1 + rng.random() * 0.4
                while time.monotonic() < died:
                    psql.stdin.write(
                        "BEGIN; EXECUTE lock;\nEXECUTE step(%d, 999, 500);\n"
                        "COMMIT;\n" % rng.choice((5, 50, 500)))
                    psql.stdin.flush()
                    time.sleep(0.002)
            except BrokenPipeError:
                pass
            psql.kill()
            psql.communicate()

    def test_nothing_is_lost_and_nothing_is_doubled(self):
        self.recipients(50)
        self.contracts({"name": "x"})
        stop = time.monotonic() + self.SECONDS
        threads = [threading.Thread(target=self.writer, args=(i, stop))
                   for i in range(self.WRITERS)]
        threads += [threading.Thread(target=self.router, args=(stop, i))
                    for i in (1, 2)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        harness.wait_for(lambda: self.value(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = 'test'"
            " AND pid <> pg_backend_pid()") == "0", "the dead to be gone")
        before = len(self.pairs())
        self.route()
        emitted = [int(r[0]) for r in
                   self.sql("SELECT id FROM postbatch.event ORDER BY id")]
        routed = sorted(e for _, e in self.pairs())
        self.assertGreater(before, len(emitted) // 20)
        self.assertEqual(emitted, routed)
        print("measured: %d events of %d writers, %d routed meanwhile" %
              (len(emitted), self.WRITERS, before))


if __name__ == "__main__":
    unittest.main()
