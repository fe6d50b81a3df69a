"""Events that cannot be mailed are set aside with the reason; all others of
the same pass go out."""

import os
import unittest

import harness
from harness import wait_for

TYPES = {
    "Good": {},
    "SyntaxError": {"text": "Hello {{#subject}} and no end\n"},
    "MissingPartial": {"html": "{{> nowhere}}\n"},
    "NoTemplate": {},
    "NotJson": {},
    "NotMailable": {"mailable": False},
    "NoSuchRole": {"roles": ["stranger"]},
    "BrokenRole": {"roles": ["broken"]},
    "Fragile": {"roles": ["fragile"]},
}

# What the folder templates.roles adds.
ROLES = {
    "broken": "SELECT event_id, FROM pass",
    "fragile": "SELECT event_id,\n"
               "       1 / (payload ->> 'divisor')::int AS recipient_id\n"
               "  FROM pass",
}


class Poison(harness.DispatchCase):
    keeps = ("maildir",)
    types = TYPES

    def setUp(self):
        super().setUp()
        templates = self.dispatcher.settings["templates.path"]
        folder = os.path.join(templates, "tests")
        os.unlink(os.path.join(folder, "NoTemplate", "text.mustache"))
        os.unlink(os.path.join(folder, "NoTemplate", "html.mustache"))
        with open(os.path.join(folder, "NotJson", "contract.json"), "w") as f:
            f.write("{\"keys\": ")
        roles = os.path.join(self.dispatcher.directory, "roles")
        os.mkdir(roles)
        for name, text in ROLES.items():
            with open(os.path.join(roles, name + ".sql"), "w") as f:
                f.write(text)
        self.dispatcher.settings["templates.roles"] = roles
        self.dispatcher.write_config()
        self.session = harness.Session(self.dsn)
        self.addCleanup(self.session.close)
        self.recipients(3)

    def sql(self, text):
        return self.session.run(text)  # quicker than a psql each

    def good(self, count=1):
        for n in range(count):
            self.emit("Good", {"recipient": 1, "subject": "fine"})

    def quarantine(self):
        """{event id: (stage, reason)}"""
        return {int(e): (stage, reason) for e, stage, reason in self.sql(
            "SELECT event_id, stage, reason FROM postbatch.quarantine")}

    def subjects(self):
        return sorted(m["Subject"] for m in self.sink.mails())

    def assert_set_aside(self, events, mailed=("fine",) * 2):
        """events: {id: words of the reason}."""
        self.run_once()
        found = self.quarantine()
        self.assertEqual(sorted(found), sorted(events))
        for event, words in events.items():
            self.assertRegex(found[event][1], words)
        self.assertEqual(self.subjects(), sorted(mailed))
        said = self.dispatcher.must("stats").stdout
        self.assertRegex(said, r"events in quarantine +%d\n" % len(events))

    def test_what_was_set_aside_is_sent_on_after_the_fix(self):
        event = self.emit("SyntaxError", {"recipient": 1, "subject": "late"})
        lost = self.emit("NoSuchType", {"recipient": 1, "subject": "never"})
        self.good()
        self.assert_set_aside({event: "text.mustache:1", lost: "no event type"},
                              mailed=("fine",))
        said = self.dispatcher.must("quarantine").stdout
        self.assertIn("event %d  SyntaxError" % event, said)
        self.assertIn("2 set aside", said)

        text = os.path.join(self.dispatcher.settings["templates.path"],
                            "tests", "SyntaxError", "text.mustache")
        with open(text, "w") as f:
            f.write("Hello {{subject}}\n")
        self.assertIn("1 released", self.dispatcher.must(
            "quarantine", "release", "--type", "SyntaxError").stdout)
        self.run_once()
        self.run_once()
        self.assertEqual(self.subjects(), ["fine", "late"])
        self.assertIn("1 set aside",
                      self.dispatcher.must("quarantine").stdout)
        self.assertIn("0 released", self.dispatcher.must(
            "quarantine", "release", "--type", "SyntaxError").stdout)
        # Still wrong: set aside again, as another event.
        self.dispatcher.must("quarantine", "release", "--all")
        self.run_once()
        self.assertIn("1 set aside",
                      self.dispatcher.must("quarantine").stdout)
        self.assertEqual(self.subjects(), ["fine", "late"])

    def test_payloads_that_are_no_object(self):
        self.good()
        bad = {self.emit("Good", payload): words for payload, words in (
            ([1, 2], "not an object but: array"),
            ("text", "not an object but: string"),
            (7, "not an object but: number"),
            (None, "not an object but: null"),
            (True, "not an object but: boolean"))}
        broken = self.number("SELECT postbatch.emit('Good',"
                             " '{\"recipient\": '::text)")
        bad[broken] = "not an object but: string"
        self.good()
        self.assert_set_aside(bad)

    def test_payloads_that_break_the_contract(self):
        self.good()
        bad = {self.emit("Good", payload): words for payload, words in (
            ({"recipient": 1}, "required key is missing: subject"),
            ({"recipient": 1, "subject": None}, "subject"),
            ({"recipient": 1, "subject": 7}, "subject.*string"),
            ({"recipient": 1, "subject": ["x"]}, "subject.*string"),
            ({"recipient": 1, "subject": "x", "topic": {}}, "topic.*string"),
        )}
        self.good()
        self.assert_set_aside(bad)

    def test_types_that_nobody_knows(self):
        self.good()
        bad = {self.emit(name, {"recipient": 1, "subject": "x"}): words
               for name, words in (
                   ("Unheard", "no event type has this name"),
                   ("", "no event type has this name"),
                   ("good", "no event type has this name"),
                   ("Good'; DROP TABLE", "no event type has this name"))}
        self.good()
        self.assert_set_aside(bad)

    def test_types_that_cannot_be_rendered(self):
        self.good()
        bad = {self.emit(name, {"recipient": 1, "subject": "x"}): words
               for name, words in (
                   ("SyntaxError", r"text\.mustache.*subject"),
                   ("MissingPartial", "nowhere"),
                   ("NoTemplate", "text"),
                   ("NotJson", "contract.json|no event type"))}
        self.good()
        self.assert_set_aside(bad)

    def test_what_is_not_meant_to_be_mailed_is_no_poison(self):
        self.emit("NotMailable", {"recipient": 1, "subject": "x"})
        self.good(2)
        self.assert_set_aside({})

    def test_roles_that_do_not_parse(self):
        self.good()
        bad = {self.emit("BrokenRole", {"subject": "x"}):
               '"broken" cannot be used: .*syntax error',
               self.emit("NoSuchRole", {"subject": "x"}):
               '"stranger" cannot be used: it has no file'}
        self.good()
        self.assert_set_aside(bad)

    def test_a_role_that_fails_on_one_event(self):
        self.good()
        fine = {"subject": "whole", "divisor": 1}
        for _ in range(20):
            self.emit("Fragile", fine)
        bad = {self.emit("Fragile", dict(fine, divisor=0)):
               "division by zero"}
        for _ in range(20):
            self.emit("Fragile", fine)
        bad[self.emit("Fragile", dict(fine, divisor="many"))] = \
            "invalid input syntax for type integer"
        self.good()
        # "divisor" is a key of no contract: mailed all the same.
        self.assert_set_aside(bad, ["fine"] * 2 + ["whole"] * 40)
        self.assert_each_once(42)

    def test_a_payload_that_is_too_large(self):
        # As stored, that is compressed: noise does not compress.
        self.dispatcher.settings["worker.payload_max"] = "20k"
        self.dispatcher.write_config()
        self.good()
        bad = {self.emit("Good", {"recipient": 1, "subject": "x",
                                  "sender": os.urandom(20000).hex()}):
               "larger than worker.payload_max"}
        self.good()
        self.assert_set_aside(bad)

    def test_poison_in_a_letter_of_several(self):
        templates = self.dispatcher.settings["templates.path"]
        harness.make_type(
            templates, "Gathered", subject="{{#events}}{{subject}} {{/events}}",
            batching={"rule": "gather", "window": "0s", "max": 50})
        self.emit("Gathered", {"recipient": 1, "subject": "a"})
        bad = {self.emit("Gathered", {"recipient": 1, "subject": 8}):
               "subject.*string"}
        self.emit("Gathered", {"recipient": 1, "subject": "c"})
        self.assert_set_aside(bad, ["a c"])
        self.assertEqual(self.verdicts(), {"sent": 1, "skipped": 1})

    def test_unknown_keys_are_mailed_and_reported(self):
        first = self.emit("Good", {"recipient": 1, "subject": "fine",
                                   "coment": "a slip", "när": 1})
        self.emit("Good", {"recipient": 2, "subject": "fine", "coment": "!"})
        self.assert_set_aside({})
        self.assertEqual(self.sql("SELECT type, key, first_event_id, events"
                                  " FROM postbatch.drift ORDER BY key"),
                         [["Good", "coment", str(first), "2"],
                          ["Good", "när", str(first), "1"]])
        self.emit("Good", {"recipient": 3, "subject": "fine", "coment": "!"})
        self.assert_set_aside({}, ["fine"] * 3)
        self.assertEqual(self.sql("SELECT events FROM postbatch.drift"
                                  " WHERE key = 'coment'"), [["3"]])
        said = self.dispatcher.must("stats").stdout
        self.assertRegex(said, r"unknown payload keys +2\n")

    def test_all_of_them_at_once_while_running(self):
        """Two hundred good events among poison of all kinds."""
        process = self.dispatcher.start()
        bad = set()
        for n in range(200):
            self.good()
            if n % 25 == 0:
                bad.add(self.emit("Good", [n]))
                bad.add(self.emit("Good", {"recipient": 2}))
                bad.add(self.emit("Unheard", {}))
                bad.add(self.emit("SyntaxError", {"subject": "x"}))
                bad.add(self.emit("Fragile", {"subject": "x", "divisor": 0}))
        self.wait_accepted(200)
        wait_for(lambda: set(self.quarantine()) == bad, "all bad set aside")
        wait_for(self.is_drained, "the last verdicts")
        self.assertIsNone(process.poll())
        self.assertEqual(harness.stop_process(process), 0)
        self.assert_each_once(200)


if __name__ == "__main__":
    unittest.main()
