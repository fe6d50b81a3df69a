"""Connections that must not be: no credential and no mail leaves in clear, or
to somebody else, unless the operator says so. And those that must: every way
to encrypt and to authenticate.
"""

import contextlib
import os
import socket
import ssl
import unittest

import harness
from harness import wait_for
from scripted_relay import Certificates, ScriptedRelay

USER = "jane"
PASSWORD = "s3cret-pass"
TOKEN = "ya29.t0ken"
# A name for this host that does not look like it: a distant relay, to us.
DISTANT = "0.0.0.0"


class TlsCase(harness.DispatchCase):
    """The relay is a ScriptedRelay; the sink is there when it is wanted."""

    types = {}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        holder = harness.temporary_directory("postbatch-tls-")
        cls.certificates = Certificates(holder.__enter__())
        cls.addClassCleanup(holder.__exit__, None, None, None)
        cls.ca = cls.certificates.path("ca.pem")

    def relay(self, pair=None, **options):
        if pair:
            options["pair"] = self.certificates.pair(pair)
        if "client_ca" in options:
            options["client_ca"] = self.ca
        relay = ScriptedRelay(**options)
        self.addCleanup(relay.stop)
        return relay

    def use(self, relay, **settings):
        """Points the dispatcher at the relay; ca_file goes by itself."""
        whole = {"host": "localhost", "port": relay.port or 0,
                 "tls": "starttls", "ca_file": self.ca}
        whole.update(settings)
        for name, text in whole.items():
            if text is not None:
                self.dispatcher.settings["relay.main." + name] = str(text)
        self.dispatcher.write_config()

    def one_letter(self):
        self.recipients(1)
        self.emit("notice", {"recipient": 1, "subject": "Very private",
                             "body": "Nobody else's business."})


