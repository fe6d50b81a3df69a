"""A relay's limits are totals: for all workers of a host together, and for all
hosts by what the database says is alive."""

import os
import signal
import time
import unittest

import harness
from harness import scaled, wait_for


def rates(arrivals, skip_s, seconds):
    """Mails in each second from skip_s seconds after the first on."""
    first = min(row[0] for row in arrivals)
    counts = [0] * seconds
    for row in arrivals:
        second = int(row[0] - first - skip_s)
        if row[0] - first >= skip_s and second < seconds:
            counts[second] += 1
    return counts


def children(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
        return [int(child) for child in f.read().split()]


class OneHost(harness.DispatchCase):
    keeps = ("log",)
    settings = (("worker.processes", "3"), ("relay.main.rate_per_s", "200"),
                ("relay.main.lanes", "4"), ("router.step", "200"),
                # What was leased a moment before a worker was killed and is
                # not in its journal yet waits for the end of the lease.
                ("worker.lease", "5s"))

    def test_rate_and_lanes_are_totals(self):
        self.recipients(50)
        self.emit_notices(2200, recipients=50)
        self.dispatcher.start()
        self.wait_accepted(1500)
        summary = self.sink.summary()
        per_second = rates(self.sink.arrivals(), 1, 5)
        harness.measured("3 workers, rate_per_s = 200, lanes = 4: %s a second"
                         " after the first, %d connections at once" %
                         (per_second, summary["max_concurrent"]))
        self.assertLessEqual(summary["max_concurrent"], 4)
        for count in per_second[:-1]:
            self.assertLessEqual(count, 215)
        self.assertGreater(sum(per_second[:-1]), 4 * 160)
        self.wait_accepted(2200)
        self.assert_each_once(2200)

    def test_a_killed_worker_gives_its_lanes_back(self):
        self.dispatcher.settings["relay.main.rate_per_s"] = "400"
        self.dispatcher.settings["relay.main.lanes"] = "2"
        self.dispatcher.write_config()
        count = 4000
        self.recipients(50)
        self.emit_notices(count, recipients=50)
        parent = self.dispatcher.start()
        self.wait_accepted(400)
        for victim in children(parent.pid):
            os.kill(victim, signal.SIGKILL)
        self.wait_accepted(count, seconds=30)
        self.assertTrue(wait_for(self.is_drained, "all settled"))
        summary = self.sink.summary()
        self.assertEqual(summary["distinct"], count)
        # The sink may see a new connection before the end of a killed one.
        self.assertLessEqual(summary["max_concurrent"], 4)
        # In flight on two lanes when they were killed, at most.
        self.assertLessEqual(summary["doubles"], 2 * 64)

    def test_one_lane_goes_round(self):
        self.dispatcher.settings["relay.main.rate_per_s"] = "0"
        self.dispatcher.settings["relay.main.lanes"] = "1"
        self.dispatcher.write_config()
        self.recipients(50)
        self.emit_notices(scaled(20000), recipients=50)
        self.dispatcher.start()
        self.wait_accepted(scaled(20000), seconds=60)
        summary = self.assert_each_once(scaled(20000))
        self.assertEqual(summary["max_concurrent"], 1)

    def test_all_workers_learn_of_a_dead_relay_at_once(self):
        self.sink.stop()
        self.dispatcher.settings["relay.main.rest"] = "500ms"
        self.dispatcher.write_config()
        self.recipients(50)
        self.emit_notices(3000, recipients=50)
        self.dispatcher.start()
        wait_for(lambda: "failures=3" in self.dispatcher.read_log(),
                 "the third failure")
        log = self.dispatcher.read_log()
        failed = [line for line in log.splitlines()
                  if "relay cannot be used" in line]
        # One line for each rest, not one for each worker.
        self.assertEqual([line.split("failures=")[1].split()[0]
                          for line in failed], ["1", "2", "3"])


class TwoHosts(harness.DispatchCase):
    keeps = ("log",)
    settings = (("relay.main.rate_per_s", "100"), ("relay.main.lanes", "4"),
                ("worker.lease", "5s"), ("router.step", "100"),
                ("worker.letters_ahead", "500"))

    def second(self):
        """Another parent on the same database."""
        other = harness.Dispatcher(
            self.dsn, self.sink.port, self.dispatcher.settings)
        other.settings["worker.journal"] = os.path.join(other.directory,
                                                        "journal")
        other.write_config()
        self.addCleanup(other.stop)
        return other

    def test_two_parents_share_the_rate(self):
        self.recipients(50)
        self.emit_notices(3000, recipients=50)
        self.dispatcher.settings["worker.processes"] = "2"
        self.dispatcher.write_config()
        other = self.second()
        first = self.dispatcher.start()
        second = other.start()
        wait_for(lambda: "parts=2" in self.dispatcher.read_log() and
                 "parts=2" in other.read_log(), "both to know of each other")
        begun = self.sink.accepted()
        time_begun = time.monotonic()
        self.wait_accepted(begun + 500)
        took = time.monotonic() - time_begun
        harness.measured("2 parents, rate_per_s = 100: %.0f a second in all" %
                         (500 / took))
        self.assertGreater(took, 3.5)  # buckets may have been full
        self.assertLess(took, 10 * harness.PATIENCE)
        self.assertLessEqual(self.sink.summary()["max_concurrent"], 4 + 2)
        # One is killed: the other has the whole rate, as soon as it looks.
        for child in children(second.pid) + [second.pid]:
            os.kill(child, signal.SIGKILL)
        second.wait()
        wait_for(lambda: "parts=1" in self.dispatcher.read_log(),
                 "the whole rate")
        self.assertIsNone(first.poll())

    def test_a_host_elsewhere_counts_while_it_is_seen(self):
        self.dispatcher.start()
        wait_for(lambda: self.number("SELECT count(*) FROM postbatch.worker")
                 == 1, "the worker")
        self.sql("INSERT INTO postbatch.worker (host, pid, parent)"
                 " VALUES ('elsewhere', 1, 1), ('elsewhere', 2, 1),"
                 " ('another', 2, 1)")
        wait_for(lambda: "parts=3" in self.dispatcher.read_log(),
                 "three parts")
        self.sql("UPDATE postbatch.worker SET seen_at = now() -"
                 " interval '31 s' WHERE host = 'another'")
        wait_for(lambda: "parts=2" in self.dispatcher.read_log(),
                 "two parts")


if __name__ == "__main__":
    unittest.main()
