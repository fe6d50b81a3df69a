#!/usr/bin/env python3
"""Reads composed mails with a parser that is not ours and compares.

    tests/e2e/test_parse_mail.py

The program mail_corpus (tests/e2e/mail_corpus.c) writes mails and what went
into them. Its path is taken from MAIL_CORPUS; without it, the program is
compiled for the occasion with $CC. Python's email package reads each mail, and
every field is compared with what it should have become, worked out here anew
from what went in. Only the standard library is needed.
"""
import datetime
import email
import email.header
import email.policy
import email.utils
import functools
import glob
import json
import os
import re
import shlex
import subprocess
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))

VALUE_MAX = 4096  # ENCODE_VALUE_MAX
NAME_MAX = 256    # ENCODE_NAME_MAX

# Fields that may stand once at most: RFC 5322 section 3.6 and their like.
SINGLE = ("Date", "From", "Sender", "Reply-To", "To", "Cc", "Bcc",
          "Message-ID", "In-Reply-To", "References", "Subject",
          "MIME-Version", "Content-Type", "Content-Transfer-Encoding",
          "Auto-Submitted", "X-Auto-Response-Suppress", "Precedence",
          "List-Id")

ATEXT = r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]+"
DOT_ATOM = rf"{ATEXT}(?:\.{ATEXT})*"
LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"

# White space and control characters: each run becomes a space in a header.
BLANKS = re.compile("[\0-\x20\x7f-\x9f\u2028\u2029]+")


def program(folder):
    """The path of mail_corpus, compiled into folder when there is none."""
    path = os.environ.get("MAIL_CORPUS")
    if path:
        return path
    path = os.path.join(folder, "mail_corpus")
    names = ("address.c", "chars.c", "date.c", "encode*.c", "message.c")
    sources = [source for name in names for source in
               sorted(glob.glob(os.path.join(ROOT, "dispatcher/mail", name)))]
    sources += [os.path.join(ROOT, "dispatcher/base", name)
                for name in ("buf.c", "mem.c", "utf8.c")]
    sources.append(os.path.join(ROOT, "tests/e2e/mail_corpus.c"))
    subprocess.run(
        shlex.split(os.environ.get("CC", "cc"))
        + ["-std=c11", "-D_GNU_SOURCE", "-O1", "-I",
           os.path.join(ROOT, "dispatcher"), "-o", path]
        + sources + ["-lidn2"], check=True)
    return path


def cut(raw, most):
    """raw without what is above most, cut between characters."""
    if len(raw) <= most:
        return raw
    for _ in range(3):
        if raw[most] & 0xC0 == 0x80:
            most -= 1
    return raw[:most]


def header_text(raw, most=VALUE_MAX):
    """What a header value should say."""
    text = cut(raw, most).decode("utf-8", "replace")
    return BLANKS.sub(" ", text).strip(" ")


def body_bytes(raw):
    """What a body should be: CRLF only, well-formed, with a last line end."""
    text = raw.decode("utf-8", "replace").replace("\0", "\ufffd")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.endswith("\n"):
        text += "\n"
    return text.replace("\n", "\r\n").encode("utf-8")


def ascii_address(raw):
    """The address as it should be written, or None when it should not."""
    match = re.fullmatch(rf"({DOT_ATOM})@([^@\s]+)",
                         raw.decode("utf-8", "replace"))
    if (match is None or len(match[1]) > 64 or len(raw) > 254
            or "=?" in match[1]):
        return None
    try:
        domain = match[2]
        if not domain.isascii():
            domain = domain.encode("idna").decode("ascii")
    except UnicodeError:
        return None
    if not re.fullmatch(rf"{LABEL}(?:\.{LABEL})*", domain):
        return None
    if domain.rsplit(".", 1)[-1].isdigit():
        return None
    return f"{match[1]}@{domain}"


def plain_id(raw, pattern):
    """The id in angle brackets, or None when it should be left out."""
    text = raw.decode("latin-1")
    if len(text) > 250 or "=?" in text or not re.fullmatch(pattern, text):
        return None
    return f"<{text}>"


def each_mail(check):
    """Makes check(self, entry, parts, raw, mail) a test of every mail."""
    @functools.wraps(check)
    def test(self):
        for entry, parts, raw, mail in self.mails:
            with self.subTest(file=entry["file"]):
                check(self, entry, parts, raw, mail)
    return test


def name_in(raw, field):
    """The display name in field, decoded.

    Not mail[field].addresses[0].display_name: Python before 3.13 keeps the
    white space between the encoded words of a phrase. The older interface of
    the same package does not.
    """
    value = email.message_from_bytes(raw)[field].replace("\r\n", "")
    name, _ = email.utils.parseaddr(value)
    return str(email.header.make_header(email.header.decode_header(name)))


