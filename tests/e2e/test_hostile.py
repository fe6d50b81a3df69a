"""Hostile texts in every key of every event type: no header more than a harmless
letter of the type has, nothing of them in HTML but as text, no script in a link,
every letter read by Python's parser without a defect, and memory bounded.

The letters come from letter_corpus (tests/e2e/letter_corpus.c), which is linked
with the library of the build and composes them as a worker does.
"""

import collections
import email
import email.policy
import html.parser
import json
import os
import shlex
import shutil
import subprocess
import tempfile
import unittest

import harness

TEMPLATES = os.path.join(harness.ROOT, "templates")
EVIL = "evil@example.net"
# Bytes that are no UTF-8 stand in for this character, NUL for that.
BAD, NUL = "\ue000", "\ue001"

TEXTS = {
    "crlf": "a\r\nBcc: %s\r\nX-Evil: 1\r\n\r\nbody" % EVIL,
    "lf": "a\nBcc: %s\n\n.\nMAIL FROM:<%s>" % (EVIL, EVIL),
    "cr": "a\rBcc: %s\r.\r" % EVIL,
    "separators": "a\u2028Bcc: %s\u2029\u0085X-Evil: 1\x0b\x0c" % EVIL,
    "long": "S" * 3910,
    "words": "wort " * 782,
    "emoji": "\U0001f469\u200d\U0001f4bb\U0001f3f4\U000e0067\U000e007f" * 40,
    "right to left": "\u202e\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628"
                     "\u0627\u202c\u2067abc\u2069\u200f",
    "no text": "a%sb\u00e9%s" % (BAD, BAD * 3),
    "nul": "a%sBcc: %s" % (NUL, EVIL),
    "mustache": "{{subject}}{{{body}}}{{>layout.html}}{{=<% %>=}}{{#a}}",
    "script": "<script>alert('a')</script>\"' onload=\"b<!-- --><![CDATA[",
    "attribute": "\"><img src=x onerror='alert(1)'><a href=\"javascript:x\">",
    "references": "&lt;b&gt;&amp;&#60;i&#62;&quot;",
    "javascript": "javascript:alert(1)//https://x.example",
    "data": "data:text/html;base64,PHNjcmlwdD4=",
    "encoded": "=?utf-8?b?YQ0KQmNjOiBldmlsQGV4YW1wbGUubmV0?=",
    "controls": "a\x01\x02\x1b[31m\x7f\x9b\x08",
}
# Put into each key alone, too.
ALONE = ("crlf", "script")
HUGE = 1 if harness.SANITIZED else 16  # MiB of a value
PEAK_MB = 64


def program(folder):
    """letter_corpus, linked with the library of the build."""
    path = os.path.join(folder, "letter_corpus")
    command = shlex.split(os.environ.get("CC", "cc")) + [
        "-std=c11", "-D_GNU_SOURCE", "-g", "-O1", "-I",
        os.path.join(harness.ROOT, "dispatcher")]
    if harness.SANITIZED:
        command.append("-fsanitize=address,undefined")
    subprocess.run(command + [
        os.path.join(harness.ROOT, "tests", "e2e", "letter_corpus.c"),
        os.path.join(harness.BUILD, "libpostbatch.a"), "-ljansson", "-lidn2",
        "-lm", "-o", path], check=True)
    return path


def contracts():
    """{name: contract} of all types."""
    found = {}
    for folder, _, files in os.walk(TEMPLATES):
        if "contract.json" in files:
            with open(os.path.join(folder, "contract.json")) as f:
                found[os.path.basename(folder)] = json.load(f)
    return found


CONTRACTS = contracts()
MAILABLE = sorted(name for name, c in CONTRACTS.items()
                  if c.get("mailable", True) and not c.get("abstract"))


def keys(name):
    """The keys of a type, its parents' as well."""
    contract = CONTRACTS[name]
    found = keys(contract["extends"]) if "extends" in contract else {}
    return {**found, **contract.get("keys", {})}


def leaves(value, path=()):
    """Paths to all strings in a payload."""
    if isinstance(value, str):
        yield path
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, path + (key,))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from leaves(inner, path + (number,))


def fullest(name):
    """The sample with every key; what may be anything is a text."""
    payload = json.loads(json.dumps(CONTRACTS[name]["samples"]["fullest"]))
    for key, about in keys(name).items():
        if about["type"] in ("any", "url", "string"):
            payload[key] = "x"
    return payload


def changed(payload, paths, text):
    """A copy with text at these paths."""
    payload = json.loads(json.dumps(payload))
    for path in paths:
        at = payload
        for step in path[:-1]:
            at = at[step]
        at[path[-1]] = text
    return payload


def as_bytes(payload):
    return json.dumps(payload, ensure_ascii=False).replace(
        NUL, "\\u0000").encode().replace(BAD.encode(), b"\xff\xc3")


