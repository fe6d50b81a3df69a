"""The project log: what the router writes beside the letters, and the command
that shows it."""

import json
import os
import signal
import subprocess
import unittest

import harness
from harness import wait_for
from sql_case import SqlCase, compose, literal, read

LOG = {"project": "project", "package": "package",
       "user": ["sender", "user", "who"], "request": "requestid"}


class WhatIsLogged(SqlCase):
    """The routing statement, without the dispatcher."""

    def setUp(self):
        super().setUp()
        self.recipients(9)
        self.contracts(
            {"name": "commit", "log": LOG, "required": ["project"]},
            {"name": "quiet", "log": LOG, "mailable": False, "roles": []},
            {"name": "plain"},
            {"name": "deed", "mailable": False, "roles": [],
             "log": {"project": "ledger", "user": ["clerk"]}})

    def log(self, columns="event_id, type, project, package, user_name,"
                          " request", where="true"):
        return self.sql("SELECT %s FROM postbatch.project_log WHERE %s"
                        " ORDER BY id" % (columns, where))

    def test_a_row_an_event_of_logged_types_only(self):
        a = self.emit("commit", {
            "project": "curl", "package": "libcurl", "sender": "jane",
            "requestid": 7, "rev": "3", "recipients": [1, 2, 3]})
        b = self.emit("quiet", {"project": "curl", "user": "joe"})
        self.emit("plain", {"project": "curl", "recipients": [1]})
        c = self.emit("deed", {"ledger": "main", "clerk": "bob",
                               "package": "x"})
        step = self.route()
        self.assertEqual((3, 0, 4), (step["logged"], step["unlogged"],
                                     step["letters"]))
        self.assertEqual([
            [str(a), "commit", "curl", "libcurl", "jane", "7"],
            [str(b), "quiet", "curl", "", "joe", ""],
            [str(c), "deed", "main", "", "bob", ""]], self.log())
        self.assertEqual([{"rev": "3", "recipients": [1, 2, 3]}, {},
                          {"package": "x"}],
                         [json.loads(r[0]) for r in self.log("rest")])
        self.assertEqual([["t"]] * 3, self.log(
            "at = (SELECT created_at FROM postbatch.event AS e"
            " WHERE e.id = event_id)"))
        self.assertEqual(0, self.route()["logged"])
        self.assertEqual(3, len(self.log()))

    def test_the_user_is_the_first_that_is_one(self):
        for payload in ({"sender": "unknown", "user": "", "who": "ann"},
                        {"sender": "", "user": "unknown"},
                        {"user": "bea", "who": "ann"}):
            self.emit("quiet", dict(payload, project="p"))
        self.route()
        self.assertEqual([["ann"], ["-"], ["bea"]],
                         self.log("coalesce(user_name, '-')"))

    def test_without_a_project_it_is_counted(self):
        first = self.emit("quiet", {"package": "x"})
        self.emit("quiet", {"project": ""})
        self.emit("quiet", {"project": None})
        self.sql("INSERT INTO postbatch.event (type, payload)"
                 " VALUES ('quiet', '[\"project\"]'), ('quiet', '1')")
        self.assertEqual(5, self.route()["unlogged"])
        self.emit("quiet", {})
        self.route()
        self.assertEqual([], self.log())
        self.assertEqual(
            [["quiet", "6", str(first)]],
            self.sql("SELECT type, events, first_event_id"
                     " FROM postbatch.project_log_missing"))

    def test_a_project_that_never_was(self):
        self.emit("quiet", {"project": "gone", "package": {"odd": [1]}})
        self.route()
        self.assertEqual([["gone", '{"odd": [1]}']],
                         self.log("project, package"))

    def test_quarantined_and_released_events_once(self):
        self.contracts(
            {"name": "commit", "log": LOG, "required": ["project", "must"]},
            {"name": "unknown to come"})
        a = self.emit("commit", {"project": "p"})
        late = self.emit("stranger", {"project": "q"})
        self.assertEqual((2, 1), (lambda s: (s["quarantined"], s["logged"]))(
            self.route()))
        self.assertEqual([[str(a)]], self.log("event_id"))
        self.contracts({"name": "commit", "log": LOG},
                       {"name": "stranger", "log": LOG})
        released = {int(r[0]): r[2] for r in self.query("release", None, None)}
        self.assertEqual(1, self.route()["logged"])
        self.assertEqual([[str(a)], [released[late]]], self.log("event_id"))

    def test_what_a_role_cannot_read_is_logged_by_the_skip(self):
        poison = self.emit("commit", {"project": "p"})
        text = [read("queries", name) for name in ("route_lock.sql",
                                                   "route_skip.sql")]
        rows = self.sql("PREPARE lock AS %s; PREPARE skip AS %s; BEGIN;"
                        "EXECUTE lock; EXECUTE skip('why'); COMMIT" %
                        tuple(text))
        self.assertEqual([str(poison), "commit"], rows[1][6:])
        self.assertEqual([[str(poison)]], self.log("event_id"))
        self.query("release", None, None)
        rows = self.sql("PREPARE lock AS %s; PREPARE skip AS %s; BEGIN;"
                        "EXECUTE lock; EXECUTE skip('why'); COMMIT" %
                        tuple(text))
        self.assertEqual([[str(poison)]], self.log("event_id"))

    def test_giants_and_cut_steps_log_once(self):
        events = [self.emit("commit", {"project": "p",
                                       "recipients": [1, 2, 3, 4, 5]})
                  for _ in range(5)]
        self.route(pairs=12, fanout=4)
        self.assertEqual([[str(e)] for e in events], self.log("event_id"))
        self.assertEqual("5", self.value(
            "SELECT count(*) FROM postbatch.fanout"))
        for _ in range(5):
            self.query("fanout_step", 100, 0,
                       text=compose("fanout_step", self.roles))
        self.assertEqual(5, len(self.log()))

    def test_a_step_that_is_rolled_back_logs_nothing(self):
        self.emit("quiet", {"project": "p"})
        self.sql("PREPARE lock AS %s; PREPARE step AS %s; BEGIN; EXECUTE lock;"
                 "EXECUTE step(10, 1000, 100); ROLLBACK" %
                 (read("queries", "route_lock.sql"), self.route_text()))
        self.assertEqual([], self.log())
        self.assertEqual(1, self.route()["logged"])

    def test_hostile_payloads_fit(self):
        self.emit("quiet", {"project": "p" * 100000, "package": "q" * 100000,
                            "user": "u" * 100000, "text": "t" * 200000,
                            "list": [0] * 50000, "small": 1})
        self.emit("quiet", dict({"project": "many"}, **{
            "k%05d" % i: "v" * 100 for i in range(5000)}))
        self.route()
        self.assertEqual([["200", "200", "200"], ["4", "", ""]], self.log(
            "length(project), length(package), length(user_name)"))
        sizes = [int(r[0]) for r in self.log("octet_length(rest::text)")]
        self.assertTrue(all(30 < size < 100000 for size in sizes), sizes)
        self.assertEqual("1", self.log("rest ->> 'small'")[0][0])

    def test_nothing_is_looked_up_where_nothing_is_logged(self):
        self.emit("plain", {"recipients": [1]})
        plan = "\n".join(r[0] for r in self.sql(
            "SET plan_cache_mode = force_generic_plan; PREPARE lock AS %s;"
            "PREPARE q AS %s; BEGIN; EXECUTE lock; EXPLAIN (ANALYZE, COSTS"
            " off, TIMING off) EXECUTE q(5000, 50000, 20000); ROLLBACK" %
            (read("queries", "route_lock.sql"), self.route_text())))
        call = [line for line in plan.split("\n") if "log_events" in line]
        self.assertIn("(never executed)", call[0])
        part = plan[plan.index("CTE later"):plan.index("CTE due")]
        self.assertIn("(never executed)", part)

    def test_one_project_is_read_from_its_index(self):
        plan = "\n".join(r[0] for r in self.sql(
            "SET enable_bitmapscan = off; SET enable_seqscan = off; EXPLAIN"
            " SELECT * FROM postbatch.project_log WHERE project = 'p'"
            " ORDER BY event_id DESC LIMIT 20"))
        self.assertIn("Index Scan Backward", plan)
        self.assertNotIn("Sort  (", plan)

    def test_old_leaves_are_emptied(self):
        self.emit("quiet", {"project": "p"})
        self.route()
        self.sql("INSERT INTO postbatch.project_log (ring, at, event_id, type,"
                 " project, rest) SELECT postbatch.ring(now() - i * interval"
                 " '1 day', 12), now(), i, 'quiet', 'old', '{}'"
                 " FROM generate_series(1, 11) AS i")
        done = dict(self.query("housekeeping"))
        leaf = "project_log_" + self.value(
            "SELECT postbatch.ring(now() + interval '1 day', 12)")
        self.assertEqual("emptied", done[leaf])
        self.assertEqual([["11"]], self.sql(
            "SELECT count(*) FROM postbatch.project_log"))
        self.assertNotIn(leaf, dict(self.query("housekeeping")))


