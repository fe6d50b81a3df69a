"""The intake from the source server of the Open Build Service: every answer it
can give, broken ones, two at a time, killed again and again, and the service
that fetches and mails."""

import email.utils
import json
import os
import random
import subprocess
import threading
import time
import unittest

import harness
from harness import scaled, wait_for
from obs_backend import Backend

DEMO = os.path.join(harness.ROOT, "bench", "demo")
UNAVAILABLE, TEMPFAIL, USAGE = 69, 75, 64

# What the backend sends of itself, and the keys it sends (and the API knows).
BUILD = ("project package sender repository arch release readytime srcmd5 rev"
         " reason bcnt verifymd5 hostarch starttime endtime workerid versrel"
         " previouslyfailed successive_failcount buildtype")
SENT = {
    "BUILD_FAIL": ("BuildFail", BUILD),
    "BUILD_SUCCESS": ("BuildSuccess", BUILD),
    "BUILD_UNCHANGED": ("BuildUnchanged", BUILD),
    "BUILD_BROKEN": ("BuildBroken", BUILD),
    "BUILD_UNRESOLVABLE": ("BuildUnresolvable", BUILD),
    "SRCSRV_SERVICE_FAIL": (
        "ServiceFail",
        "project package sender comment error rev user requestid"),
    "SRCSRV_SERVICE_SUCCESS": (
        "ServiceSuccess", "project package sender comment rev user requestid"),
    "SRCSRV_COMMIT": (
        "Commit", "project package sender comment user files rev requestid"),
    "SRCSRV_VERSION_CHANGE": (
        "VersionChange", "project package sender comment requestid files rev"
        " newversion user oldversion"),
    "SRCSRV_UPLOAD": (
        "Upload", "project package sender comment filename requestid target"
        " user meta"),
    "SRCSRV_CREATE_PACKAGE": ("CreatePackage", "project package sender"),
    "SRCSRV_UPDATE_PACKAGE": ("UpdatePackage", "project package sender"),
    "SRCSRV_DELETE_PACKAGE": (
        "DeletePackage", "project package sender comment requestid"),
    "SRCSRV_UNDELETE_PACKAGE": (
        "UndeletePackage", "project package sender comment"),
    "SRCSRV_CREATE_PROJECT": ("CreateProject", "project sender"),
    "SRCSRV_UPDATE_PROJECT": ("UpdateProject", "project sender"),
    "SRCSRV_DELETE_PROJECT": (
        "DeleteProject", "project comment requestid sender"),
    "SRCSRV_UNDELETE_PROJECT": ("UndeleteProject", "project comment sender"),
    "SRCSRV_UPDATE_PROJECT_CONFIG": (
        "UpdateProjectConfig", "project sender files comment"),
    "PACKTRACK": ("Packtrack", "project repo payload"),
    "REPO_PUBLISHED": ("RepoPublished", "project repo buildid"),
    "REPO_PUBLISH_STATE": ("RepoPublishState", "project repo state"),
    "REPO_BUILD_STARTED": ("RepoBuildStarted", "project repo arch buildid"),
    "REPO_BUILD_FINISHED": ("RepoBuildFinished", "project repo arch buildid"),
    "CONTAINER_PUBLISHED": (
        "ContainerPublished", "project repo buildid container"),
}


