"""SMTP servers as the world runs them, private, on loopback ports, that take
mail and throw it away: Postfix as it is installed, Exim and OpenSMTPD as
fetch-receivers unpacks them.

Exim and OpenSMTPD insist on users and folders of their own. They get them in a
mount namespace that only they see.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import unittest

import test_postfix
from harness import ROOT, free_port, stop_process, wait_for

FETCHED = os.path.join(ROOT, "build", "receivers")

USERS = {"Debian-exim": 61992, "opensmtpd": 61990, "opensmtpq": 61991}

# Only the server sees what is mounted here.
ROOM = r"""
set -e
mount --bind "$HOME/passwd" /etc/passwd
mount --bind "$HOME/group" /etc/group
mount -t tmpfs none /var/spool
mount -t tmpfs none /var/lib
mount -t tmpfs none /run
mkdir -p /var/lib/opensmtpd/empty
exec "$@"
"""

EXIM_CONF = """
spool_directory = {home}/spool
log_file_path = {home}/log/%slog
primary_hostname = localhost
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
add_environment = LD_LIBRARY_PATH={libraries}
tls_advertise_hosts = *
tls_certificate = {home}/server.pem
tls_privatekey = {home}/server.key
acl_smtp_rcpt = accept
acl_smtp_data = accept
queue_only
log_selector = +received_recipients +smtp_connection
"""

SMTPD_CONF = """
listen on 127.0.0.1 port {port}
action "away" relay
match from any for any action "away"
"""


class Receiver:
    """A server with a home of its own, in memory where there is some."""

    def __init__(self):
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.home = tempfile.mkdtemp(prefix="postbatch-receiver-", dir=memory)
        os.chmod(self.home, 0o755)
        self.port = free_port()
        test_postfix.make_certificates(self.home)
        self.ca_file = os.path.join(self.home, "ca.pem")

    def write(self, name, text):
        path = os.path.join(self.home, name)
        with open(path, "w") as f:
            f.write(text)
        return path

    def read(self, *names):
        path = os.path.join(self.home, *names)
        if not os.path.exists(path):
            return ""
        with open(path, errors="replace") as f:
            return f.read()

    def enter(self, *words, libraries):
        """Starts a program in its room."""
        for file, line in (("passwd", "%s:x:%d:%d::/nonexistent:/bin/false"),
                           ("group", "%s:x:%d:")):
            with open("/etc/" + file) as f:
                known = f.read().splitlines()
            for name, number in USERS.items():
                known.append(line % ((name, number, number)
                                     if file == "passwd" else (name, number)))
            self.write(file, "\n".join(known) + "\n")
        with open(os.path.join(self.home, "output"), "wb") as output:
            self.process = subprocess.Popen(
                ["unshare", "--mount", "--propagation", "private", "sh", "-c",
                 ROOM, "room", *words], stdout=output, stderr=output,
                env=dict(os.environ, HOME=self.home,
                         LD_LIBRARY_PATH=libraries), start_new_session=True)
        wait_for(self.is_open, "%s to listen: %s" % (words[0],
                                                     self.read("output")))

    def is_open(self):
        if self.process.poll() is not None:
            raise AssertionError("it ended: " + self.read("output"))
        try:
            with socket.create_connection(("127.0.0.1", self.port), 5) as s:
                return s.recv(100).startswith(b"220")
        except OSError:
            return False

    def stop(self):
        stop_process(self.process)
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        shutil.rmtree(self.home, ignore_errors=True)


class Postfix(test_postfix.Postfix):
    """Offers STARTTLS, and takes mail without it."""

    def __init__(self):
        super().__init__()
        self.ca_file = os.path.join(self.home, "ca.pem")
        path = os.path.join(self.config, "main.cf")
        with open(path) as f:
            text = f.read()
        with open(path, "w") as f:
            f.write(text.replace("smtpd_tls_security_level = encrypt",
                                 "smtpd_tls_security_level = may"))
        self.command("reload")

    def taken(self):
        """How many mails its log says it took."""
        return len(set(re.findall(r"cleanup\[\d+\]: \S+: message-id=(\S+)",
                                  self.log())))


class Exim(Receiver):
    def __init__(self):
        super().__init__()
        tree = os.path.join(FETCHED, "exim")
        libraries = library_path(tree)
        for name in ("spool", "log"):
            os.mkdir(os.path.join(self.home, name))
            os.chown(os.path.join(self.home, name), USERS["Debian-exim"],
                     USERS["Debian-exim"])
        os.chown(os.path.join(self.home, "server.key"), USERS["Debian-exim"],
                 -1)
        config = self.write("exim.conf", EXIM_CONF.format(
            home=self.home, port=self.port, libraries=libraries))
        self.enter(os.path.join(tree, "usr/sbin/exim4"), "-C", config, "-bdf",
                   "-oX", str(self.port), libraries=libraries)

    def log(self):
        return self.read("log", "mainlog")

    def taken(self):
        return len(set(re.findall(r" <= .* id=(\S+)", self.log())))


class OpenSmtpd(Receiver):
    """Without TLS: Debian's 6.8.0 fails every handshake with OpenSSL 3
    ("SSL routines::EVP lib" in its log), whoever the client is."""

    def __init__(self):
        super().__init__()
        tree = os.path.join(FETCHED, "opensmtpd")
        config = self.write("smtpd.conf", SMTPD_CONF.format(
            home=self.home, port=self.port))
        # What it takes stays in its queue, which goes with the room.
        self.enter(os.path.join(tree, "usr/sbin/smtpd"), "-d", "-P", "mda",
                   "-P", "mta", "-f", config, libraries=library_path(tree))

    def log(self):
        return self.read("output")

    def taken(self):
        return len(set(re.findall(r"smtp message msgid=(\S+)", self.log())))


def library_path(tree):
    folder = os.path.join(tree, "usr", "lib")
    return ":".join([folder] + [os.path.join(folder, name)
                                for name in os.listdir(folder)
                                if name.endswith("-linux-gnu")])


def fetch():
    """Exim and OpenSMTPD, or the skip of a test that says why not."""
    if os.geteuid() != 0:
        raise unittest.SkipTest("receivers can only be started by root")
    done = subprocess.run(
        [os.path.join(ROOT, "tests", "e2e", "fetch-receivers"), FETCHED],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise unittest.SkipTest(done.stdout.strip().splitlines()[-1])
    done = subprocess.run(["unshare", "--mount", "mount", "-t", "tmpfs",
                           "none", "/run"], stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise unittest.SkipTest("no mount namespaces: " + done.stderr.strip())
