"""Several relays: which one gets a letter, what happens when one is away, and
what a relay cannot carry."""

import time
import unittest

import harness
from harness import Sink, scaled, wait_for


class TwoRelays(harness.DispatchCase):
    """relay.main is the sink; relay.other is a second one."""

    types = {}
    keeps = ("log",)
    settings = (("relay.main.priority", "20"), ("relay.main.rest", "200ms"),
                ("relay.main.rest_max", "1s"), ("relay.other.priority", "10"))
    other_options = ()

    def setUp(self):
        super().setUp()
        self.other = Sink(*self.other_options, keeps=self.keeps)
        self.addCleanup(self.stop_other)
        self.dispatcher.settings.update({
            "relay.other.host": "127.0.0.1",
            "relay.other.port": str(self.other.port),
            "relay.other.tls": "none"})
        self.dispatcher.write_config()

    def stop_other(self):
        if self.other.process.poll() is None:
            self.other.stop()

    def use(self, **settings):
        self.dispatcher.settings.update(
            {name.replace("__", "."): text for name, text in settings.items()})
        self.dispatcher.write_config()

    def counts(self):
        return self.sink.accepted(), self.other.accepted()

    def wait_both(self, count):
        wait_for(lambda: sum(self.counts()) >= count,
                 "%d mails at both" % count)