class IntakeCase(harness.DispatchCase):
    """An importer and its server; one database a class, emptied for each
    test, and nobody to send mail to."""

    settings = (("intake.every", "40ms"), ("intake.timeout", "5s"))

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.dsn = cls.postgres.database("test", template="base")

    def setUp(self):
        self.empty()
        self.prepare()

    def empty(self):
        # Its old importers may still be going.
        self.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                 " WHERE datname = current_database()"
                 " AND pid <> pg_backend_pid();"
                 "TRUNCATE postbatch.event, postbatch.intake,"
                 " postbatch.intake_gap, postbatch.intake_unknown,"
                 " postbatch.quarantine, postbatch.drift,"
                 " postbatch.alarm CASCADE")

    def prepare(self, port=1):
        self.dispatcher = harness.Dispatcher(self.dsn, port, self.settings)
        self.addCleanup(self.dispatcher.stop)
        self.backend = self.make_backend()

    def make_backend(self, **options):
        backend = Backend(**options)
        self.addCleanup(backend.stop)
        return backend

    # ---- the importer --------------------------------------------------------

    def once(self, *options, status=0):
        """Imports what there is; gives what the command has said."""
        done = self.dispatcher.command(
            "import", "obs", self.backend.url, "--once", *options,
            timeout=60 * harness.PATIENCE)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def start(self, *options):
        """An importer in the background; its log is in self.log."""
        self.log = os.path.join(self.dispatcher.directory, "import.log")
        with open(self.log, "ab") as log:
            process = subprocess.Popen(
                [harness.POSTBATCH, "-c", self.dispatcher.config, "-v",
                 "import", "obs", self.backend.url] + list(options),
                stdout=log, stderr=log, env=harness.ENVIRONMENT)
        self.addCleanup(harness.stop_process, process)
        return process

    def read_log(self):
        return harness.read_bytes(self.log).decode()

    # ---- what has come -------------------------------------------------------

    def cursor(self, source="obs"):
        return int(self.value("SELECT next FROM postbatch.intake"
                              " WHERE source = '%s'" % source) or 0)

    def payloads(self):
        return [json.loads(row[0]) for row in self.sql(
            "SELECT payload FROM postbatch.event ORDER BY id")]

    def count(self):
        return self.number("SELECT count(*) FROM postbatch.event")

    def gaps(self):
        return self.sql("SELECT source, from_nr, to_nr, missing, reason"
                        " FROM postbatch.intake_gap ORDER BY id")

    def begin(self):
        """The cursor stands behind what is there."""
        self.once()


