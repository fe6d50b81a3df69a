"""Hostile bytes in every field that comes from the database or from settings:
no command, no recipient and no header that was not ours reaches the relay.
"""

import email
import email.policy
import glob
import json
import os
import shutil
import unittest

import harness

EVIL = "evil@example.net"
# Values that have made some mailer send a header or a command of theirs.
CORPUS = [
    "a\r\nBcc: %s" % EVIL,
    "a\nBcc: %s" % EVIL,
    "a\rBcc: %s" % EVIL,
    "a\r\n\r\nBcc: %s\r\n" % EVIL,
    "a\r\n Bcc: %s" % EVIL,
    "a%%0d%%0aBcc: %s" % EVIL,
    "a\\r\\nBcc: %s" % EVIL,
    "a\u2028Bcc: %s" % EVIL,
    "a\u2029Bcc: %s" % EVIL,
    "a\u0085Bcc: %s" % EVIL,
    "a\x0bBcc: %s\x0cCc: %s" % (EVIL, EVIL),
    ">\r\nRCPT TO:<%s" % EVIL,
    "> NOTIFY=SUCCESS\r\nRCPT TO:<%s>\r\n" % EVIL,
    "a\r\n.\r\nMAIL FROM:<%s>\r\nRCPT TO:<%s>\r\nDATA\r\n" % (EVIL, EVIL),
    "a\n.\nMAIL FROM:<%s>\n" % EVIL,
    "a\r.\rMAIL FROM:<%s>\r" % EVIL,
    "\r\n.\r\nQUIT\r\n",
    ".",
    "\"quoted\r\nBcc: %s\"@example.net" % EVIL,
    "=?utf-8?q?a=0D=0ABcc:_%s?=" % EVIL,
    "=?utf-8?b?YQ0KQmNjOiBldmlsQGV4YW1wbGUubmV0?=",
    "a\", %s, \"b" % EVIL,
    "a <%s>, b" % EVIL,
    "a (comment\r\n) \\",
    "a\x01\x02\x1b[31m\x7f\x9b",
    "\r\n", "\n", "\r", " \t ", "",
    "\u202ea\u200b\ufeffb",
    "{{subject}}{{{body}}}{{>layout}}{{=<% %>=}}",
    "<script>alert('a')</script>\"' onload=\"b",
    "javascript:alert(1)",
    "http://example.net/\r\nBcc: %s" % EVIL,
    "x" * 2000 + "\r\nBcc: %s" % EVIL,
    "é\r\nBcc: %s" % EVIL,
]
# Addresses that are none. The sixth and on have got past the check of some
# mailer and not past that of the relay.
BAD_ADDRESSES = [
    "a@x.example>\r\nRCPT TO:<%s" % EVIL,
    "a@x.example\r\nRCPT TO:<%s>" % EVIL,
    "a@x.example\nBcc: %s" % EVIL,
    "a@x.example\rBcc: %s" % EVIL,
    "a@x.example> NOTIFY=SUCCESS",
    "\"a\r\nBcc: %s\"@x.example" % EVIL,
    "\"a b\"@x.example",
    "\"a\"@x.example",
    "a b@x.example",
    "a@x.example,%s" % EVIL,
    "a@x.example, %s" % EVIL,
    "a@x.example;%s" % EVIL,
    "<%s>" % EVIL,
    "Jane <%s>" % EVIL,
    "a@x.example@y.example",
    "@x.example:%s" % EVIL,
    "@x.example", "a@", "a", "@", "", " ", "\r\n", "\t@x.example",
    "a@x..example", "a@.example", "a@x.example.", "a@-x.example",
    "a@x_y.example", "a@[127.0.0.1]", "a@x.example\u2028", "a@x\u0085.example",
    "a\u0085@x.example", "a\u2028b@x.example", "a\x01@x.example",
    "a\x7f@x.example", "a\x9b@x.example", "a@x.example\x0b", ".a@x.example",
    "a.@x.example", "a..b@x.example", "(c)a@x.example", "a\\@x.example",
    "a:b@x.example", "l" * 65 + "@x.example",
    "a@" + "d" * 64 + ".example", "a@" + ".".join(["d" * 60] * 5),
]


