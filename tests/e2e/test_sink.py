"""The sink itself: every feature that other tests rely on, by raw sockets.

Runs build/postbatch-sink, or the program that POSTBATCH_SINK names.
"""

import base64
import json
import os
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SINK = os.environ.get("POSTBATCH_SINK", os.path.join(ROOT, "build", "postbatch-sink"))


def letter(number=1, extra="", body="Hello.\r\n"):
    return (
        f"Message-ID: <{number}@test.example>\r\n"
        "Date: Mon, 01 Jan 2024 00:00:00 +0000\r\n"
        f"From: a@test.example\r\nTo: b@test.example\r\n{extra}\r\n{body}"
    ).encode("latin-1")


def envelope(number=1, rcpt="b@test.example", options=""):
    return (
        f"MAIL FROM:<a{number}@test.example>{options}\r\nRCPT TO:<{rcpt}>\r\n"
    ).encode("latin-1")


def bdat(content, last=True):
    return b"BDAT %d%s\r\n" % (len(content), b" LAST" if last else b"") + content


def mail(number=1, rcpt="b@test.example", **more):
    return envelope(number, rcpt) + bdat(letter(number, **more))


class Sink:
    """A running sink; used by `with`."""

    def __init__(self, *options, listen="--listen", address="127.0.0.1:0"):
        self.folder = tempfile.TemporaryDirectory()
        self.summary_path = os.path.join(self.folder.name, "summary.json")
        self.process = subprocess.Popen(
            [SINK, listen, address, "--count", "--summary", self.summary_path]
            + list(options),
            stdout=subprocess.PIPE,
            text=True,
        )
        words = self.process.stdout.readline().split()
        if not words:
            raise RuntimeError("the sink did not start")
        self.word, self.address = words
        self.port = int(self.address.rsplit(":", 1)[1]) if ":" in self.address else 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.folder.cleanup()

    def stop(self):
        """Ends the sink in peace; returns its summary."""
        self.process.send_signal(signal.SIGTERM)
        if self.process.wait(10) != 0:
            raise AssertionError(f"exit status {self.process.returncode}")
        with open(self.summary_path, encoding="ascii") as file:
            return json.load(file)

    def connect(self, hello=True):
        return Client(socket.create_connection(("127.0.0.1", self.port), 10), hello)


class Client:
    def __init__(self, sock, hello=True, greeting=True):
        self.sock = sock
        self.sock.settimeout(10)
        self.data = b""
        if greeting:
            self.greeting = self.reply()
        if hello:
            self.offer = self.say("EHLO client.example").split("\r\n")

    def send(self, data):
        self.sock.sendall(data.encode("latin-1") if isinstance(data, str) else data)

    def line(self):
        while b"\n" not in self.data:
            got = self.sock.recv(65536)
            if not got:
                raise EOFError(self.data)
            self.data += got
        line, self.data = self.data.split(b"\n", 1)
        return line.decode("latin-1").rstrip("\r")

    def reply(self):
        """One reply, its lines joined by CRLF."""
        lines = [self.line()]
        while lines[-1][3:4] == "-":
            lines.append(self.line())
        return "\r\n".join(lines)

    def replies(self, count):
        return [self.reply() for _ in range(count)]

    def codes(self, count):
        return [int(reply[:3]) for reply in self.replies(count)]

    def say(self, command):
        self.send(command + "\r\n")
        return self.reply()

    def over(self):
        """True when the server has closed the connection."""
        try:
            rest = self.sock.recv(1)
        except ConnectionResetError:
            return True
        return rest == b"" and self.data == b""

    def silent(self, seconds=0.3):
        self.sock.settimeout(seconds)
        try:
            return self.data == b"" and self.sock.recv(1, socket.MSG_PEEK) is None
        except TimeoutError:
            return True
        finally:
            self.sock.settimeout(10)

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class SinkCase(unittest.TestCase):
    def offences(self, summary):
        return [item["what"] for item in summary["offences"]]

    def run_bytes(self, data, replies, *options, pieces=None):
        """Sends data after EHLO; returns reply codes and summary."""
        with Sink(*options) as sink, sink.connect() as client:
            for piece in pieces or [data]:
                client.send(piece)
            codes = client.codes(replies)
            return codes, sink.stop()