class Answers(IntakeCase):
    """Each kind of answer."""

    def test_the_first_time(self):
        self.backend.add("SRCSRV_COMMIT", {"project": "old"})
        self.assertIn("first time", self.once())
        self.assertEqual(self.backend.requests, [{"start": "0"},
                                                 {"start": "2"}])
        self.assertEqual((self.cursor(), self.count(), self.gaps()),
                         (2, 0, []))
        self.backend.add("SRCSRV_COMMIT", {"project": "new"})
        self.assertIn("1 event\n", self.once())
        self.assertEqual(self.payloads(), [{"project": "new"}])

    def test_the_first_time_from_a_number(self):
        for i in range(1, 6):
            self.backend.add("SRCSRV_COMMIT", {"rev": i})
        self.assertNotIn("read before", self.once("--start", "3"))
        self.assertEqual([p["rev"] for p in self.payloads()], list("345"))
        self.assertIn("read before", self.once("--start", "1"))
        self.assertEqual((self.cursor(), self.count()), (6, 3))
        self.once("--source", "other", "--start", "5")
        self.assertEqual((self.cursor("other"), self.count()), (6, 4))

    def test_an_empty_server(self):
        self.once()
        self.assertEqual((self.cursor(), self.gaps()), (1, []))
        self.once()
        self.assertEqual(self.backend.requests[-1], {"start": "1"})

    def test_more_than_a_thousand(self):
        at = int(time.time()) - 86400 * 40
        self.begin()
        self.backend.add_many("SRCSRV_COMMIT",
                              ({"rev": i} for i in range(2500)), at=at)
        self.assertIn("2500 events", self.once())
        self.assertEqual([r["start"] for r in self.backend.requests[2:]],
                         ["1", "1001", "2001"])
        self.assertEqual([int(p["rev"]) for p in self.payloads()],
                         list(range(2500)))
        # The server's own time is kept; the leaf is that of today.
        self.assertEqual(self.sql(
            "SELECT DISTINCT type, date_part('epoch', created_at),"
            " id & 15 = ring, ring IN (postbatch.ring(now(), 16),"
            " postbatch.ring(now() - interval '1 min', 16))"
            " FROM postbatch.event"),
            [["Commit", str(at), "t", "t"]])

    def test_the_server_prunes(self):
        self.begin()
        self.backend.add_many("SRCSRV_COMMIT",
                              ({"rev": i} for i in range(3600)))
        self.once()
        self.assertEqual(self.count(), 3600)
        self.assertEqual(self.backend.first, 2501)
        self.assertEqual(self.gaps(), [])

    def test_times_that_cannot_be(self):
        self.begin()
        for at in (0, int(time.time()) + 86400, 10 ** 17):
            self.backend.add("SRCSRV_COMMIT", {"rev": 1}, at=at)
        self.once()
        self.assertEqual(self.sql(
            "SELECT count(*), max(abs(date_part('epoch', now() - created_at)))"
            " < 60 FROM postbatch.event"), [["3", "t"]])

    def test_lost(self):
        self.begin()
        self.backend.add_many("SRCSRV_COMMIT",
                              ({"rev": i} for i in range(100)))
        self.backend.drop_before(51)
        said = self.once()
        self.assertIn("level=error", said)
        self.assertIn("dropped by the source", said)
        self.assertIn("from=1 next=101 missing=100", said)
        self.assertIn("0 events, 1 gap ", said)
        self.assertEqual(self.gaps(), [["obs", "1", "101", "100", "lost"]])
        self.backend.add("SRCSRV_COMMIT", {"rev": "after"})
        self.once()
        self.assertEqual(self.payloads(), [{"rev": "after"}])
        self.assertEqual(len(self.gaps()), 1)

    def test_ahead(self):
        self.backend.add_many("SRCSRV_COMMIT", ({} for _ in range(50)))
        self.begin()
        self.backend.set_back(20)
        said = self.once()
        self.assertIn("level=error", said)
        self.assertIn("set back", said)
        self.assertEqual(self.gaps(), [["obs", "51", "21", "", "ahead"]])
        self.backend.add("SRCSRV_COMMIT", {"rev": "after"})
        self.once()
        self.assertEqual(self.payloads(), [{"rev": "after"}])

    def test_fewer_than_the_numbers_say(self):
        self.begin()
        self.backend.add_many("SRCSRV_COMMIT", ({} for _ in range(5)))
        self.backend.faults.append("short")
        self.assertIn("fewer", self.once())
        self.assertEqual((self.cursor(), self.count()), (6, 4))
        self.assertEqual(self.gaps(), [["obs", "1", "6", "1", "short"]])

    def test_both_views_say_the_same(self):
        self.begin()
        for data in ({"project": "a&b", "comment": "1 < 2\n\t\"x\" %41"},
                     {"project": "Jürgen 健一 😀", "comment": ""},
                     [("project", "p"), ("comment", None)],
                     {"project": b"\xff\x01z", "comment": "x|y=z"},
                     {}):
            self.backend.add("SRCSRV_COMMIT", data)
        self.once()
        seen = self.payloads()
        self.assertEqual(seen, [
            {"project": "a&b", "comment": "1 < 2\n\t\"x\" %41"},
            {"project": "Jürgen 健一 😀", "comment": ""},
            {"project": "p", "comment": ""},
            {"project": "\ufffd\ufffdz", "comment": "x|y=z"},
            {}])
        self.once("--source", "json", "--start", "1", "--view", "json")
        self.assertEqual(self.backend.requests[-1]["view"], "json")
        self.assertEqual(self.payloads(), seen * 2)

    def test_types_that_nobody_knows(self):
        self.begin()
        for name, data in (("SRCSRV_PACKAGE_RENAME", {"to": "x"}),
                           ("SRCSRV_PACKAGE_RENAME", {"to": "y"}),
                           ("notice", {"subject": "forged"}), ("", {}),
                           ("BUILD", {"a": "abstract"}), ("x" * 5000, {})):
            self.backend.add(name, data)
        self.backend.add("BUILD_SUCCESS", {"package": "last"})
        said = self.once()
        self.assertIn("SRCSRV_PACKAGE_RENAME", said)
        self.assertIn("see=postbatch.intake_unknown", said)
        self.assertEqual(self.payloads(), [
            {"type": "SRCSRV_PACKAGE_RENAME", "data": {"to": "x"}},
            {"type": "SRCSRV_PACKAGE_RENAME", "data": {"to": "y"}},
            {"type": "notice", "data": {"subject": "forged"}},
            {"type": "", "data": {}},
            {"type": "BUILD", "data": {"a": "abstract"}},
            {"type": "x" * 5000, "data": {}}, {"package": "last"}])
        self.assertEqual(self.sql("SELECT type, events FROM"
                                  " postbatch.intake_unknown"
                                  " WHERE events > 1"),
                         [["SRCSRV_PACKAGE_RENAME", "2"]])
        self.backend.add("SRCSRV_PACKAGE_RENAME", {"to": "z"})
        self.assertNotIn("intake_unknown", self.once())
        self.run_once()
        self.assertEqual(self.sql("SELECT * FROM postbatch.quarantine"), [])

    def test_what_postgresql_cannot_keep_does_not_stop_the_rest(self):
        self.begin()
        self.backend.add("SRCSRV_COMMIT", {"k" * 70000: "v"})
        self.backend.add("SRCSRV_COMMIT", {"comment": "x" * 300000})
        self.backend.add("SRCSRV_COMMIT", {"a\x00b": "\x00"})
        self.backend.add("SRCSRV_COMMIT", {"rev": "9"})
        self.once()
        self.assertEqual((self.count(), self.payloads()[-1]),
                         (4, {"rev": "9"}))