def quote(text):
    return "'" + text.replace("'", "''") + "'"


class InjectionCase(harness.DispatchCase):
    keeps = ("maildir", "log")
    types = {}
    settings = (("mail.site_url", "https://site.example"),
                ("mail.site_name", "A site"),
                # So that every command is known in advance.
                ("relay.main.gear", "pipelined"))

    def make_templates(self):
        """Two types of the Open Build Service, to whom the payload says."""
        templates = super().make_templates()
        for name in ("Build", "BuildFail", "Comment", "CommentForPackage"):
            folder = os.path.join(templates, "obs", name)
            shutil.copytree(os.path.join(harness.ROOT, "templates", "obs",
                                         name), folder)
            path = os.path.join(folder, "contract.json")
            with open(path) as f:
                contract = json.load(f)
            contract.pop("originator", None)
            contract.setdefault("keys", {})["recipient"] = {"type": "any"}
            if "roles" in contract:
                contract["roles"] = ["addressee"]
            with open(path, "w") as f:
                json.dump(contract, f)
        for path in glob.glob(os.path.join(harness.ROOT, "templates", "obs",
                                           "*.mustache")):
            shutil.copy(path, os.path.join(templates, "obs"))
        self.templates = templates
        return templates

    def keys(self, name):
        """The keys of a type, its parents' as well."""
        for kind in ("generic", "obs"):
            path = os.path.join(self.templates, kind, name, "contract.json")
            if os.path.exists(path):
                with open(path) as f:
                    contract = json.load(f)
                keys = (self.keys(contract["extends"])
                        if "extends" in contract else {})
                keys.update(contract["keys"])
                return keys
        raise AssertionError("no type " + name)

    def sample(self, name):
        """A payload with every key."""
        return {key: "value of " + key for key, about in
                self.keys(name).items() if about["type"] in ("string", "any")}

    def emit_all(self, events):
        """Appends (type, payload) at once."""
        self.sql("SELECT count(postbatch.emit(name, load)) FROM (VALUES %s)"
                 " AS t (name, load)" % ",".join(
                     "(%s, %s::jsonb)" % (quote(name), quote(json.dumps(load)))
                     for name, load in events))

    def headers_of(self, message):
        return sorted(name.lower() for name in message.keys())

    def usual_headers(self, name):
        """Header names of a harmless mail of the type; run first."""
        self.recipients(1, first=9000)
        self.emit_all([(name, dict(self.sample(name), recipient=9000))])
        before = len(self.sink.files())
        self.run_once()
        [message] = self.sink.mails()[before:]
        return self.headers_of(message)

    def assert_innocent(self, path, allowed, recipient, usual):
        """One stored mail: nothing in it but what we put there."""
        whole = harness.read_bytes(path)
        for line in whole.split(b"\r\n"):
            self.assertNotRegex(line, rb"[\r\n\x00]")
            self.assertLessEqual(len(line), 998)
        message = email.message_from_bytes(whole, policy=email.policy.default)
        names = self.headers_of(message)
        self.assertEqual(len(names), len(set(names)), names)
        self.assertLessEqual(set(names), set(usual))
        self.assertGreaterEqual(set(names), set(allowed))
        for part in message.walk():
            self.assertEqual(part.defects, [])
        for name, header in message.items():
            self.assertEqual(list(header.defects), [], (name, header))
            self.assertNotRegex(str(header), r"[\r\n\x00-\x08\x0b-\x1f\x7f]")
        self.assertEqual([a.addr_spec for a in message["To"].addresses],
                         [recipient])
        self.assertEqual([a.addr_spec for a in message["From"].addresses],
                         ["notify@example.org"])
        self.assertEqual(message.get_content_type(), "multipart/alternative")
        self.assertEqual([part.get_content_type() for part in
                          message.iter_parts()], ["text/plain", "text/html"])
        return message

    # What may be left out when the value it is made of is empty.
    NEEDED = ("from", "to", "subject", "date", "message-id", "mime-version",
              "content-type")

    def assert_all_innocent(self, count, usual, skip=0):
        """All mails at the sink but the first `skip`, which has seen no
        command too many."""
        summary = self.assert_each_once(count + skip)
        self.assertEqual(summary["recipients"], count + skip)
        # MAIL, RCPT and DATA a mail; EHLO and QUIT a connection.
        self.assertEqual(summary["commands"], 3 * (count + skip) +
                         2 * summary["connections"])
        arrivals = self.sink.arrivals()
        files = self.sink.files()
        self.assertEqual(len(files), count + skip)
        found = []
        for path, arrival in list(zip(files, arrivals))[skip:]:
            self.assertEqual(arrival[2], "notify@example.org")
            found.append(self.assert_innocent(path, self.NEEDED, arrival[3],
                                              usual))
        self.assertNotIn(EVIL, {row[3] for row in arrivals})
        return found


