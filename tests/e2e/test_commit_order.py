"""Events become visible in another order than they got their ids: none may be
lost for it and none routed twice, whatever writers do and whenever the
dispatcher is killed."""

import os
import random
import threading
import time
import unittest

import harness
from harness import measured, wait_for

WRITERS = 16
KILLS = 20
SEED = int(os.environ.get("TEST_SEED", random.SystemRandom().randrange(
    1 << 31)))


class Writer(threading.Thread):
    """Transactions of all kinds, one after the other, until told to stop."""

    def __init__(self, dsn, number, stop):
        super().__init__(daemon=True)
        self.session = harness.Session(dsn)
        self.number = number
        self.stop = stop
        self.random = random.Random(SEED + number)
        self.committed = []
        self.rolled_back = 0
        self.error = None

    def emit(self):
        return int(self.session.value(
            "SELECT postbatch.emit('notice', '{\"recipient\": %d,"
            " \"subject\": \"x\", \"body\": \"y\"}'::jsonb)" % self.number))

    def savepoint(self):
        """Emits below a savepoint; gives what is left after its end."""
        self.session.run("SAVEPOINT s")
        events = [self.emit() for _ in range(self.random.randint(1, 3))]
        if self.random.random() < 0.5:
            self.session.run("ROLLBACK TO s")
            self.rolled_back += len(events)
            return []
        self.session.run("RELEASE s")
        return events

    def transaction(self):
        dice = self.random.random
        self.session.run("BEGIN")
        events = [self.emit() for _ in range(self.random.randint(0, 4))]
        if dice() < 0.3:
            events += self.savepoint()
        if dice() < 0.1:
            time.sleep(0.5 + dice())
            events.append(self.emit())
        if dice() < 0.2:
            self.session.run("ROLLBACK")
            self.rolled_back += len(events)
        else:
            self.session.run("COMMIT")
            self.committed += events

    def run(self):
        try:
            while not self.stop.is_set():
                self.transaction()
                time.sleep(self.random.random() * 0.02)
        except AssertionError as error:
            self.error = error
        self.session.close()


class CommitOrder(harness.DispatchCase):
    settings = (("worker.lease", "5s"), ("router.step", "50"))
    sink_options = ("--dot-delay", "5")

    def test_every_event_is_routed_once(self):
        dice = random.Random(SEED)
        self.recipients(WRITERS)
        stop = threading.Event()
        self.addCleanup(stop.set)
        writers = [Writer(self.dsn, n + 1, stop) for n in range(WRITERS)]
        for writer in writers:
            writer.start()
        for _ in range(KILLS):
            process = self.dispatcher.start()
            try:  # a random moment, not a condition to be waited for
                process.wait(0.1 + 0.7 * dice.random() * harness.PATIENCE)
                self.fail("the dispatcher ended: " +
                          self.dispatcher.read_log()[-2000:])
            except harness.subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        process = self.dispatcher.start()
        stop.set()
        for writer in writers:
            writer.join(30 * harness.PATIENCE)
            self.assertIsNone(writer.error)
        committed = sorted(e for w in writers for e in w.committed)
        wait_for(lambda: self.sink.summary()["distinct"] >= len(committed) and
                 self.is_drained(), "all committed events to be mailed", 40)
        self.assertEqual(harness.stop_process(process), 0)

        stored = [int(e) for e, in self.sql(
            "SELECT id FROM postbatch.event ORDER BY id")]
        self.assertEqual(stored, committed)
        # Routed after an event with a higher id: "id > last" loses these.
        late = self.number("""
            SELECT count(*)
              FROM (SELECT DISTINCT batch_id, event_id
                      FROM postbatch.ledger) AS l
              JOIN (SELECT batch_id, max(max(event_id))
                             OVER (ORDER BY batch_id ROWS BETWEEN UNBOUNDED
                                   PRECEDING AND 1 PRECEDING) AS top
                      FROM postbatch.ledger GROUP BY 1) AS t
                   USING (batch_id)
             WHERE event_id < top""")
        first = {int(e): int(n) for e, n in self.sql(
            "SELECT event_id, count(*) FROM postbatch.ledger"
            " WHERE attempt = 0 GROUP BY 1")}
        summary = self.sink.summary()
        unsure = self.verdicts().get("unsure", 0)
        measured("%d writers: %d events committed (%d of them after"
                 " a higher id was routed), %d rolled back; dispatcher killed"
                 " %d times: %d routed once, %d lost, %d doubles of %d unsure" %
                 (WRITERS, len(committed), late,
                  sum(w.rolled_back for w in writers), KILLS,
                  sum(n == 1 for n in first.values()),
                  len(set(committed) - set(first)), summary["doubles"],
                  unsure))
        said = "seed %d" % SEED
        self.assertGreater(late, 0, said)
        self.assertEqual(set(committed) - set(first), set(), said)
        self.assertEqual(set(first) - set(committed), set(), said)
        self.assertEqual([e for e, n in first.items() if n != 1], [], said)
        self.assertEqual(self.number(
            "SELECT count(*) FROM (SELECT event_id FROM postbatch.ledger"
            " GROUP BY 1 HAVING count(DISTINCT batch_id) > 1) AS twice"), 0)
        self.assertEqual(summary["distinct"], len(committed), said)
        self.assertLessEqual(summary["doubles"], unsure, said)


if __name__ == "__main__":
    unittest.main()
