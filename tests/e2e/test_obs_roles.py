"""The roles of sql/roles/ against the small Open Build Service of bench/demo/:
who they find, and that no payload whatever makes them fail."""

import glob
import json
import os
import unittest

import harness

ROLES = os.path.join(harness.ROOT, "sql", "roles")
DEMO = os.path.join(harness.ROOT, "bench", "demo")

# A service of nine users and three groups. In the tests a recipient is named
# by its key: a login, or 'group:' and the title of a group with an address.
SERVICE = """
INSERT INTO postbatch.recipient (id, key, email)
SELECT 100 + i, u, 'u' || i || '@example.org'
  FROM unnest('{ann,bob,cem,dee,eve,fay,gus,hal,42}'::text[])
       WITH ORDINALITY AS t (u, i);
INSERT INTO postbatch.recipient (id, key, email)
VALUES (201, 'group:lists', 'lists@example.org');
INSERT INTO obs.users (id, login, email, recipient_id)
SELECT id - 100, key, email, id FROM postbatch.recipient WHERE id < 200;
-- lists has an address: its members have no say. team and idle have none.
INSERT INTO obs.groups (id, title, email, recipient_id)
VALUES (1, 'lists', 'lists@example.org', 201), (2, 'team', NULL, NULL),
       (3, 'idle', NULL, NULL);
INSERT INTO obs.groups_users (group_id, user_id, email)
VALUES (1, 6, true), (2, 4, true), (2, 5, false), (2, 6, true), (3, 7, false);
INSERT INTO obs.projects (id, name)
VALUES (1, 'Factory'), (2, 'devel'), (3, 'home:ann'), (4, 'empty');
INSERT INTO obs.packages (id, project_id, name, devel_package_id)
VALUES (20, 2, 'curl', NULL), (21, 2, 'git', NULL), (10, 1, 'curl', 20),
       (11, 1, 'git', 21), (12, 1, 'vim', NULL), (13, 1, 'by-team', NULL),
       (30, 3, 'curl', NULL), (14, 1, 'round', NULL), (22, 2, 'round', 14);
UPDATE obs.packages SET devel_package_id = 22 WHERE id = 14;
INSERT INTO obs.relationships (role, project_id, package_id, user_id, group_id)
VALUES ('maintainer', 1, NULL, 1, NULL), ('maintainer', 1, NULL, NULL, 1),
       ('maintainer', 2, NULL, 2, NULL), ('maintainer', 3, NULL, 1, NULL),
       ('maintainer', NULL, 20, 3, NULL), ('maintainer', NULL, 12, 8, NULL),
       ('maintainer', NULL, 13, NULL, 2), ('bugowner', NULL, 12, 7, NULL),
       ('bugowner', 1, NULL, NULL, 3), ('reader', 1, NULL, 5, NULL),
       ('reader', NULL, 12, 8, NULL);
INSERT INTO obs.watched_projects (project_id, user_id)
VALUES (1, 4), (1, 5), (2, 5), (3, 7);
INSERT INTO obs.watched_packages (package_id, user_id)
VALUES (10, 6), (12, 7), (20, 8);
INSERT INTO obs.requests (id, number, creator)
VALUES (1, 5000000001, 'ann'), (2, 7, 'gone');
INSERT INTO obs.reviews (id, request_id, by_user, by_group, by_project,
                         by_package)
VALUES (1, 1, 'eve', NULL, NULL, NULL), (2, 1, NULL, 'team', NULL, NULL),
       (3, 1, NULL, 'lists', NULL, NULL), (4, 1, NULL, NULL, 'Factory', 'vim'),
       (5, 1, 'gone', NULL, NULL, NULL), (6, 2, NULL, NULL, 'devel', NULL);
INSERT INTO obs.watched_requests (request_id, user_id) VALUES (1, 2), (1, 3);
INSERT INTO obs.global_roles (role, user_id)
VALUES ('Admin', 1), ('Staff', 2), ('Staff', 1);
INSERT INTO obs.comments (id, user_id) VALUES (60, 5);
INSERT INTO obs.reports (id, reporter_id, reportable_type, reportable_id,
                         decision_id)
VALUES (71, 2, 'Comment', 60, 80), (72, 3, 'User', 4, 80),
       (73, 3, 'Package', 13, NULL), (74, 3, 'Project', 2, 81),
       (75, 2, 'BsRequest', 1, 82);
INSERT INTO obs.tokens (id, executor_id) VALUES (90, 1);
INSERT INTO obs.tokens_users (token_id, user_id) VALUES (90, 2);
INSERT INTO obs.tokens_groups (token_id, group_id) VALUES (90, 1), (90, 2);
"""