class Conversation(SinkCase):
    def test_offer(self):
        with Sink("--size", "1000", "--limits", "MAILMAX=5 RCPTMAX=2") as sink:
            with sink.connect() as client:
                offer = [line[4:] for line in client.offer]
                self.assertEqual(client.greeting[:4], "220 ")
        for word in ["PIPELINING", "CHUNKING", "8BITMIME", "SMTPUTF8", "SIZE 1000",
                     "LIMITS MAILMAX=5 RCPTMAX=2", "ENHANCEDSTATUSCODES"]:
            self.assertIn(word, offer)

    def test_hidden(self):
        hidden = ["pipelining", "chunking", "8bitmime", "smtputf8", "size"]
        with Sink(*["--no-" + word for word in hidden]) as sink:
            with sink.connect() as client:
                offer = [line[4:].lower() for line in client.offer]
        for word in hidden:
            self.assertNotIn(word, offer)

    def test_streamed(self):
        stream = b"".join(mail(i) for i in range(1, 501))
        codes, summary = self.run_bytes(stream, 1500)
        self.assertEqual(codes, [250] * 1500)
        self.assertEqual(
            [summary[k] for k in ["accepted", "distinct", "doubles", "by_bdat", "bytes"]],
            [500, 500, 0, 500, sum(len(letter(i)) for i in range(1, 501))],
        )
        self.assertEqual(summary["offence_count"], 0)
        self.assertEqual(summary["commands"], 1501)

    def test_glued(self):
        """Content, dot and the next envelope in one group (RFC 2920)."""
        with Sink() as sink, sink.connect() as client:
            client.send(envelope(0) + b"DATA\r\n")
            self.assertEqual(client.codes(3), [250, 250, 354])
            for i in range(1, 51):
                body = letter(i, body="..dot\r\n.. \r\nend\r\n")
                client.send(body + b".\r\n" + envelope(i) + b"DATA\r\n")
                self.assertEqual(client.codes(4), [250, 250, 250, 354])
            client.send(letter(51) + b".\r\n")
            client.reply()
            self.assertEqual(client.say("QUIT")[:3], "221")
            self.assertTrue(client.over())
            summary = sink.stop()
        self.assertEqual(self.offences(summary), [])
        self.assertEqual(summary["accepted"], 51)
        self.assertEqual(summary["without_quit"], 0)
        content = len(letter(51)) + sum(
            len(letter(i, body=".dot\r\n. \r\nend\r\n")) for i in range(1, 51))
        self.assertEqual(summary["bytes"], content)

    def test_every_cut(self):
        """The stream may be cut between any two bytes."""
        stream = mail(1) + envelope(2) + b"DATA\r\n"
        content = letter(2, body="..\r\n..x\r\n.") + b".\r\nend\r\n.\r\nQUIT\r\n"
        with Sink() as sink:
            for step in (1, 2, 3, 7):
                with sink.connect() as client:
                    for i in range(0, len(stream), step):
                        client.send(stream[i:i + step])
                        time.sleep(0.0002)
                    self.assertEqual(client.codes(6), [250] * 5 + [354])
                    for i in range(0, len(content), step):
                        client.send(content[i:i + step])
                        time.sleep(0.0002)
                    self.assertEqual(client.codes(2), [250, 221])
            summary = sink.stop()
        self.assertEqual(self.offences(summary), [])
        self.assertEqual((summary["accepted"], summary["distinct"]), (8, 2))
        self.assertEqual(summary["doubles"], 6)
        self.assertEqual(
            sorted((d["message_id"], d["times"]) for d in summary["double_examples"]),
            [("<1@test.example>", 4), ("<2@test.example>", 4)],
        )

    def test_chunks(self):
        whole = letter(1, body="x" * 500 + "\r\n")
        data = (envelope() + bdat(whole[:40], False) + bdat(whole[40:41], False)
                + bdat(whole[41:]) + envelope(2) + bdat(letter(2), False) + bdat(b""))
        codes, summary = self.run_bytes(data, 9)
        self.assertEqual(codes, [250] * 9)
        self.assertEqual(self.offences(summary), [])
        self.assertEqual((summary["accepted"], summary["distinct"]), (2, 2))

    def test_all_refused(self):
        data = envelope() + bdat(letter()) + envelope() + b"DATA\r\n"
        codes, summary = self.run_bytes(data, 6, "--fault", "rcpt=550 5.1.1 no")
        self.assertEqual(codes, [250, 550, 554, 250, 550, 554])
        self.assertEqual(self.offences(summary), [])
        self.assertEqual((summary["accepted"], summary["refused_rcpt"]), (0, 2))

    def test_lone_dot_after_354(self):
        rules = ["--fault", "rcpt=550 5.1.1 no", "--fault", "data=354 go"]
        with Sink(*rules) as sink, sink.connect() as client:
            client.send(envelope() + b"DATA\r\n")
            self.assertEqual(client.codes(3), [250, 550, 354])
            client.send(".\r\n")
            self.assertEqual(client.codes(1), [554])
            summary = sink.stop()
        self.assertEqual(self.offences(summary), [])

    def test_failed_chunk_needs_rset(self):
        data = envelope() + bdat(letter()) + mail(2) + b"RSET\r\n" + mail(3)
        codes, summary = self.run_bytes(
            data, 10, "--bdat-needs-rset", "--fault", "content@1=450 4.3.0 later")
        self.assertEqual(codes, [250, 250, 450, 503, 503, 503, 250, 250, 250, 250])
        self.assertEqual(summary["accepted"], 1)

    def test_other_clients(self):
        with Sink() as sink:
            with smtplib.SMTP("127.0.0.1", sink.port) as client:
                client.sendmail("a@x.example", ["b@x.example"], letter(9))
            summary = sink.stop()
        self.assertEqual(self.offences(summary), [])
        self.assertEqual(summary["accepted"], 1)

    def test_help(self):
        text = subprocess.run([SINK, "--help"], capture_output=True, check=True,
                              text=True).stdout
        for word in ["--fault", "--rtt", "--starttls CERT KEY", "noswallow"]:
            self.assertIn(word, text)
        for bad in [[], ["--listen", "x"], ["--listen", ":0", "--fault", "mail"],
                    ["--listen", ":0", "--fault", "mial=450 x"],
                    ["--listen", ":0", "--fault", "mail@0=450 x"],
                    ["--listen", ":0", "--rtt", "fast"]]:
            run = subprocess.run([SINK] + bad, capture_output=True)
            self.assertEqual(run.returncode, 64, bad)