class Failover(TwoRelays):
    def test_the_second_takes_over_and_the_first_comes_back(self):
        port = self.sink.port
        self.stop_sink()
        self.recipients(10)
        self.emit_notices(300, recipients=10)
        process = self.dispatcher.start()
        wait_for(lambda: self.other.accepted() == 300, "all at the other")
        self.assertEqual(self.other.summary()["doubles"], 0)

        self.sink = Sink(keeps=self.keeps, port=port)
        # Letters are what makes it look again.
        came = 0
        while self.sink.accepted() == 0:
            self.emit_notices(1)
            came += 1
            self.assertLess(came, 200, "never used again")
            time.sleep(0.05)
        wait_for(self.is_drained, "rest of the trickle")
        before = self.other.accepted()
        self.emit_notices(200, recipients=10)
        wait_for(self.is_drained, "all sent")
        self.assertEqual(harness.stop_process(process), 0)
        self.assertEqual(self.other.accepted(), before)
        self.assertEqual(sum(self.counts()), 500 + came)
        self.assertEqual(self.verdicts(), {"sent": 500 + came})
        for sink in (self.sink, self.other):
            self.assert_no_offence(sink.summary())

    def test_the_first_dies_in_the_middle(self):
        count = scaled(4000)
        self.recipients(10)
        self.use(relay__main__rate_per_s=str(count // 2))
        self.emit_notices(count, recipients=10)
        process = self.dispatcher.start()
        self.wait_accepted(count // 4)
        self.assertEqual(self.other.accepted(), 0)
        self.sink.summary()
        known = {row[1] for row in self.sink.arrivals()}
        self.sink.process.kill()
        self.sink.process.wait()
        wait_for(lambda: self.verdicts().get("sent") == count, "all sent")
        self.assertEqual(harness.stop_process(process), 0)
        with open(self.sink.log) as f:
            known |= {line.split("\t")[1] for line in f if "\t" in line}
        at_other = [row[1] for row in self.other.arrivals()]
        self.assertEqual(len(at_other), len(set(at_other)))
        unsure = self.verdicts().get("unsure", 0)
        self.assertLessEqual(unsure, 4 * 64)
        # Twice only what the ledger calls unsure.
        self.assertLessEqual(len(known & set(at_other)), unsure)
        self.assertNotIn("failed", self.verdicts())

    def test_a_relay_that_refuses_us_is_not_asked_in_a_loop(self):
        self.stop_sink()
        self.sink = Sink("--fault", "mail=550 5.7.1 not you", keeps=self.keeps,
                         port=self.sink.port)
        self.recipients(10)
        self.emit_notices(500, recipients=10)
        self.dispatcher.start()
        wait_for(lambda: "relay paused" in self.dispatcher.read_log(),
                 "the pause")
        refused = self.sink.summary()["refused_mail"]
        # Twenty in a row, and what was in flight with them.
        self.assertLessEqual(refused, 20 + 64 * 4)
        wait_for(lambda: self.other.accepted() == 500 - refused,
                 "the rest at the other")
        wait_for(lambda: self.verdicts() == {"deferred": refused,
                                             "sent": 500 - refused},
                 "none to be failed")


class Shares(TwoRelays):
    settings = ()

    def test_weights(self):
        """While both keep up: weights never make a letter wait."""
        self.use(relay__main__weight="3")
        self.recipients(10)
        self.dispatcher.start()
        session = harness.Session(self.dsn)
        self.addCleanup(session.close)
        count = 0
        while count < 600:
            session.run("SELECT count(postbatch.emit('notice', '{"
                        "\"recipient\": 1, \"subject\": \"a\","
                        " \"body\": \"b\"}'::jsonb))"
                        " FROM generate_series(1, 20)")
            count += 20
            self.wait_both(count)
        first, second = self.counts()
        harness.measured("weights 3 and 1: %d and %d" % (first, second))
        self.assertEqual(first + second, count)
        # A machine that is busy has moments in which one does not keep up.
        self.assertLess(abs(first / count - 0.75), 0.2)

    def test_rates(self):
        self.use(relay__main__rate_per_s="50", relay__other__rate_per_s="150")
        self.recipients(10)
        self.emit_notices(800, recipients=10)
        self.run_once()
        first, second = self.counts()
        self.assertEqual(first + second, 800)
        rows = {"main": self.sink.arrivals(), "other": self.other.arrivals()}
        for name, rate in (("main", 50), ("other", 150)):
            times = sorted(row[0] for row in rows[name])
            for begin in times[::20]:
                within = sum(begin <= t < begin + 1 for t in times)
                # What a full bucket holds, and what a second adds.
                self.assertLessEqual(within, 2 * rate * 1.05 + 1)
            took = times[-1] - times[0]
            self.assertLessEqual(len(times), rate * (took + 1) * 1.05 + 1)
        self.assertGreater(second, 2 * first)

    def test_a_rate_for_a_minute(self):
        self.use(relay__main__rate_per_min="30", relay__other__priority="5")
        self.recipients(10)
        self.emit_notices(100, recipients=10)
        self.dispatcher.start()
        self.wait_accepted(30)
        time.sleep(1.0)  # a token comes every two seconds
        self.assertLessEqual(self.sink.accepted(), 32)
        self.assertEqual(self.other.accepted(), 0, "it waits for its relay")


class Abilities(TwoRelays):
    """Letters that a relay cannot carry."""

    settings = (("relay.main.priority", "20"), ("relay.other.priority", "10"))

    def alone(self):
        for name in list(self.dispatcher.settings):
            if name.startswith("relay.other."):
                del self.dispatcher.settings[name]
        self.dispatcher.write_config()

    def replace_sink(self, *options):
        port = self.sink.port
        self.stop_sink()
        self.sink = Sink(*options, keeps=self.keeps, port=port)

    def address(self, number, email):
        self.sql("INSERT INTO postbatch.recipient (id, email) VALUES (%d,"
                 " '%s')" % (number, email))

    def notice(self, recipient, size=40):
        self.emit("notice", {"recipient": recipient, "subject": "a",
                             "body": "All is well. " * (size // 13 + 1)})

    def failures(self):
        return self.sql("SELECT recipient_id, code, enhanced, reply FROM"
                        " postbatch.ledger WHERE verdict = 3 ORDER BY 1")

    def test_limits_of_the_relay(self):
        self.alone()
        for gear in ("lockstep", "pipelined", "streamed"):
            with self.subTest(gear=gear):
                self.use(relay__main__gear=gear, relay__main__lanes="2")
                self.replace_sink("--limits", "MAILMAX=7 RCPTMAX=3 X=1")
                self.sql("TRUNCATE postbatch.recipient,"
                         " postbatch.ledger_letter, postbatch.ledger_batch"
                         " CASCADE")
                self.recipients(10)
                self.emit_notices(200, recipients=10)
                self.run_once()
                summary = self.assert_each_once(200)
                self.assertEqual(summary["refused_mail"], 0)
                self.assertEqual(summary["refused"], 0)
                self.assertGreaterEqual(summary["connections"], 200 // 7)
                # Two, and two whose QUIT was answered: the sink counts them
                # until it sees their end.
                self.assertLessEqual(summary["max_concurrent"], 4)
                self.assertEqual(summary["without_quit"], 0)

    def test_letters_on_one_connection(self):
        self.alone()
        self.use(relay__main__messages_per_connection="20",
                 relay__main__lanes="1")
        self.recipients(10)
        self.emit_notices(100, recipients=10)
        self.run_once()
        summary = self.assert_each_once(100)
        self.assertIn(summary["connections"], (5, 6))
        self.assertLessEqual(summary["max_concurrent"], 2)  # as above

    def test_too_large(self):
        self.alone()
        self.replace_sink("--size", "12000")
        self.recipients(2)
        self.notice(1, 30000)
        self.notice(2, 100)
        self.run_once()
        summary = self.assert_each_once(1)
        self.assertEqual(summary["mails_begun"], 1, "no MAIL for the other")
        [[recipient, _, enhanced, reply]] = self.failures()
        self.assertEqual((recipient, enhanced), ("1", "5.3.4"))
        self.assertIn("larger than the relay takes", reply)

    def test_too_large_for_one(self):
        self.replace_sink("--size", "12000")
        self.recipients(2)
        self.notice(1, 30000)
        self.notice(2, 100)
        self.run_once()
        self.assertEqual(self.counts(), (1, 1))
        self.assertEqual(self.sink.summary()["mails_begun"], 1)
        self.assertEqual(self.other.arrivals()[0][3], "u1@example.org")
        self.assertEqual(self.verdicts(), {"sent": 2})

    def test_smtputf8(self):
        self.alone()
        self.address(1, "jürgen@example.org")
        self.address(2, "健一@例え.example")
        self.address(3, "jane@example.org")
        for number in (1, 2, 3):
            self.notice(number)
        self.run_once()
        self.assert_each_once(3)
        # As it is: with SMTPUTF8 no part of it is converted.
        self.assertEqual(sorted(row[3] for row in self.sink.arrivals()),
                         ["jane@example.org", "jürgen@example.org",
                          "健一@例え.example"])

    def test_smtputf8_not_offered(self):
        self.alone()
        self.replace_sink("--no-smtputf8")
        self.address(1, "jürgen@example.org")
        self.address(3, "jane@example.org")
        self.notice(1)
        self.notice(3)
        self.run_once()
        self.assert_each_once(1)
        [[recipient, _, enhanced, reply]] = self.failures()
        self.assertEqual((recipient, enhanced), ("1", "5.6.7"))
        self.assertIn("SMTPUTF8", reply)

    def test_smtputf8_offered_by_the_other(self):
        self.replace_sink("--no-smtputf8")
        self.address(1, "jürgen@example.org")
        self.address(3, "jane@example.org")
        self.notice(1)
        self.notice(3)
        self.run_once()
        self.assertEqual(self.counts(), (1, 1))
        self.assertEqual(self.other.arrivals()[0][3], "jürgen@example.org")
        self.assert_no_offence(self.other.summary())

    def test_idn_domain(self):
        self.alone()
        self.replace_sink("--no-smtputf8", "--no-8bitmime")
        self.address(1, "jane@münchen.example")
        self.address(2, "jane@BÜCHER.example")
        self.notice(1)
        self.notice(2)
        self.run_once()
        self.assert_each_once(2)
        self.assertEqual(sorted(row[3] for row in self.sink.arrivals()),
                         ["jane@xn--bcher-kva.example",
                          "jane@xn--mnchen-3ya.example"])


if __name__ == "__main__":
    unittest.main()