FACTORY_VIM = {"project": "Factory", "package": "vim"}
FACTORY_CURL = {"project": "Factory", "package": "curl"}
BIG = 5000000001
ACTIONS = [
    {"type": "submit", "sourceproject": "devel", "sourcepackage": "curl",
     "targetproject": "Factory", "targetpackage": "curl"},
    {"type": "submit", "sourceproject": "home:ann", "sourcepackage": "curl",
     "targetproject": "Factory", "targetpackage": "curl"},
    {"type": "delete", "targetproject": "Factory", "targetpackage": "vim"},
]

# role, payload, who is found
CASES = [
    # The package's own, not the project's.
    ("maintainer", FACTORY_VIM, "hal"),
    # None of its own: the project's, and those of the devel package.
    ("maintainer", FACTORY_CURL, "ann cem group:lists"),
    # The devel package has none either: its project's.
    ("maintainer", {"project": "Factory", "package": "git"},
     "ann bob group:lists"),
    # A group without address: members who want its mails.
    ("maintainer", {"project": "Factory", "package": "by-team"}, "dee fay"),
    # Devel packages in a circle.
    ("maintainer", {"project": "Factory", "package": "round"},
     "ann bob group:lists"),
    # No package, or one that is gone: the project's.
    ("maintainer", {"project": "Factory"}, "ann group:lists"),
    ("maintainer", {"project": "Factory", "package": None}, "ann group:lists"),
    ("maintainer", {"project": "Factory", "package": "gone"},
     "ann group:lists"),
    ("maintainer", {"project": "empty"}, ""),
    ("maintainer", {"project": "gone", "package": "vim"}, ""),
    ("maintainer", {}, ""),
    ("bugowner", FACTORY_VIM, "gus"),
    ("bugowner", FACTORY_CURL, ""),  # a group whose members want no mail
    ("reader", FACTORY_VIM, "eve"),  # the project's, never the package's
    ("reader", {"project": "Factory"}, "eve"),
    ("watcher", FACTORY_VIM, "dee eve"),
    ("watcher", {"project": "empty"}, ""),
    ("project_watcher", {"project": "Factory"}, "dee eve"),
    ("package_watcher", FACTORY_CURL, "fay"),
    ("package_watcher", {"project": "Factory"}, ""),
    ("request_watcher", {"number": BIG}, "bob cem"),
    ("request_watcher", {"number": str(BIG)}, "bob cem"),
    ("request_watcher", {"number": 1}, ""),
    ("source_maintainer", {"actions": ACTIONS}, "ann cem"),
    ("target_maintainer", {"actions": ACTIONS}, "ann cem group:lists hal"),
    ("source_maintainer", {"actions": ACTIONS[2:]}, ""),
    ("target_maintainer", {"actions": []}, ""),
    ("source_watcher", {"actions": ACTIONS}, "eve gus"),
    ("source_project_watcher", {"actions": ACTIONS}, "eve gus"),
    ("target_watcher", {"actions": ACTIONS}, "dee eve"),
    ("target_project_watcher", {"actions": ACTIONS}, "dee eve"),
    ("source_package_watcher", {"actions": ACTIONS}, "hal"),
    ("target_package_watcher", {"actions": ACTIONS}, "fay gus"),
    ("creator", {"author": "ann"}, "ann"),
    ("creator", {"author": "gone"}, ""),
    # Logins, ids, and a login that looks like an id.
    ("commenter", {"commenters": ["ann", 2, "42", "gone", 4711]},
     "42 ann bob"),
    ("commenter", {"commenters": "ann"}, ""),
    ("commenter", {"commenters": [None, {"id": 1}, [1], True, 1.5]}, ""),
    # What the payload asks for, and nobody else.
    ("reviewer", {"number": BIG, "reviewers": [{"user_id": 7},
                                               {"group_id": 2}]},
     "dee fay gus"),
    ("reviewer", {"number": BIG, "reviewers": [{"group_id": "1"}]},
     "group:lists"),
    ("reviewer", {"number": BIG, "reviewers": []}, ""),
    # All reviews of the request.
    ("reviewer", {"number": BIG}, "dee eve fay group:lists hal"),
    ("reviewer", {"number": 7}, "bob"),
    ("any_role", {"user": "ann"}, "ann"),
    ("any_role", {"group": "lists"}, "group:lists"),
    ("any_role", {"group": "team", "user": None}, "dee fay"),
    ("member", {"member": "bob", "group": "team"}, "bob"),
    ("assignee", {"assignee": "bob"}, "bob"),
    ("moderator", {}, "ann bob"),  # nobody is a moderator
    ("admin_moderator_or_staff", {}, "ann bob"),
    ("reporter", {"reporter": "eve"}, "eve"),
    ("reporter", {"report_id": 75}, "bob"),
    ("reporter", {"report_last_id": 72}, "bob cem"),
    ("offender", {"report_last_id": 71}, "eve"),
    ("offender", {"report_last_id": 72}, "dee"),
    ("offender", {"report_last_id": 73}, "dee fay"),
    ("offender", {"report_last_id": 74}, "bob"),
    ("offender", {"report_last_id": 75}, "ann"),
    ("token_executor", {"token_id": 90}, "ann"),
    ("token_member", {"token_id": 90}, "bob dee fay group:lists"),
    ("updated_token_member", {"user_login": "cem"}, "cem"),
    ("updated_token_member", {"group_title": "lists"}, "group:lists"),
    ("develpackage_or_package_maintainer", FACTORY_CURL, "cem"),
    ("develpackage_or_package_maintainer", FACTORY_VIM, "hal"),
    ("devel_package_maintainer", {"develproject": "devel",
                                  "develpackage": "curl"}, "cem"),
]