class ParseMail(unittest.TestCase):
    """One test for each promise, each over the whole corpus."""

    @classmethod
    def setUpClass(cls):
        cls.mails = []
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([program(folder), folder], check=True,
                           stdout=subprocess.DEVNULL)
            with open(os.path.join(folder, "corpus.json"), "rb") as file:
                entries = json.load(file)
            for entry in entries:
                with open(os.path.join(folder, entry["file"]), "rb") as file:
                    raw = file.read()
                parts = {name: bytes.fromhex(value)
                         for name, value in entry["parts"].items()}
                cls.mails.append((entry, parts, raw, email.message_from_bytes(
                    raw, policy=email.policy.default)))

    def test_size_of_corpus(self):
        self.assertGreater(len(self.mails), 500)

    @each_mail
    def test_bytes(self, _entry, _parts, raw, _mail):
        self.assertTrue(raw.endswith(b"\r\n"))
        self.assertTrue(raw.isascii())
        self.assertNotIn(b"\0", raw)
        lines = raw[:-2].split(b"\r\n")
        self.assertNotIn(b"\r", b"".join(lines))
        self.assertNotIn(b"\n", b"".join(lines))
        for line in lines:
            self.assertLessEqual(len(line), 998)
            self.assertFalse(line.startswith(b"."), line)
            self.assertFalse(line.startswith(b"From "), line)
            self.assertEqual(line, line.rstrip(b" \t"))

    @each_mail
    def test_line_lengths(self, _entry, _parts, raw, _mail):
        head, body = raw.split(b"\r\n\r\n", 1)
        for line in head.split(b"\r\n"):
            self.assertRegex(line, rb"\A(?:[!-9;-~]+:|[ ]\S)")
            if b"=?UTF-8?" in line and b" <" not in line:
                self.assertLessEqual(len(line), 76)
            elif len(line) > 78:
                # One token, with nothing before it but the field's name.
                self.assertRegex(line, rb"\A(?:[!-9;-~]+:)? [!-~]+\Z")
        for word in re.findall(rb"=\?UTF-8\?[BQ]\?[^ ?]*\?=", head):
            self.assertLessEqual(len(word), 75)
        for line in body.split(b"\r\n"):
            self.assertLessEqual(len(line), 76)

    @each_mail
    def test_no_defects(self, _entry, _parts, _raw, mail):
        for part in mail.walk():
            self.assertEqual(part.defects, [])
            for name, value in part.items():
                self.assertEqual(list(value.defects), [], name)

    @each_mail
    def test_fields_stand_once(self, entry, _parts, _raw, mail):
        known = {name.lower() for name in SINGLE}
        names = [name.lower() for name in mail.keys()]
        self.assertEqual(len(names), len(set(names)))
        extra = {bytes.fromhex(name).decode().lower()
                 for name, _ in entry["extra"]}
        self.assertLessEqual(set(names), known | extra)
        for name in ("cc", "bcc", "sender"):
            self.assertNotIn(name, names)

    @each_mail
    def test_subject(self, _entry, parts, _raw, mail):
        self.assertEqual(mail["subject"] or "",
                         header_text(parts["subject"]))

    @each_mail
    def test_addresses(self, _entry, parts, raw, mail):
        fields = (("from", "from_name", "from_email"),
                  ("to", "to_name", "to_email"),
                  ("reply-to", None, "reply_to"))
        for field, name, address in fields:
            want = ascii_address(parts[address])
            if want is None:
                self.assertNotIn(field, mail)
                continue
            self.assertEqual(len(mail[field].addresses), 1)
            self.assertEqual(mail[field].addresses[0].addr_spec, want)
            self.assertEqual(
                name_in(raw, field),
                header_text(parts[name], NAME_MAX) if name else "")

    @each_mail
    def test_ids(self, _entry, parts, _raw, mail):
        own = plain_id(parts["message_id"], rf"{DOT_ATOM}@{DOT_ATOM}")
        thread = plain_id(parts["thread_id"], rf"{DOT_ATOM}@{DOT_ATOM}")
        if parts["thread_id"] == parts["message_id"]:
            thread = None
        self.assertEqual(mail["message-id"], own)
        for name in ("in-reply-to", "references"):
            got = mail[name]
            self.assertEqual(got and got.strip(), thread)

    @each_mail
    def test_list_id(self, _entry, parts, raw, mail):
        want = plain_id(parts["list_id"], DOT_ATOM)
        if want is None:
            self.assertNotIn("list-id", mail)
            return
        self.assertTrue(mail["list-id"].endswith(want))
        self.assertEqual(name_in(raw, "list-id"),
                         header_text(parts["list_name"], NAME_MAX))

    @each_mail
    def test_date(self, entry, _parts, _raw, mail):
        want = datetime.datetime.fromtimestamp(
            entry["date_us"] // 1000000, datetime.timezone.utc)
        self.assertEqual(mail["date"].datetime, want)
        self.assertEqual(str(mail["date"]),
                         email.utils.format_datetime(want))

    @each_mail
    def test_automatic_mail(self, entry, _parts, _raw, mail):
        self.assertEqual(mail["auto-submitted"], "auto-generated")
        self.assertEqual(mail["x-auto-response-suppress"],
                         "OOF, DR, RN, NRN, AutoReply")
        self.assertEqual(mail["precedence"],
                         "bulk" if entry["precedence_bulk"] else None)
        self.assertEqual(mail["mime-version"], "1.0")

    @each_mail
    def test_extra(self, entry, _parts, _raw, mail):
        for name, value in entry["extra"]:
            name = bytes.fromhex(name).decode()
            want = header_text(bytes.fromhex(value))
            self.assertEqual(mail[name] or "", want)

    @each_mail
    def test_bodies(self, _entry, parts, _raw, mail):
        kinds = [kind for kind in ("text", "html") if parts[kind]]
        if len(kinds) == 2:
            self.assertEqual(mail.get_content_type(),
                             "multipart/alternative")
            self.assertIn("=_", mail.get_boundary())
            bodies = list(mail.iter_parts())
        else:
            kinds = kinds or ["text"]
            bodies = [mail]
        self.assertEqual(len(bodies), len(kinds))
        for kind, body in zip(kinds, bodies):
            self.assertEqual(
                body.get_content_type(),
                "text/plain" if kind == "text" else "text/html")
            self.assertEqual(body.get_content_charset(), "utf-8")
            self.assertIn(body["content-transfer-encoding"],
                          ("quoted-printable", "base64"))
            self.assertEqual(body.get_payload(decode=True),
                             body_bytes(parts[kind]))


if __name__ == "__main__":
    unittest.main()
