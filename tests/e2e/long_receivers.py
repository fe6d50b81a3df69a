"""Real receivers: Postfix, Exim and OpenSMTPD take all that the lanes say
they took, and Postfix takes it as fast as from smtp-source."""

import os
import shutil
import statistics
import subprocess
import time
import unittest

import receivers
from harness import measured, scaled, wait_for
from lanes import drive

COUNT = scaled(5000)
ROUNDS = 3
MORE_ROUNDS = 2  # when the machine is too busy to tell
SAME = {"from": "a@example.org", "to": "b@example.net"}
# The settings a dispatcher has when nobody sets them.
USUAL = {"gear": "auto", "lanes": 10, "window": 8}


class Receivers(unittest.TestCase):
    def check(self, kind, **options):
        """Letters come back when a receiver ends a connection; then they go
        out again. None may be refused."""
        receiver = kind()
        if "tls" in options:
            options["ca_file"] = receiver.ca_file
        try:
            done = drive("localhost:%d" % receiver.port, seconds=200,
                         mails=COUNT, again=20, rest=100,
                         **dict(USUAL, **options)).result
            wait_for(lambda: receiver.taken() >= COUNT,
                     "%d mails in the log, which says\n%s" %
                     (COUNT, receiver.log()[-2000:]))
            taken = receiver.taken()
        finally:
            receiver.stop()
        measured("%s%s: %d mails/s, %d connections, %d letters went out "
                 "twice" % (kind.__name__,
                            ", STARTTLS" if "tls" in options else "",
                            done["mails_per_s"], done["connections"],
                            done["tries"] - COUNT))
        self.assertEqual(done["sent"], COUNT, done)
        self.assertEqual(taken, COUNT)

    def check_gears(self, kind, *gears):
        for gear in gears:
            with self.subTest(gear=gear):
                self.check(kind, gear=gear)

    def test_exim(self):
        receivers.fetch()
        self.check_gears(receivers.Exim, "lockstep", "pipelined", "streamed",
                         "auto")
        self.check(receivers.Exim, tls="starttls")

    def test_opensmtpd(self):
        receivers.fetch()
        self.check_gears(receivers.OpenSmtpd, "lockstep", "pipelined", "auto")


@unittest.skipUnless(os.geteuid() == 0, "Postfix can only be started by root")
@unittest.skipUnless(shutil.which("postfix"), "Postfix is not installed")
class ToPostfix(Receivers):
    test_exim = test_opensmtpd = None

    def test_every_gear(self):
        self.check_gears(receivers.Postfix, "lockstep", "pipelined",
                         "streamed", "auto")

    def test_starttls(self):
        self.check(receivers.Postfix, tls="starttls")

    def lanes(self, port):
        done = drive(port, mails=COUNT, again=5, **dict(USUAL, **SAME)).result
        self.assertEqual(done["sent"], COUNT)
        return COUNT / done["seconds"]

    def smtp_source(self, port, sessions):
        began = time.monotonic()
        subprocess.run(["smtp-source", "-d", "-l", "2048", "-m", str(COUNT),
                        "-s", str(sessions), "-f", SAME["from"], "-t",
                        SAME["to"], "127.0.0.1:%d" % port], check=True)
        return COUNT / (time.monotonic() - began)

    def settle(self, postfix, count):
        """Waits until Postfix has thrown all of it away."""
        wait_for(lambda: postfix.log().count("status=sent") >= count,
                 "Postfix to discard all of it", 120)

    def compare(self, postfix, rates):
        """A round: each in its turn, to a Postfix that is idle before."""
        for name, seen in rates.items():
            if name == "lanes":
                seen.append(self.lanes(postfix.port))
            else:
                seen.append(self.smtp_source(postfix.port, name))
            self.settle(postfix, COUNT * sum(len(r) for r in rates.values()))
        return {name: statistics.median(r) for name, r in rates.items()}

    def test_speed_beside_smtp_source(self):
        """The same addresses for both: Postfix remembers the last one."""
        postfix = receivers.Postfix()
        rates = {name: [] for name in ("lanes", 1, 8, 32)}
        ratio = 0
        try:
            for number in range(ROUNDS + MORE_ROUNDS):
                if number < ROUNDS or ratio < 1:
                    medians = self.compare(postfix, rates)
                    ratio = medians["lanes"] / max(medians[1], medians[8],
                                                   medians[32])
        finally:
            postfix.stop()
        measured("Postfix: lanes %.0f mails/s; smtp-source with 1, 8 and 32 "
                 "sessions %.0f, %.0f, %.0f; ratio to the best %.2f; medians "
                 "of %d rounds" % (medians["lanes"], medians[1], medians[8],
                                   medians[32], ratio, len(rates["lanes"])))
        self.assertGreaterEqual(ratio, 1.0)


if __name__ == "__main__":
    unittest.main()