class Doors(SinkCase):
    def test_several_and_port_file(self):
        with tempfile.TemporaryDirectory() as folder:
            ports = os.path.join(folder, "ports")
            path = os.path.join(folder, "socket")
            with Sink("--listen", "127.0.0.1:0", "--listen", path,
                      "--port-file", ports) as sink:
                sink.process.stdout.readline()
                self.assertEqual(sink.process.stdout.readline(), f"listening {path}\n")
                with open(ports, encoding="ascii") as file:
                    listed = [int(line) for line in file]
                self.assertEqual(listed[0], sink.port)
                with socket.create_connection(("127.0.0.1", listed[1])) as sock:
                    Client(sock)
                with socket.socket(socket.AF_UNIX) as sock:
                    sock.connect(path)
                    client = Client(sock)
                    client.send(mail())
                    self.assertEqual(client.codes(3), [250] * 3)
                sink.stop()
                self.assertFalse(os.path.exists(path))

    def test_max_connections(self):
        with Sink("--max-connections", "2") as sink:
            clients = [sink.connect(), sink.connect()]
            with sink.connect(hello=False) as third:
                self.assertEqual(third.greeting[:3], "421")
                self.assertTrue(third.over())
            for client in clients:
                client.close()
            summary = sink.stop()
        self.assertEqual(summary["refused_connections"], 1)
        self.assertEqual(summary["max_concurrent"], 3)

    def test_max_per_connection(self):
        with Sink("--max-per-connection", "2") as sink, sink.connect() as client:
            client.send(mail(1) + mail(2) + mail(3))
            self.assertEqual(client.codes(7), [250] * 6 + [421])
            self.assertTrue(client.over())
            self.assertEqual(sink.stop()["accepted"], 2)


class Time(SinkCase):
    def test_round_trip(self):
        with Sink("--rtt", "100") as sink:
            begin = time.monotonic()
            client = sink.connect(hello=False)
            self.assertGreaterEqual(time.monotonic() - begin, 0.2)
            begin = time.monotonic()
            client.say("EHLO x")
            taken = time.monotonic() - begin
            self.assertTrue(0.1 <= taken < 0.2, taken)
            begin = time.monotonic()
            client.send(b"".join(mail(i) for i in range(200)))
            self.assertEqual(client.codes(600), [250] * 600)
            taken = time.monotonic() - begin
            self.assertTrue(0.1 <= taken < 0.5, taken)
            self.assertEqual(self.offences(sink.stop()), [])
            client.close()

    def test_small_round_trip(self):
        with Sink("--rtt", "0.5") as sink, sink.connect() as client:
            begin = time.monotonic()
            for _ in range(200):
                client.say("RSET")
            each = (time.monotonic() - begin) / 200
            self.assertTrue(0.0005 <= each < 0.002, each)

    def test_ahead_is_seen_across_the_wire(self):
        """Bytes that crossed the 354 on the wire are seen to have done so."""
        with Sink("--rtt", "100") as sink, sink.connect() as client:
            client.send(envelope() + b"DATA\r\n")
            time.sleep(0.07)  # the sink has answered; we cannot know it yet
            client.send(letter() + b".\r\n")
            client.codes(4)
            client.send(envelope() + b"DATA\r\n")
            client.codes(3)
            client.send(letter() + b".\r\n")
            client.codes(1)
            summary = sink.stop()
        self.assertEqual(self.offences(summary), ["bytes sent ahead of the reply to DATA"])

    def test_dot_delay(self):
        with Sink("--dot-delay", "400") as sink:
            with sink.connect() as one, sink.connect() as two:
                begin = time.monotonic()
                one.send(mail(1) + mail(2) + b"NOOP\r\n")
                two.send("NOOP\r\n")
                two.reply()
                self.assertLess(time.monotonic() - begin, 0.3)
                one.replies(2)
                self.assertLess(time.monotonic() - begin, 0.3)
                one.replies(5)
                taken = time.monotonic() - begin
                self.assertTrue(0.4 <= taken < 0.75, taken)
            sink.stop()

    def test_dot_serial(self):
        with Sink("--dot-delay", "100", "--dot-serial") as sink:
            with sink.connect() as client:
                begin = time.monotonic()
                client.send(mail(1) + mail(2) + mail(3))
                client.replies(9)
                self.assertTrue(0.3 <= time.monotonic() - begin < 0.8)

    def test_greet_delay(self):
        with Sink("--greet-delay", "100") as sink:
            begin = time.monotonic()
            with sink.connect():
                self.assertGreaterEqual(time.monotonic() - begin, 0.1)
            with socket.create_connection(("127.0.0.1", sink.port)) as sock:
                sock.sendall(b"EHLO x\r\n")
                client = Client(sock, hello=False)
                client.reply()
            self.assertEqual(self.offences(sink.stop()),
                             ["bytes sent ahead of the reply to the greeting"])


