"""postbatch preview: on a terminal, from the database, in a browser."""

import email
import email.policy
import json
import os
import select
import shutil
import socket
import subprocess
import tempfile
import unittest
import urllib.error
import urllib.parse
import urllib.request

import browser
import harness

SCRIPT = "<script>window.ran = 1; document.title = 'ran'</script>"
IMAGE = "<img src=x onerror=\"parent.ran = 1\">"


def parse(message):
    return email.message_from_bytes(message, policy=email.policy.default)


def part(mail, kind):
    """The words of a part, with the line ends that templates have."""
    content = mail.get_body((kind,)).get_content()
    return content.replace("\r\n", "\n")


class Folder(unittest.TestCase):
    """A test with a folder of templates that it may change."""

    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="postbatch-preview-")
        self.addCleanup(shutil.rmtree, self.directory)
        self.templates = os.path.join(self.directory, "templates")
        shutil.copytree(os.path.join(harness.ROOT, "templates"),
                        self.templates)
        self.config = os.path.join(self.directory, "postbatch.ini")
        with open(self.config, "w") as f:
            f.write("[templates]\npath = %s\n" % self.templates)

    def command(self, *arguments, text=True):
        return subprocess.run(
            [harness.POSTBATCH, "-c", self.config, "preview"] +
            list(arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=text, env=harness.ENVIRONMENT, timeout=60)

    def write(self, name, text):
        with open(os.path.join(self.templates, name), "w") as f:
            f.write(text)

    def read(self, name):
        with open(os.path.join(self.templates, name)) as f:
            return f.read()


class Terminal(Folder):
    def test_all_types_are_listed_with_their_samples(self):
        done = self.command()
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("generic\n", done.stdout)
        self.assertIn("  BuildFail - a package build ended in failure\n"
                      '      least, fullest, "first failure"\n', done.stdout)
        self.assertIn(", together\n", done.stdout)
        self.assertNotIn("BuildSuccess", done.stdout)  # is never mailed

    def test_each_part_is_what_a_reader_of_the_message_gets(self):
        mail = parse(self.command("BuildFail", "--eml", text=False).stdout)
        self.assertEqual(mail["Subject"], "Build failed: openSUSE:Factory/"
                         "hello in standard/aarch64")
        self.assertEqual(mail["X-Postbatch-Role"], "maintainer")
        for option, kind in (("--text", "plain"), ("--html", "html")):
            done = self.command("BuildFail", option)
            self.assertEqual(done.returncode, 0)
            self.assertEqual(done.stdout, part(mail, kind))

    def test_the_summary_has_subject_headers_and_text(self):
        done = self.command("notice", "--sample", "to a topic")
        head, _, text = done.stdout.partition("\n\n")[2].partition("\n\n")
        self.assertTrue(done.stdout.startswith(
            "Subject, decoded: New mirror in São Paulo\n"))
        self.assertIn("Subject: =?UTF-8?", head)
        self.assertIn("To: Jane Doe <jane@example.org>\n", head)
        self.assertTrue(text.startswith("Requests from Brazil"))

    def test_a_sample_is_chosen_by_name(self):
        least = self.command("BuildFail", "--sample", "least", "--text")
        self.assertEqual(least.returncode, 0)
        self.assertNotIn("Worker:", least.stdout)
        self.assertIn("Worker:", self.command("BuildFail", "--text").stdout)
        together = self.command("gathered_notice", "--sample", "together",
                                "--text").stdout
        self.assertIn("There are 3 messages for you.", together)

    def test_a_digest_is_about_events_of_other_types(self):
        done = self.command("digest", "--text")
        self.assertEqual(done.returncode, 0)
        self.assertIn("12 events", done.stdout)
        self.assertIn("* openSUSE:Factory/hello failed to build", done.stdout)
        self.assertNotIn("* Digest", done.stdout)
        done = self.command("digest", "--sample", "least", "--text")
        self.assertIn("* Digest", done.stdout)

    def test_what_cannot_be_shown_is_explained(self):
        for arguments, words in (
                (("BuildFial",), 'did you mean "BuildFail"?'),
                (("BuildFail", "--sample", "leats"),
                 'BuildFail/contract.json: there is no sample "leats"; did '
                 'you mean "least"?'),
                (("BuildFail", "--sample", "zzzzzzzz"), '"first failure"'),
                (("BuildSuccess",), "are not mailed"),
                (("../BuildFail",), "there is no event type"),
                (("",), "there is no event type")):
            done = self.command(*arguments)
            self.assertEqual((done.returncode, done.stdout), (65, ""),
                             arguments)
            self.assertIn(words, done.stderr)

    def test_a_broken_template_is_named_with_its_line(self):
        self.write("obs/BuildFail/text.mustache", "one\n{{#package}}\n")
        done = self.command("BuildFail")
        self.assertEqual(done.returncode, 65)
        self.assertRegex(done.stderr, r"BuildFail/text\.mustache:2: ")
        done = self.command()
        self.assertEqual(done.returncode, 65)
        self.assertRegex(done.stdout, r"broken: BuildFail - .*:2: ")
        self.assertEqual(self.command("ServiceFail").returncode, 0)

    def test_orders_that_make_no_sense_are_refused(self):
        for arguments in (("--text",), ("BuildFail", "x"),
                          ("BuildFail", "--text", "--html"),
                          ("BuildFail", "--serve", "127.0.0.1:0"),
                          ("--sample", "least"), ("--expose",),
                          ("--event", "1", "--sample", "least")):
            done = self.command(*arguments)
            self.assertEqual(done.returncode, 64, arguments)
            self.assertIn("usage: postbatch preview", done.stderr)

    def test_without_a_database_there_is_no_event(self):
        done = self.command("--event", "16")
        self.assertEqual(done.returncode, 69)


class Database(harness.DispatchCase):
    keeps = ("maildir",)

    def preview(self, *arguments):
        return subprocess.run(
            [harness.POSTBATCH, "-c", self.dispatcher.config, "preview"] +
            list(arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=harness.ENVIRONMENT, timeout=60)

    def state(self):
        return self.sql("SELECT (SELECT count(*) FROM postbatch.event),"
                        " (SELECT count(*) FROM postbatch.batch),"
                        " (SELECT count(*) FROM postbatch.ledger)")

    def notice(self):
        self.recipients(2)
        return str(self.emit("notice", {
            "recipient": 2, "subject": "Grüße", "body": "one\n.two\nFrom me",
            "url": "https://example.org/?a=1&b=2"}))

    def assert_same_letter(self, one, other):
        for name in ("From", "To", "Subject", "Date", "List-Id",
                     "X-Postbatch-Type", "X-Postbatch-Role",
                     "X-Postbatch-Event"):
            self.assertEqual(one[name], other[name], name)
        for kind in ("plain", "html"):
            self.assertEqual(part(one, kind), part(other, kind))

    def test_the_letter_is_the_one_that_is_sent(self):
        event = self.notice()
        before = self.state()
        shown = self.preview("--event", event, "--recipient", "u2", "--eml")
        self.assertEqual(shown.returncode, 0, shown.stderr)
        self.assertEqual(self.state(), before)
        self.run_once()
        [sent] = self.sink.mails()
        self.assert_same_letter(parse(shown.stdout), sent)
        again = self.preview("notice", "--event", event, "--recipient",
                             "u2@example.org", "--eml")
        self.assert_same_letter(parse(again.stdout), sent)

    def test_event_and_person_each_alone(self):
        event = self.notice()
        mail = parse(self.preview("--event", event, "--eml").stdout)
        self.assertEqual(mail["To"], "Jane Doe <jane@example.org>")
        self.assertEqual(mail["Subject"], "Grüße")
        mail = parse(self.preview("BuildFail", "--recipient", "1",
                                  "--eml").stdout)
        self.assertEqual(mail["To"], "User 1 <u1@example.org>")

    def test_what_is_not_there_is_named(self):
        event = self.notice()
        for arguments, words in (
                (("--event", "4711"), b"there is no event 4711"),
                (("--event", "seven"), b"the database says"),
                (("--event", event, "--recipient", "u9"),
                 b'there is no recipient with the key, address or id "u9"'),
                (("BuildFail", "--event", event),
                 b'is of type "notice", not "BuildFail"')):
            done = self.preview(*arguments)
            self.assertEqual((done.returncode, done.stdout), (65, b""),
                             arguments)
            self.assertIn(words, done.stderr)

    def test_poison_is_shown_as_the_quarantine_has_it(self):
        self.recipients(1)
        event = str(self.emit("notice", {
            "recipient": 1, "subject": "x", "body": ["no", "text"]}))
        done = self.preview("--event", event)
        self.assertEqual(done.returncode, 65)
        self.run_once()
        reason = self.value("SELECT reason FROM postbatch.quarantine")
        self.assertIn(reason, done.stderr.decode())


class Server(Folder):
    """The page's server, asked by hand."""

    def setUp(self):
        super().setUp()
        self.add_types()
        self.serve()

    def add_types(self):
        """More types, before the server starts."""

    def serve(self, where="127.0.0.1:0"):
        self.process = subprocess.Popen(
            [harness.POSTBATCH, "-c", self.config, "preview", "--serve",
             where], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, env=harness.ENVIRONMENT)
        self.addCleanup(self.end)
        self.url = self.process.stdout.readline().split(" ")[0]
        self.port = urllib.parse.urlsplit(self.url).port

    def end(self):
        status = harness.stop_process(self.process)
        self.process.stdout.close()
        self.process.stderr.close()
        return status

    def get(self, path, **headers):
        """(status, headers, body)"""
        request = urllib.request.Request(self.url + path, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, error.read()

    def send(self, data):
        """The first line of the answer to raw bytes; "" when there is none."""
        with socket.create_connection(("127.0.0.1", self.port), 10) as s:
            try:
                s.sendall(data)
                return s.makefile("rb").readline().decode().strip()
            except ConnectionError:
                return ""

    def loaded(self):
        return json.loads(self.get("types")[2])["loaded"]


class Hostile(Server):
    def test_only_what_is_listed_is_served(self):
        for path in ("/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd",
                     "//etc/passwd", "/page/page.css", "/page.css/",
                     "/queries/lease.sql", "/0001_tables.sql", "/x%00y",
                     "/page.css%00", "/" + "a" * 5000):
            line = self.send(("GET %s HTTP/1.1\r\nHost: localhost\r\n"
                              "Connection: close\r\n\r\n" % path).encode())
            # What stands behind a NUL is nothing to whoever compares.
            wanted = "200" if path == "/page.css%00" else "404"
            self.assertEqual(line.split(" ")[1], wanted, path)

    def test_bad_requests_are_turned_away(self):
        head = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
        for data, wanted in (
                (head + b"X: " + b"a" * 40000 + b"\r\n\r\n", ("431",)),
                (head + b"X: y\r\n" * 10000 + b"\r\n", ("431", "413")),
                (b"GET /" + b"a" * 40000 + b" HTTP/1.1\r\n\r\n", ("414",)),
                (b"POST / HTTP/1.1\r\nHost: localhost\r\n"
                 b"Content-Length: 5\r\n\r\nhello", ("405",)),
                (b"DELETE /types HTTP/1.1\r\nHost: localhost\r\n\r\n",
                 ("405",)),
                (b"GET / HTTP/1.1\r\n\r\n", ("400", "421")),
                (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 9 +
                 b"\r\n\r\n", ("400", ""))):
            line = self.send(data)
            self.assertIn((line.split(" ") + [""])[1] if line else "",
                          wanted, data[:60])
        self.assertEqual(self.get("")[0], 200)

    def test_a_head_alone_and_connections_that_stay(self):
        with socket.create_connection(("127.0.0.1", self.port), 10) as s:
            f = s.makefile("rb")
            for method in (b"HEAD", b"GET", b"HEAD"):
                s.sendall(method + b" /page.css HTTP/1.1\r\nHost: localhost"
                          b"\r\n\r\n")
                self.assertEqual(f.readline(), b"HTTP/1.1 200 OK\r\n")
                fields = dict(line.strip().split(b": ", 1)
                              for line in iter(f.readline, b"\r\n"))
                size = int(fields[b"Content-Length"])
                self.assertGreater(size, 1000)
                if method == b"GET":
                    self.assertEqual(len(f.read(size)), size)

    def test_other_names_for_this_host_are_not_answered(self):
        for host in ("evil.example", "evil.example:%d" % self.port,
                     "127.0.0.1.evil.example", "192.0.2.1", "[::2]", "",
                     "a" * 300):
            self.assertIn(self.get("types", Host=host)[0], (400, 421), host)
        for host in ("localhost", "LOCALHOST:1", "127.0.0.1", "[::1]:5"):
            self.assertEqual(self.get("types", Host=host)[0], 200, host)

    def test_unknown_types_and_samples(self):
        for query in ("type=Nox", "type=", "", "type=BuildFail&sample=nox",
                      "type=%3Cscript%3E", "type=" + "x" * 3000,
                      "type=%ff%fe%00", "sample=least"):
            status, headers, body = self.get("letter?" + query)
            self.assertEqual(status, 422, query)
            self.assertTrue(json.loads(body.decode(errors="replace"))["why"])
            status, headers, body = self.get("letter.html?" + query)
            self.assertEqual(status, 422)
            self.assertEqual(headers.get_content_type(), "text/plain")
            self.assertEqual(self.get("letter.eml?" + query)[0], 422)

    def test_letters_may_load_and_run_nothing(self):
        _, headers, body = self.get("letter.html?type=BuildFail")
        policy = headers["Content-Security-Policy"]
        self.assertIn("default-src 'none'", policy)
        self.assertIn("sandbox allow-same-origin;", policy)
        self.assertNotIn("script-src", policy)
        self.assertEqual(headers["X-Content-Type-Options"], "nosniff")
        self.assertIn(b"(prefers-color-scheme: dark)", body)
        dark = self.get("letter.html?type=BuildFail&scheme=dark")[2]
        self.assertNotIn(b"prefers-color-scheme", dark)

    def test_many_who_wait_leave_room_for_others(self):
        ask = (b"GET /news?seen=1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        waiting = [socket.create_connection(("127.0.0.1", self.port), 10)
                   for _ in range(40)]
        for s in waiting:
            self.addCleanup(s.close)
            s.sendall(ask)
        answered = set()

        def are_answered(count):
            left = [s for s in waiting if s not in answered]
            for s in select.select(left, [], [], 0)[0]:
                self.assertEqual(s.recv(12), b"HTTP/1.1 200")
                answered.add(s)
            return len(answered) >= count

        harness.wait_for(lambda: are_answered(8), "eight that gave way")
        self.assertEqual(self.get("")[0], 200)
        self.assertEqual(len(answered), 8)
        self.write("generic/notice/subject.mustache", "changed\n")
        harness.wait_for(lambda: are_answered(40), "an answer to all")

    def test_places_that_others_can_reach_must_be_asked_for(self):
        for where, words in (
                ("0.0.0.0:0", "--expose allows it"),
                ("[::]:0", "--expose allows it"),
                ("example.org:80", "is no place to listen at"),
                ("127.0.0.1", "is no place to listen at"),
                ("127.0.0.1:65536", "is no place to listen at"),
                ("127.0.0.1:-1", "is no place to listen at")):
            done = self.command("--serve", where)
            self.assertEqual(done.returncode, 64, where)
            self.assertIn(words, done.stderr)
        done = self.command("--serve", "127.0.0.1:%d" % self.port)
        self.assertEqual(done.returncode, 69)
        self.assertIn("already in use", done.stderr)

    def test_it_ends_when_it_is_told_to(self):
        self.assertEqual(self.end(), 0)

    def test_new_folders_are_followed(self):
        folder = os.path.join(self.templates, "mine", "Backup")
        before = self.loaded()
        os.makedirs(folder)
        harness.wait_for(lambda: self.loaded() > before, "the first change")
        shutil.copytree(os.path.join(self.templates, "generic", "notice"),
                        folder, dirs_exist_ok=True)
        harness.wait_for(lambda: b'"Backup"' in self.get("types")[2],
                         "the new type")
        before = self.loaded()
        self.write("mine/Backup/subject.mustache", "Backup\n")
        harness.wait_for(lambda: self.loaded() > before, "the second change")


class Page(Server):
    """The page, looked at in a browser."""

    chromium = None

    @classmethod
    def setUpClass(cls):
        cls.chromium = browser.Browser()
        cls.addClassCleanup(cls.chromium.stop)

    def add_types(self):
        harness.make_type(
            self.templates, "Nasty", text="{{subject}}\n",
            html="<p id=words>words</p>{{{subject}}}\n",
            samples={"least": {"subject": SCRIPT + IMAGE},
                     "fullest": {"subject": SCRIPT + IMAGE, "recipient": 1,
                                 "recipients": [1], "topic": "news",
                                 "sender": "jane"}})

    def open(self, address):
        self.chromium.open("about:blank")
        self.chromium.open(self.url + "#" + address)
        self.wait("return !document.getElementById('letter').hidden",
                  "the letter")

    def wait(self, script, what, *arguments):
        return self.chromium.wait(script, what, *arguments)

    def text(self, element):
        return self.chromium.run(
            "return document.getElementById(arguments[0]).textContent",
            element)

    def frame_has(self, frame, words):
        return self.wait("""
            const page = document.getElementById(arguments[0]).contentDocument;
            return page && page.body &&
                page.body.textContent.includes(arguments[1]);""",
                         "%r in the frame" % words, frame, words)

    def test_all_types_are_there_and_can_be_searched(self):
        self.open("")
        names = self.chromium.run("""
            return [...document.querySelectorAll('#types a')].map(
                (a) => a.textContent)""")
        listed = [line.split(" ")[2] for line in
                  self.command().stdout.splitlines() if " - " in line]
        self.assertEqual(names, listed)
        self.assertGreater(len(names), 30)
        self.assertEqual(self.chromium.run("""
            const search = document.getElementById('search');
            search.value = 'obs token';
            search.dispatchEvent(new Event('input'));
            return [...document.querySelectorAll('#types a')].map(
                (a) => a.textContent)"""),
            ["TokenDisabled", "TokenMembershipUpdate", "TokenStateChange"])

    def test_a_sample_shows_all_its_parts(self):
        self.open("RequestCreate")
        self.chromium.run("""
            [...document.querySelectorAll('#samples button')].find(
                (b) => b.textContent === 'removal').click()""")
        self.wait("return location.hash.includes('/removal/')", "the choice")
        mail = parse(self.command("RequestCreate", "--sample", "removal",
                                  "--eml", text=False).stdout)
        self.wait("return document.getElementById('subject').textContent ==="
                  " arguments[0]", "the subject", mail["Subject"])
        self.assertEqual(self.text("text"), part(mail, "plain"))
        self.assertIn("source maintainer", self.text("to"))
        self.assertIn("X-Postbatch-Type", self.text("headers"))
        self.assertIn("multipart/alternative", self.text("source"))
        self.assertEqual(self.text("data"), json.dumps(
            json.loads(self.read("obs/RequestCreate/contract.json"))
            ["samples"]["removal"], indent=2, ensure_ascii=False))
        for frame, width in (("wide", 720), ("narrow", 375)):
            self.frame_has(frame, "Choose which mails you get")
            self.assertEqual(self.chromium.run(
                "return document.getElementById(arguments[0]).width", frame),
                str(width))
        for tab in ("text", "headers", "source", "data", "letter"):
            self.assertTrue(self.wait("""
                document.getElementById('tab-' + arguments[0]).click();
                return !document.getElementById('pane-' + arguments[0]).hidden
                """, "the tab " + tab, tab))

    def test_light_and_dark(self):
        self.open("notice/least/letter/light")
        colour = """
            const page = document.getElementById('wide').contentDocument;
            return page && page.querySelector('.sheet') && getComputedStyle(
                page.querySelector('.sheet')).backgroundColor"""
        self.wait("return (() => {%s})() === 'rgb(255, 255, 255)'" % colour,
                  "a light letter")
        self.chromium.run("""document.querySelector(
            '#schemes [data-scheme=dark]').click()""")
        self.wait("return (() => {%s})() === 'rgb(27, 31, 36)'" % colour,
                  "a dark letter")

    def test_links_of_a_letter_open_elsewhere(self):
        self.open("notice/fullest")
        self.frame_has("wide", "Follow the work")
        self.chromium.run("window.open = (url) => { window.opened = url; }")
        click = """
            const page = document.getElementById('wide').contentDocument;
            const link = page.querySelector('.go a');
            if (arguments[0]) { link.href = arguments[0]; }
            link.click();
            const opened = window.opened;
            window.opened = undefined;
            return opened || null;"""
        self.assertEqual(
            self.chromium.run(click, None),
            "https://status.example.org/incidents/7781")
        self.assertIsNone(
            self.chromium.run(click, "javascript:parent.ran = 1"))
        self.assertEqual(self.chromium.run("return window.ran || 0"), 0)

    def test_the_page_follows_the_files(self):
        self.open("notice/least")
        self.frame_has("wide", "Maintenance window")
        self.chromium.run("window.mark = 1")
        html = self.read("generic/notice/html.mustache")
        self.write("generic/notice/html.mustache",
                   html.replace("<h1>", "<h1>Quite new words: "))
        self.frame_has("wide", "Quite new words: Maintenance")
        self.frame_has("narrow", "Quite new words: Maintenance")

        self.write("generic/notice/html.mustache", html + "\n{{#open}}\n")
        self.wait("return !document.getElementById('fault').hidden",
                  "the fault")
        line = html.count("\n") + 2
        self.assertIn("generic/notice/html.mustache:%d: " % line,
                      self.text("fault-text"))
        self.assertIn("html.mustache:%d: " % line, self.text("problems"))

        self.write("generic/notice/html.mustache", html)
        self.wait("return document.getElementById('fault').hidden",
                  "the letter again")
        self.frame_has("wide", "Maintenance window")
        self.assertEqual(self.chromium.run("return window.mark"), 1)

    def test_what_a_sample_brings_is_shown_and_does_not_run(self):
        self.open("Nasty/least")
        self.frame_has("wide", "words")
        self.frame_has("narrow", "words")
        self.assertEqual(self.text("subject"), SCRIPT + IMAGE)
        self.assertEqual(self.chromium.run("""
            const frame = document.getElementById('wide');
            return [frame.contentDocument.querySelectorAll('script').length,
                    frame.contentDocument.querySelectorAll('img').length,
                    document.querySelectorAll('main script, main img').length,
                    frame.contentWindow.ran || 0, window.ran || 0,
                    frame.contentDocument.title]"""), [1, 1, 0, 0, 0, ""])
        self.chromium.open(self.url + "letter.html?type=Nasty&sample=least")
        self.assertEqual(self.chromium.run(
            "return [document.title, window.ran || 0,"
            " document.scripts.length]"), ["", 0, 1])

    def test_a_server_that_is_gone_is_missed(self):
        self.open("notice/least")
        self.wait("return document.getElementById('status').className ==="
                  " 'status good'", "the good state")
        self.end()
        self.wait("return document.getElementById('status-text').textContent"
                  ".includes('gone')", "the word that it is gone")
        self.serve("127.0.0.1:%d" % self.port)
        self.wait("return document.getElementById('status').className ==="
                  " 'status good'", "the good state again")


if __name__ == "__main__":
    unittest.main()