# What may stand in the place of any value.
HOSTILE = [None, True, 0, -1, 1.5, 1e300, 2**63, 10**40, "", " ", "1", "-0",
           "9" * 40, "1e5", "'; DROP TABLE x; --", "\ufffd\U0010ffff", "x" * 9000,
           [], [None], [[]], [1, "a", {}, [2]], {}, {"user_id": {}},
           {"a": {"b": [1]}}]
KEYS = ["project", "package", "actions", "number", "author", "commenters",
        "reviewers", "user", "group", "member", "assignee", "reporter",
        "report_id", "report_last_id", "token_id", "user_login", "group_title",
        "develproject", "develpackage", "recipient", "recipients", "topic"]
INNER = ["sourceproject", "sourcepackage", "targetproject", "targetpackage",
         "user_id", "group_id"]


def role_names():
    return sorted(os.path.basename(path)[:-len(".sql")]
                  for path in glob.glob(os.path.join(ROLES, "*.sql")))


def literal(payload):
    return "'" + json.dumps(payload).replace("'", "''") + "'"


def ask(role, payloads):
    """A statement that asks one role about several events, the way the router
    does: one event after the other, with joins by index only."""
    with open(os.path.join(ROLES, role + ".sql")) as f:
        text = f.read()
    return """
SELECT p.event_id, x.recipient_id
  FROM (SELECT n AS event_id, 'Type'::text AS type, e AS payload
          FROM unnest(ARRAY[%s]::jsonb[]) WITH ORDINALITY AS t (e, n)) AS p
 CROSS JOIN LATERAL (
       WITH pass AS (SELECT p.event_id, p.type, p.payload)
%s
       ) AS x (event_id, recipient_id)
""" % (", ".join(literal(p) for p in payloads), text)


PLANNER = """SET enable_seqscan = off; SET enable_hashjoin = off;
SET enable_mergejoin = off; SET jit = off;
"""


