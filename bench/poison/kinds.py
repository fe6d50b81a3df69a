"""Ten ways in which an event can be poison, each with the stage and the reason
that the quarantine must give. The scenario "poison" measures what they cost;
tests/e2e/test_poison_kinds.py looks at each of them."""

import json
import os
import shutil

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
MEASURE = os.path.join(ROOT, "bench", "templates", "measure")

# Types that cannot be mailed, or not with every payload: files that differ
# from those of the type "measure", and fields of the contract.
TYPES = {
    "Unfinished": ({"text": "Hello {{#package}}, and no end\n"}, {}),
    "Homeless": ({}, {"roles": ["stranger"]}),
    "Swollen": ({"text": "{{#pages}}{{#pages}}{{#pages}}{{words}}{{/pages}}"
                         "{{/pages}}{{/pages}}\n"}, {}),
    "Endless": ({"text": "{{>again}}\n",
                 "again": "{{package}}{{#package}}{{>again}}{{/package}}\n"},
                {}),
}
# Longer than PAYLOAD_MAX as text, and not as it is stored, compressed.
PAYLOAD_MAX = 65536
LONG = 80000

# Type, what is changed in a sound payload (SQL, of p and i), stage, reason.
KINDS = (
    ("Unheard", "p", "route", "no event type has this name"),
    ("measure", "'[1, 2]'::jsonb", "route",
     "the payload is not an object but: array"),
    ("measure", "p - 'words' - 'state'", "route",
     "required key is missing: state, words"),
    ("measure", "p || '{\"package\": null}'", "contract",
     "required key 'package' is null"),
    ("measure", "p || '{\"number\": {\"of\": 3}}'", "contract",
     "key 'number' (which event this is) is not of type integer but object"),
    ("Unfinished", "p", "route",
     "Unfinished/text.mustache:1: 'package' is opened here and never"
     " closed"),
    ("Homeless", "p", "route",
     'role "stranger" cannot be used: it has no file in sql/roles/ nor in'
     ' the folder templates.roles'),
    ("Swollen", "p || '{\"pages\": [1,2,3,4,5,6,7,8,9,10,11,12,13]}'",
     "render",
     "Swollen/text.mustache:1: output is larger than 1048576 bytes"),
    ("Endless", "p", "render",
     "Endless/again.mustache:1: partials nested more than 64 deep: does"
     " 'again' include itself?"),
    ("measure", "p || jsonb_build_object('words', repeat('-', %d))" % LONG,
     "fetch", "the payload is larger than worker.payload_max"),
)
# One of these every EVERY events.
EVERY = 10


def make_type(folder, name, files, contract):
    """A copy of the type "measure" with some of it changed."""
    folder = os.path.join(folder, name)
    shutil.copytree(MEASURE, folder)
    for file, text in files.items():
        with open(os.path.join(folder, file + ".mustache"), "w") as f:
            f.write(text)
    path = os.path.join(folder, "contract.json")
    with open(path) as f:
        whole = json.load(f)
    whole.update(contract)
    if "pages" in "".join(files.values()):
        whole["keys"]["pages"] = {"type": "array"}
        whole["samples"]["fullest"]["pages"] = [1]
    with open(path, "w") as f:
        json.dump(whole, f)


def make_templates(folder):
    shutil.copytree(MEASURE, os.path.join(folder, "measure"))
    for name, (files, contract) in TYPES.items():
        make_type(folder, name, files, contract)


def insert(events, words, is_poisoned=True):
    """SQL that appends them; every tenth is poison, in each way in turn."""
    def cases(values):
        return " ".join("WHEN i %% %d = %d THEN %s" % (
            EVERY * len(KINDS), EVERY * n, text)
            for n, text in enumerate(values))
    types = cases("'%s'" % kind[0] for kind in KINDS)
    payloads = cases(kind[1] for kind in KINDS)
    return """
      INSERT INTO postbatch.event (type, payload)
        SELECT CASE WHEN %(clean)s THEN 'measure' %(types)s
                    ELSE 'measure' END,
               CASE WHEN %(clean)s THEN p %(payloads)s ELSE p END
          FROM generate_series(1, %(n)d) AS i
         CROSS JOIN LATERAL (SELECT jsonb_build_object(
               'recipient', i %% 1000 + 1, 'number', i,
               'project', 'devel:tools', 'package', 'make-' || i %% 100,
               'state', 'built', 'words', '%(words)s') AS p) AS p""" % {
        "clean": "false" if is_poisoned else "true", "types": types,
        "payloads": payloads, "n": events, "words": words}


def poison_count(events):
    return events // EVERY


# What is in quarantine: a line for each stage and reason, with its number.
# Paths are cut to the type and the file.
COUNT = r"""
    SELECT line COLLATE "C"
      FROM (SELECT stage || ': '
                   || regexp_replace(reason, '^/.*/([^/]+/[^/]+)$', '\1')
                   || ': ' || count(*) AS line
              FROM postbatch.quarantine GROUP BY stage, reason) AS q
     ORDER BY 1 """


def expected(events):
    """What COUNT should give."""
    each = {n: len(range(EVERY * n or EVERY * len(KINDS), events + 1,
                         EVERY * len(KINDS))) for n in range(len(KINDS))}
    return "\n".join(sorted("%s: %s: %d" % (kind[2], kind[3], each[n])
                            for n, kind in enumerate(KINDS)))
