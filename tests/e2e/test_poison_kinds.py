"""Every tenth event is poison, in ten ways: each is set aside with its reason,
all others go out, and after the fix those that were set aside do, once, with
the time at which they happened. And what can be repaired is mailed at once."""

import email.utils
import json
import os
import shutil
import sys
import unittest

import harness
from harness import scaled

sys.path.insert(0, os.path.join(harness.ROOT, "bench", "poison"))

import kinds  # noqa: E402

COUNT = scaled(10000)
# The payload that is an array: no contract and no template can mend that.
HOPELESS = 1


class Kinds(harness.DispatchCase):
    settings = (("worker.payload_max", str(kinds.PAYLOAD_MAX)),
                ("log.level", "error"))

    def make_templates(self):
        self.folder = harness.tempfile.mkdtemp(prefix="postbatch-templates-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        kinds.make_templates(os.path.join(self.folder, "types"))
        return os.path.join(self.folder, "types")

    def fill(self):
        self.recipients(1000)
        self.sql(kinds.insert(COUNT, "All went well. " * 40))
        # Long ago, so that no time of today can be taken for theirs.
        self.sql("UPDATE postbatch.event SET created_at = created_at"
                 " - interval '40 days'"
                 " - interval '1 s' * (payload ->> 'number')::int"
                 " WHERE jsonb_typeof(payload -> 'number') = 'number'")

    def mend(self):
        """Types, role and settings as they should have been."""
        types = os.path.join(self.folder, "types")
        for name in list(kinds.TYPES) + ["measure"]:
            shutil.rmtree(os.path.join(types, name))
            kinds.make_type(types, name, {}, {})
            path = os.path.join(types, name, "contract.json")
            with open(path) as f:
                contract = json.load(f)
            contract["keys"]["number"]["type"] = "any"
            for key in ("words", "state", "package"):
                contract["keys"][key]["required"] = False
            least = contract["samples"]["least"]
            contract["samples"]["least"] = {
                key: value for key, value in least.items()
                if contract["keys"][key].get("required")}
            contract["keys"]["pages"] = {"type": "array"}
            contract["samples"]["fullest"]["pages"] = [1]
            with open(path, "w") as f:
                json.dump(contract, f)
        kinds.make_type(types, "Unheard", {}, {})
        self.dispatcher.settings["worker.payload_max"] = "1m"
        self.mended_sink = harness.Sink(keeps=("maildir",))
        self.addCleanup(self.mended_sink.stop)
        self.dispatcher.settings["relay.main.port"] = str(
            self.mended_sink.port)
        self.dispatcher.write_config()

    def set_aside(self):
        """{event id: moment} of what is in quarantine and can be mended."""
        return {int(event): float(moment) for event, moment in self.sql(
            "SELECT q.event_id, extract(epoch FROM e.created_at)"
            "  FROM postbatch.quarantine AS q"
            "  JOIN postbatch.event AS e ON e.id = q.event_id"
            " WHERE reason !~ 'not an object'")}

    def test_each_is_set_aside_and_sent_on_after_the_fix(self):
        self.fill()
        self.run_once()
        poison = kinds.poison_count(COUNT)
        found = "\n".join(row[0] for row in self.sql(kinds.COUNT))
        self.assertEqual(found, kinds.expected(COUNT))
        self.assert_each_once(COUNT - poison)
        self.assertEqual(self.verdicts()["sent"], COUNT - poison)

        moments = sorted(int(t) for t in self.set_aside().values())
        self.assertEqual(len(moments), poison * 9 // 10)
        self.mend()
        said = self.dispatcher.must("quarantine", "release", "--all").stdout
        self.assertIn("%d released" % poison, said)
        self.run_once()
        self.run_once()
        summary = self.mended_sink.summary()
        self.assertEqual((summary["distinct"], summary["doubles"]),
                         (len(moments), 0))
        dates = sorted(int(email.utils.parsedate_to_datetime(m["Date"])
                           .timestamp()) for m in self.mended_sink.mails())
        self.assertEqual(dates, moments)
        # Only what nothing can mend is set aside again.
        self.assertIn("%d set aside" % (poison // len(kinds.KINDS)),
                      self.dispatcher.must("quarantine").stdout)
        self.assertEqual(self.sink.accepted(), COUNT - poison)

    def test_what_can_be_repaired_is_mailed_and_noted(self):
        self.recipients(1)
        deep = "[" * 3000 + "7" + "]" * 3000
        sound = {"recipient": 1, "number": 1, "project": "p", "package": "k",
                 "state": "built", "words": "w"}
        payloads = [
            (json.dumps(sound), ""),
            (json.dumps(dict(sound, words="x" * 30000)),
             "words cut from 30000 to 20000 bytes"),
            (json.dumps(dict(sound, number=10 ** 30)),
             "numbers beyond 64 bits kept as text"),
            (json.dumps(dict(sound, number=10 ** 30, words="x" * 30000)),
             "numbers beyond 64 bits kept as text; "
             "words cut from 30000 to 20000 bytes"),
            (json.dumps(sound)[:-1] + ', "deep": %s}' % deep,
             "what was nested more than 2000 deep left out"),
        ]
        events = {self.number("SELECT postbatch.emit('measure', '%s'::jsonb)"
                              % text): note for text, note in payloads}
        self.run_once()
        self.assertEqual(self.sql("SELECT reason FROM postbatch.quarantine"),
                         [])
        self.assert_each_once(len(payloads))
        self.assertEqual(
            {int(event): note for event, note in self.sql(
                "SELECT event_id, coalesce(reply, '') FROM postbatch.ledger"
                " WHERE verdict = 1")}, events)


if __name__ == "__main__":
    unittest.main()
