"""A small SMTP server in Python whose security can be set wrong in every way,
and which remembers each line it was given and whether it came over TLS. And
the certificates for it, made by openssl(1)."""

import base64
import os
import socket
import ssl
import subprocess
import threading


class Certificates:
    """A folder with two authorities and certificates of the first."""

    CURVE = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]

    def __init__(self, folder):
        self.folder = folder
        self.authority("ca")
        self.authority("stranger")
        self.issue("good", "DNS:localhost,IP:127.0.0.1,IP:0.0.0.0")
        self.issue("other", "DNS:other.example")
        self.issue("expired", "DNS:localhost,IP:127.0.0.1", days=-1)
        self.issue("client", "DNS:client.example")

    def path(self, name):
        return os.path.join(self.folder, name)

    def pair(self, name):
        return self.path(name + ".pem"), self.path(name + ".key")

    def openssl(self, *arguments):
        subprocess.run(("openssl",) + arguments, check=True, cwd=self.folder,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def authority(self, name):
        self.openssl("req", "-x509", *self.CURVE, "-keyout", name + ".key",
                     "-out", name + ".pem", "-subj", "/CN=Test " + name,
                     "-days", "2")

    def issue(self, name, names, days=2):
        with open(self.path("names"), "w") as f:
            f.write("subjectAltName=" + names)
        self.openssl("req", *self.CURVE, "-keyout", name + ".key", "-out",
                     name + ".csr", "-subj", "/CN=" + name)
        self.openssl("x509", "-req", "-in", name + ".csr", "-CA", "ca.pem",
                     "-CAkey", "ca.key", "-CAcreateserial", "-out",
                     name + ".pem", "-days", str(days), "-extfile", "names")


class ScriptedRelay:
    """Listens on a port of this host, or on a socket at `path`.

    tls         None, "starttls" or "implicit"
    pair        files of the certificate and its key
    client_ca   ask for a client certificate of this authority
    newest      the newest TLS version spoken
    offers      lines of the EHLO reply
    secrets     {mechanism: what has to be said, decoded}
    auth_reply  in place of 235
    starttls_reply, behind_220: what answers STARTTLS, what is sent with it
    """

    def __init__(self, tls=None, pair=None, client_ca=None, newest=None,
                 offers=(), secrets=None, auth_reply=None,
                 starttls_reply=b"220 go ahead", behind_220=b"", path=None):
        self.tls = tls
        self.offers = list(offers)
        self.secrets = secrets
        self.auth_reply = auth_reply
        self.starttls_reply = starttls_reply
        self.behind_220 = behind_220
        self.context = None
        if pair:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*pair)
            if newest:
                self.context.maximum_version = newest
            if client_ca:
                self.context.verify_mode = ssl.CERT_REQUIRED
                self.context.load_verify_locations(client_ca)
        self.lines = []     # (over TLS, line)
        self.secrets_seen = []  # (over TLS, mechanism, decoded)
        self.mails = []     # (over TLS, recipients, content)
        self.peers = []     # where connections came from
        self.client_names = []  # subjects of client certificates
        if path:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(path)
        else:
            self.listener = socket.socket()
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.listener.bind(("0.0.0.0", 0))
        self.listener.listen(16)
        self.port = None if path else self.listener.getsockname()[1]
        threading.Thread(target=self.listen, daemon=True).start()

    def stop(self):
        # Wakes the thread that waits in accept().
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    # ---- what was seen -----------------------------------------------------

    def in_clear(self):
        """The verbs of lines that came without TLS."""
        return [line.split(b" ")[0].upper() for over_tls, line in self.lines
                if not over_tls]

    def verbs(self):
        return [line.split(b" ")[0].upper() for _, line in self.lines]

    # ---- the server ----------------------------------------------------------

    def listen(self):
        while True:
            try:
                connection, peer = self.listener.accept()
            except OSError:
                return
            self.peers.append(peer)
            threading.Thread(target=self.serve, args=(connection,),
                             daemon=True).start()

    def serve(self, connection):
        conversation = Conversation(self, connection)
        try:
            conversation.run()
        except (OSError, EOFError):
            pass
        finally:
            conversation.connection.close()
            connection.close()


