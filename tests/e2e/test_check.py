"""The gate before a deployment: what "check" finds in files, in the change from
one folder to another, and in the real events of a database."""

import json
import os
import re
import shutil
import textwrap
import time
import unittest

import harness

BAD_DATA, USAGE = 65, 64


def counted(count, noun):
    return "%d %s%s" % (count, noun, "" if count == 1 else "s")


class Checks:
    """Checks a copy of the shipped templates; for classes with a dispatcher."""

    def copy_templates(self):
        self.templates = os.path.join(self.dispatcher.directory, "templates")
        shutil.copytree(os.path.join(harness.ROOT, "templates"),
                        self.templates)
        self.dispatcher.settings["templates.path"] = self.templates
        self.dispatcher.write_config()

    def path(self, *names):
        return os.path.join(self.templates, *names)

    def read(self, *names):
        with open(self.path(*names)) as f:
            return f.read()

    def write(self, text, *names):
        with open(self.path(*names), "w") as f:
            f.write(text)

    def contract(self, name, folder="obs"):
        return json.loads(self.read(folder, name, "contract.json"))

    def change(self, name, folder="obs", **members):
        """Changes members of a contract; None takes them out."""
        contract = self.contract(name, folder)
        contract.update(members)
        self.write(json.dumps({k: v for k, v in contract.items()
                               if v is not None}, indent=2),
                   folder, name, "contract.json")

    def drop_key(self, name, key, folder="obs"):
        keys = self.contract(name, folder)["keys"]
        del keys[key]
        self.change(name, folder, keys=keys)

    def check(self, *options, status=0):
        """Runs the check, in words and as JSON; gives (words, object)."""
        words = self.dispatcher.command("check", *options)
        done = self.dispatcher.command("check", "--json", *options)
        said = words.stdout + words.stderr
        self.assertEqual((words.returncode, done.returncode),
                         (status, status), said)
        found = json.loads(done.stdout)
        self.assertEqual(found["ok"], status == 0)
        self.assertEqual(
            [found["errors"], found["warnings"], found["notes"]],
            [sum(p["severity"] == severity for p in found["problems"])
             for severity in ("error", "warning", "note")])
        self.assertIn("%s, %s\n" % (counted(found["errors"], "error"),
                                    counted(found["warnings"], "warning")),
                      said)
        for problem in found["problems"]:
            self.assertIn(problem["message"], said)
        return said, found

    def look(self, *options, status=0):
        """As check(), and quicker: JSON only."""
        done = self.dispatcher.command("check", "--json", *options)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return json.loads(done.stdout)

    def find(self, found, **wanted):
        """The problems that have these members; text means a part of one."""
        part = wanted.pop("part", "")
        return [p for p in found["problems"] if part in p["message"] and
                all(p.get(k) == v for k, v in wanted.items())]

    def one(self, found, **wanted):
        problems = self.find(found, **wanted)
        self.assertEqual(len(problems), 1, (wanted, problems or found))
        return problems[0]


class FileCase(Checks, unittest.TestCase):
    """Without a database."""

    def setUp(self):
        self.dispatcher = harness.Dispatcher("host=/nowhere", 0)
        self.addCleanup(self.dispatcher.stop)
        self.copy_templates()


class EventCase(Checks, harness.DispatchCase):
    def setUp(self):
        super().setUp()
        self.copy_templates()