class Refused(TlsCase):
    def assert_nothing_left(self, relay, secrets_too=True):
        """Neither mail nor, unless it was taken for good, a credential."""
        self.assertEqual(relay.mails, [])
        for verb in (b"MAIL", b"RCPT", b"DATA", b"BDAT"):
            self.assertNotIn(verb, relay.verbs())
        self.assertNotIn(b"AUTH", relay.in_clear())
        if secrets_too:
            self.assertEqual(relay.secrets_seen, [])
        text = b"\n".join(line for _, line in relay.lines)
        for secret in (PASSWORD, TOKEN, "Very private", "u1@example.org"):
            self.assertNotIn(secret.encode(), text)

    def assert_refused(self, relay, words, pauses=True, secrets_too=True,
                       **settings):
        """check says why; run says why, and keeps the letter."""
        self.use(relay, **settings)
        done = self.dispatcher.command("check")
        self.assertEqual(done.returncode, 65, done.stdout + done.stderr)
        for word in words:
            self.assertIn(word, done.stderr + done.stdout)
        self.one_letter()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self.dispatcher.directory, "log"))
        process = self.dispatcher.start()
        mark = "relay paused" if pauses else "relay cannot be used"
        wait_for(lambda: mark in self.dispatcher.read_log(), mark)
        log = self.dispatcher.read_log()
        if pauses:
            self.assertIn("relay trouble", log)  # a person is told
        for word in words:
            self.assertIn(word.replace('"', "'"), log.replace('\\"', '"')
                          .replace('"', "'"))
        for secret in (PASSWORD, TOKEN):
            self.assertNotIn(secret, log + done.stdout + done.stderr)
        self.assert_nothing_left(relay, secrets_too)
        tries = len(relay.peers)
        self.assertEqual(harness.stop_process(process), 0)
        self.assertEqual(self.verdicts(), {})
        self.assertFalse(self.is_drained(), "the letter is kept")
        if pauses:
            self.assertLessEqual(tries, 2, "one of check and one of run")

    def test_no_starttls(self):
        self.assert_refused(self.relay(), ["STARTTLS was expected"])

    def test_no_starttls_and_credentials(self):
        self.assert_refused(
            self.relay(secrets={"PLAIN": b""}), ["STARTTLS was expected"],
            user=USER, password=PASSWORD)

    def test_opportunistic_is_a_must_with_credentials(self):
        self.assert_refused(
            self.relay(secrets={"PLAIN": b""}), ["STARTTLS was expected"],
            host=DISTANT, tls="opportunistic", user=USER, password=PASSWORD)

    def test_starttls_refused(self):
        self.assert_refused(
            self.relay(tls="starttls", pair="good",
                       starttls_reply=b"454 4.7.0 TLS not available"),
            ["STARTTLS was expected", "454", "TLS not available"],
            pauses=False, user=USER, password=PASSWORD)

    def test_wrong_name(self):
        self.assert_refused(
            self.relay(tls="starttls", pair="other",
                       secrets={"PLAIN": b""}),
            ["the certificate was not accepted", "localhost"],
            user=USER, password=PASSWORD)

    def test_wrong_name_implicit(self):
        self.assert_refused(
            self.relay(tls="implicit", pair="other"),
            ["the certificate was not accepted", "localhost"],
            tls="implicit")

    def test_expired(self):
        self.assert_refused(
            self.relay(tls="starttls", pair="expired"),
            ["the certificate was not accepted", "expired"])

    def test_unknown_authority(self):
        self.assert_refused(
            self.relay(tls="starttls", pair="good", secrets={"PLAIN": b""}),
            ["the certificate was not accepted", "ca_file"],
            ca_file=self.certificates.path("stranger.pem"),
            user=USER, password=PASSWORD)

    def test_opportunistic_does_not_take_a_bad_certificate(self):
        self.assert_refused(
            self.relay(tls="starttls", pair="other"),
            ["the certificate was not accepted"], tls="opportunistic")

    def test_old_tls(self):
        self.assert_refused(
            self.relay(tls="starttls", pair="good",
                       newest=ssl.TLSVersion.TLSv1_2),
            ["TLS failed"], pauses=False, min_tls="1.3")

    def test_bytes_behind_the_220(self):
        """CVE-2011-0411: what was said before TLS must not count after it."""
        self.assert_refused(
            self.relay(tls="starttls", pair="good", secrets={"PLAIN": b""},
                       behind_220=b"250-scripted.example\r\n"
                                  b"250 AUTH PLAIN\r\n"),
            ["bytes behind the reply to STARTTLS", "nothing was sent"],
            user=USER, password=PASSWORD)

    def test_auth_not_offered(self):
        self.assert_refused(
            self.relay(tls="starttls", pair="good"),
            ["the credentials were not accepted", "AUTH was not offered"],
            user=USER, password=PASSWORD)

    def test_mechanism_not_offered(self):
        self.assert_refused(
            self.relay(tls="starttls", pair="good",
                       secrets={"CRAM-MD5": b"", "NTLM": b""}),
            ["the credentials were not accepted"],
            user=USER, password=PASSWORD)

    def test_bad_password(self):
        relay = self.relay(tls="starttls", pair="good",
                           secrets={"PLAIN": b"\0jane\0another"})
        self.assert_refused(
            relay, ["535 5.7.8 bad credentials", "check user, password"],
            secrets_too=False, user=USER, password=PASSWORD)
        self.assertLessEqual(len(relay.secrets_seen), 2)

    def test_bad_token(self):
        for auth in ("xoauth2", "oauthbearer"):
            with self.subTest(auth=auth):
                self.sql("TRUNCATE postbatch.recipient CASCADE")
                self.assert_refused(
                    self.relay(tls="starttls", pair="good",
                               secrets={auth.upper(): b"another"}),
                    ["the credentials were not accepted"],
                    secrets_too=False, auth=auth, user=USER, token=TOKEN)

    def test_implicit_tls_at_a_plain_port(self):
        self.assert_refused(self.relay(), ["check port and tls"],
                            pauses=False, tls="implicit")

    def test_client_certificate_missing(self):
        self.assert_refused(
            self.relay(tls="implicit", pair="good", client_ca=True,
                       newest=ssl.TLSVersion.TLSv1_2),
            ["TLS failed"], pauses=False, tls="implicit")

    def test_plain_credentials_are_a_mistake_in_the_settings(self):
        relay = self.relay(secrets={"PLAIN": b""})
        for host in (DISTANT, "127.0.0.1.example.org"):
            self.use(relay, host=host, tls="none", user=USER,
                     password=PASSWORD)
            for command in (("check",), ("run", "--once")):
                done = self.dispatcher.command(*command)
                self.assertNotEqual(done.returncode, 0)
                self.assertIn("in plain text", done.stderr)
        self.assertEqual(relay.peers, [])