class Faults(SinkCase):
    def codes(self, rules, data, count):
        options = [part for rule in rules for part in ("--fault", rule)]
        return self.run_bytes(data, count, *options)[0]

    def test_when(self):
        stream = b"".join(mail(i) for i in range(1, 7))
        no = "450 4.3.0 no"
        for when, hit in [("@2", [2]), ("@2-4", [2, 3, 4]), ("@every:3", [3, 6]),
                          ("every:3", [3, 6]), ("", [1, 2, 3, 4, 5, 6]),
                          ("@rate:1", [1, 2, 3, 4, 5, 6]), ("@rate:0", [])]:
            codes = self.codes([f"content{when}={no}"], stream, 18)
            self.assertEqual([i for i in range(1, 7) if codes[i * 3 - 1] == 450], hit, when)

    def test_rate(self):
        stream = b"".join(mail(i) for i in range(2000))
        codes = self.codes(["content@rate:0.25=450 4.3.0 no"], stream, 6000)
        self.assertTrue(400 < codes.count(450) < 600, codes.count(450))

    def test_recipient(self):
        stream = mail(1, "bob@x.example") + mail(2, "eve@x.example")
        self.assertEqual(self.codes(["rcpt~bob=550 5.1.1 no"], stream, 6),
                         [250, 550, 554, 250, 250, 250])
        self.assertEqual(self.codes(["rcpt~bob@x.example=550 5.1.1 no"], stream, 6),
                         [250, 550, 554, 250, 250, 250])
        self.assertEqual(self.codes(["rcpt~@x.example@2=550 5.1.1 no"], stream, 6),
                         [250, 250, 250, 250, 550, 554])
        self.assertEqual(self.codes(["content~eve=550 5.7.1 no"], stream, 6),
                         [250, 250, 250, 250, 250, 550])

    def test_verbs(self):
        for rule, codes in [("mail=451 4.3.0 x", [451, 503, 503]),
                            ("rcpt=450 4.2.0 x", [250, 450, 554]),
                            ("content=554 5.7.1 x", [250, 250, 554]),
                            ("any@3=452 4.3.1 x", [250, 452, 554])]:
            self.assertEqual(self.codes([rule], mail(), 3), codes, rule)
        with Sink("--fault", "connect=554 5.7.1 go away") as sink:
            with sink.connect(hello=False) as client:
                self.assertEqual(client.greeting[:3], "554")
        with Sink("--fault", "ehlo=421 4.3.2 no", "--fault", "connect@2=421") as sink:
            with sink.connect(hello=False) as client:
                self.assertEqual(client.say("EHLO x")[:3], "421")
                self.assertTrue(client.over())
            with sink.connect(hello=False) as client:
                self.assertEqual(client.greeting[:3], "421")
                self.assertTrue(client.over())
        with Sink("--fault", "rset=421", "--fault", "quit=drop") as sink:
            with sink.connect() as client:
                self.assertEqual(client.say("RSET")[:3], "421")
            with sink.connect() as client:
                client.send("QUIT\r\n")
                self.assertTrue(client.over())

    def test_multi_line(self):
        with Sink("--fault", r"content=550-5.7.1 a\n550-5.7.1 b\n550 5.7.1 c") as sink:
            with sink.connect() as client:
                client.send(mail())
                self.assertEqual(client.replies(3)[2],
                                 "550-5.7.1 a\r\n550-5.7.1 b\r\n550 5.7.1 c")

    def test_endings(self):
        for action, accepted in [("drop", 0), ("drop-after", 1), ("reset", 0), ("cut", 0)]:
            with Sink("--fault", f"content@2={action}") as sink:
                with sink.connect() as client:
                    client.send(mail(1))
                    client.replies(3)
                    client.send(mail(2))
                    self.assertEqual(client.codes(2), [250, 250], action)
                    self.assertTrue(client.over(), action)
                with sink.connect() as client:
                    client.send(mail(2))
                    client.replies(3)
                summary = sink.stop()
            self.assertEqual(summary["accepted"], 2 + accepted, action)
            self.assertEqual(summary["doubles"], accepted, action)
            self.assertEqual(summary["withheld"], accepted, action)
            self.assertEqual(summary["faults"][0]["hits"], 1, action)

    def test_stall(self):
        for action, accepted in [("stall", 0), ("stall-after", 1)]:
            with Sink("--fault", f"content={action}") as sink, sink.connect() as client:
                client.send(mail() + b"NOOP\r\n")
                client.replies(2)
                self.assertTrue(client.silent())
                self.assertEqual(sink.stop()["accepted"], accepted)

    def test_odd_replies(self):
        with Sink("--fault", "mail@1=split", "--fault", "mail@2=split 451 4.3.0 x",
                  "--fault", "mail@3=extra", "--fault", "mail@4=garbage",
                  "--fault", "mail@5=fin 421 4.3.2 bye") as sink:
            with sink.connect() as client:
                client.send(mail(1) + b"RSET\r\nMAIL FROM:<a@x.example>\r\nRSET\r\n")
                self.assertEqual(client.codes(6), [250, 250, 250, 250, 451, 250])
                client.send("MAIL FROM:<a@x.example>\r\nRSET\r\n")
                self.assertEqual(client.replies(3)[1], "250 2.0.0 and one more")
                self.assertNotRegex(client.say("MAIL FROM:<a@x.example>"), "^[0-9]")
                client.send("MAIL FROM:<a@x.example>\r\n")
                time.sleep(0.1)
                got = client.sock.recv(1000)
                self.assertEqual(got, b"421 4.3.2 bye\r\n")
                self.assertTrue(client.over())
            self.assertEqual(sink.stop()["accepted"], 1)

    def test_split_is_split(self):
        with Sink("--fault", "rset=split") as sink, sink.connect() as client:
            client.send("RSET\r\n")
            pieces = 0
            data = b""
            while not data.endswith(b"\r\n"):
                data += client.sock.recv(100)
                pieces += 1
            self.assertGreater(pieces, 5)

    def test_unasked_421(self):
        with Sink("--fault", "content@1=extra 421 4.4.2 idle") as sink:
            with sink.connect() as client:
                client.send(mail())
                self.assertEqual(client.codes(4), [250, 250, 250, 421])
                self.assertTrue(client.over())
            self.assertEqual(sink.stop()["accepted"], 1)

    def test_no_swallow(self):
        for options in [["--fault", "content@1=noswallow"],
                        ["--fault", "content@1=noswallow 554 5.6.0 no"],
                        ["--no-swallow", "--fault", "rcpt@1=550 5.1.1 no"]]:
            with Sink(*options) as sink, sink.connect() as client:
                client.send(mail() + b"NOOP\r\n")
                client.replies(2)
                self.assertEqual(client.codes(1), [554])
                lines = letter().count(b"\n")
                self.assertEqual(client.codes(lines + 1), [500] * lines + [250])
                self.assertEqual(sink.stop()["offence_count"], 0)


