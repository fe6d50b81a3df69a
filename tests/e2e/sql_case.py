"""What tests of the SQL stand on: a database with the schema, without the
dispatcher. Queries of sql/queries/ run through psql as prepared statements,
under the settings the dispatcher pins."""

import glob
import json
import os
import unittest

import harness

SQL = os.path.join(harness.ROOT, "sql")
# As in dispatcher/store/pg.c.
PINS = ("SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off;"
        "SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off;")
BULK, NORMAL, URGENT = "3", "2", "1"


def read(*path):
    with open(os.path.join(SQL, *path)) as f:
        return f.read()


def migrations():
    return sorted(glob.glob(os.path.join(SQL, "[0-9][0-9][0-9][0-9]_*.sql")))


def compose(name, roles):
    """A statement completed with roles: {role name: role id} or, for a role
    of the test's own, {SQL text: role id}; as dispatcher/store/route_text.c
    does it."""
    def part(role, role_id):
        text = role if "SELECT" in role else read("roles", role + ".sql")
        return (read("queries", "fanout_part.sql" if name == "fanout_step"
                     else "role_part.sql")
                .replace("{role_id}", str(role_id))
                .replace("{role_byte}", "%02x" % min(role_id, 255))
                .replace("{role_bit}", str(1 << min(role_id, 62)))
                .replace("--{role}\n", text + "\n"))

    def group(some):
        bits = sum({1 << min(role_id, 62) for _, role_id in some})
        return (read("queries", "group_part.sql")
                .replace("{role_bits}", str(bits))
                .replace("--{roles}\n", "UNION ALL\n".join(
                    part(*role) for role in some)))

    roles = list(roles.items())
    if name == "fanout_step" or len(roles) <= 8:
        branches = [part(*role) for role in roles]
    else:
        branches = [group(roles[i:i + 6]) for i in range(0, len(roles), 6)]
    return read("queries", name + ".sql").replace(
        "--{roles}\n", branches and "UNION ALL\n".join(branches) + "/*\n"
        or "")


def literal(value):
    """A Python value as an SQL literal for EXECUTE."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, (list, tuple)):
        return "ARRAY[%s]" % ",".join(map(literal, value)) if value else "'{}'"
    if isinstance(value, dict):
        value = json.dumps(value)
    return "'%s'" % value.replace("'", "''")


class SqlCase(unittest.TestCase):
    """One cluster and one database with the schema a class; each test finds
    its tables empty."""

    fast = True
    # What has rows; the schema's own remain.
    tables = ("project_log", "project_log_missing", "event", "ledger_letter",
              "ledger_batch", "batch", "held", "fanout", "quarantine",
              "drift", "worker", "suppression", "preference", "subscription",
              "recipient", "event_type_role", "event_type", "role")

    @classmethod
    def setUpClass(cls):
        cls.postgres = harness.Postgres(fast=cls.fast)
        cls.addClassCleanup(cls.postgres.stop)
        cls.dsn = cls.postgres.database("test")
        for path in migrations():
            with open(path) as f:
                harness.psql(cls.dsn, "BEGIN;" + f.read() + ";COMMIT;")

    def setUp(self):
        self.roles = {}
        self.sql("BEGIN; %s UPDATE postbatch.route SET phase = 2,"
                 " snap_last = pg_current_snapshot(),"
                 " snap_cur = pg_current_snapshot(), top_id = 0; COMMIT;" %
                 "".join("DELETE FROM postbatch.%s;" % t
                         for t in self.tables))

    def sql(self, text):
        return harness.psql(self.dsn, text)

    def value(self, text):
        return harness.value(self.dsn, text)

    def query(self, name, *arguments, text=None):
        """Runs sql/queries/NAME.sql; gives its rows."""
        return self.sql("%s PREPARE q AS %s; EXECUTE q%s;" % (
            PINS, text or read("queries", name + ".sql"),
            "(%s)" % ",".join(map(literal, arguments)) if arguments else ""))

    # ---- what is in the database ------------------------------------------

    def contracts(self, *types):
        """Syncs event types; fills self.roles with the numbers of roles."""
        filled = [dict({"mailable": True, "roles": [{"name": "addressee"}]},
                       **t) for t in types]
        rows = self.query("sync_types", filled and json.dumps(filled))
        self.roles = {name: int(number) for number, name in rows}

    def recipients(self, count, first=1):
        self.sql("INSERT INTO postbatch.recipient (id, key, email) SELECT i,"
                 " 'u' || i, 'u' || i || '@example.org'"
                 " FROM generate_series(%d, %d) AS i" %
                 (first, first + count - 1))

    def emit(self, type_name, payload, urgency=None):
        return int(self.value("SELECT postbatch.emit(%s, %s::jsonb, %s)" % (
            literal(type_name), literal(json.dumps(payload)),
            literal(urgency))))

    # ---- the router --------------------------------------------------------

    def route_text(self, name="route", only=None):
        roles = {n: i for n, i in self.roles.items()
                 if only is None or n in only}
        return compose(name, roles)

    def step(self, events=5000, pairs=50000, fanout=20000, text=None):
        """One step of the router; gives its row as a dictionary."""
        rows = self.sql(
            "%s PREPARE lock AS %s; PREPARE step AS %s;"
            "BEGIN ISOLATION LEVEL READ COMMITTED;"
            "EXECUTE lock; EXECUTE step(%d, %d, %d); COMMIT;" %
            (PINS, read("queries", "route_lock.sql"),
             text or self.route_text(), events, pairs, fanout))
        self.assertEqual(rows[0][0], "locked")
        names = ("events", "quarantined", "fanouts", "letters", "batches")
        result = {n: int(v) for n, v in zip(names, rows[1])}
        result["finished"] = rows[1][5] == "t"
        result.update(zip(("held", "logged", "unlogged"),
                          map(int, rows[1][6:])))
        return result

    def route(self, **options):
        """Steps until nothing is left to read; gives the sums."""
        total = self.step(**options)
        while not total["finished"]:
            step = self.step(**options)
            total["finished"] = step.pop("finished")
            for name, n in step.items():
                total[name] += n
        return total

    def pairs(self, where="true"):
        """All (recipient, event) in batches, sorted."""
        return [(int(r), int(e)) for r, e in self.sql(
            "SELECT r, e FROM postbatch.batch, unnest(recipient_ids,"
            " event_ids) AS p (r, e) WHERE %s ORDER BY r, e" % where)]

    def quarantine(self):
        """{event id: reason} of what was set aside."""
        return {int(e): reason for e, reason in self.sql(
            "SELECT event_id, reason FROM postbatch.quarantine")}