class Payloads(InjectionCase):
    def attack(self, name):
        usual = self.usual_headers(name)
        keys = [key for key, about in self.keys(name).items()
                if about["type"] in ("string", "any") and key not in
                ("recipient", "recipients", "topic")]
        self.assertGreater(len(keys), 2)
        self.recipients(1)
        events = [(name, dict(self.sample(name), recipient=1, **{key: value}))
                  for key in keys for value in CORPUS]
        events += [(name, dict(self.sample(name), recipient=1,
                               **{key: value for key in keys}))
                   for value in CORPUS]
        for event in events:
            event[1].pop("topic", None)
        self.emit_all(events)
        self.run_once()
        self.assertEqual(self.sql("SELECT reason FROM postbatch.quarantine"),
                         [])
        self.assert_all_innocent(len(events), usual, skip=1)

    def test_notice(self):
        self.attack("notice")

    def test_build_fail(self):
        self.attack("BuildFail")

    def test_comment(self):
        self.attack("CommentForPackage")

    def test_nul_does_not_get_in(self):
        with self.assertRaises(AssertionError) as refused:
            self.emit("notice", {"subject": "a\x00b", "body": "c"})
        self.assertIn("\\u0000", str(refused.exception))

    def test_keys_and_who_gets_it(self):
        """Names of keys, of topics and of recipients."""
        usual = self.usual_headers("notice")
        self.recipients(1)
        load = {"subject": "a", "body": "b", "recipient": 1}
        self.emit_all(
            [("notice", dict(load, **{value: "c"})) for value in CORPUS] +
            [("notice", dict(load, topic=value)) for value in CORPUS] +
            [("notice", dict(load, recipients=[value, {}, None]))
             for value in CORPUS] +
            [("notice", dict(load, recipient=value)) for value in CORPUS])
        self.run_once()
        self.assert_all_innocent(3 * len(CORPUS), usual, skip=1)