class Strictness(SinkCase):
    def check(self, data, what, replies, *options):
        _, summary = self.run_bytes(data, replies, *options)
        self.assertEqual(self.offences(summary), [what] if isinstance(what, str) else what)
        return summary

    def check_content(self, content, what):
        for by_bdat in (True, False):
            with Sink() as sink, sink.connect() as client:
                if by_bdat:
                    client.send(envelope() + bdat(content))
                    client.replies(3)
                else:
                    client.send(envelope() + b"DATA\r\n")
                    client.replies(3)
                    client.send(content + b".\r\n")
                    client.reply()
                summary = sink.stop()
            self.assertEqual(self.offences(summary), what, (by_bdat, content))

    def test_content(self):
        for content, what in [
            (letter(body="a\nb\r\n"), ["bare LF in content"]),
            (letter(body="a\rb\r\n"), ["bare CR in content"]),
            (letter(body="a\r\r\n"), ["bare CR in content"]),
            (letter(body="a\n\r\n"), ["bare LF in content"]),
            (letter(body="a\0b\r\n"), ["NUL in content"]),
            (letter(body="x" * 998 + "\r\n"), []),
            (letter(body="x" * 999 + "\r\n"), ["line over 998 octets"]),
            (letter(body="x" * 5000 + "\r\n"), ["line over 998 octets"]),
            (letter(body="\xe9\r\n"), ["8-bit content without BODY=8BITMIME"]),
            (letter().replace(b"Date:", b"X-Date:"), ["no Date"]),
            (letter().replace(b"Message-ID", b"X-Id"), ["no Message-ID"]),
            (letter().replace(b"From", b"X-From"), ["no From"]),
            (letter(extra="Subject: a\r\nsubject: b\r\n"), ["Subject more than once"]),
            (letter(extra="no colon here\r\n"), ["header line that is no field"]),
            (letter(extra="X-Folded: a\r\n\tb\r\n c\r\n"), []),
            (letter(body="x" * 70000).replace(b"x" * 70, b"x" * 68 + b"\r\n") + b"\r\n", []),
        ]:
            self.check_content(content, what)

    def test_dots(self):
        for body, what in [("..a\r\n", []), ("a.\r\n", []), (".. \r\n", []),
                           (".a\r\n", ["leading dot that was not doubled"]),
                           (".\ra\r\n", ["leading dot that was not doubled",
                                         "bare CR in content"]),
                           ("x" * 9 + "\r\n.b\r\n", ["leading dot that was not doubled"])]:
            with Sink() as sink, sink.connect() as client:
                client.send(envelope() + b"DATA\r\n")
                client.replies(3)
                client.send(letter(body=body) + b".\r\n")
                self.assertEqual(client.codes(1), [250])
                self.assertEqual(sorted(self.offences(sink.stop())), sorted(what), body)

    def test_one_refused_chunk_is_a_probe(self):
        with Sink() as sink:
            for _ in range(2):
                with sink.connect() as client:
                    client.send(b"BDAT 6 LAST\r\nxxxx\r\nRSET\r\n" + mail())
                    self.assertEqual(client.codes(5), [503, 250, 250, 250, 250])
                    client.say("QUIT")
            summary = sink.stop()
        self.assertEqual(self.offences(summary), [])
        self.assertEqual(summary["bdat_probes"], 2)
        self.assertEqual(summary["accepted"], 2)

    def test_bdat(self):
        self.check(envelope() + bdat(letter()[:-2]),
                   "BDAT content that does not end in CRLF", 3)
        self.check(envelope() + b"BDAT 5\r\nabcdeDATA\r\nRSET\r\n",
                   ["DATA and BDAT in one transaction",
                    "bytes sent ahead of the reply to DATA"], 5)
        self.check(envelope() + b"BDAT x\r\nRSET\r\n", "BDAT with a bad argument", 4)
        self.check(b"BDAT 3 LAST\r\na\r\n" * 2, "BDAT out of order", 2)
        self.check(mail() + b"BDAT 3 LAST\r\na\r\n", "BDAT out of order", 4)
        short = envelope() + b"BDAT %d LAST\r\n" % (len(letter()) - 5) + letter()
        summary = self.run_bytes(short, 4)[1]
        self.assertIn("unknown command behind BDAT octets", self.offences(summary))
        with Sink("--no-chunking") as sink, sink.connect() as client:
            client.send(envelope())
            client.replies(2)
            self.assertEqual(client.say("BDAT 0 LAST")[:3], "502")
            self.assertEqual(self.offences(sink.stop()), ["BDAT without CHUNKING offered"])

    def test_order(self):
        self.check(b"RCPT TO:<a@x.example>\r\n", "RCPT out of order", 1)
        self.check(b"DATA\r\n", "DATA out of order", 1)
        self.check(envelope() + envelope()[:29], "MAIL inside a transaction", 3)
        self.check(b"FOO bar\r\n", "unknown command", 1)
        self.check(b"MAIL FROM:<a@x.example>\r\nDATA\r\n", "DATA without RCPT", 2)
        with Sink() as sink, sink.connect(hello=False) as client:
            client.say("MAIL FROM:<a@x.example>")
            self.assertEqual(self.offences(sink.stop()), ["MAIL before EHLO"])

    def test_commands(self):
        mail_from = b"MAIL FROM:<a@x.example>"
        self.check(mail_from + b"\n", "bare LF in a command", 1)
        self.check(b"NOOP a\rb\r\n", "bare CR in a command", 1)
        self.check(b"NOOP a\0b\r\n", "control character in a command", 1)
        self.check(b"NOOP " + b"x" * 505 + b"\r\n", [], 1)
        self.check(b"NOOP " + b"x" * 506 + b"\r\n", "command line too long", 1)
        self.check(b"NOOP " + b"x" * 40000 + b"\r\n", "line without end", 1)
        self.check(b"MAIL FROM: <a@x.example>\r\n", "space in front of the path", 1)
        self.check(mail_from + b" FOO=1\r\n", "parameter that was not offered", 1)
        self.check(mail_from + b" SIZE=10\r\n", "parameter that was not offered", 1, "--no-size")
        self.check(mail_from + b" SMTPUTF8\r\n", "parameter that was not offered", 1,
                   "--no-smtputf8")
        self.check("MAIL FROM:<\xe9@x.example>\r\n".encode(),
                   "SMTPUTF8 needed but not declared", 1)
        self.check("MAIL FROM:<\xe9@x.example> BODY=8BITMIME SMTPUTF8\r\n".encode(), [], 1)
        self.check(mail_from + b"\r\nRCPT TO:<" + b"l" * 65 + b"@x.example>\r\n",
                   "local part over 64 octets", 2)

    def test_pipelining(self):
        self.check(envelope(), "pipelined without PIPELINING offered", 2, "--no-pipelining")
        self.check(b"NOOP\r\nRSET\r\n", "bytes sent ahead of the reply to NOOP", 2)
        self.check(envelope() + b"DATA\r\n" + letter() + b".\r\n",
                   "bytes sent ahead of the reply to DATA", 4)
        self.check(b"EHLO x\r\nRSET\r\n", "bytes sent ahead of the reply to EHLO", 2)

    def test_limits(self):
        self.check(mail(1) + mail(2) + mail(3)[:29], "more mails than MAILMAX", 7,
                   "--limits", "MAILMAX=2")
        self.check(envelope() + b"RCPT TO:<c@x.example>\r\n", "more recipients than RCPTMAX",
                   3, "--limits", "rcptmax=1")
        self.check(b"MAIL FROM:<a@x.example> SIZE=1001\r\n", "SIZE above what was offered",
                   1, "--size", "1000")
        self.check(envelope(options=" SIZE=10") + bdat(letter()),
                   "content longer than SIZE= said", 3)

    def test_lenient(self):
        self.check(b"DATA\r\nFOO\r\n", [], 2, "--lenient")

    def test_bytes_are_escaped(self):
        summary = self.check(b"FOO \"\\\xff\r\n", "unknown command", 1)
        self.assertEqual(summary["offences"][0]["bytes"], 'FOO "\\x5c\\xff')
        self.assertEqual(summary["offences"][0]["connection"], 1)


