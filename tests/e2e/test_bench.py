"""The benchmark harness: every scenario in its tiny form, and the shape of
what it writes. What the figures are is not looked at here: this machine does
other things meanwhile."""

import json
import os
import subprocess
import sys
import unittest

import harness

PROGRAM = os.path.join(harness.ROOT, "bench", "postbatch-bench")
# What others read from build/bench/latest.json.
NAMES = {
    "e2e_1to1_mails_per_s", "e2e_fanout_mails_per_s", "ratio_vs_nodemailer",
    "ratio_vs_smtp_source", "ratio_vs_rails", "ratio_vs_python",
    "ratio_vs_libcurl_transfer", "pg_cpu_us_per_mail", "wal_bytes_per_mail",
    "worker_cpu_us_per_mail", "backlog_cost_ratio",
    "held_snapshot_cost_ratio", "lag_p50_ms", "lag_p99_ms", "rss_max_mb",
    "idle_cpu_percent",
}


@unittest.skipIf(harness.SANITIZED, "measures nothing under the sanitizers")
class Bench(unittest.TestCase):
    def bench(self, *options):
        """Runs the program: (exit status, its words, rows by name)."""
        with harness.temporary_directory("postbatch-bench-test-") as folder:
            output = os.path.join(folder, "latest.json")
            done = subprocess.run(
                [sys.executable, PROGRAM, "--build", harness.BUILD,
                 "--output", output] + list(options),
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                env=harness.ENVIRONMENT, timeout=300)
            rows = []
            if os.path.exists(output):
                with open(output) as f:
                    rows = json.load(f)
        return (done.returncode, done.stdout + done.stderr,
                {row["name"]: row for row in rows})

    def test_every_scenario_writes_what_it_promises(self):
        status, said, rows = self.bench("--tiny")
        self.assertEqual(status, 0, said)
        self.assertLessEqual(NAMES, set(rows), said)
        for row in rows.values():
            self.assertEqual(set(row), {"name", "value", "unit", "note"})
            if row["value"] is None:
                self.assertIn("missing: ", row["note"])
            else:
                self.assertIsInstance(row["value"], (int, float))
        self.assertGreater(rows["pg_cpu_us_per_mail"]["value"], 0)
        self.assertGreater(rows["worker_cpu_us_per_mail"]["value"], 0)
        self.assertEqual(rows["failures_lost"]["value"], 0)

    def test_a_failing_scenario_stops_no_other(self):
        sink = harness.Sink("--fault", "rcpt=550 5.1.1 nobody here")
        self.addCleanup(sink.stop)
        status, said, rows = self.bench(
            "--tiny", "--only", "fan_out,lag", "--relay",
            "127.0.0.1:%d" % sink.port)
        self.assertEqual(status, 1, said)
        self.assertIn("FAILED: fan_out", said)
        self.assertIsNone(rows["e2e_fanout_mails_per_s"]["value"])
        self.assertIn("missing: ", rows["lag_p50_ms"]["note"])

    def test_what_is_not_there_is_named(self):
        status, said, _ = self.bench("--only", "nonsense")
        self.assertNotEqual(status, 0)
        self.assertIn("no scenario \"nonsense\"", said)

    def test_the_list_names_every_scenario(self):
        status, said, _ = self.bench("--list")
        self.assertEqual(status, 0)
        for name in ("one_to_one", "backlog", "peers", "idle"):
            self.assertIn(name, said)


if __name__ == "__main__":
    unittest.main()