class Conversation:
    def __init__(self, relay, connection):
        self.relay = relay
        self.connection = connection
        self.over_tls = False
        self.unread = b""
        self.recipients = []

    def say(self, text):
        self.connection.sendall(text + b"\r\n")

    def read(self, count):
        while len(self.unread) < count:
            got = self.connection.recv(65536)
            if not got:
                raise EOFError
            self.unread += got
        taken, self.unread = self.unread[:count], self.unread[count:]
        return taken

    def line(self):
        while b"\r\n" not in self.unread:
            got = self.connection.recv(65536)
            if not got:
                raise EOFError
            self.unread += got
        line, self.unread = self.unread.split(b"\r\n", 1)
        self.relay.lines.append((self.over_tls, line))
        return line

    def handshake(self):
        self.connection = self.relay.context.wrap_socket(self.connection,
                                                         server_side=True)
        self.over_tls = True
        subject = self.connection.getpeercert() or {}
        for part in subject.get("subject", ()):
            self.relay.client_names.append(dict(part).get("commonName"))

    def run(self):
        if self.relay.tls == "implicit":
            self.handshake()
        self.say(b"220 scripted.example ESMTP")
        while True:
            line = self.line()
            verb = line.split(b" ")[0].split(b":")[0].upper().decode("latin-1")
            action = getattr(self, "do_" + verb.lower(), None)
            if action is None:
                self.say(b"500 5.5.1 what?")
            elif action(line) is False:
                return

    def do_ehlo(self, _line):
        offers = list(self.relay.offers)
        if self.relay.tls == "starttls" and not self.over_tls:
            offers.append("STARTTLS")
        if self.relay.secrets:
            offers.append("AUTH " + " ".join(self.relay.secrets))
        lines = ["scripted.example"] + offers
        self.say("\r\n".join("250%s%s" % (" " if n == len(lines) - 1 else "-",
                                          text)
                             for n, text in enumerate(lines)).encode())

    def do_starttls(self, _line):
        self.connection.sendall(self.relay.starttls_reply + b"\r\n" +
                                self.relay.behind_220)
        if self.relay.starttls_reply.startswith(b"220"):
            self.unread = b""
            self.handshake()

    def do_auth(self, line):
        words = line.split(b" ")
        mechanism = words[1].decode().upper()
        if mechanism == "LOGIN":
            said = [words[2]] if len(words) > 2 else []
            for prompt in (b"VXNlcm5hbWU6", b"UGFzc3dvcmQ6")[len(said):]:
                self.say(b"334 " + prompt)
                said.append(self.line())
            secret = b"\0".join(base64.b64decode(part) for part in said)
        else:
            if len(words) < 3:
                self.say(b"334 ")
                words.append(self.line())
            secret = base64.b64decode(words[2], validate=True)
        self.relay.secrets_seen.append((self.over_tls, mechanism, secret))
        if self.relay.auth_reply:
            self.say(self.relay.auth_reply)
        elif self.relay.secrets.get(mechanism) == secret:
            self.say(b"235 2.7.0 welcome")
        elif mechanism in ("XOAUTH2", "OAUTHBEARER"):
            self.say(b"334 " + base64.b64encode(b'{"status":"401"}'))
            self.line()
            self.say(b"535 5.7.8 bad token")
        else:
            self.say(b"535 5.7.8 bad credentials")

    def do_mail(self, _line):
        self.recipients = []
        self.say(b"250 2.1.0 ok")

    def do_rcpt(self, line):
        self.recipients.append(line)
        self.say(b"250 2.1.5 ok")

    def do_data(self, _line):
        self.say(b"354 go on")
        content = b""
        while not content.endswith(b"\r\n.\r\n"):
            content += self.read(1)
        self.relay.mails.append((self.over_tls, self.recipients, content))
        self.say(b"250 2.0.0 taken")

    def do_rset(self, _line):
        self.say(b"250 2.0.0 ok")

    def do_noop(self, _line):
        self.say(b"250 2.0.0 ok")

    def do_quit(self, _line):
        self.say(b"221 2.0.0 bye")
        return False