class Security(SinkCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.cert = os.path.join(cls.folder.name, "cert.pem")
        cls.key = os.path.join(cls.folder.name, "key.pem")
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost", "-days",
             "2", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
             "-keyout", cls.key, "-out", cls.cert],
            check=True, capture_output=True)
        cls.tls = ssl.create_default_context(cafile=cls.cert)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def plain(self, user, password):
        return base64.b64encode(f"\0{user}\0{password}".encode()).decode()

    def test_starttls(self):
        for rtt in ([], ["--rtt", "20"]):
            with Sink("--starttls", self.cert, self.key, "--auth", "me:secret",
                      "--bare-before-tls", "--require-tls", *rtt) as sink:
                with smtplib.SMTP("127.0.0.1", sink.port) as client:
                    client.ehlo()
                    self.assertTrue(client.has_extn("starttls"))
                    self.assertFalse(client.has_extn("pipelining"))
                    self.assertFalse(client.has_extn("auth"))
                    self.assertEqual(client.mail("a@x.example")[0], 530)
                    client.starttls(context=self.tls)
                    client.ehlo()
                    self.assertTrue(client.has_extn("chunking"))
                    client.login("me", "secret")
                    client.sendmail("a@x.example", ["b@x.example"], letter())
                summary = sink.stop()
            self.assertEqual(self.offences(summary), [])
            self.assertEqual((summary["accepted"], summary["handshakes"],
                              summary["authenticated"]), (1, 1, 1))

    def test_ehlo_while_tickets_are_on_their_way(self):
        """Bytes of TLS itself are no replies that a client has to wait for."""
        with Sink("--starttls", self.cert, self.key, "--rtt", "200") as sink:
            with sink.connect() as client:
                self.assertEqual(client.say("STARTTLS")[:3], "220")
                with self.tls.wrap_socket(client.sock,
                                          server_hostname="localhost") as tls:
                    # The sink gets the end of the handshake now + 100 ms and
                    # answers with tickets, which take 100 ms more.
                    time.sleep(0.05)
                    client = Client(tls, greeting=False)
                    self.assertEqual(client.say("QUIT")[:3], "221")
            self.assertEqual(self.offences(sink.stop()), [])

    def test_implicit_tls(self):
        for rtt in ([], ["--rtt", "20"]):
            with Sink("--cert", self.cert, self.key, *rtt, listen="--listen-tls") as sink:
                self.assertEqual(sink.word, "listening-tls")
                with socket.create_connection(("127.0.0.1", sink.port)) as sock:
                    with self.tls.wrap_socket(sock, server_hostname="localhost") as tls:
                        client = Client(tls)
                        client.send(b"".join(mail(i) for i in range(300)))
                        self.assertEqual(client.codes(900), [250] * 900)
                        self.assertEqual(client.say("QUIT")[:3], "221")
                        self.assertTrue(client.over())
                self.assertEqual(self.offences(sink.stop()), [])

    def test_bytes_behind_starttls(self):
        for rtt in ([], ["--rtt", "50"]):
            with Sink("--starttls", self.cert, self.key, *rtt) as sink:
                with sink.connect() as client:
                    client.send("STARTTLS\r\n")
                    if rtt:
                        time.sleep(0.03)
                    client.send("RSET\r\n")
                    self.assertEqual(client.reply()[:3], "220")
                    time.sleep(0.1)
                if rtt:
                    self.assertEqual(self.offences(sink.stop()),
                                     ["bytes sent ahead of the reply to STARTTLS"])

    def test_auth(self):
        options = ["--auth", "me:secret", "--auth-plain-ok", "--require-auth"]
        with Sink(*options) as sink:
            with sink.connect() as client:
                self.assertIn("250-AUTH PLAIN LOGIN", client.offer)
                self.assertEqual(client.say("MAIL FROM:<a@x.example>")[:3], "530")
                self.assertEqual(client.say("AUTH PLAIN " + self.plain("me", "no"))[:3], "535")
                self.assertEqual(client.say("AUTH PLAIN")[:3], "334")
                self.assertEqual(client.say("*")[:3], "501")
                self.assertEqual(client.say("AUTH LOGIN")[:3], "334")
                self.assertEqual(client.say(base64.b64encode(b"me").decode())[:3], "334")
                self.assertEqual(client.say(base64.b64encode(b"secret").decode())[:3], "235")
                client.send(mail())
                self.assertEqual(client.codes(3), [250] * 3)
            with sink.connect() as client:
                client.send(f"AUTH PLAIN {self.plain('me', 'secret')}\r\n".encode() + mail(2))
                self.assertEqual(client.codes(4), [235, 250, 250, 250])
            self.assertEqual(self.offences(sink.stop()), [])

    def test_auth_is_not_offered(self):
        for options in (["--auth", "me:x"], ["--auth", "me:x", "--auth-plain-ok", "--hide-auth"]):
            with Sink(*options) as sink, sink.connect() as client:
                self.assertNotIn("AUTH", "".join(client.offer))
                self.assertEqual(client.say("AUTH PLAIN")[:3], "503")
                self.assertEqual(self.offences(sink.stop()), ["AUTH that was not offered"])

    def test_faults(self):
        with Sink("--starttls", self.cert, self.key, "--fault", "starttls=454 4.7.0 no",
                  "--auth", "me:x", "--auth-plain-ok", "--fault", "auth=454 4.7.0 no") as sink:
            with sink.connect() as client:
                self.assertEqual(client.say("STARTTLS")[:3], "454")
                self.assertEqual(client.say("AUTH PLAIN " + self.plain("me", "x"))[:3], "454")