class Incident(EventCase):
    """2017-12-14, part one: a refactoring drops `comment` of ServiceSuccess."""

    def setUp(self):
        super().setUp()
        self.drop_key("Service", "comment")

    def test_the_files_alone_show_it(self):
        said, found = self.check("--offline", status=BAD_DATA)
        contract = self.path("obs", "ServiceSuccess", "contract.json")
        text = self.path("obs", "ServiceSuccess", "text.mustache")
        html = self.path("obs", "ServiceSuccess", "html.mustache")
        sample = self.one(found, file=contract, key="comment")
        self.assertEqual(sample["message"], "samples.fullest.comment: the "
                         "contract has no such key")
        self.assertEqual(self.read("obs", "ServiceSuccess", "contract.json")
                         .splitlines()[sample["line"] - 1].split()[0],
                         '"comment":')
        for path in (text, html):
            lines = self.read("obs", "ServiceSuccess",
                              os.path.basename(path)).splitlines()
            problems = self.find(found, file=path, key="comment",
                                 type="ServiceSuccess", severity="error")
            self.assertEqual(
                [p["line"] for p in problems],
                [n + 1 for n, line in enumerate(lines)
                 if "comment}}" in line and "{{/" not in line])
        # The other child of the same parent, too.
        self.assertTrue(self.find(found, key="comment", type="ServiceFail"))
        self.assertIn("comment", said)

    def test_real_events_show_it(self):
        payload = {"project": "openSUSE:Factory", "package": "hello",
                   "comment": "Update to 2.10"}
        ids = [self.emit("ServiceSuccess",
                         dict(payload, rev=str(n))) for n in range(12)]
        self.emit("ServiceSuccess", {"project": "a", "package": "b"})
        said, found = self.check("--against", self.dsn, status=BAD_DATA)
        [group] = found["against"]["groups"]
        self.assertEqual(group, {"type": "ServiceSuccess", "stage": "drift",
                                 "key": "comment", "count": 12,
                                 "events": ids[:10]})
        self.assertEqual(found["against"]["letters"], 13)
        self.assertIn("events have the key 'comment', which the contract does "
                      "not list (12 events: %d, %d" % tuple(ids[:2]), said)

    def test_the_change_shows_it(self):
        found = self.look("--diff", os.path.join(harness.ROOT, "templates"),
                          status=BAD_DATA)
        gone = self.one(found, part="the key 'comment' is gone")
        self.assertEqual((gone["type"], gone["severity"]),
                         ("Service", "error"))

    def test_the_mail_goes_out_all_the_same(self):
        """It stops a deployment; once deployed, it stops no mail."""
        self.sql("INSERT INTO postbatch.recipient (key, email)"
                 " VALUES ('jane', 'jane@example.org')")
        keys = self.contract("Service")["keys"]
        self.change("Service", roles=["addressee"],
                    keys=dict(keys, recipient={"type": "string"}))
        self.emit("ServiceSuccess", {"project": "a", "package": "b",
                                     "comment": "kept", "recipient": "jane"})
        self.run_once()
        self.assert_each_once(1)
        self.assertEqual(self.sql("SELECT type, key FROM postbatch.drift"),
                         [["ServiceSuccess", "comment"]])


