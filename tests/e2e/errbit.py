"""A stand-in for Errbit: takes Airbrake v3 notices, as strictly as they are
defined, and answers as Errbit does, or as it does when it is in trouble."""

import http.server
import json
import re
import ssl
import threading
import time

NOTICE_MAX = 64000
MESSAGE_MAX = 1000

# field -> type, of what Errbit reads; all others are faults
TOP = {"notifier": dict, "errors": list, "context": dict,
       "environment": dict, "session": dict, "params": dict}
NOTIFIER = {"name": str, "version": str, "url": str}
ERROR = {"type": str, "message": str, "backtrace": list}
FRAME = {"file": str, "line": int, "function": str, "column": int}
CONTEXT = {"environment": str, "hostname": str, "version": str,
           "rootDirectory": str, "component": str, "action": str, "url": str,
           "userAgent": str, "user": dict, "notifier": dict, "severity": str,
           "os": str, "language": str}
CONTEXT_NEEDED = {"environment", "hostname", "version", "component", "action",
                  "severity"}
SEVERITIES = {"debug", "info", "notice", "warning", "error", "critical",
              "alert", "emergency"}


class Fault(Exception):
    """What is wrong with a request."""


def check_fields(value, fields, where, needed=None):
    if not isinstance(value, dict):
        raise Fault("%s is not an object" % where)
    for name, item in value.items():
        if name not in fields:
            raise Fault("%s.%s is not a field" % (where, name))
        if type(item) is not fields[name]:
            raise Fault("%s.%s is of type %s" % (where, name,
                                                 type(item).__name__))
    missing = (set(fields) if needed is None else needed) - set(value)
    if missing:
        raise Fault("%s lacks %s" % (where, sorted(missing)))


def no_doubles(pairs):
    keys = [key for key, _ in pairs]
    if len(set(keys)) != len(keys):
        raise Fault("a key comes twice in %s" % keys)
    return dict(pairs)


def check_notice(body):
    """Gives the notice of a request's body; Fault when it is none."""
    if len(body) > NOTICE_MAX:
        raise Fault("a notice of %d bytes" % len(body))
    try:
        notice = json.loads(body.decode("utf-8"),
                            object_pairs_hook=no_doubles)
    except ValueError as why:
        raise Fault("no JSON: %s" % why)
    check_fields(notice, TOP, "notice")
    check_fields(notice["notifier"], NOTIFIER, "notifier")
    if len(notice["errors"]) != 1:
        raise Fault("%d errors: only the first is read" %
                    len(notice["errors"]))
    error = notice["errors"][0]
    check_fields(error, ERROR, "errors[0]")
    if not re.fullmatch(r"[A-Z][A-Za-z]+", error["type"]):
        raise Fault("%r is no class" % error["type"])
    if not error["message"]:
        raise Fault("no message")
    if len(error["message"].encode()) > MESSAGE_MAX:
        raise Fault("a message of %d bytes" % len(error["message"].encode()))
    for frame in error["backtrace"]:
        check_fields(frame, FRAME, "backtrace", needed={"file", "line"})
    check_fields(notice["context"], CONTEXT, "context", CONTEXT_NEEDED)
    for name in CONTEXT_NEEDED:
        if not notice["context"][name]:
            raise Fault("context.%s is empty" % name)
    if notice["context"]["severity"] not in SEVERITIES:
        raise Fault("severity %r" % notice["context"]["severity"])
    return notice


class Errbit:
    """Listens on a free port of 127.0.0.1 (or the one given); with a pair of
    files, of a certificate and its key, it speaks TLS.

    mode says how requests are answered: 201 (the keys are looked up), 400,
    422, 500, ... or "hang": not at all, until the mode changes.
    """

    KEY = "0123456789abcdef"

    def __init__(self, port=0, key=KEY, pair=None):
        self.key = key
        self.mode = 201
        self.notices = []   # those that were taken, in their order
        self.faults = []    # what was wrong with requests
        self.requests = []  # when each came
        self.stopping = False
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_POST(self):
                outer.answer(self)

            def do_OPTIONS(self):
                self.reply(200, b"")

            def reply(self, status, text, kind="text/plain"):
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("Location", "http://127.0.0.1:1/")
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

            def handle_error(self, *_):
                pass  # a client that does not like our certificate

        self.server = Server(("127.0.0.1", port), Handler)
        if pair:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*pair)
            # The handshake is the thread's of the connection.
            self.server.socket = context.wrap_socket(
                self.server.socket, server_side=True,
                do_handshake_on_connect=False)
        self.port = self.server.server_address[1]
        self.url = "%s://127.0.0.1:%d" % ("https" if pair else "http",
                                          self.port)
        self.thread = threading.Thread(target=self.server.serve_forever,
                                       kwargs={"poll_interval": 0.05},
                                       daemon=True)
        self.thread.start()

    def answer(self, request):
        body = request.rfile.read(int(request.headers["Content-Length"]))
        self.requests.append(time.monotonic())
        while self.mode == "hang" and not self.stopping:
            time.sleep(0.05)
        if self.mode == "hang":
            request.close_connection = True
            return
        try:
            key = self.check_request(request)
            notice = check_notice(body)
        except Fault as why:
            self.faults.append(str(why))
            request.reply(400, b"Invalid request")
            return
        if self.mode != 201:
            request.reply(self.mode, b"as told")
        elif key != self.key:
            request.reply(422, b"Your API key is unknown")
        else:
            self.notices.append(notice)
            number = "%024x" % len(self.notices)
            request.reply(201, json.dumps({
                "id": number, "url": "%s/locate/%s" % (self.url, number),
            }).encode(), "application/json")

    @staticmethod
    def check_request(request):
        """Gives the key by which the app is looked up: the last of them."""
        found = re.fullmatch(r"/api/v3/projects/([^/?]+)/notices",
                             request.path)
        if not found:
            raise Fault("path " + request.path)
        if not request.headers.get("Content-Type", "").startswith(
                "application/json"):
            raise Fault("Content-Type")
        key = found.group(1)
        key = request.headers.get("X-Airbrake-Token", key)
        bearer = request.headers.get("Authorization", "")
        if bearer.startswith("Bearer "):
            key = bearer[len("Bearer "):]
        return key

    def of_kind(self, kind):
        return [n for n in self.notices if n["errors"][0]["type"] == kind]

    def kinds(self):
        return sorted(n["errors"][0]["type"] for n in self.notices)

    def stop(self):
        self.stopping = True
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