class Accepted(TlsCase):
    def assert_sent(self, relay, over_tls=True, **settings):
        self.use(relay, **settings)
        done = self.dispatcher.must("check")
        self.assertIn("TLS" if over_tls else "no TLS", done.stdout)
        self.one_letter()
        self.run_once()
        self.assertEqual(self.verdicts(), {"sent": 1})
        [(was_tls, _, content)] = relay.mails
        self.assertEqual(was_tls, over_tls)
        self.assertIn(b"Very private", content)
        if over_tls:
            for verb in relay.in_clear():
                self.assertIn(verb, (b"EHLO", b"STARTTLS"))

    def test_starttls(self):
        self.assert_sent(self.relay(tls="starttls", pair="good"))

    def test_implicit(self):
        self.assert_sent(self.relay(tls="implicit", pair="good"),
                         tls="implicit")

    def test_opportunistic(self):
        self.assert_sent(self.relay(tls="starttls", pair="good"),
                         tls="opportunistic")

    def test_opportunistic_without(self):
        self.assert_sent(self.relay(), over_tls=False, tls="opportunistic")

    def test_tls_1_3(self):
        self.assert_sent(self.relay(tls="starttls", pair="good"),
                         min_tls="1.3")

    def test_verify_off(self):
        self.assert_sent(self.relay(tls="starttls", pair="expired"),
                         verify="no", host="127.0.0.1")

    def test_password(self):
        plain = b"\0jane\0s3cret-pass"
        login = b"jane\0s3cret-pass"
        for auth, secrets, want in (
                ("auto", {"PLAIN": plain, "LOGIN": login}, "PLAIN"),
                ("auto", {"LOGIN": login}, "LOGIN"),
                ("plain", {"LOGIN": login, "PLAIN": plain}, "PLAIN"),
                ("login", {"PLAIN": plain, "LOGIN": login}, "LOGIN"),
                ("auto", {"CRAM-MD5": b"", "NTLM": b"", "PLAIN": plain},
                 "PLAIN")):
            with self.subTest(auth=auth, offered=list(secrets)):
                self.sql("TRUNCATE postbatch.recipient,"
                         " postbatch.ledger_letter, postbatch.ledger_batch"
                         " CASCADE")
                relay = self.relay(tls="starttls", pair="good",
                                   secrets=secrets)
                self.assert_sent(relay, auth=auth, user=USER,
                                 password=PASSWORD)
                self.assertEqual({(tls, mechanism) for tls, mechanism, _ in
                                  relay.secrets_seen}, {(True, want)})

    def test_password_file(self):
        path = os.path.join(self.dispatcher.directory, "password")
        with open(path, "w") as f:
            f.write(PASSWORD + "\n")
        self.assert_sent(
            self.relay(tls="implicit", pair="good",
                       secrets={"PLAIN": b"\0jane\0s3cret-pass"}),
            tls="implicit", user=USER, password_file=path)

    def test_token(self):
        for auth, mechanism in (("xoauth2", "XOAUTH2"),
                                ("oauthbearer", "OAUTHBEARER"),
                                ("auto", "XOAUTH2"), ("auto", "OAUTHBEARER")):
            with self.subTest(auth=auth, mechanism=mechanism):
                self.sql("TRUNCATE postbatch.recipient,"
                         " postbatch.ledger_letter, postbatch.ledger_batch"
                         " CASCADE")
                relay = self.relay(tls="starttls", pair="good")
                relay.secrets = {
                    "XOAUTH2": b"user=jane\1auth=Bearer ya29.t0ken\1\1",
                    "OAUTHBEARER": b"n,a=jane,\1host=localhost\1port=%d\1"
                                   b"auth=Bearer ya29.t0ken\1\1" % relay.port}
                relay.secrets = {mechanism: relay.secrets[mechanism]}
                self.assert_sent(relay, auth=auth, user=USER, token=TOKEN)
                self.assertEqual({seen[1] for seen in relay.secrets_seen},
                                 {mechanism})

    def test_client_certificate(self):
        certificate, key = self.certificates.pair("client")
        relay = self.relay(tls="starttls", pair="good", client_ca=True)
        self.assert_sent(relay, cert_file=certificate, key_file=key)
        self.assertEqual(set(relay.client_names), {"client"})

    def test_plain_credentials_where_they_are_allowed(self):
        """On this host, and where the operator says so."""
        for host, allowed in (("127.0.0.1", "no"), (DISTANT, "yes")):
            with self.subTest(host=host):
                self.sql("TRUNCATE postbatch.recipient,"
                         " postbatch.ledger_letter, postbatch.ledger_batch"
                         " CASCADE")
                relay = self.relay(secrets={"PLAIN": b"\0jane\0s3cret-pass"})
                self.assert_sent(relay, over_tls=False, host=host, tls="none",
                                 user=USER, password=PASSWORD,
                                 allow_plain_auth=allowed)

    def test_unix_socket(self):
        path = os.path.join(self.dispatcher.directory, "relay.sock")
        relay = self.relay(path=path)
        self.assert_sent(relay, over_tls=False, tls="none", unix_path=path)

    def test_helo_and_source_address(self):
        relay = self.relay()
        self.assert_sent(relay, over_tls=False, tls="none", host="127.0.0.1",
                         helo="mail.postbatch.example",
                         source_address="127.0.0.2")
        self.assertEqual({line for _, line in relay.lines
                          if line.startswith(b"EHLO")},
                         {b"EHLO mail.postbatch.example"})
        self.assertEqual({peer[0] for peer in relay.peers}, {"127.0.0.2"})

    def test_default_helo_is_a_name(self):
        relay = self.relay()
        self.assert_sent(relay, over_tls=False, tls="none")
        [helo] = {line for _, line in relay.lines
                  if line.startswith(b"EHLO")}
        self.assertEqual(helo.split(b" ")[1].decode(), socket.gethostname())


class ByTheSink(TlsCase):
    """The same by the sink: thousands of mails over TLS, not one."""

    def test_many_mails_over_tls_with_auth(self):
        self.stop_sink()
        self.sink = harness.Sink(
            "--starttls", *self.certificates.pair("good"), "--require-tls",
            "--auth", "jane:s3cret-pass", "--require-auth",
            "--bare-before-tls")
        self.use(self.sink, user=USER, password=PASSWORD)
        self.recipients(20)
        self.emit_notices(harness.scaled(3000), recipients=20)
        self.run_once()
        summary = self.assert_each_once(harness.scaled(3000))
        self.assertEqual(summary["handshakes"], summary["connections"])
        self.assertEqual(summary["authenticated"], summary["connections"])


if __name__ == "__main__":
    unittest.main()
