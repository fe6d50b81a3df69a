"""The source server of the Open Build Service, as far as its notifications go:
POST /notify/<TYPE> and GET /lastnotifications, spoken exactly as the real one
does, on a loopback port, with faults on demand.

What is stored are its lines, "number|type|time|key=value|key", with the bytes
0x00-0x1F, %, |, = and 0x7F-0x9F written as %XX, so that keys and values are any
bytes, as they are there.
"""

import collections
import http.server
import json
import socket
import threading
import time
import urllib.parse

LIMIT = 1000      # notifications of one answer
PRUNE_AT = 1000   # a start so far behind the first one drops what is before
PRUNE_KEEP = 500  # ... so many before the start

ESCAPED = frozenset([*range(0x20), *b"%|=", *range(0x7f, 0xa0)])


def escape(raw):
    return b"".join(b"%%%02X" % c if c in ESCAPED else bytes([c])
                    for c in raw)


def unescape(raw):
    return urllib.parse.unquote_to_bytes(raw)


def as_bytes(text):
    return text if isinstance(text, bytes) else str(text).encode()


def xml_escape(raw):
    return (raw.replace(b"&", b"&amp;").replace(b"<", b"&lt;")
            .replace(b">", b"&gt;").replace(b'"', b"&quot;"))


class Backend:
    """The server; requests holds what was asked, in its order, as dictionaries
    of the parameters.

    waits_when_ahead: block=1 with a start beyond the end waits, as in 2017,
    in place of answering at once.
    """

    def __init__(self, waits_when_ahead=False):
        self.waits_when_ahead = waits_when_ahead
        self.lines = collections.deque()
        self.first = 1     # number of the first stored one
        self.last = 0      # number of the newest
        self.held = 0      # requests that wait now
        self.requests = []
        self.faults = collections.deque()
        self.changed = threading.Condition()
        self.is_stopped = False
        handler = type("Handler", (Handler,), {"backend": self})
        self.server = Server(("127.0.0.1", 0), handler)
        self.url = "http://127.0.0.1:%d" % self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever,
                                       kwargs={"poll_interval": 0.05},
                                       daemon=True)
        self.thread.start()

    def stop(self):
        with self.changed:
            self.is_stopped = True
            self.changed.notify_all()
        self.server.shutdown()
        self.server.server_close()

    # ---- producers -----------------------------------------------------------

    def add(self, type_name, data=(), at=None):
        """Appends a notification; data is a dictionary or a list of pairs, a
        value of None is a key without "=". Gives its number."""
        with self.changed:
            number = self._append(type_name, data, at)
            self.changed.notify_all()
        return number

    def add_many(self, type_name, rows, at=None):
        with self.changed:
            for data in rows:
                self._append(type_name, data, at)
            self.changed.notify_all()

    def _append(self, type_name, data, at):
        pairs = data.items() if isinstance(data, dict) else data
        fields = [escape(as_bytes(key)) if value is None else
                  escape(as_bytes(key)) + b"=" + escape(as_bytes(value))
                  for key, value in pairs]
        self.last += 1
        self.lines.append(b"|".join(
            [b"%d" % self.last, escape(as_bytes(type_name)),
             b"%d" % (time.time() if at is None else at)] + fields))
        return self.last

    def set_back(self, last=0):
        """As if restored from an old copy: numbers begin anew behind last."""
        with self.changed:
            self.lines.clear()
            self.first, self.last = last + 1, last
            self.changed.notify_all()

    def drop_before(self, number):
        """As if somebody else's reading had pruned the file."""
        with self.changed:
            self._drop_before(number)

    def _drop_before(self, number):
        while self.lines and self.first < number:
            self.lines.popleft()
            self.first += 1

    # ---- the answer ----------------------------------------------------------

    def answer(self, start, block, noprune):
        """(attributes, lines), as the real one decides."""
        with self.changed:
            if start == 0:
                return {"next": self.last + 1, "sync": "lost"}, []
            if block:
                self._hold(start)
            if start < self.first:
                return {"next": self.last + 1, "sync": "lost"}, []
            if start > self.last:
                return {"next": self.last + 1}, []
            if start > self.first + PRUNE_AT and not noprune:
                self._drop_before(start - PRUNE_KEEP)
            begin = start - self.first
            lines = [self.lines[i] for i in range(
                begin, min(begin + LIMIT, len(self.lines)))]
            attributes = {"next": start + len(lines)}
            if start + len(lines) <= self.last:
                attributes["limit_reached"] = "1"
            return attributes, lines

    def _hold(self, start):
        def is_over():
            if self.is_stopped or start < self.first or start <= self.last:
                return True
            return start > self.last + 1 and not self.waits_when_ahead

        grown_from = self.last
        self.held += 1
        while not is_over():
            self.changed.wait()
            if self.last > grown_from:
                break  # whatever it is, the file has grown
        self.held -= 1

    @staticmethod
    def as_xml(attributes, lines):
        out = [b"<notifications%s>\n" % b"".join(
            b' %s="%s"' % (name.encode(), str(value).encode())
            for name, value in attributes.items())]
        for line in lines:
            _, type_name, at, *fields = line.split(b"|")
            out.append(b'  <notification type="%s" time="%s">\n' %
                       (xml_escape(unescape(type_name)), at))
            for field in fields:
                key, _, value = field.partition(b"=")
                out.append(b'    <data key="%s">%s</data>\n' % (
                    xml_escape(unescape(key)), xml_escape(unescape(value))))
            out.append(b"  </notification>\n")
        out.append(b"</notifications>\n")
        return b"".join(out)

    @staticmethod
    def as_json(attributes, lines):
        def text(raw):
            return unescape(raw).decode("utf-8", "surrogateescape")

        rows = []
        for line in lines:
            _, type_name, at, *fields = line.split(b"|")
            pairs = [field.partition(b"=") for field in fields]
            rows.append({"type": text(type_name), "time": at.decode(),
                         "data": {text(key): text(value)
                                  for key, _, value in pairs}})
        whole = dict(attributes, notification=rows)
        return json.dumps(whole, ensure_ascii=False).encode(
            "utf-8", "surrogateescape")


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        pass  # clients of these tests are killed


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    backend = None

    def log_message(self, format, *args):
        pass

    def send_body(self, body, status=200, kind="text/xml", declared=None):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(declared or len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        url = urllib.parse.urlsplit(self.path)
        length = int(self.headers.get("Content-Length", 0))
        form = urllib.parse.parse_qsl(self.rfile.read(length),
                                      keep_blank_values=True)
        if not url.path.startswith("/notify/"):
            self.send_body(b"", 404)
            return
        self.backend.add(url.path[len("/notify/"):],
                         [(key, value) for key, value in form
                          if not key.startswith(b".") and key != b"_type"])
        self.send_body(b'<status code="ok" />\n')

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        asked = dict(urllib.parse.parse_qsl(url.query,
                                            keep_blank_values=True))
        backend = self.backend
        backend.requests.append(asked)
        if url.path != "/lastnotifications":
            self.send_body(b"<status code='404'/>", 404)
            return
        if not set(asked) <= {"start", "block", "view", "noprune"} or \
                asked.get("view", "json") != "json":
            self.send_body(b"<status code='400'/>", 400)
            return
        fault = backend.faults.popleft() if backend.faults else None
        if fault and self.fail(fault):
            return
        attributes, lines = backend.answer(int(asked.get("start") or 0),
                                           asked.get("block") == "1",
                                           asked.get("noprune") == "1")
        write = backend.as_json if "view" in asked else backend.as_xml
        body = write(attributes, lines)
        if fault == "truncated":
            body = body[:len(body) * 2 // 3]
        elif fault == "cut off":
            self.send_body(body[:-5], declared=len(body))
            self.close_connection = True
            return
        elif fault == "short":
            body = write(attributes, lines[:-1])
        elif fault == "twice":
            body = write(attributes, lines + lines)
        self.send_body(body, kind="application/json" if "view" in asked
                       else "text/xml")

    def fail(self, fault):
        """What needs no answer of the store. True when it is done."""
        if fault == "500":
            self.send_body(b"<status code='500'>\n<summary>disk full\x07"
                           b"</summary></status>", 500)
        elif fault == "garbage":
            self.send_body(b"\x00\xff<<<" * 100)
        elif fault == "page":
            self.send_body(b"<html><body>Welcome</body></html>")
        elif fault == "odd page":
            self.send_body(("<a" + "\u00e9" * 30 + "/>").encode())
        elif fault == "endless":
            self.send_body(b"<notifications next='2'>" + b" " * 100000)
        elif fault == "doctype":
            self.send_body(b"<!DOCTYPE notifications [<!ENTITY e 'e'>]>"
                           b"<notifications next='2'/>")
        elif fault == "drop":
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
        elif fault == "hang":
            with self.backend.changed:
                self.backend.changed.wait_for(
                    lambda: self.backend.is_stopped)
            self.close_connection = True
        else:
            return False
        return True