class Broken(IntakeCase):
    """Answers that are none: the cursor stays, the next try brings all."""

    settings = (("intake.every", "40ms"), ("intake.timeout", "300ms"),
                ("intake.answer_max", "64k"))
    FAULTS = {
        "500": "status 500, expected 200: <status code='500'>",
        "garbage": "cannot be read: line 1",
        "page": "begins with <html>, expected <notifications>",
        "truncated": "cannot be read: line",
        "cut off": "broke off",
        "endless": "longer than the 65536 bytes",
        "doctype": "document type declaration",
        "drop": "without an answer",
        "hang": "no answer in time",
        "twice": "10 notifications from 1 on and next is 6",
        "odd page": "begins with <a\u00e9\u00e9",
    }

    def test_each_once(self):
        self.begin()
        self.backend.add_many("SRCSRV_COMMIT",
                              ({"rev": i} for i in range(5)))
        for fault, words in self.FAULTS.items():
            with self.subTest(fault):
                self.backend.faults.append(fault)
                self.assertIn(words, self.once(status=UNAVAILABLE))
                error, cursor, count = self.sql(
                    "SELECT error, next, (SELECT count(*) FROM"
                    " postbatch.event) FROM postbatch.intake")[0]
                self.assertIn(words, error)
                self.assertEqual((cursor, count), ("1", "0"))
        self.once()
        self.assertEqual((self.cursor(), self.count()), (6, 5))
        self.assertEqual("t", self.value(
            "SELECT error IS NULL AND error_at IS NULL"
            " FROM postbatch.intake"))

    def test_all_in_a_row(self):
        self.begin()
        self.backend.add_many("SRCSRV_COMMIT",
                              ({"rev": i} for i in range(5)))
        self.backend.faults.extend(
            fault for fault in self.FAULTS if fault != "hang")
        self.dispatcher.settings["intake.every"] = "5ms"
        self.dispatcher.write_config()
        self.start()
        wait_for(lambda: self.count() == 5, "what was there all the time")
        self.assertEqual((self.cursor(), self.gaps()), (6, []))

    def test_nobody_there(self):
        self.begin()
        url = self.backend.url
        self.backend.stop()
        done = self.dispatcher.command("import", "obs", url, "--once")
        self.assertEqual(done.returncode, UNAVAILABLE)
        self.assertIn("no connection", done.stderr)

    def test_stopped_before_the_end(self):
        """Not all is read, and whoever has asked for it is told."""
        self.begin()
        self.backend.faults.append("hang")
        asked = len(self.backend.requests)
        process = self.start("--once")
        wait_for(lambda: len(self.backend.requests) > asked, "a request")
        self.assertEqual(harness.stop_process(process), UNAVAILABLE)

    def test_usage(self):
        for words in (["import"], ["import", "svn", "http://x"],
                      ["import", "obs"], ["import", "obs", "ftp://x"],
                      ["import", "obs", "http://x?y"],
                      ["import", "obs", "http://x", "--start", "0"],
                      ["import", "obs", "http://x", "--view", "yaml"]):
            done = self.dispatcher.command(*words)
            self.assertEqual(done.returncode, USAGE, words)
            self.assertTrue(done.stderr, words)


