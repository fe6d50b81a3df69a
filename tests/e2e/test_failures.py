"""Relays that refuse, break off or are away, and a database that goes away:
no mail is lost, and the ledger owns up to every double."""

import unittest

import harness
from harness import scaled, wait_for

LANES, WINDOW = 4, 64  # as preset


class Refused(harness.DispatchCase):
    """Recipients whom the relay does not take."""

    COUNT = 400
    keeps = ("log",)
    settings = (("retry.first", "1s"), ("ledger.replies", "all"))
    sink_options = (
        "--fault", "rcpt~u1@=550 5.1.1 no such user",
        "--fault", "rcpt~u2@=550 5.2.3 too big for this mailbox",
        "--fault", "rcpt~u3@=553-sorry\\n553 that is all we know",
        "--fault", "content~u4@=554 5.6.0 we do not like it",
        "--fault", "rcpt@11-30=450 4.2.0 mailbox busy",
        "--fault", "content@101-110=451 4.3.0 disk full",
    )

    def test_each_refusal_is_its_own_affair(self):
        self.recipients(self.COUNT)
        self.emit_notices(self.COUNT)
        process = self.dispatcher.start()
        wait_for(lambda: self.verdicts().get("sent") == self.COUNT - 4,
                 "all but four to be sent")
        harness.stop_process(process)
        summary = self.assert_each_once(self.COUNT - 4)
        self.assertLessEqual(summary["connections"], LANES,
                             "a refusal costs no connection")

        # For now: put back and delivered later.
        self.assertEqual(self.verdicts(), {"sent": self.COUNT - 4, "failed": 4,
                                           "deferred": 30})
        self.assertEqual(self.sql("""
            SELECT d.code, d.enhanced, d.reply, s.attempt, count(*)
              FROM postbatch.ledger AS d JOIN postbatch.ledger AS s
                   USING (recipient_id, event_id, batch_id)
             WHERE d.verdict = 2 AND s.verdict = 1 AND s.at >= d.at + '1 s'
             GROUP BY 1, 2, 3, 4 ORDER BY 1"""),
            [["450", "4.2.0", "4.2.0 mailbox busy", "1", "20"],
             ["451", "4.3.0", "4.3.0 disk full", "1", "10"]])

        # For good: the ledger has the relay's words.
        failed = {int(r[0]): r[1:] for r in self.sql(
            "SELECT recipient_id, code, enhanced, reply"
            " FROM postbatch.ledger WHERE verdict = 3")}
        self.assertEqual(sorted(failed), [1, 2, 3, 4])
        self.assertEqual(failed[1], ["550", "5.1.1", "5.1.1 no such user"])
        self.assertEqual(failed[2], ["550", "5.2.3",
                                     "5.2.3 too big for this mailbox"])
        self.assertEqual(failed[3][0], "553")
        self.assertIn("that is all we know", failed[3][2])
        self.assertEqual(failed[4], ["554", "5.6.0",
                                     "5.6.0 we do not like it"])

        # Only an address that is dead is not written to again.
        self.assertEqual(self.sql("SELECT email, reason, until"
                                  " FROM postbatch.suppression"),
                         [["u1@example.org", "5.1.1 no such user", ""]])
        self.emit_notices(2, recipients=2)
        self.run_once()
        self.assertEqual(self.sql("""
            SELECT recipient_id, verdict, reply FROM postbatch.ledger
             WHERE event_id IN (SELECT id FROM postbatch.event
                                 ORDER BY id DESC LIMIT 2) ORDER BY 1"""),
            [["1", "5", "5.1.1 no such user"],
             ["2", "3", "5.2.3 too big for this mailbox"]])

    def test_tries_come_to_an_end(self):
        self.dispatcher.settings["retry.attempts"] = "2"
        self.dispatcher.write_config()
        self.sink.stop()
        self.sink = harness.Sink("--fault", "rcpt=450 4.2.0 mailbox busy")
        self.dispatcher.settings["relay.main.port"] = str(self.sink.port)
        self.dispatcher.write_config()
        self.recipients(1)
        self.emit_notices(1)
        self.dispatcher.start()
        wait_for(lambda: self.verdicts() == {"deferred": 1, "failed": 1},
                 "the second try to be the last")
        self.assertIn("given up after 2 tries", self.value(
            "SELECT reply FROM postbatch.ledger WHERE verdict = 3"))
        self.assertTrue(self.is_drained())