class Files(FileCase):
    """What is wrong with files, each with its line and the nearest name."""

    def test_the_shipped_templates_are_clean(self):
        began = time.monotonic()
        said, found = self.check("--offline")
        self.assertEqual(found["problems"], [])
        self.assertGreater(found["summary"]["cases"], 4000)
        self.assertLess(time.monotonic() - began, 10 * harness.PATIENCE)
        self.assertIn("0 errors, 0 warnings", said)

    def test_mistakes(self):
        folder = self.path("obs", "BuildFail")
        contract = os.path.join(folder, "contract.json")
        text = os.path.join(folder, "text.mustache")
        was = {path: harness.read_bytes(path) for path in (contract, text)}
        whole = json.loads(was[contract])

        def with_(**members):
            return json.dumps(dict(whole, **members), indent=1).encode()

        subject = os.path.join(folder, "subject.mustache")
        for path, content, wanted in (
                (text, b"one\ntwo {{pakage}}\n",
                 dict(line=2, key="pakage", nearest="package",
                      type="BuildFail")),
                (text, b"a\nb\n{{site.ulr}}", dict(line=3, nearest="url")),
                (text, b"a\n\xff", dict(line=2, part="not UTF-8")),
                (text, b"{{>layot.text}}", dict(nearest=None, line=1,
                                                part="'layout.text'")),
                (text, b"{{#package}}", dict(line=1, part="never closed")),
                (contract, b"{\n\n\"keys\": \"\xff\"}", dict(line=3)),
                (contract, with_(extends="Buld"), dict(nearest="Build")),
                (contract, with_(extends="BuildFail"),
                 dict(part="extends itself")),
                (contract, with_(roles=["maintaner"]),
                 dict(nearest="maintainer")),
                (contract, with_(roles=["reporter"]),
                 dict(part="finds nobody")),
                (contract, with_(originator="sendr"), dict(nearest="sender")),
                (contract, with_(frequncy="daily"),
                 dict(nearest="frequency", severity="warning")),
                (contract, with_(headers={"X-A": "{{arhc}}"}),
                 dict(nearest="arch", file=contract + " (X-A)")),
                (contract, with_(samples={}), dict(part="samples: there")),
        ):
            with open(path, "wb") as f:
                f.write(content)
            wanted.setdefault("file", path)
            severity = wanted.setdefault("severity", "error")
            found = self.look(
                "--offline", status=BAD_DATA if severity == "error" else 0)
            nearest = wanted.pop("nearest", None)
            if nearest:
                wanted["nearest"] = nearest
            problem = (self.find(found, **wanted) or [None])[0]
            self.assertIsNotNone(problem, (content, wanted, found))
            if path == contract and content[:1] == b"{" and nearest:
                self.assertIn("line", problem)
            with open(path, "wb") as f:
                f.write(was[path])
        os.rename(subject, os.path.join(folder, "subjet.mustache"))
        found = self.look("--offline", status=BAD_DATA)
        self.one(found, file=subject, nearest="subjet.mustache")

    def test_circles(self):
        self.change("Service", extends="ServiceFail")
        found = self.look("--offline", status=BAD_DATA)
        self.assertTrue(self.find(found, part="extends itself"))

    def test_a_long_subject(self):
        self.write("{{project}} " + "x" * 70, "obs", "BuildFail",
                   "subject.mustache")
        found = self.look("--offline")
        self.assertTrue(self.find(found, severity="warning",
                                  part="subject of more than 78"))

    def test_one_warning_is_no_plural(self):
        self.change("BuildFail", frequncy="daily")
        said, found = self.check("--offline")
        self.one(found, severity="warning", nearest="frequency")
        self.assertIn("0 errors, 1 warning\n", said)

    def test_a_role_of_the_operator(self):
        roles = os.path.join(self.dispatcher.directory, "roles")
        os.mkdir(roles)
        with open(os.path.join(roles, "maintainer.sql"), "w") as f:
            f.write("SELECT event_id, 1 AS recipient_id FROM pass\n"
                    " WHERE pass.payload ->> 'projekt' = 'a'\n"
                    "   AND pass.payload ->> 'package' = 'b'\n")
        self.dispatcher.settings["templates.roles"] = roles
        self.dispatcher.write_config()
        found = self.look("--offline", status=BAD_DATA)
        # Of some types it still has the package.
        self.one(found, type="CommentForProject", part="finds nobody",
                 severity="error", nearest="project")
        problem = self.one(found, key="projekt",
                           file=os.path.join(roles, "maintainer.sql"))
        self.assertEqual((problem["line"], problem["nearest"],
                          problem["severity"]), (2, "project", "warning"))

    def test_the_example_of_the_readme(self):
        """Its first two blocks: a contract, and a text."""
        made = self.read("README.md").split("## Making a type\n")[1]
        blocks = re.findall(r"(?:^ {7}.*\n|^\n)+", made, re.MULTILINE)
        contract, text = (textwrap.dedent(block).strip() + "\n" for block in
                          [b for b in blocks if b.strip()][:2])
        os.mkdir(self.path("BackupFailed"))
        for name, content in (("contract.json", contract),
                              ("subject.mustache", "{{host}}\n"),
                              ("text.mustache", text)):
            self.write(content, "BackupFailed", name)
        self.assertIn("error", json.loads(contract)["keys"])
        self.assertEqual(self.look("--offline")["problems"], [])

    def test_usage(self):
        for words in (("--days", "3"), ("--against", "x", "--days", "0"),
                      ("--against", "x", "--days", "16"),
                      ("--against", "x", "--days", "many"), ("now",),
                      ("--json", "--settings")):
            done = self.dispatcher.command("check", *words)
            self.assertEqual(done.returncode, USAGE, words)
        help_text = self.dispatcher.must("help", "check").stdout
        for word in ("--against", "--diff", "--json", "problems", "severity"):
            self.assertIn(word, help_text)