class Held(IntakeCase):
    """block=1: the server holds the request until there is something."""

    def wait_held(self):
        wait_for(lambda: self.backend.held == 1, "a request that is held")

    def test_held_until_something_comes(self):
        self.begin()
        self.start("--block")
        for i in range(3):
            self.wait_held()
            asked = len(self.backend.requests)
            self.backend.add("SRCSRV_COMMIT", {"rev": i})
            wait_for(lambda: self.count() == i + 1, "the event")
            self.wait_held()
            # No request came between that held one and the next.
            self.assertEqual(len(self.backend.requests), asked + 1)
        self.assertEqual(self.backend.requests[-1],
                         {"start": "4", "block": "1"})

    def test_held_for_too_long(self):
        self.begin()
        self.dispatcher.settings["intake.block_timeout"] = "100ms"
        self.dispatcher.write_config()
        self.start("--block")
        wait_for(lambda: sum("block" in r for r in self.backend.requests) > 3,
                 "requests that are asked anew")
        self.assertNotIn("level=warn", self.read_log())

    def test_ahead_of_a_server_that_waits(self):
        self.backend = self.make_backend(waits_when_ahead=True)
        self.backend.add_many("SRCSRV_COMMIT", ({} for _ in range(50)))
        self.begin()
        self.backend.set_back(20)
        self.start("--block")
        wait_for(self.gaps, "the gap")
        self.assertEqual(self.gaps(), [["obs", "51", "21", "", "ahead"]])
        self.wait_held()
        self.backend.add("SRCSRV_COMMIT", {"rev": "after"})
        wait_for(lambda: self.count() == 1, "the event")

    def test_stopped_while_held(self):
        self.begin()
        process = self.start("--block")
        self.wait_held()
        self.assertEqual(harness.stop_process(process), 0)


