"""The front door: help, exit statuses, messages, what the commands print."""

import json
import os
import re
import unittest

import harness

USAGE, BAD_DATA, UNAVAILABLE, CONFIG = 64, 65, 69, 78


class Words(harness.DispatchCase):
    """What needs no work to be done."""

    def test_help(self):
        said = self.dispatcher.must("help").stdout
        self.assertEqual(said, self.dispatcher.must("--help").stdout)
        commands = re.findall(r"^  (\w+) ", said, re.M)
        for name in ("run", "migrate", "emit", "resend", "stats", "version"):
            self.assertIn(name, commands)
        for name in commands:
            self.assertIn("usage: postbatch " + name,
                          self.dispatcher.must("help", name).stdout)

    def test_help_lists_all_settings(self):
        said = self.dispatcher.must("help", "settings").stdout
        for name in ("[database]", "  dsn = ", "[relay NAME]", "  host = ",
                     "  poll_min = 20ms", "[retry]", "[log]"):
            self.assertIn(name, said)
        for line in said.splitlines():
            self.assertRegex(line, r"^(\[[a-zA-Z ]+\]|  \w+ = .+|      \S.*|)$")

    def test_version(self):
        self.assertRegex(self.dispatcher.must("version").stdout,
                         r"^postbatch \d+\.\d+\.\d+\n$")

    def test_mistakes(self):
        for words, status in (
                (("dispatch",), USAGE), (("--loud",), USAGE),
                (("run", "--twice"), USAGE), (("run", "now"), USAGE),
                (("stats", "--yaml"), USAGE), (("stats", "now"), USAGE),
                (("emit",), USAGE), (("emit", "a", "b"), USAGE),
                (("migrate", "--to", "x"), USAGE),
                (("migrate", "now"), USAGE), (("help", "dispatch"), USAGE),
                (("-s", "nonsense", "stats"), CONFIG),
                (("-s", "retry.first=soon", "stats"), CONFIG),
                (("-s", "mail.form=x", "stats"), CONFIG),
                (("-s", "database.dsn=host=/nowhere", "stats"), UNAVAILABLE),
                (("-s", "database.dsn=host=/nowhere", "run"), UNAVAILABLE)):
            done = self.dispatcher.command(*words, input="{}")
            self.assertEqual(done.returncode, status, (words, done.stderr))
            self.assertTrue(done.stderr, words)
            self.assertEqual(done.stdout, "", words)

    def test_run_says_what_is_missing(self):
        for key in ("mail.from_email", "templates.path"):
            done = self.dispatcher.command("-s", key + "=", "-s",
                                           "templates.path=/nowhere", "run")
            self.assertIn(done.returncode, (CONFIG, UNAVAILABLE))
            self.assertIn(key, done.stderr)
        done = self.dispatcher.command("-s", "database.dsn=" +
                                       self.postgres.conninfo, "run")
        self.assertEqual(done.returncode, UNAVAILABLE)
        self.assertIn("postbatch migrate", done.stderr)


class Configuration(harness.DispatchCase):
    def refused(self, text):
        """What is said of a configuration file of this text."""
        path = os.path.join(self.dispatcher.directory, "bad.ini")
        with open(path, "w") as f:
            f.write(text)
        self.dispatcher.config = path
        done = self.dispatcher.command("stats")
        self.assertEqual(done.returncode, CONFIG)
        self.assertIn("nothing was done", done.stderr)
        return done.stderr.replace(path, "bad.ini")

    def test_a_mistake_is_named_by_file_and_line(self):
        said = self.refused("[database]\n"
                            "dsn = x\n"
                            "[mial]\n"
                            "from_email = a@example.org\n"
                            "[retry]\n"
                            "first = soon\n"
                            "last\n"
                            "[relay a]\n"
                            "port = 99999\n"
                            "tls = maybe\n")
        for line, words in ((4, "mial.from_email"), (6, "retry.first"),
                            (7, "name = value"), (9, "99999"), (10, "maybe")):
            self.assertRegex(said, r"(?m)^bad\.ini:%d: error: .*%s" %
                             (line, re.escape(words)))

    def test_a_secret_is_not_repeated(self):
        said = self.refused("[relay a]\npassword = s3cret\nport = x\n")
        self.assertNotIn("s3cret", said)

    def test_a_file_that_is_not_there(self):
        self.dispatcher.config = "/nowhere/postbatch.ini"
        done = self.dispatcher.command("stats")
        self.assertEqual(done.returncode, CONFIG)
        self.assertIn("/nowhere/postbatch.ini", done.stderr)

    def test_variables_go_over_the_file_and_options_over_both(self):
        env = dict(harness.ENVIRONMENT,
                   POSTBATCH_DATABASE_DSN="host=/nowhere")

        def stats(*options):
            return harness.subprocess.run(
                [harness.POSTBATCH, "-c", self.dispatcher.config] +
                list(options) + ["stats"], env=env,
                stdout=harness.subprocess.PIPE,
                stderr=harness.subprocess.PIPE).returncode

        self.assertEqual(stats(), UNAVAILABLE)
        self.assertEqual(stats("-s", "database.dsn=" + self.dsn), 0)