class Keeping(SinkCase):
    def test_maildir_and_log(self):
        with tempfile.TemporaryDirectory() as folder:
            maildir = os.path.join(folder, "mail")
            log = os.path.join(folder, "log")
            content = letter(2, body="..dot\r\n..\r\n...\r\nend\r\n")
            with Sink("--maildir", maildir, "--raw", "--mbox-log", log) as sink:
                with sink.connect() as client:
                    client.send(mail(1, "bob@x.example"))
                    client.replies(3)
                    client.send(envelope(2) + b"RCPT TO:<c@x.example>\r\nDATA\r\n")
                    client.replies(4)
                    client.send(content + b".\r\n")
                    client.replies(1)
                sink.stop()
            new = os.path.join(maildir, "new")
            kept = []
            for name in sorted(os.listdir(new)):
                with open(os.path.join(new, name), "rb") as file:
                    kept.append(file.read())
            with open(log, encoding="ascii") as file:
                rows = [line.rstrip("\n").split("\t") for line in file]
        plain = letter(2, body=".dot\r\n.\r\n..\r\nend\r\n")
        self.assertEqual(sorted(kept), sorted([letter(1), plain]))
        self.assertEqual(
            [row[1:] for row in rows],
            [["<1@test.example>", "a1@test.example", "bob@x.example",
              str(len(letter(1))), "1", "1"],
             ["<2@test.example>", "a2@test.example", "b@test.example,c@x.example",
              str(len(plain)), "1", "2"]])

    def test_maildir_headers(self):
        with tempfile.TemporaryDirectory() as folder:
            with Sink("--maildir", folder) as sink, sink.connect() as client:
                client.send(mail())
                client.replies(3)
                name, = os.listdir(os.path.join(folder, "new"))
                with open(os.path.join(folder, "new", name), "rb") as file:
                    kept = file.read()
        self.assertEqual(kept, b"Return-Path: <a1@test.example>\r\n"
                         b"Delivered-To: b@test.example\r\n"
                         b"X-Sink: mail=1 connection=1 by=BDAT\r\n" + letter())

    def test_doubles(self):
        """One line for each mail that came again; readable at once."""
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "doubles")
            with Sink("--doubles", path) as sink, sink.connect() as client:
                client.send(mail(1) + mail(2) + mail(1) + mail(1))
                client.replies(12)
                client.say("NOOP")
                with open(path, encoding="ascii") as file:
                    rows = [line.rstrip("\n").split("\t")[1:] for line in file]
        self.assertEqual(rows, [["<1@test.example>", "1", "3"], ["<1@test.example>", "1", "4"]])

    def test_live_summary(self):
        with Sink() as sink, sink.connect() as client:
            for i in range(1, 4):
                client.send(mail(i))
                client.replies(3)
                if os.path.exists(sink.summary_path):
                    os.unlink(sink.summary_path)
                sink.process.send_signal(signal.SIGUSR1)
                end = time.monotonic() + 5
                while not os.path.exists(sink.summary_path) and time.monotonic() < end:
                    time.sleep(0.005)
                with open(sink.summary_path, encoding="ascii") as file:
                    self.assertEqual(json.load(file)["accepted"], i)

    def test_many_ids(self):
        stream = b"".join(mail(i, body="") for i in range(30000))
        with Sink("--no-pipelining", "--lenient") as sink, sink.connect() as client:
            client.send(b"EHLO x\r\n")
            client.reply()
            client.sock.settimeout(30)
            for _ in range(3):
                pid = os.fork()
                if pid == 0:
                    client.send(stream)
                    os._exit(0)
                client.replies(90000)
                os.waitpid(pid, 0)
            summary = sink.stop()
        self.assertEqual((summary["accepted"], summary["distinct"], summary["doubles"]),
                         (90000, 30000, 60000))
        self.assertEqual(len(summary["double_examples"]), 100)

    def test_cut_is_counted(self):
        with Sink() as sink:
            with sink.connect() as client:
                client.send(mail()[:-10])
                client.replies(2)
            with sink.connect() as client:
                client.send(mail(2))
                client.replies(3)
            summary = sink.stop()
        self.assertEqual((summary["cut"], summary["accepted"], summary["without_quit"]),
                         (1, 1, 2))

    def test_client_that_does_not_read(self):
        """The sink stops reading when its replies are not read; no deadlock."""
        with Sink() as sink, sink.connect() as client:
            client.sock.setblocking(False)
            chunk = b"".join(mail(i, body="") for i in range(200))
            sent = 0
            deadline = time.monotonic() + 20
            stuck = time.monotonic()
            while time.monotonic() < deadline and time.monotonic() - stuck < 0.3:
                try:
                    sent += client.sock.send(chunk[sent % len(chunk):])
                    stuck = time.monotonic()
                except BlockingIOError:
                    time.sleep(0.01)
            self.assertLess(time.monotonic(), deadline)
            client.sock.setblocking(True)
            client.sock.settimeout(10)
            rest = chunk[sent % len(chunk):] if sent % len(chunk) else b""
            total = (sent + len(rest)) // len(chunk) * 600
            pid = os.fork()
            if pid == 0:
                client.send(rest)
                os._exit(0)
            codes = client.codes(total)
            os.waitpid(pid, 0)
            self.assertEqual(set(codes), {250})
            self.assertEqual(sink.stop()["accepted"], total // 3)


if __name__ == "__main__":
    if not os.access(SINK, os.X_OK):
        sys.exit(f"{SINK}: not built")
    unittest.main()