class Diff(FileCase):
    def diff(self, status=BAD_DATA):
        return self.look("--diff", os.path.join(harness.ROOT, "templates"),
                         status=status)

    def test_nothing_changed(self):
        said, found = self.check(
            "--diff", os.path.join(harness.ROOT, "templates"))
        self.assertEqual(found["problems"], [])
        self.assertIn("0 changes", said)

    def test_breaking(self):
        shutil.rmtree(self.path("obs", "TokenDisabled"))
        os.rename(self.path("generic", "notice"),
                  self.path("generic", "notices"))
        self.change("WorkflowRunFail", mailable=False)
        comment = self.contract("Comment")
        keys = comment["keys"]
        keys["commenter_name"] = keys.pop("commenter")
        keys["id"]["type"] = "boolean"
        keys["fresh"] = {"type": "string", "required": True}
        self.change("Comment", keys=keys)
        build = self.contract("Build")["keys"]
        build["rev"]["required"] = True
        self.change("Build", keys=build)
        notice = self.contract("gathered_notice", "generic")["keys"]
        notice["subject"]["type"] = "url"
        self.change("gathered_notice", "generic", keys=notice)
        self.change("ServiceFail", roles=["bugowner"], frequency="off")
        os.unlink(self.path("obs", "BuildFail", "html.mustache"))
        found = self.diff()
        for wanted in (
                dict(type="TokenDisabled", part="is gone"),
                dict(type="notice", nearest="notices"),
                dict(type="WorkflowRunFail", part="not mailed any more"),
                dict(type="Comment", key="commenter",
                     nearest="commenter_name", part="is gone"),
                dict(type="Comment", key="id", part="of type boolean"),
                dict(type="Comment", key="fresh", part="new and required"),
                dict(type="Build", key="rev", part="required now"),
                dict(type="gathered_notice", key="subject",
                     part="was of type string and is of type url"),
                dict(type="ServiceFail", part='"maintainer" is gone'),
                dict(type="ServiceFail", part="was instant and is off"),
                dict(type="BuildFail", part="html.mustache is gone")):
            self.one(found, severity="error", **wanted)
        gone = self.one(found, type="TokenDisabled", part="is gone")
        self.assertIn("TokenDisabled/contract.json", gone["file"])

    def test_notes(self):
        keys = self.contract("ServiceFail")["keys"]
        keys["error"].update(cut=100, required=False)
        keys["extra"] = {"type": "string", "shown": False}
        samples = self.contract("ServiceFail")["samples"]
        del samples["least"]["error"]
        samples["fullest"]["extra"] = "x"
        self.change("ServiceFail", keys=keys, samples=samples,
                    roles=["bugowner", "maintainer", "watcher"],
                    frequency="daily", urgency="bulk", thread="{{project}}",
                    batching={"rule": "gather", "window": "5m", "max": 9})
        notice = self.contract("gathered_notice", "generic")["keys"]
        notice["url"]["type"] = "string"
        self.change("gathered_notice", "generic", keys=notice)
        shutil.copytree(self.path("generic", "notice"),
                        self.path("generic", "other_notice"))
        self.write("x", "unused.mustache")
        found = self.diff(0)
        for wanted in (
                dict(key="error", part="was cut at 8000 and is cut at 100"),
                dict(key="error", part="not required any more"),
                dict(key="extra", part="is new"),
                dict(part='"watcher" is new'), dict(part="another order"),
                dict(part="was instant and is daily"),
                dict(part="urgency was normal and is bulk"),
                dict(part="gather of at most 9"), dict(part="thread"),
                dict(key="url", part="was of type url and is of type string"),
                dict(type="other_notice", part="is new")):
            self.one(found, severity="note", **wanted)

    def test_a_partial_that_is_gone(self):
        old = os.path.join(self.dispatcher.directory, "old")
        shutil.copytree(self.templates, old)
        with open(os.path.join(old, "obs", "extra.mustache"), "w") as f:
            f.write("x")
        found = self.look("--diff", old)
        self.one(found, severity="note", part="this partial is gone",
                 file=self.path("obs", "extra.mustache"))

    def test_nothing_to_compare_with(self):
        self.check("--diff", "/nowhere", status=BAD_DATA)