class Two(IntakeCase):
    """Two importers of one source."""

    def test_one_at_a_time(self):
        self.begin()
        first = self.start("--block")
        wait_for(lambda: self.backend.held == 1, "the first")
        self.assertIn("another process", self.once(status=TEMPFAIL))
        second = self.start()
        wait_for(lambda: "another process fetches" in self.read_log(),
                 "the second to stand by")
        first.kill()
        first.wait()
        self.backend.add("SRCSRV_COMMIT", {"rev": "1"})
        wait_for(lambda: self.count() == 1, "the second to take over")
        self.assertIsNone(second.poll())

    def test_who_stands_by_seldom_asks(self):
        self.begin()
        self.start("--block")
        wait_for(lambda: self.backend.held == 1, "the first")
        self.dispatcher.settings["intake.every"] = "1m"
        self.dispatcher.write_config()
        second = self.start()
        asked = ("SELECT date_part('epoch', query_start)"
                 "  FROM pg_stat_activity"
                 " WHERE datname = current_database()"
                 "   AND application_name = 'postbatch intake'"
                 "   AND query LIKE '%pg_try_advisory_lock%'"
                 " ORDER BY backend_start DESC LIMIT 1")
        wait_for(lambda: "another process fetches" in self.read_log(),
                 "the second to stand by")
        before = float(self.value(asked))
        wait_for(lambda: float(self.value(asked)) != before, "another try")
        self.assertGreater(float(self.value(asked)) - before, 4)
        self.assertIsNone(second.poll())

    def test_a_cursor_that_was_moved(self):
        """Whatever the lock says: who comes second writes nothing."""
        self.begin()
        keep = harness.read_bytes(os.path.join(
            harness.ROOT, "sql", "queries", "intake_keep.sql")).decode()
        self.sql("PREPARE keep AS " + keep + ";" + "".join(
            "EXECUTE keep('obs', 1, 3, '{A,A}', '{1,1}', '{\"{}\",\"{}\"}',"
            " NULL, NULL);" for _ in range(2)))
        self.assertEqual((self.cursor(), self.count()), (3, 2))

    def test_moved_under_its_hands(self):
        self.begin()
        self.start()
        wait_for(lambda: len(self.backend.requests) > 3, "the importer")
        self.backend.add_many("SRCSRV_COMMIT", ({} for _ in range(10)))
        wait_for(lambda: self.count() == 10, "the events")
        self.sql("UPDATE postbatch.intake SET next = 6")
        wait_for(lambda: "moved the cursor" in self.read_log() and
                 self.count() == 15, "what was asked for again")
        self.assertEqual((self.cursor(), self.gaps()), (11, []))

    def test_a_database_that_restarts(self):
        self.begin()
        self.start()
        wait_for(lambda: len(self.backend.requests) > 3, "the importer")
        self.backend.add("SRCSRV_COMMIT", {"rev": 1})
        self.postgres.restart("immediate")
        self.backend.add("SRCSRV_COMMIT", {"rev": 2})
        wait_for(lambda: self.value("SELECT count(*) FROM postbatch.event") ==
                 "2", "both events")


class Feeder(threading.Thread):
    """Adds notifications at a steady pace, numbered from 1."""

    def __init__(self, backend, count, seconds):
        super().__init__(daemon=True)
        self.backend, self.total, self.seconds = backend, count, seconds
        self.begun = time.monotonic()

    def run(self):
        given = 0
        while given < self.total:
            share = (time.monotonic() - self.begun) / self.seconds
            due = min(self.total, int(self.total * share) + 1)
            self.backend.add_many("SRCSRV_COMMIT", (
                {"project": "home:jane", "package": "hello", "rev": i,
                 "comment": "Say hello & wave", "user": "jane"}
                for i in range(given + 1, due + 1)))
            given = due
            time.sleep(0.01)