class Tags(html.parser.HTMLParser):
    """What a reader of the HTML would act on."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.seen = collections.Counter()
        self.links = []

    def handle_starttag(self, tag, attrs):
        self.seen[tag, tuple(sorted(name for name, _ in attrs))] += 1
        self.links += [value for name, value in attrs
                       if name in ("href", "src", "action")]

    def handle_endtag(self, tag):
        self.seen["/" + tag] += 1

    def handle_comment(self, data):
        self.seen["comment"] += 1

    def unknown_decl(self, data):
        self.seen["declaration"] += 1

    def handle_pi(self, data):
        self.seen["instruction"] += 1


class Hostile(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="postbatch-hostile-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.path = program(cls.folder)

    def setUp(self):
        self.composer = subprocess.Popen([self.path, TEMPLATES],
                                         stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE)
        self.addCleanup(self.composer.stdout.close)

    def compose(self, name, payload, repeat=0):
        """(result, message or reason, bytes of notes)."""
        self.composer.stdin.write(b"%s %d %d\n%s" % (
            name.encode(), len(payload), repeat, payload))
        self.composer.stdin.flush()
        result, size, note = self.composer.stdout.readline().split()
        return (result.decode(), self.composer.stdout.read(int(size)),
                int(note))

    def end(self):
        """Ends the composer; gives the most memory it took, in MB."""
        self.composer.stdin.close()
        word, peak = self.composer.stdout.readline().split()
        self.assertEqual((word, self.composer.wait()), (b"peak", 0))
        return int(peak) / 1024

    def read(self, whole):
        """The letter, as two policies of Python's parser read it."""
        for line in whole.split(b"\r\n"):
            self.assertNotRegex(line, rb"[\r\n\x00]")
            self.assertLessEqual(len(line), 998)
        # Strict raises at the first defect.
        message = email.message_from_bytes(whole, policy=email.policy.strict)
        for name, header in message.items():
            self.assertEqual(list(header.defects), [], name)
            self.assertNotRegex(str(header), r"[\r\n\x00-\x08\x0b-\x1f\x7f]")
        message = email.message_from_bytes(whole, policy=email.policy.default)
        for part in message.walk():
            self.assertEqual(part.defects, [])
        return message

    def look(self, whole):
        """(names of header fields, tags of the HTML, links)."""
        message = self.read(whole)
        self.assertEqual(message["To"].addresses[0].addr_spec,
                         "jane@example.org")
        text, page = message.iter_parts()
        self.assertEqual((text.get_content_type(), page.get_content_type()),
                         ("text/plain", "text/html"))
        self.assertNotIn("\0", text.get_content())
        tags = Tags()
        tags.feed(page.get_content())
        tags.close()
        return sorted(n.lower() for n in message.keys()), tags.seen, tags.links

    def assert_innocent(self, name, payload, usual):
        result, whole, _ = self.compose(name, payload)
        self.assertEqual(result, "done", whole)
        fields, tags, links = self.look(whole)
        self.assertEqual(fields, usual[0])
        self.assertEqual(tags - usual[1], collections.Counter())
        for link in links:
            self.assertRegex(link, r"\A(https?://|mailto:|#)")
        self.assertNotIn("x-evil", fields)
        self.assertNotIn("bcc", fields)

    def usual(self, name):
        """What a letter about harmless texts has; links are harmless, too."""
        payload = fullest(name)
        links = [key for key, about in keys(name).items()
                 if about["type"] == "url"]
        payload = changed(payload, [path for path in leaves(payload)
                                    if path[0] not in links], "harmless")
        payload.update((key, "https://x.example/") for key in links)
        result, whole, notes = self.compose(name, as_bytes(payload))
        self.assertEqual((result, notes), ("done", 0), whole)
        return self.look(whole)

    def test_every_key_of_every_type(self):
        self.assertGreater(len(MAILABLE), 25)
        count = 0
        for name in MAILABLE:
            usual = self.usual(name)
            payload = fullest(name)
            paths = list(leaves(payload))
            for title, text in TEXTS.items():
                sets = [paths]
                if title in ALONE:
                    sets += [[path] for path in paths]
                for some in sets:
                    with self.subTest(type=name, text=title, keys=some):
                        self.assert_innocent(
                            name, as_bytes(changed(payload, some, text)),
                            usual)
                        count += 1
        harness.measured("%d hostile letters of %d types" % (
            count, len(MAILABLE)))
        self.end()

    def test_huge_values(self):
        """Mailed, cut, or set aside with a reason; never much memory."""
        results = collections.Counter()
        for name in MAILABLE:
            payload = fullest(name)
            paths = list(leaves(payload))
            for path in set(paths[:1] + paths[-1:]):
                # A byte 1 is not JSON: it is there for letter_corpus only.
                text = as_bytes(changed(payload, [path], NUL)).replace(
                    b"\\u0000", b"\x01")
                result, found, _ = self.compose(name, text, HUGE << 20)
                results[result] += 1
                if result == "done":
                    self.read(found)
                else:
                    self.assertEqual(result, "poison")
                    self.assertIn(b"larger than", found)
        self.assertGreater(results["done"], 0)
        peak = self.end()
        harness.measured("values of %d MB: %s, most memory %.0f MB" % (
            HUGE, dict(results), peak))
        if not harness.SANITIZED:
            self.assertLess(peak, PEAK_MB)


if __name__ == "__main__":
    unittest.main()
