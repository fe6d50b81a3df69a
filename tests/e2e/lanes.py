"""The lanes of the dispatcher, driven by bench-smtp: which letter met which
end, in which order. The sink (harness.Sink) is the relay.
"""

import json
import os
import subprocess

from harness import BUILD, PATIENCE

BENCH_SMTP = os.path.join(BUILD, "bench-smtp")
FINAL = ("sent", "deferred", "failed", "unsure")


def number_of(message_id):
    """The letter's number, from its Message-ID."""
    return int(message_id.strip("<>").split(".")[0])


class Run:
    """What a run of "bench-smtp lanes" said.

    tries: {letter: its tries in order}, each a dictionary with "verdict"
    ("returned" when the letter came back untouched), "code", "begun", and
    "given_at" and "ended_at", which count all happenings of the run.
    """

    def __init__(self, lines, said):
        self.result = lines[-1] if lines else {}
        self.said = said
        self.tries = {}
        for line in lines[:-1]:
            self.tries.setdefault(line["letter"], []).append(line)

    def verdict(self, letter):
        return self.tries[letter][-1]["verdict"]

    def having(self, *verdicts):
        """The letters with one of these verdicts."""
        return {n for n in self.tries if self.verdict(n) in verdicts}

    def behind(self, letter):
        """Letters given behind the first try of this one, before it ended."""
        first = self.tries[letter][0]
        return {n for n, tries in self.tries.items()
                if first["given_at"] < tries[0]["given_at"] <
                first["ended_at"]}


def drive(*relays, seconds=60, command="lanes", **options):
    """Runs bench-smtp to its end. A relay is a port of the loopback address
    or HOST:PORT.

    Options as on its command line, "_" for "-"; True for those without an
    argument. Gives a Run.
    """
    words = [BENCH_SMTP, command]
    for relay in relays:
        words += ["--relay", relay if isinstance(relay, str)
                  else "127.0.0.1:%d" % relay]
    for name, text in options.items():
        words.append("--" + name.replace("_", "-"))
        if text is not True:
            words.append(str(text))
    done = subprocess.run(words, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True,
                          timeout=seconds * PATIENCE)
    if done.returncode not in (0, 75):
        raise AssertionError("%s: exit %d\n%s" % (" ".join(words),
                                                  done.returncode,
                                                  done.stderr))
    return Run([json.loads(line) for line in done.stdout.splitlines()],
               done.stderr)


def books_disagree(run, mails, arrivals, summary):
    """Why the books of lanes and sink do not agree; empty when they do.

    Every letter has one end; what is "sent" came once; what came was sent or
    is unsure; the sink saw nothing that the standards forbid.
    """
    wrong = []
    came = [number_of(row[1]) for row in arrivals]
    if set(run.tries) != set(range(mails)):
        wrong.append("letters without an end: %s" %
                     sorted(set(range(mails)) - set(run.tries)))
    for letter, tries in run.tries.items():
        if (tries[-1]["verdict"] not in FINAL or
                any(t["verdict"] != "returned" for t in tries[:-1])):
            wrong.append("letter %d ended as %s" %
                         (letter, [t["verdict"] for t in tries]))
    if len(came) != len(set(came)):
        wrong.append("came twice: %s" %
                     sorted(n for n in set(came) if came.count(n) > 1))
    lost = run.having("sent") - set(came)
    if lost:
        wrong.append("sent, but never came: %s" % sorted(lost))
    secret = set(came) - run.having("sent", "unsure")
    if secret:
        wrong.append("came, but is neither sent nor unsure: %s" %
                     sorted(secret))
    if summary["offences"]:
        wrong.append("offences: %s" % summary["offences"])
    return wrong