class Broken(harness.DispatchCase):
    """Relays that break off, or are not there."""

    settings = (("relay.main.rest", "50ms"), ("relay.main.rest_max", "200ms"))

    def replace_sink(self, *options, port=0):
        self.stop_sink()
        self.sink = harness.Sink(*options, port=port)
        self.dispatcher.settings["relay.main.port"] = str(self.sink.port)
        self.dispatcher.write_config()

    def test_a_lost_reply_is_unsure_and_said_so(self):
        count = scaled(5000)
        self.replace_sink("--fault", "content@every:%d=drop-after" %
                          (count // 4))
        self.recipients(100)
        self.emit_notices(count, recipients=100)
        self.run_once()
        summary = self.sink.summary()
        verdicts = self.verdicts()
        self.assertEqual(summary["distinct"], count)
        self.assertEqual(verdicts["sent"], count)
        self.assertGreaterEqual(summary["doubles"], 4)
        self.assertLessEqual(summary["doubles"], verdicts["unsure"])
        self.assertLessEqual(verdicts["unsure"],
                             summary["faults"][0]["hits"] * WINDOW)
        self.assert_no_offence(summary)

    def test_what_is_lost_on_the_way_in_is_no_double(self):
        count = scaled(5000)
        # Far enough apart that no letter is in doubt three times: then it waits.
        self.replace_sink("--fault", "mail@every:%d=drop" %
                          max(count // 8, 4 * WINDOW))
        self.recipients(100)
        self.emit_notices(count, recipients=100)
        self.run_once()
        summary = self.sink.summary()
        self.assertEqual(summary["distinct"], count)
        self.assertLessEqual(summary["doubles"],
                             self.verdicts().get("unsure", 0))

    def test_held_when_the_operator_wants_no_doubles(self):
        self.replace_sink("--fault", "content@1=drop-after")
        self.dispatcher.settings["retry.unsure"] = "hold"
        self.dispatcher.settings["relay.main.lanes"] = "1"
        self.dispatcher.settings["relay.main.gear"] = "pipelined"
        self.dispatcher.write_config()
        self.recipients(1)
        self.emit_notices(20, recipients=1)
        self.run_once()
        verdicts = self.verdicts()
        self.assertGreaterEqual(verdicts["unsure"], 1)
        self.assertEqual(verdicts["unsure"] + verdicts["sent"], 20)
        self.assertEqual(self.sink.summary()["doubles"], 0)
        said = self.dispatcher.must("resend", "--unsure", "--dry-run").stdout
        self.assertIn("%d to send again" % verdicts["unsure"], said)

    def test_a_letter_that_breaks_connections_makes_no_twins_for_ever(self):
        self.replace_sink("--fault", "content=drop-after")
        self.dispatcher.settings["retry.attempts"] = "3"
        self.dispatcher.write_config()
        self.recipients(1)
        self.emit_notices(1, recipients=1)
        self.dispatcher.start()
        wait_for(lambda: self.verdicts().get("unsure", 0) >= 3, "three tries")
        wait_for(self.is_drained, "the end of it")
        self.assertEqual(self.verdicts(), {"unsure": 3})

    def test_a_relay_that_comes_late(self):
        port = self.sink.port
        self.stop_sink()
        self.recipients(10)
        self.emit_notices(500, recipients=10)
        process = self.dispatcher.start()
        wait_for(lambda: self.number(
            "SELECT count(*) FROM postbatch.batch"
            " WHERE lease_owner IS NOT NULL"), "batches to be leased")
        wait_for(lambda: "relay trouble" in self.dispatcher.read_log(),
                 "the alarm")
        self.replace_sink(port=port)
        self.wait_accepted(500)
        wait_for(self.is_drained, "the last verdicts")
        harness.stop_process(process)
        self.assert_each_once(500)
        self.assertEqual(self.verdicts()["sent"], 500)
        self.assertNotIn("failed", self.verdicts())


class Database(harness.DispatchCase):
    """The database goes away in the middle."""

    def setUp(self):
        super().setUp()
        self.count = scaled(10000)
        self.recipients(100)
        self.emit_notices(self.count, recipients=100)
        self.dispatcher.settings["relay.main.rate_per_s"] = str(
            self.count // 2)
        self.dispatcher.write_config()

    def finish(self, process):
        wait_for(lambda: self.sink.accepted() >= self.count and
                 self.is_drained(), "all mails, all verdicts", 40)
        self.assertIsNone(process.poll(), "the dispatcher lives on")
        self.assertEqual(harness.stop_process(process), 0)
        self.assert_each_once(self.count)
        self.assertEqual(self.verdicts(), {"sent": self.count})

    def test_restarted(self):
        process = self.dispatcher.start()
        self.wait_accepted(self.count // 5)
        self.postgres.restart("fast")
        self.finish(process)

    def test_crashed(self):
        process = self.dispatcher.start()
        self.wait_accepted(self.count // 5)
        self.postgres.restart("immediate")
        self.finish(process)

    def test_connections_cut_again_and_again(self):
        process = self.dispatcher.start()
        for part in range(1, 9):
            self.wait_accepted(self.count * part // 10)
            harness.psql(self.postgres.conninfo,
                         "SELECT pg_terminate_backend(pid)"
                         " FROM pg_stat_activity WHERE datname = 'test'")
        self.finish(process)

    def test_not_there_at_the_end(self):
        """SIGTERM while the database is away: the journal remembers."""
        self.dispatcher.settings["worker.grace"] = "1s"
        # A lease whose answer was lost with the connection runs out.
        self.dispatcher.settings["worker.lease"] = "5s"
        self.dispatcher.write_config()
        process = self.dispatcher.start()
        self.wait_accepted(self.count // 5)
        harness.psql(self.postgres.conninfo,
                     "ALTER DATABASE test ALLOW_CONNECTIONS false;"
                     "SELECT pg_terminate_backend(pid)"
                     " FROM pg_stat_activity WHERE datname = 'test'")
        process.terminate()
        process.wait(20 * harness.PATIENCE)
        harness.psql(self.postgres.conninfo,
                     "ALTER DATABASE test ALLOW_CONNECTIONS true")
        self.finish(self.dispatcher.start())


if __name__ == "__main__":
    unittest.main()
