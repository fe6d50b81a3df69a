"""The benchmark harness of Postbatch; bench/postbatch-bench is its program.

    options.py    the command line, and how much is measured at which scale
    main.py       runs the scenarios, one after the other
    scenarios/    what is measured: a scenario a file, and their table
    peers.py      the programs of bench/peers beside the dispatcher
    world.py      a cluster, a database for each run, a sink; what a run cost
    fill.py       what is in the database before a run
    rounds.py     A B A B: comparisons as ratios with their spread
    procfs.py     processes through /proc: CPU and memory
    ground.py     what is shared with the end-to-end tests
    results.py    figures: the table and build/bench/latest.json
    pictures.py   figures as SVG and PNG, by gnuplot
    profile.py    where a mail's microseconds go, by perf
"""