class Live(EventCase):
    def test_everything_at_once(self):
        """With its database and its relay, as before."""
        done = self.dispatcher.command("check")
        self.assertIn("database   reachable", done.stdout)
        self.assertRegex(done.stdout, r"relay +main: ")
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_a_role_that_nobody_names_is_tried_too(self):
        roles = os.path.join(self.dispatcher.directory, "roles")
        usable = self.look()["summary"]["roles_usable"]
        os.mkdir(roles)
        with open(os.path.join(roles, "nobodys.sql"), "w") as f:
            f.write("SELECT event_id, 1 AS recipient_id FROM nowhere\n")
        self.dispatcher.settings["templates.roles"] = roles
        self.dispatcher.write_config()
        self.assertEqual(self.look()["summary"]["roles_usable"], usable)


class Against(EventCase):
    """Real events, from the log and from the quarantine."""

    def groups(self, found):
        return {(g["type"], g["stage"], g.get("key", g.get("reason", ""))):
                (g["count"], g["events"]) for g in found["against"]["groups"]}

    def test_all_kinds(self):
        fine = {"project": "a", "package": "b", "error": "c"}
        self.emit("ServiceFail", fine)
        self.emit("BuildSuccess", {})  # known, and not mailed
        unheard = self.emit("Unheard\n\x1b[31m", {})
        listed = [self.emit("ServiceFail", {"project": "a", "error": "c"})
                  for _ in range(3)]
        array = self.emit("ServiceFail", [1])
        typed = self.emit("ServiceFail", dict(fine, package=["b"]))
        drift = self.emit("ServiceFail", dict(fine, coment="d"))
        large = self.emit("ServiceFail", dict(fine, error="x" * 2000000))
        before = self.state()
        said, found = self.check("--against", self.dsn, status=BAD_DATA)
        self.assertEqual(self.groups(found), {
            ("Unheard\n\x1b[31m", "type",
             "there is no event type of this name"): (1, [unheard]),
            ("ServiceFail", "contract",
             "required key 'package' (name of the package) is missing"):
            (3, listed),
            ("ServiceFail", "parse",
             "payload is not a JSON object"): (1, [array]),
            ("ServiceFail", "contract",
             "key 'package' (name of the package) is not of type string but "
             "array"): (1, [typed]),
            ("ServiceFail", "drift", "coment"): (1, [drift]),
            ("ServiceFail", "fetch", "the payload is larger than "
             "worker.payload_max"): (1, [large]),
        })
        self.assertEqual((found["against"]["events"],
                          found["against"]["letters"],
                          found["against"]["unmailed"]), (10, 2, 1))
        self.assertNotIn("\x1b", said)
        self.assertEqual(self.state(), before)

    def state(self):
        return self.sql("SELECT (SELECT count(*) FROM postbatch.event),"
                        " (SELECT count(*) FROM postbatch.quarantine),"
                        " (SELECT count(*) FROM postbatch.batch),"
                        " (SELECT count(*) FROM postbatch.drift)")

    def test_templates_that_fail(self):
        ids = [self.emit("ServiceFail", {"project": "a", "package": "b",
                                         "error": "c"}) for _ in range(2)]
        self.write("{{#error}}{{>text}}{{/error}}", "obs", "ServiceFail",
                   "text.mustache")
        found = self.look("--against", self.dsn, status=BAD_DATA)
        [((type_name, stage, reason), (count, events))] = \
            self.groups(found).items()
        self.assertEqual((type_name, stage, count, events),
                         ("ServiceFail", "render", 2, ids))
        self.assertIn("text.mustache:1", reason)

    def test_only_some_days(self):
        old = self.emit("Unheard", {})
        self.sql("UPDATE postbatch.event SET created_at = now() -"
                 " interval '3 days' WHERE id = %d" % old)
        found = self.look("--against", self.dsn, "--days", "2")
        self.assertEqual(found["against"]["events"], 0)
        # Its leaf is that of today, whatever the time it bears.
        found = self.look("--against", self.dsn, "--days", "4",
                                 status=BAD_DATA)
        self.assertEqual(found["against"]["events"], 1)

    def test_the_quarantine(self):
        fine = {"project": "a", "package": "b", "error": "c"}
        waits = self.emit("ServiceFail", {"project": "a"})
        mended = self.emit("ServiceFail", fine)
        kept = self.emit("ServiceFail", dict(fine, error=7))
        self.sql("INSERT INTO postbatch.quarantine (event_id, type, stage,"
                 " reason, created_at) SELECT id, type, 'route', 'x',"
                 " created_at FROM postbatch.event")
        # As housekeeping does when a leaf is emptied.
        self.sql("UPDATE postbatch.quarantine AS q SET payload = e.payload"
                 " FROM postbatch.event AS e WHERE e.id = q.event_id"
                 " AND e.id = %d" % kept)
        self.sql("DELETE FROM postbatch.event WHERE id = %d" % kept)
        found = self.look("--against", self.dsn, status=BAD_DATA)
        groups = self.groups(found)
        self.assertEqual(groups.pop(("ServiceFail", "mended", "")),
                         (1, [mended]))
        self.assertEqual(sorted(groups.values()), [(1, [waits]), (1, [kept])])
        self.assertEqual((found["against"]["events"],
                          found["against"]["quarantined"]), (2, 1))
        # What a person has dealt with is settled.
        self.sql("UPDATE postbatch.quarantine SET released_at = now()")
        found = self.look("--against", self.dsn)
        self.assertEqual(found["against"]["groups"], [])

    def test_very_many(self):
        count = harness.scaled(100000)
        self.sql("SELECT count(postbatch.emit('ServiceFail', jsonb_build_object"
                 "('project', 'p' || i, 'package', 'hello', 'error', repeat("
                 "'all is lost ', 20)))) FROM generate_series(1, %d) AS i" %
                 count)
        self.emit("Unheard", {})
        began = time.monotonic()
        done = self.dispatcher.command("check", "--against", self.dsn,
                                       "--json")
        took = time.monotonic() - began
        found = json.loads(done.stdout)["against"]
        self.assertEqual((done.returncode, found["events"], found["letters"]),
                         (BAD_DATA, count + 1, count))
        harness.measured("%d events tried in %.1f s" % (count, took))
        self.assertLess(took, 60 * harness.PATIENCE)

    def test_reasons_that_somebody_makes_up(self):
        fine = {"project": "a", "package": "b", "error": "c"}
        self.sql("SELECT count(postbatch.emit('ServiceFail', '%s'::jsonb ||"
                 " jsonb_build_object('key' || i, i)))"
                 " FROM generate_series(1, 600) AS i" % json.dumps(fine))
        self.emit("Unheard", {})
        said, found = self.check("--against", self.dsn, status=BAD_DATA)
        groups = self.groups(found)
        self.assertEqual(len(groups), 502)
        self.assertEqual(groups["(others)", "drift", "(others)"][0], 100)
        self.assertEqual(groups["(others)", "type", "(others)"][0], 1)
        self.assertIn("(others): events have the key '(others)'", said)

    def test_it_cannot_be_reached(self):
        found = self.look("--against", "host=/nowhere",
                                 status=BAD_DATA)
        self.assertTrue(self.find(found, part="cannot be reached"))


if __name__ == "__main__":
    unittest.main()