class Migrate(harness.DispatchCase):
    def setUp(self):
        super().setUp()
        self.dsn = self.postgres.database("test")  # without a schema
        self.dispatcher.settings["database.dsn"] = self.dsn
        self.dispatcher.write_config()

    def test_twice_is_once(self):
        first = self.dispatcher.must("migrate").stdout
        self.assertIn("applied 0001_", first)
        second = self.dispatcher.must("migrate").stdout
        self.assertNotIn("applied", second)
        self.assertIn("the schema is at version", second)

    def test_print_changes_nothing(self):
        script = self.dispatcher.must("migrate", "--print").stdout
        self.assertIn("CREATE SCHEMA postbatch", script)
        self.assertEqual(self.value("SELECT to_regnamespace('postbatch')"
                                    " IS NULL"), "t")
        harness.psql(self.dsn, script)
        self.assertNotIn("applied", self.dispatcher.must("migrate").stdout)
        self.assertEqual(self.dispatcher.must("migrate", "--print").stdout,
                         "")

    def test_a_changed_file_is_refused(self):
        self.dispatcher.must("migrate")
        self.sql("UPDATE postbatch.schema_version SET sha256 = 'other'"
                 " WHERE version = 1")
        for command in ("migrate", "run"):
            done = self.dispatcher.command(command)
            self.assertEqual(done.returncode, UNAVAILABLE)
            self.assertIn("0001_tables.sql is not the file that was applied",
                          done.stderr)


class EmitAndStats(harness.DispatchCase):
    def emit(self, *words, payload="{}"):
        return self.dispatcher.command("emit", *words, input=payload)

    def test_emit_prints_the_id(self):
        done = self.emit("--urgency", "urgent", "notice",
                         payload='{"subject": "x"}')
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(self.sql("SELECT id, type, payload, urgency"
                                  " FROM postbatch.event"),
                         [[done.stdout.strip(), "notice",
                           '{"subject": "x"}', "1"]])

    def test_emit_refuses_what_is_no_json(self):
        for payload in ("{", "", "  \n", "{'a': 1}", "{} {}",
                        '{"a": "\\ud800"}', '{"a": "\\u0000"}'):
            done = self.emit("notice", payload=payload)
            self.assertEqual(done.returncode, BAD_DATA, payload)
            self.assertRegex(done.stderr, "(?i)json", payload)
        self.assertEqual(self.number("SELECT count(*) FROM postbatch.event"),
                         0)

    def test_stats_in_words_and_json(self):
        self.recipients(1)
        self.emit_notices(3, recipients=1)
        self.emit("Unheard")
        before = json.loads(self.dispatcher.must("stats", "--json").stdout)
        self.assertEqual(before["waiting_events"], 4)
        self.assertGreater(before["oldest_event_s"], 0)
        self.run_once()
        said = self.dispatcher.must("stats").stdout
        after = json.loads(self.dispatcher.must("stats", "--json").stdout)
        self.assertEqual(
            [after[k] for k in ("waiting_events", "waiting_letters",
                                "sent_1h", "sent_1m", "quarantined",
                                "oldest_event_s", "workers")],
            [0, 0, 3, 3, 1, None, 0])
        self.assertRegex(said, r"(?m)^sent +3$")
        self.assertRegex(said, r"(?m)^events in quarantine +1$")


if __name__ == "__main__":
    unittest.main()