class ObsRoles(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.postgres = harness.Postgres()
        cls.addClassCleanup(cls.postgres.stop)

    def service(self, name):
        """A database with both schemas."""
        conninfo = self.postgres.database(name)
        files = sorted(glob.glob(os.path.join(harness.ROOT, "sql",
                                              "[0-9]*.sql")))
        files.append(os.path.join(DEMO, "obs_schema.sql"))
        for path in files:
            with open(path) as f:
                harness.psql(conninfo, f.read())
        return conninfo

    def test_who_is_found(self):
        conninfo = self.service("cases")
        harness.psql(conninfo, SERVICE)
        for role in sorted({case[0] for case in CASES}):
            cases = [case for case in CASES if case[0] == role]
            rows = harness.psql(conninfo, PLANNER + """
                SELECT x.event_id, r.key FROM (%s) AS x
                  LEFT JOIN postbatch.recipient AS r ON r.id = x.recipient_id
                 ORDER BY 1, 2""" % ask(role, [case[1] for case in cases]))
            for n, (_, payload, expected) in enumerate(cases, 1):
                with self.subTest(role=role, payload=payload):
                    found = {row[1] for row in rows if int(row[0]) == n}
                    self.assertEqual(found, set(expected.split()))

    def test_moderators_when_there_are_some(self):
        conninfo = self.service("moderators")
        harness.psql(conninfo, SERVICE)
        harness.psql(conninfo,
                     "INSERT INTO obs.global_roles VALUES ('Moderator', 9)")
        rows = harness.psql(conninfo, ask("moderator", [{}]))
        self.assertEqual(rows, [["1", "109"]])

    def test_every_role_has_a_case(self):
        untested = set(role_names()) - {case[0] for case in CASES}
        self.assertEqual(untested, {"addressee", "subscriber"})

    def test_no_payload_makes_a_role_fail(self):
        conninfo = self.service("hostile")
        harness.psql(conninfo, SERVICE)
        payloads = list(HOSTILE)
        payloads += [dict.fromkeys(KEYS, value) for value in HOSTILE]
        payloads += [{"actions": [dict.fromkeys(INNER, value)],
                      "reviewers": [dict.fromkeys(INNER, value)]}
                     for value in HOSTILE]
        for role in role_names():
            with self.subTest(role=role):
                harness.psql(conninfo, PLANNER + "SELECT count(*) FROM (%s) x"
                             % ask(role, payloads))

    def test_demonstration_data(self):
        conninfo = self.service("demo")
        for name in ("obs_data.sql", "obs_events.sql"):
            with open(os.path.join(DEMO, name)) as f:
                harness.psql(conninfo, f.read())
        self.assertEqual(harness.value(conninfo, """
            SELECT count(*) FROM obs.watched_projects AS w
              JOIN obs.projects AS j ON j.id = w.project_id
             WHERE j.name = 'openSUSE:Factory'"""), "128")
        self.assertEqual(harness.value(
            conninfo, "SELECT count(*) FROM postbatch.event"), "4000")
        # The same events again are the same, byte for byte.
        with open(os.path.join(DEMO, "obs_events.sql")) as f:
            harness.psql(conninfo, f.read())
        self.assertEqual(harness.value(conninfo, """
            SELECT count(*) FROM (SELECT 1 FROM postbatch.event
             GROUP BY type, payload HAVING count(*) % 2 = 1) AS x"""), "0")

    def test_many_watchers(self):
        """100,000 watchers are found by index look-ups, not by a search for
        each of them."""
        conninfo = self.service("crowd")
        harness.psql(conninfo, """
            INSERT INTO obs.projects VALUES (1, 'Factory');
            INSERT INTO obs.users (id, login, email, recipient_id)
            SELECT i, 'u' || i, 'u' || i || '@example.org', 1000 + i
              FROM generate_series(1, 100000) AS i;
            INSERT INTO obs.watched_projects
            SELECT 1, i FROM generate_series(1, 100000) AS i;
            VACUUM ANALYZE obs.users, obs.watched_projects, obs.projects""")
        statement = ask("watcher", [{"project": "Factory"}])
        self.assertEqual(harness.value(
            conninfo, PLANNER + "SELECT count(*) FROM (%s) x" % statement),
            "100000")
        plan = json.loads("".join(row[0] for row in harness.psql(
            conninfo, PLANNER + "EXPLAIN (ANALYZE, BUFFERS, FORMAT json)"
            + statement)))[0]["Plan"]
        # Some buffers for each watcher, not some thousand.
        self.assertLess(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"],
                        1000000)


if __name__ == "__main__":
    unittest.main()
