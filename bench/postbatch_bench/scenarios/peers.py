"""What others do in the same call, on tables filled in the same way, with the
same sink: the whole job, event to note, by the programs of bench/peers, in
turn with the dispatcher.
"""

from postbatch_bench import fill
from postbatch_bench import peers
from postbatch_bench.ground import Missing
from postbatch_bench.rounds import add_median, add_ratio, in_rounds

NAME = "peers"
TITLE = "nodemailer, Rails, Python and libcurl do the same job"
SCALES = ("tiny", "quick", "normal", "full")
PROMISES = tuple("ratio_vs_" + peer.name for peer in peers.TABLE_OF_PEERS)


def present(bench):
    """{peer: words of its command}; those that are not there are named."""
    found = {}
    for peer in peers.TABLE_OF_PEERS:
        try:
            found[peer] = peer.command(bench.world.build)
        except Missing as missing:
            bench.results.missing("ratio_vs_" + peer.name, str(missing))
    return found


def contenders(bench, found, mails):
    filled = fill.one_to_one(mails, bench.size)
    table = {"dispatcher": lambda: bench.world.once(filled, mails,
                                                    bench.setup)}
    for peer, words in found.items():
        count = max(20, int(peer.mails * bench.pick(tiny=0, quick=0.4,
                                                    normal=1)))
        table[peer.name] = (lambda peer=peer, words=words, count=count:
                            peers.run(bench.world, peer, words, count,
                                      bench.size))
    return table


def run(bench):
    bench.needs_sink()
    results = bench.results
    found = present(bench)
    mails = bench.mails(tiny=100, quick=50000, normal=100000)
    seen = in_rounds(contenders(bench, found, mails),
                     bench.rounds(tiny=1, quick=1, normal=3))
    ours = seen["dispatcher"]
    for peer in found:
        runs = seen[peer.name]
        add_median(results, "peer_%s_mails_per_s" % peer.name,
                   [r.mails_per_s for r in runs], "mails/s",
                   "%s; %d mails" % (peer.about, runs[0].mails))
        for what, values in (("cpu", [r.worker_us for r in runs]),
                             ("pg_cpu", [r.pg_us for r in runs])):
            add_median(results, "peer_%s_%s_us_per_mail" % (peer.name, what),
                       values, "us", "of the peer" if what == "cpu" else
                       "of PostgreSQL", 1)
        add_ratio(results, "ratio_vs_" + peer.name,
                  [r.mails_per_s for r in ours],
                  [r.mails_per_s for r in runs], "mails/s, whole job")
        add_ratio(results, "ratio_cpu_vs_" + peer.name,
                  [r.both_us for r in runs], [r.both_us for r in ours],
                  "CPU a mail, program and PostgreSQL")
