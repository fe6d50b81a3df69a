"""What systemd is told of a service of Type=notify (sd_notify(3))."""

import os
import signal
import socket
import subprocess
import time
import unittest

import harness
from harness import wait_for


class Service(harness.DispatchCase):
    def setUp(self):
        super().setUp()
        self.path = os.path.join(self.dispatcher.directory, "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.socket.close)
        self.socket.bind(self.path)
        self.socket.setblocking(False)
        self.told = []
        self.heard = time.monotonic()

    def start(self, **variables):
        kept = dict(harness.ENVIRONMENT)
        harness.ENVIRONMENT.update(NOTIFY_SOCKET=self.path, **variables)
        try:
            return self.dispatcher.start()
        finally:
            harness.ENVIRONMENT.clear()
            harness.ENVIRONMENT.update(kept)

    def hear(self):
        """Everything that was told by now."""
        while True:
            try:
                self.told += self.socket.recv(4096).decode().split("\n")
            except BlockingIOError:
                return self.told

    def silent_s(self):
        """Seconds since the last WATCHDOG=1 was heard."""
        count = len(self.told)
        if "WATCHDOG=1" in self.hear()[count:]:
            self.heard = time.monotonic()
        return time.monotonic() - self.heard

    def wait_told(self, words, after=0):
        wait_for(lambda: [t for t in self.hear()[after:] if words in t],
                 "systemd to be told: " + words)

    def life(self, processes):
        self.dispatcher.settings["worker.processes"] = str(processes)
        self.dispatcher.write_config()
        process = self.start()
        self.wait_told("READY=1")
        self.wait_told("STATUS=%d of %d workers ready" %
                       (processes, processes))
        self.recipients(1)
        self.emit_notices(7, recipients=1)
        self.wait_told("7 letters sent")
        self.assertEqual(harness.stop_process(process), 0)
        self.wait_told("STOPPING=1")
        self.assertEqual(self.told.count("READY=1"), 1)
        self.assertNotIn("WATCHDOG=1", self.told)  # nobody has asked for it

    def test_one_worker(self):
        self.life(1)

    def test_three_workers(self):
        self.life(3)

    def test_a_worker_that_hangs_makes_the_watchdog_bite(self):
        self.dispatcher.settings["worker.processes"] = "2"
        self.dispatcher.write_config()
        silence_s = 2.0 * harness.PATIENCE
        process = self.start(WATCHDOG_USEC=str(int(silence_s * 1e6)))
        self.wait_told("WATCHDOG=1")
        with open("/proc/%d/task/%d/children" % (process.pid,
                                                 process.pid)) as f:
            worker = int(f.read().split()[0])
        os.kill(worker, signal.SIGSTOP)
        try:
            wait_for(lambda: self.silent_s() > silence_s,
                     "silence as long as the watchdog's patience")
        finally:
            os.kill(worker, signal.SIGCONT)
        self.wait_told("WATCHDOG=1", after=len(self.told))
        # One that dies is started again, and is no reason to bite.
        os.kill(worker, signal.SIGKILL)
        self.wait_told("STATUS=1 of 2 workers ready", after=len(self.told))
        self.wait_told("WATCHDOG=1", after=len(self.told))
        self.wait_told("STATUS=2 of 2 workers ready", after=len(self.told))
        self.assertEqual(harness.stop_process(process), 0)


class Descriptors(harness.DispatchCase):
    def test_closed_ones_are_not_taken_for_the_log(self):
        """Else the journal or the connection to the database would be number
        2, and lines of the log would be written into it."""
        process = subprocess.Popen(
            ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", harness.POSTBATCH,
             "-c", self.dispatcher.config, "run"], env=harness.ENVIRONMENT)
        self.dispatcher.processes.append(process)
        self.recipients(1)
        self.emit_notices(1, recipients=1)
        self.wait_accepted(1)
        self.assertEqual([os.readlink("/proc/%d/fd/%d" % (process.pid, fd))
                          for fd in range(3)], ["/dev/null"] * 3)
        self.assertEqual(harness.stop_process(process), 0)


if __name__ == "__main__":
    unittest.main()
