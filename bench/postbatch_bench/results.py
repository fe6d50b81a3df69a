"""Named figures: printed as they come, written to one file at the end."""

import fcntl
import json
import os


class Results:
    """Rows {"name", "value", "unit", "note"}; the value of what is missing
    is null, and its note says why."""

    def __init__(self):
        self.rows = []
        self.scenario = ""
        self.most_memory_mb = 0.0
        self.most_memory_in = ""

    def title(self, text):
        print("\n" + text, flush=True)

    def add(self, name, value, unit, note="", quiet=False):
        self.rows.append({"name": name, "value": round(float(value), 4),
                          "unit": unit, "note": note})
        if quiet:
            return
        digits = 1 if abs(value) >= 10 else 2
        print("  %-38s %14s %-8s %s" % (name, "{:,.{}f}".format(
            value, digits), unit, note), flush=True)

    def missing(self, name, why):
        self.rows.append({"name": name, "value": None, "unit": "",
                          "note": "missing: " + why})
        print("  %-38s %14s %-8s missing: %s" % (name, "-", "", why),
              flush=True)

    def memory(self, rss_mb):
        """The most memory a worker had, whatever it did."""
        if rss_mb > self.most_memory_mb:
            self.most_memory_mb = rss_mb
            self.most_memory_in = self.scenario

    def value(self, name):
        """What was measured under that name in this call, or None."""
        found = [row["value"] for row in self.rows if row["name"] == name]
        return found[-1] if found else None

    def write(self, path):
        """Puts the rows into the file at path. Rows of the same names are
        replaced where they stand, those of other scenarios stay."""
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path + ".lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            rows = {row["name"]: row for row in read(path)}
            rows.update((row["name"], row) for row in self.rows)
            with open(path + ".new", "w") as f:
                json.dump(list(rows.values()), f, indent=2)
                f.write("\n")
            os.replace(path + ".new", path)
        print("\nwritten: " + path)


def read(path):
    """The rows of a file of results; none when there is no file."""
    if not os.path.exists(path):
        return []
    with open(path) as f:
        return json.load(f)