class TheCommand(harness.DispatchCase):
    """With the dispatcher and the templates of the Open Build Service."""

    settings = (("router.step", "50"),)

    def log(self, *arguments):
        return self.dispatcher.must("log", *arguments).stdout.splitlines()

    def emit(self, type_name, **payload):
        return int(harness.value(
            self.dsn, "SELECT postbatch.emit(%s, %s::jsonb)" %
            (literal(type_name), literal(payload))))

    def logged(self, count):
        wait_for(lambda: int(harness.value(
            self.dsn, "SELECT count(*) FROM postbatch.project_log")) >= count,
            "%d rows in the project log" % count)

    def test_what_people_see(self):
        self.dispatcher.start()
        self.emit("CreateProject", project="home:jane", sender="jane")
        self.emit("ServiceSuccess", project="home:jane", package="hello",
                  user="unknown", comment="", rev="2", requestid="17")
        self.emit("ServiceSuccess", project="home:joe", package="hello",
                  comment="\x1b[2Jgone\u009b", user="joe")
        self.emit("RepoPublished", project="home:joe", repo="standard")
        self.emit("BuildFail", project="home:joe")  # set aside: no package
        self.logged(4)
        lines = self.log()
        self.assertEqual(4, len(lines))
        self.assertRegex(lines[0], r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
                                   r"  BuildFail  home:joe$")
        self.assertIn("  ServiceSuccess  home:joe/hello  by joe", lines[1])
        self.assertIn("\\u001b[2Jgone?", lines[1])
        self.assertTrue(all(c.isprintable() for c in "".join(lines)))
        self.assertIn("ServiceSuccess  home:jane/hello  request 17  ",
                      lines[2])
        self.assertNotIn(" by ", lines[2])
        self.assertIn("  CreateProject  home:jane  by jane", lines[3])
        self.assertEqual(lines[2:], self.log("--project", "home:jane"))
        self.assertEqual(lines[1:2], self.log("--user", "joe", "--type",
                                              "ServiceSuccess"))
        self.assertEqual(lines[:1], self.log("--limit", "1"))
        self.assertEqual([], self.log("--package", "hello", "--since",
                                      "tomorrow"))
        row = json.loads(self.log("--project", "home:jane", "--json",
                                  "--limit", "1")[0])
        self.assertEqual(
            ["ServiceSuccess", "home:jane", "hello", None, "17",
             {"rev": "2", "comment": "", }],
            [row[k] for k in ("type", "project", "package", "user",
                              "request", "payload")])

    def test_wrong_use(self):
        for wrong in (["--limit", "0"], ["--limit", "x"], ["extra"],
                      ["--nonsense"]):
            self.assertEqual(os.EX_USAGE,
                             self.dispatcher.command("log", *wrong).returncode)
        done = self.dispatcher.command("log", "--since", "never was")
        self.assertEqual(os.EX_DATAERR, done.returncode)
        self.assertIn("never was", done.stderr)

    def test_follow(self):
        self.dispatcher.start()
        self.emit("CreateProject", project="one", sender="jane")
        self.emit("CreateProject", project="two", sender="jane")
        self.logged(2)
        reader = subprocess.Popen(
            [harness.POSTBATCH, "-c", self.dispatcher.config, "log",
             "--follow", "--type", "CreateProject"],
            stdout=subprocess.PIPE, text=True, env=harness.ENVIRONMENT)
        self.addCleanup(reader.stdout.close)
        self.addCleanup(reader.wait)
        self.addCleanup(reader.kill)
        self.assertIn("  one  ", reader.stdout.readline())
        self.assertIn("  two  ", reader.stdout.readline())
        self.emit("DeleteProject", project="one", sender="jane")
        self.emit("CreateProject", project="three", sender="jane")
        self.assertIn("  three  ", reader.stdout.readline())

    def test_once_each_whatever_is_killed(self):
        total = harness.scaled(3000)
        killed = 0
        process = self.dispatcher.start()
        for first in range(0, total, total // 10):
            harness.psql(self.dsn, "SELECT postbatch.emit('CreateProject',"
                         " jsonb_build_object('project', 'p' || i,"
                         " 'sender', 'jane')) FROM generate_series(%d, %d)"
                         " AS i" % (first, first + total // 10 - 1))
            process.send_signal(signal.SIGKILL)
            process.wait()
            killed += 1
            process = self.dispatcher.start()
        self.logged(total)
        wait_for(lambda: harness.value(
            self.dsn, "SELECT phase = 2 FROM postbatch.route") == "t",
            "an end of routing")
        rows = harness.psql(self.dsn, "SELECT count(*), count(DISTINCT"
                            " event_id), count(DISTINCT project)"
                            " FROM postbatch.project_log")
        self.assertEqual([[str(total)] * 3], rows)
        harness.measured("%d rows of the project log, router killed %d times"
                         % (total, killed))


if __name__ == "__main__":
    unittest.main()
