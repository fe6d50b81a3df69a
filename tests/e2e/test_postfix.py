"""Twenty thousand mails to a real Postfix, over STARTTLS with a certificate
that is checked. The Postfix is private: its own configuration, queue and port;
it discards all mail."""

import os
import pwd
import re
import shutil
import subprocess
import tempfile
import time
import unittest

import harness
from harness import measured, scaled, wait_for

COUNT = scaled(20000)

MAIN_CF = """
compatibility_level = 3.6
queue_directory = {home}/spool
data_directory = {home}/data
maillog_file = {home}/maillog
maillog_file_prefixes = {home}
myhostname = localhost
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
default_transport = discard:
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_tls_security_level = encrypt
smtpd_tls_cert_file = {home}/server.pem
smtpd_tls_key_file = {home}/server.key
smtpd_tls_loglevel = 1
smtpd_client_connection_count_limit = 0
"""

MASTER_CF = """
127.0.0.1:{port} inet n - n - - smtpd
cleanup   unix  n  -  n  -     0  cleanup
qmgr      unix  n  -  n  300   1  qmgr
tlsmgr    unix  -  -  n  1000? 1  tlsmgr
rewrite   unix  -  -  n  -     -  trivial-rewrite
bounce    unix  -  -  n  -     0  bounce
defer     unix  -  -  n  -     0  bounce
trace     unix  -  -  n  -     0  bounce
verify    unix  -  -  n  -     1  verify
flush     unix  n  -  n  1000? 0  flush
proxymap  unix  -  -  n  -     -  proxymap
proxywrite unix - -  n  -     1  proxymap
error     unix  -  -  n  -     -  error
retry     unix  -  -  n  -     -  error
discard   unix  -  -  n  -     -  discard
anvil     unix  -  -  n  -     1  anvil
scache    unix  -  -  n  -     1  scache
postlog   unix-dgram n - n -   1  postlogd
"""


def openssl(*arguments):
    subprocess.run(("openssl",) + arguments, check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def make_certificates(home):
    """An authority of our own, ca.pem, and localhost's server.pem."""
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-subj", "/CN=Postbatch test authority",
            "-keyout", home + "/ca.key", "-out", home + "/ca.pem")
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-subj", "/CN=localhost",
            "-keyout", home + "/server.key", "-out", home + "/server.csr")
    with open(home + "/server.ext", "w") as f:
        f.write("subjectAltName = DNS:localhost\n")
    openssl("x509", "-req", "-days", "2", "-in", home + "/server.csr",
            "-CA", home + "/ca.pem", "-CAkey", home + "/ca.key",
            "-CAcreateserial", "-extfile", home + "/server.ext",
            "-out", home + "/server.pem")


class Postfix:
    """A Postfix of our own."""

    def __init__(self):
        # Postfix syncs every mail: in memory where there is some to spare.
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.home = tempfile.mkdtemp(prefix="postbatch-postfix-", dir=memory)
        os.chmod(self.home, 0o755)
        self.port = harness.free_port()
        self.config = os.path.join(self.home, "etc")
        for name in ("etc", "spool", "data"):
            os.mkdir(os.path.join(self.home, name))
        os.chown(os.path.join(self.home, "data"),
                 pwd.getpwnam("postfix").pw_uid, -1)
        make_certificates(self.home)
        for name, text in (("main.cf", MAIN_CF), ("master.cf", MASTER_CF)):
            with open(os.path.join(self.config, name), "w") as f:
                f.write(text.format(home=self.home, port=self.port))
        self.command("start")

    def command(self, *words):
        done = subprocess.run(("postfix", "-c", self.config) + words,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            raise AssertionError("postfix %s: %s\n%s" %
                                 (words[0], done.stdout, self.log()))

    def log(self):
        path = os.path.join(self.home, "maillog")
        if not os.path.exists(path):
            return ""
        with open(path, errors="replace") as f:
            return f.read()

    def stop(self):
        try:
            self.command("stop")
        finally:
            shutil.rmtree(self.home, ignore_errors=True)


@unittest.skipUnless(os.geteuid() == 0, "Postfix can only be started by root")
@unittest.skipUnless(shutil.which("postfix"), "Postfix is not installed")
class ToPostfix(harness.DispatchCase):
    def setUp(self):
        super().setUp()
        self.postfix = Postfix()
        self.addCleanup(self.postfix.stop)
        self.dispatcher.settings.update({
            "relay.main.host": "localhost",
            "relay.main.port": str(self.postfix.port),
            "relay.main.tls": "starttls",
            "relay.main.verify": "yes",
            "relay.main.ca_file": os.path.join(self.postfix.home, "ca.pem"),
        })
        self.dispatcher.write_config()

    def taken(self):
        """Message-IDs that Postfix took, and discarded."""
        log = self.postfix.log()
        names = re.findall(r"cleanup\[\d+\]: \S+: message-id=(\S+)", log)
        gone = re.findall(r"discard\[\d+\]: \S+: to=<\S+>.*status=sent", log)
        return names, gone

    def test_all_are_taken(self):
        self.recipients(1000)
        self.emit_notices(COUNT, size=500, recipients=1000)
        begun = time.monotonic()
        self.run_once(seconds=100)
        took = time.monotonic() - begun
        wait_for(lambda: len(self.taken()[1]) >= COUNT,
                 "Postfix to discard all of it")
        names, gone = self.taken()
        self.assertEqual(len(names), COUNT)
        self.assertEqual(len(set(names)), COUNT)
        self.assertEqual(len(gone), COUNT)
        stats = harness.json.loads(
            self.dispatcher.must("stats", "--json").stdout)
        self.assertEqual(stats["sent_1h"], COUNT)
        self.assertEqual(self.verdicts(), {"sent": COUNT})
        log = self.postfix.log()
        self.assertRegex(log, "TLS connection established from localhost")
        self.assertNotRegex(log, r"smtpd\[\d+\]: (warning|fatal|improper)")
        connections = len(re.findall(r"smtpd\[\d+\]: connect from", log))
        measured("%d mails to Postfix over STARTTLS in %.1f s: %.0f mails/s"
                 " on %d connections" % (COUNT, took, COUNT / took,
                                         connections))
        self.assertLessEqual(connections, 8)

    def test_an_unknown_authority_gets_no_mail(self):
        self.recipients(1)
        self.emit_notices(1)
        self.dispatcher.settings["relay.main.ca_file"] = ""
        self.dispatcher.write_config()
        self.dispatcher.start()
        wait_for(lambda: "relay trouble" in self.dispatcher.read_log(),
                 "the alarm")
        self.assertIn("certificate", self.dispatcher.read_log())
        self.assertEqual(self.taken(), ([], []))
        self.assertEqual(self.verdicts(), {})


if __name__ == "__main__":
    unittest.main()
