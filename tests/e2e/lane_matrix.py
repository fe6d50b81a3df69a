"""What must become of letters when one of them meets a fault: the policy at
the head of dispatcher/smtp/verdict.c, told once more from the outside.

A case is a gear, a verb, a fault, and the mail at which the sink commits it.
"""

import concurrent.futures
import itertools

from harness import Sink
from lanes import books_disagree, drive

FAULTS = {
    "4xx": "450 4.2.0 busy",
    "5xx": "550 5.1.0 no",
    "421": "421",
    "drop": "drop",
    "reset": "reset",
    "garbage": "garbage",
    "stall": "stall",
    "cut": "cut",
    "drop-after": "drop-after",
    "stall-after": "stall-after",
}
# What one line of the case table needs; further ones are for the long test.
COMMON = ("4xx", "5xx", "421", "drop", "garbage", "stall")
OF_CONTENT = ("drop-after", "stall-after")
REFUSALS = {
    ("4xx", "mail"): "deferred", ("4xx", "rcpt"): "deferred",
    ("4xx", "data"): "deferred", ("4xx", "content"): "deferred",
    ("5xx", "mail"): "deferred",  # it speaks of the sender
    ("5xx", "rcpt"): "failed",
    ("5xx", "data"): "failed", ("5xx", "content"): "failed",
    ("421", "mail"): "returned",  # it speaks of the connection
    ("421", "rcpt"): "deferred",
    ("421", "data"): "deferred", ("421", "content"): "deferred",
}
TIMEOUT_MS = 400

# The windows of a streamed lane double: mails 1, 2-3, 4-7, and 8-15 are the
# first full one. The other gears end a connection after mail 12.
POSITIONS = {
    "lockstep": {"first": 1, "middle": 6, "last": 12},
    "pipelined": {"first": 1, "middle": 6, "last": 12},
    "streamed": {"first": 8, "middle": 12, "last": 15},
}
# Letters behind mail N in flight, on a streamed lane: up to the end of the
# window. Silence may be noticed later than a reply, when the answers to
# letters before it have made room for more: then the window is full.
LAST_OF_WINDOW = 15
WINDOW = 8
SILENT = ("drop", "reset", "cut", "stall", "drop-after", "stall-after")
VERBS = {
    "lockstep": ("mail", "rcpt", "data", "content"),
    "pipelined": ("mail", "rcpt", "data", "content"),
    "streamed": ("mail", "rcpt", "content"),
}
MAILS = {"lockstep": 20, "pipelined": 20, "streamed": 30}


def first_end(gear, verb, fault):
    """How the first try of the letter at fault ends."""
    if (fault, verb) in REFUSALS:
        return REFUSALS[fault, verb]
    # No answer: what counts is whether the content had been given.
    is_given = gear == "streamed" or verb == "content"
    return "unsure" if is_given else "returned"


def end_behind(gear, verb, fault):
    """How the first try of a letter behind it ends, in flight with it."""
    if fault in ("4xx", "5xx"):
        return "sent"
    if fault == "421":
        return "returned"
    return "unsure" if gear == "streamed" else "returned"


class Case:
    def __init__(self, gear, verb, fault, at, size=2048, tls=None, rtt=15):
        self.gear, self.verb, self.fault, self.at = gear, verb, fault, at
        self.size, self.tls, self.rtt = size, tls, rtt

    def __str__(self):
        return "%s %s=%s at mail %d, %d octets%s" % (
            self.gear, self.verb, self.fault, self.at, self.size,
            ", TLS" if self.tls else "")

    def options(self):
        more = {"tls": "starttls", "ca_file": self.tls[0]} if self.tls else {}
        if self.gear != "streamed":
            more["each"] = 12
        return dict(more, gear=self.gear, lanes=1, window=WINDOW, mails=MAILS[self.gear],
                    size=self.size, again=5, rest=10, timeout=TIMEOUT_MS,
                    letters=True)

    def run(self):
        """Runs it; gives what was wrong, as a list of texts."""
        words = ["--fault", "%s@%d=%s" % (self.verb, self.at,
                                          FAULTS[self.fault])]
        if self.gear == "streamed":
            words += ["--rtt", str(self.rtt)]
        if self.tls:
            words += ["--starttls", *self.tls]
        sink = Sink(*words, keeps=("log",))
        try:
            done = drive(sink.port, **self.options())
            arrivals = sink.arrivals()
        finally:
            summary = sink.stop()
        wrong = books_disagree(done, MAILS[self.gear], arrivals, summary)
        if summary["faults"][0]["hits"] != 1:
            wrong.append("the fault happened %d times" %
                         summary["faults"][0]["hits"])
        return wrong or self.judge(done, summary)

    def judge(self, done, summary):
        wrong = []
        target = self.at - 1
        behind = done.behind(target)
        for letter, tries in sorted(done.tries.items()):
            wants = {"sent"}
            if letter == target:
                wants = {first_end(self.gear, self.verb, self.fault)}
            elif letter in behind:
                wants = {end_behind(self.gear, self.verb, self.fault)}
                if self.fault in SILENT and letter >= LAST_OF_WINDOW:
                    wants.add("returned")  # the socket may not take it
            found = [t["verdict"] for t in tries]
            if found[0] not in wants or (found[0] == "returned" and
                                         found[1:] != ["sent"]):
                wrong.append("letter %d: %s, expected %s first" %
                             (letter, found, " or ".join(sorted(wants))))
        wrong += self.judge_lanes(done, behind, summary)
        return wrong

    def planned_connections(self):
        """A refusal leaves the lane as it is; all else makes another one."""
        if self.fault in ("4xx", "5xx"):
            return 1 if self.gear == "streamed" else -(-MAILS[self.gear] // 12)
        if self.gear == "streamed":
            return 2
        is_over = first_end(self.gear, self.verb, self.fault) != "returned"
        left = MAILS[self.gear] - self.at + (0 if is_over else 1)
        return 1 + -(-left // 12)

    def judge_lanes(self, done, behind, summary):
        wrong = []
        planned = self.planned_connections()
        if summary["connections"] != planned:
            wrong.append("%d connections, expected %d" %
                         (summary["connections"], planned))
        if self.gear == "streamed":
            counts = {LAST_OF_WINDOW - self.at}
            if self.fault in SILENT:
                counts.add(WINDOW - 1)
            if len(behind) not in counts:
                wrong.append("%d letters were behind, expected one of %s" %
                             (len(behind), sorted(counts)))
        return wrong


def cases(gear, verb, faults=None, **more):
    """A case for each fault and position."""
    faults = faults or COMMON + (OF_CONTENT if verb == "content" else ())
    return [Case(gear, verb, fault, at, **more) for fault, at in
            itertools.product(faults, POSITIONS[gear].values())]


def failures(some, at_once=6):
    """Runs the cases; gives the lines of those that went wrong."""
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        found = pool.map(lambda case: (case, case.run()), some)
        return ["%s: %s" % (case, "; ".join(wrong))
                for case, wrong in found if wrong]
