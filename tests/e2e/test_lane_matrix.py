"""One fault at one letter: every gear, every verb, every kind of fault, at
the first, a middle and the last letter of a window. Every letter must have
the verdict of the table, and the sink must have what the verdicts say.
"""

import unittest

from lane_matrix import VERBS, cases, failures


class LaneMatrix(unittest.TestCase):
    def check(self, gear, verb):
        self.assertIn(verb, VERBS[gear])
        self.assertEqual(failures(cases(gear, verb)), [])

    def test_lockstep_mail(self):
        self.check("lockstep", "mail")

    def test_lockstep_rcpt(self):
        self.check("lockstep", "rcpt")

    def test_lockstep_data(self):
        self.check("lockstep", "data")

    def test_lockstep_content(self):
        self.check("lockstep", "content")

    def test_pipelined_mail(self):
        self.check("pipelined", "mail")

    def test_pipelined_rcpt(self):
        self.check("pipelined", "rcpt")

    def test_pipelined_data(self):
        self.check("pipelined", "data")

    def test_pipelined_content(self):
        self.check("pipelined", "content")

    def test_streamed_mail(self):
        self.check("streamed", "mail")

    def test_streamed_rcpt(self):
        self.check("streamed", "rcpt")

    def test_streamed_content(self):
        self.check("streamed", "content")


if __name__ == "__main__":
    unittest.main()
