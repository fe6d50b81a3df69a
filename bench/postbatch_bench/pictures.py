"""Figures as pictures: SVG and PNG, drawn by gnuplot from a file of results,
so that they can be drawn again without measuring again:

    bench/postbatch-bench --pictures [FOLDER]
"""

import math
import os
import re
import subprocess

from postbatch_bench import results

OURS, THEIRS, SECOND, THIRD = "#1f6f8b", "#a9adb5", "#d9822b", "#4c956c"

STYLE = """
set encoding utf8
set border 3 lc rgb '#5b616b' lw 1
set tics nomirror out scale 0.5 tc rgb '#30343b'
set grid ytics lc rgb '#e3e6ea' lw 1 lt 1
set title tc rgb '#16181c' font ',17' offset 0,0.6
set key tc rgb '#30343b' font ',12'
set label tc rgb '#30343b'
"""

TERMINALS = {
    "svg": "svg size %d,%d background '#ffffff' font 'DejaVu Sans,13'"
           " rounded",
    "png": "pngcairo size %d,%d background '#ffffff' font 'DejaVu Sans,13'"
           " rounded",
}


def short(value):
    """A number as people write it beside a bar: two figures are enough."""
    if value >= 10000:
        return "%.0fk" % (value / 1000)
    if value >= 1000:
        return "%.1fk" % (value / 1000)
    return "%.0f" % value if value >= 10 else "%.1f" % value


def block(name, rows):
    """Rows as a datablock of gnuplot; texts are quoted."""
    lines = [" ".join('"%s"' % part if isinstance(part, str)
                      else "%.10g" % part for part in row) for row in rows]
    return "$%s << EOD\n%s\nEOD\n" % (name, "\n".join(lines))


# ---- throughput -------------------------------------------------------------

BARS = (
    ("one event, 100,000 mails", "e2e_fanout_mails_per_s", OURS),
    ("one event, one mail", "e2e_1to1_mails_per_s", OURS),
    ("the same, over STARTTLS", "tls_mails_per_s", OURS),
    ("ten events a mail", "gather_mails_per_s", OURS),
    ("daily digests, all due at once", "digest_mails_per_s", OURS),
    ("a relay that refuses some", "failures_mails_per_s", OURS),
    ("smtp-source (SMTP alone)", "smtp_source_mails_per_s", THEIRS),
    ("libcurl's own transfer, C", "peer_libcurl_transfer_mails_per_s",
     THEIRS),
    ("nodemailer's pool, Node", "peer_nodemailer_mails_per_s", THEIRS),
    ("smtplib, Python", "peer_python_mails_per_s", THEIRS),
    ("ActionMailer, Rails", "peer_rails_mails_per_s", THEIRS),
)


def throughput(values):
    """Bars with a log scale: what we do, and what others do."""
    rows = [(label, values[name], int(colour[1:], 16), short(values[name]))
            for label, name, colour in BARS if values.get(name)]
    if len(rows) < 2:
        return None
    count = len(rows)
    data = [(count - 1 - place, value, colour, words, label)
            for place, (label, value, colour, words) in enumerate(rows)]
    tics = ", ".join('"%s" %d' % (row[4], row[0]) for row in data)
    least = 10 ** math.floor(math.log10(min(row[1] for row in rows) / 1.5))
    return (920, 130 + 38 * count), block(
        "bars", [row[:4] for row in data]) + """
set title 'Mails a second, event to ledger, all on one machine'
unset key
set logscale x
set format x '%%.0s%%c'
set grid noytics xtics lc rgb '#e3e6ea' lw 1 lt 1
set xrange [%g:%g]
set yrange [-0.7:%g]
set ytics (%s) scale 0
set rmargin 6
set style fill solid noborder
set xlabel 'mails a second (log scale): Postbatch, and others'
plot $bars using (%g):1:(%g):2:($1-0.33):($1+0.33):3 \\
         with boxxyerror lc rgb variable, \\
     $bars using 2:1:4 with labels left offset 0.6,0 tc rgb '#30343b'
""" % (least, 3 * max(row[1] for row in rows), count - 0.3, tics, least,
       least)


# ---- round trips ------------------------------------------------------------

GEARS = (("streamed", OURS), ("pipelined", SECOND), ("lockstep", THIRD))