class Recipients(InjectionCase):
    def test_names_and_keys(self):
        usual = self.usual_headers("CommentForPackage")
        rows = []
        for value in CORPUS:
            rows.append((len(rows) + 1, "k%d" % len(rows), value))
            rows.append((len(rows) + 1, value, "A name"))
        self.sql("INSERT INTO postbatch.recipient (id, key, email, name,"
                 " locale, time_zone) VALUES " + ",".join(
                     "(%d, %s, 'u%d@example.org', %s, %s, %s)" %
                     (number, quote(key), number, quote(name), quote(name),
                      quote(name)) for number, key, name in rows))
        self.emit_all([("CommentForPackage", dict(
            self.sample("CommentForPackage"), recipient=number))
            for number, _, _ in rows])
        self.emit_all([("CommentForPackage", dict(
            self.sample("CommentForPackage"), recipient=key))
            for _, key, _ in rows])
        self.run_once()
        mails = self.assert_all_innocent(2 * len(rows), usual, skip=1)
        self.assertEqual({m["To"].addresses[0].addr_spec for m in mails},
                         {"u%d@example.org" % number for number, _, _ in rows})

    def test_addresses(self):
        """The table refuses them; where it does not, a view of somebody's own
        say, they end as failed, with the reason."""
        for address in BAD_ADDRESSES[:6]:
            with self.assertRaises(AssertionError):
                self.sql("INSERT INTO postbatch.recipient (email) VALUES (%s)"
                         % quote(address))
        usual = self.usual_headers("notice")
        self.sql("ALTER TABLE postbatch.recipient DROP CONSTRAINT"
                 " recipient_email_is_one_address")
        self.sql("INSERT INTO postbatch.recipient (id, email) VALUES " +
                 ",".join("(%d, %s)" % (1 + n, quote(address))
                          for n, address in enumerate(BAD_ADDRESSES)))
        good = ["%0d%0a@x.example", "a+b=c@x.example", "o'hara@x.example",
                "{a}|b@x.example", "--@x.example"]
        self.sql("INSERT INTO postbatch.recipient (id, email) VALUES " +
                 ",".join("(%d, %s)" % (1001 + n, quote(address))
                          for n, address in enumerate(good)))
        self.emit_all([("notice", {"subject": "a", "body": "b",
                                   "recipient": number})
                       for number in list(range(1, 1 + len(BAD_ADDRESSES))) +
                       list(range(1001, 1001 + len(good)))])
        self.run_once()
        mails = self.assert_all_innocent(len(good), usual, skip=1)
        self.assertEqual(sorted(m["To"].addresses[0].addr_spec
                                for m in mails), sorted(good))
        failed = {int(row[0]): row[1] for row in self.sql(
            "SELECT recipient_id, reply FROM postbatch.ledger"
            " WHERE verdict = 3")}
        self.assertEqual({BAD_ADDRESSES[n] for n in range(len(BAD_ADDRESSES))
                          if n + 1 not in failed}, set())
        for number, reason in failed.items():
            self.assertIn("address", reason, BAD_ADDRESSES[number - 1])
        self.assertTrue(self.is_drained())


class Settings(InjectionCase):
    def test_names_in_the_settings(self):
        """What is not refused at the start is as harmless as a payload."""
        self.recipients(1)
        usual = None
        sent = 0
        for name in ("mail.from_name", "mail.site_name"):
            for value in ["harmless"] + CORPUS[::3]:
                self.emit_all([("CommentForPackage", dict(
                    self.sample("CommentForPackage"), recipient=1))])
                done = self.dispatcher.command(
                    "-s", "%s=%s" % (name, value), "run", "--once")
                if done.returncode != 0:
                    self.assertEqual(done.returncode, 78, done.stderr)
                    self.assertIn(name, done.stderr)
                    self.run_once()
                sent += 1
                if usual is None:
                    [mail] = self.sink.mails()
                    usual = self.headers_of(mail)
        self.assert_all_innocent(sent, usual)

    def test_settings_that_go_into_commands_and_headers(self):
        self.recipients(1)
        self.emit_notices(1)
        for name in ("mail.from_email", "mail.envelope_from", "mail.domain",
                     "mail.list_id", "mail.site_url", "mail.settings_url",
                     "relay.main.helo", "relay.main.host"):
            for value in ("a@x.example\r\nRCPT TO:<%s>" % EVIL,
                          "a@x.example>\nBcc: %s" % EVIL, "a\rb", "a b<>"):
                with self.subTest(name=name, value=value):
                    done = self.dispatcher.command(
                        "-s", "%s=%s" % (name, value), "run", "--once",
                        timeout=20)
                    self.assertNotEqual(done.returncode, 0)
                    self.assertIn(name.split(".")[-1], done.stderr)
        self.assertEqual(self.sink.accepted(), 0)
        self.run_once()
        self.assert_each_once(1)


if __name__ == "__main__":
    unittest.main()