class Killed(IntakeCase):
    KILLS = 20
    settings = (("intake.every", "20ms"),)

    def test_killed_again_and_again(self):
        count = scaled(50000)
        dice = random.Random(20171214)
        self.begin()
        began = time.monotonic()
        feeder = Feeder(self.backend, count, 10)
        feeder.start()
        for kill in range(1, self.KILLS + 1):
            process = self.start()
            # Not before it has done something; then at any moment.
            asked = len(self.backend.requests)
            wait_for(lambda: len(self.backend.requests) > asked, "a request")
            time.sleep(dice.uniform(0, 0.25))
            process.kill()
            process.wait()
        feeder.join()
        killed_at = self.count()
        self.assertIn("events", self.once())
        found = self.sql(
            "SELECT count(*), count(DISTINCT payload ->> 'rev'),"
            " min((payload ->> 'rev')::int), max((payload ->> 'rev')::int)"
            " FROM postbatch.event")
        harness.measured(
            "importer killed %d times in %d notifications (%d were kept by"
            " then): lost %d, doubled %d; %.1f s" %
            (self.KILLS, count, killed_at, count - int(found[0][1]),
             int(found[0][0]) - int(found[0][1]), time.monotonic() - began))
        self.assertEqual(found, [[str(count), str(count), "1", str(count)]])
        self.assertGreater(killed_at, count // 10)
        self.assertEqual((self.cursor(), self.gaps()), (count + 1, []))


class Service(IntakeCase):
    """"postbatch run" with a section [intake]."""

    keeps = ("maildir",)
    settings = (("intake.every", "200ms"),)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with open(os.path.join(DEMO, "obs_schema.sql")) as f:
            harness.psql(cls.dsn, f.read())
        harness.psql(cls.dsn, """
            INSERT INTO postbatch.recipient (id, key, email)
            VALUES (1, 'u1', 'u1@example.org');
            INSERT INTO obs.users (id, login, email, recipient_id)
            VALUES (1, 'u1', 'u1@example.org', 1);
            INSERT INTO obs.projects (id, name) VALUES (1, 'devel');
            INSERT INTO obs.packages (id, project_id, name)
            VALUES (1, 1, 'curl');
            INSERT INTO obs.relationships (role, project_id, user_id)
            VALUES ('maintainer', 1, 1);""")

    def setUp(self):
        self.empty()
        self.sql("TRUNCATE postbatch.batch, postbatch.ledger_letter,"
                 " postbatch.ledger_batch;"
                 "UPDATE postbatch.route SET snap_last = s, snap_cur = s,"
                 " phase = 2 FROM pg_current_snapshot() AS s")
        self.sink = harness.Sink(keeps=self.keeps)
        self.addCleanup(self.stop_sink)
        self.prepare(self.sink.port)
        self.dispatcher.settings["intake.obs_url"] = self.backend.url
        self.dispatcher.write_config()

    FAIL = {"project": "devel", "package": "curl", "repository": "standard",
            "arch": "x86_64"}

    def mails(self):
        return self.sink.mails() if self.sink.accepted() else []

    def test_fetched_and_mailed(self):
        at = int(time.time()) - 3 * 86400
        self.dispatcher.start()
        wait_for(lambda: self.backend.requests, "a request")
        self.backend.add("BUILD_FAIL", self.FAIL, at=at)
        mail = wait_for(self.mails, "the mail")[0]
        self.assertEqual(email.utils.parsedate_to_datetime(
            mail["Date"]).timestamp(), at)
        self.assertIn("devel/curl", mail["Subject"])
        self.assertEqual(mail["To"].addresses[0].addr_spec, "u1@example.org")

    def test_every_so_often(self):
        self.dispatcher.start()
        wait_for(lambda: len(self.backend.requests) > 2, "requests")
        began, asked = time.monotonic(), len(self.backend.requests)
        wait_for(lambda: len(self.backend.requests) >= asked + 5, "requests")
        self.assertGreater(time.monotonic() - began, 4 * 0.2 * 0.9)

    def test_a_server_that_hangs_holds_up_no_mail(self):
        self.backend.faults.extend(["hang"] * 100)
        self.dispatcher.start()
        wait_for(lambda: self.backend.requests, "a request")
        self.emit("BuildFail", self.FAIL)
        wait_for(self.mails, "the mail")
        self.assertEqual(harness.stop_process(self.dispatcher.processes[0]), 0)

    def alarm(self, cause):
        """(severity, message, is it over) of an alarm, or None."""
        rows = self.sql("SELECT severity, message, resolved_at IS NOT NULL"
                        " FROM postbatch.alarm WHERE cause = '%s'" % cause)
        return rows[0] if rows else None

    def test_alarms(self):
        self.begin()
        self.dispatcher.settings.update({
            "intake.every": "20ms", "report.period": "200ms"})
        self.dispatcher.write_config()
        self.dispatcher.start()
        stalled = "intake/obs/stalled"
        self.backend.faults.extend(["500"] * 6)
        wait_for(lambda: self.alarm(stalled), "the alarm that nothing comes")
        self.assertEqual(self.alarm(stalled)[:2],
                         ["error", "obs: nothing can be fetched"])
        wait_for(lambda: self.alarm(stalled)[2] == "t", "its end")
        self.backend.add("SRCSRV_PACKAGE_RENAME", {})
        wait_for(lambda: self.alarm("unknown/obs/SRCSRV_PACKAGE_RENAME"),
                 "the alarm of an unknown type")
        self.assertEqual(self.number("SELECT count(*) FROM postbatch.alarm"
                                     " WHERE kind = 'UnknownType'"), 1)
        wait_for(lambda: self.cursor() == 2, "the cursor")
        self.backend.set_back(0)
        wait_for(lambda: self.alarm("intake/obs"), "the alarm of a gap")

    def test_a_database_that_refuses(self):
        """Nothing goes on, so somebody has to know; then all is there."""
        self.begin()
        self.dispatcher.settings.update({
            "intake.every": "20ms", "report.period": "200ms"})
        self.dispatcher.write_config()
        self.sql("ALTER TABLE postbatch.event ADD CONSTRAINT refuse"
                 " CHECK (payload ->> 'rev' <> 'bad')")
        self.addCleanup(self.sql, "ALTER TABLE postbatch.event"
                        " DROP CONSTRAINT IF EXISTS refuse")
        self.backend.add("SRCSRV_COMMIT", {"rev": "bad"})
        self.dispatcher.start()
        stalled = "intake/obs/stalled"
        wait_for(lambda: self.alarm(stalled), "the alarm")
        self.assertIn("refuse", self.value(
            "SELECT error FROM postbatch.intake"))
        self.sql("ALTER TABLE postbatch.event DROP CONSTRAINT refuse")
        wait_for(lambda: self.alarm(stalled)[2] == "t", "its end")
        self.assertEqual((self.cursor(), self.count()), (2, 1))

    def test_once(self):
        self.begin()
        self.backend.add("BUILD_FAIL", self.FAIL)
        self.run_once()
        self.assertEqual(self.sink.accepted(), 1)
        self.backend.faults.append("500")
        self.emit("BuildFail", self.FAIL)
        self.run_once()  # what is here is mailed all the same
        self.assertEqual(self.sink.accepted(), 2)

    def test_two_workers_fetch_once(self):
        self.dispatcher.settings["worker.processes"] = "2"
        self.dispatcher.write_config()
        self.begin()
        self.dispatcher.start()
        self.backend.add_many("BUILD_FAIL", (self.FAIL for _ in range(20)))
        wait_for(lambda: self.sink.accepted() >= 20, "the mails")
        self.assertEqual(self.count(), 20)

    def test_all_that_the_backend_sends(self):
        """Every type, with all its keys, each a text: none is set aside, none
        is of a type or has a key that nobody knows."""
        self.begin()
        for name, (_, keys) in SENT.items():
            self.backend.add(name, {key: {
                "project": "devel", "package": "curl", "sender": "other",
                "user": "other"}.get(key, "12") for key in keys.split()})
        self.run_once()
        self.assertEqual(
            [row[0] for row in self.sql("SELECT type FROM postbatch.event"
                                        " ORDER BY id")],
            [class_name for class_name, _ in SENT.values()])
        for table in ("quarantine", "drift", "intake_unknown", "intake_gap"):
            self.assertEqual(self.sql("SELECT * FROM postbatch." + table), [],
                             table)
        self.assertEqual(
            sorted(mail["X-OBS-event-type"] for mail in self.mails()),
            ["build_fail", "service_fail", "service_success"])


if __name__ == "__main__":
    unittest.main()