def round_trip(values):
    """Lines: a colour a gear, a dash a number of lanes."""
    found = {}
    for name, value in values.items():
        match = re.fullmatch(r"rtt([\d.]+)_(\w+)_(\d+)_lanes_mails_per_s",
                             name)
        if match and value:
            found.setdefault((match[2], int(match[3])), []).append(
                (float(match[1]), value))
    text, plots = "", []
    counts = sorted({lanes for _, lanes in found})
    for gear, colour in GEARS:
        for lanes in reversed(counts):
            points = sorted(found.get((gear, lanes), ()))
            if len(points) < 2:
                continue
            text += block("d_%s_%d" % (gear, lanes), [
                (max(rtt, 0.3), value) for rtt, value in points])
            plots.append("$d_%s_%d using 1:2 with linespoints lc rgb '%s'"
                         " lw %g dt %d pt 7 ps 0.6 title '%s, %d %s'" %
                         (gear, lanes, colour, 2.6 if lanes == 4 else 1.5,
                          1 + counts.index(lanes), gear, lanes,
                          "lane" if lanes == 1 else "lanes"))
    if not plots:
        return None
    return (920, 560), text + """
set title 'Mails a second against the distance to the relay'
set logscale xy
set xrange [0.25:60]
set xtics ('0' 0.3, '1' 1, '5' 5, '20' 20, '50' 50)
set format y '%%.0s%%c'
set xlabel 'round trip, ms'
set ylabel 'mails a second (log scale)'
set key outside right center Left reverse samplen 3 spacing 1.2
plot %s
""" % ", \\\n     ".join(plots)


# ---- backlog ----------------------------------------------------------------

def backlog(values):
    """Cost of a mail against how many events wait."""
    series = {"": [], "_held": []}
    for name, value in values.items():
        match = re.fullmatch(r"backlog_(\d+)(_held)?_cpu_us_per_mail", name)
        if match and value and value > 0:
            series[match[2] or ""].append((int(match[1]), value))
    if min(map(len, series.values())) < 2:
        return None
    top = 1.35 * max(v for points in series.values() for _, v in points)
    return (920, 480), block("free", sorted(series[""])) + block(
        "held", sorted(series["_held"])) + """
set title 'What a mail costs, against how many events wait'
set logscale x
set format x '%%.0s%%c'
set yrange [0:%g]
set xlabel 'events waiting (log scale)'
set ylabel 'CPU of PostgreSQL and worker, us a mail'
set key top left Left reverse
set offsets graph 0.05, graph 0.05, 0, 0
plot $free using 1:2 with linespoints lc rgb '%s' lw 2.6 pt 7 ps 1 \\
         title 'as usual', \\
     $held using 1:2 with linespoints lc rgb '%s' lw 2.6 dt 2 pt 7 ps 1 \\
         title 'while a forgotten transaction holds its snapshot'
""" % (top, OURS, SECOND)


# ---- lag --------------------------------------------------------------------

def lag(values):
    """Clusters of bars: a colour a percentile, a cluster a rate."""
    shares = (("p50", "#a8d0db"), ("p90", "#5fa3b5"), ("p99", OURS),
              ("max", "#d9822b"))
    rates = sorted({int(m[1]) for m in (
        re.fullmatch(r"lag_(\d+)_per_s_p50_ms", name) for name in values)
        if m})
    if not rates:
        return None
    rows = []
    for rate in rates:
        rows.append(["{:,} mails/s".format(rate)] + [
            max(values.get("lag_%d_per_s_%s_ms" % (rate, share)) or 0, 0.1)
            for share, _ in shares])
    plots = ", \\\n     ".join(
        "$lag using %d%s with histograms lc rgb '%s' title '%s'" %
        (column, ":xtic(1)" if column == 2 else "", colour,
         "slowest" if share == "max" else share)
        for column, (share, colour) in enumerate(shares, 2))
    numbers = ", \\\n     ".join(
        "$lag using ($0%+g):%d:(sprintf('%%.0f', $%d)) with labels"
        " offset 0,0.6 font ',11' tc rgb '#30343b' notitle" %
        (-0.3 + 0.2 * place, 2 + place, 2 + place)
        for place in range(len(shares)))
    most = max(max(row[1:]) for row in rows)
    return (920, 480), block("lag", rows) + """
set title 'From the commit of an event to the 250 of the relay'
set style data histograms
set style histogram clustered gap 1
set style fill solid noborder
set boxwidth 0.92
set yrange [0:%g]
set ylabel 'ms'
set key top left horizontal
plot %s, \\
     %s
""" % (1.3 * most, plots, numbers)


# ---- drawing ----------------------------------------------------------------

PICTURES = (("throughput", throughput), ("round_trip", round_trip),
            ("backlog", backlog), ("lag", lag))


def draw(path, folder):
    """Draws what the results at path have figures for into folder; gives the
    names of the pictures."""
    values = {row["name"]: row["value"] for row in results.read(path)}
    os.makedirs(folder, exist_ok=True)
    drawn = []
    for name, make in PICTURES:
        made = make(values)
        if made is None:
            continue
        size, script = made
        for kind, terminal in TERMINALS.items():
            target = os.path.join(folder, "%s.%s" % (name, kind))
            subprocess.run(
                ["gnuplot", "-"], input="set terminal %s\nset output '%s'\n%s"
                % (terminal % size, target, STYLE + script), text=True,
                check=True)
        drawn.append(name)
    return drawn
