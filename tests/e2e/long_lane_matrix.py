"""The matrix of test_lane_matrix.py in full: every kind of fault, every
letter of a window, plain and under TLS, and letters that are larger than what
a socket takes at once.
"""

import os
import subprocess
import tempfile
import unittest

from harness import Sink
from lane_matrix import COMMON, FAULTS, SILENT, VERBS, Case, failures
from lanes import books_disagree, drive

EVERY_LETTER = {"lockstep": range(1, 13), "pipelined": range(1, 13),
                "streamed": range(8, 16)}
LARGE = 300 * 1024


def certificate(folder):
    """A certificate for the loopback address; gives (certificate, key)."""
    cert = os.path.join(folder, "cert.pem")
    key = os.path.join(folder, "key.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
         "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", key, "-out", cert],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return cert, key


class LargeCase(Case):
    """Content leaves in parts, so an end without an answer may find it
    anywhere; but what the relay cannot have is never unsure."""

    def judge(self, done, summary):
        if self.fault not in SILENT + ("garbage",):
            return super().judge(done, summary)
        # A letter that the lane had not begun comes back uncounted.
        return ["letter %d was begun and not deferred" % n
                for n, tries in done.tries.items() for t in tries[:-1]
                if t["begun"] and t["verdict"] != "returned"]

    def judge_lanes(self, done, behind, summary):
        return []  # the windows are another matter: room is by octets too


class FullMatrix(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="postbatch-tls-")
        cls.addClassCleanup(cls.folder.cleanup)
        cls.tls = certificate(cls.folder.name)

    def all_cases(self, gear, make, positions, **more):
        for verb in VERBS[gear]:
            for fault in FAULTS:
                if fault in COMMON + ("reset",) or verb == "content":
                    for at in positions:
                        yield make(gear, verb, fault, at, **more)

    def check(self, some):
        self.assertEqual(failures(list(some)), [])

    def test_lockstep(self):
        self.check(self.all_cases("lockstep", Case, EVERY_LETTER["lockstep"]))

    def test_pipelined(self):
        self.check(self.all_cases("pipelined", Case,
                                  EVERY_LETTER["pipelined"]))

    def test_streamed(self):
        self.check(self.all_cases("streamed", Case, EVERY_LETTER["streamed"]))

    def test_lockstep_tls(self):
        self.check(self.all_cases("lockstep", Case, (1, 6, 12), tls=self.tls))

    def test_pipelined_tls(self):
        self.check(self.all_cases("pipelined", Case, (1, 6, 12),
                                  tls=self.tls))

    def test_streamed_tls(self):
        self.check(self.all_cases("streamed", Case, (8, 12, 15),
                                  tls=self.tls))

    def test_large(self):
        for gear, at in (("lockstep", 6), ("pipelined", 6), ("streamed", 12)):
            for tls in (None, self.tls):
                with self.subTest(gear=gear, tls=bool(tls)):
                    self.check(self.all_cases(gear, LargeCase, (at,),
                                              size=LARGE, tls=tls))

    def test_faults_all_over(self):
        """Many faults at once, several lanes, two relays: the books agree."""
        rules = []
        for verb in ("connect", "ehlo", "mail", "rcpt", "data", "content",
                     "rset"):
            for fault in ("450 4.2.0 busy", "421", "drop", "reset", "garbage",
                          "split", "fin"):
                rules += ["--fault", "%s@rate:0.002=%s" % (verb, fault)]
        rules += ["--fault", "content@rate:0.002=drop-after",
                  "--fault", "content@rate:0.002=cut"]
        for gear in VERBS:
            for seed in range(3):
                with self.subTest(gear=gear, seed=seed):
                    self.all_over(gear, rules + ["--seed", str(seed + 1)])

    def all_over(self, gear, rules):
        sinks = [Sink(*rules, keeps=("log",)) for _ in range(2)]
        try:
            done = drive(*[s.port for s in sinks], seconds=120, gear=gear,
                         lanes=4, window=16, mails=3000, again=100, rest=5,
                         timeout=500, letters=True)
            arrivals = [row for s in sinks for row in s.arrivals()]
        finally:
            summaries = [s.stop() for s in sinks]
        for summary in summaries:
            self.assertEqual(summary["offences"], [])
        self.assertEqual(books_disagree(done, 3000, arrivals, summaries[0]),
                         [])


if __name__ == "__main__":
    unittest.main()
