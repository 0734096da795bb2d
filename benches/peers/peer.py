"""What all Python peers do alike: one graph of one size, timed by the process's own clock, told as one line of JSON."""

import json
import sys
import time


def main(**graphs):
    """Call as `with_X.py GRAPH SIZE`. A graph is a function that builds it, works through it, and returns how often a
    task was called; or a text that says why there is none."""
    graph, size = sys.argv[1], int(sys.argv[2])
    work = graphs[graph]
    if isinstance(work, str):
        print(json.dumps({"cannot": work}))
        return
    # Deep graphs are walked by recursion in some peers; Python's usual limit would end them at a chain of 1,000.
    sys.setrecursionlimit(1_000_000)
    start = time.perf_counter()
    called = work(size)
    seconds = time.perf_counter() - start
    # Not sys.stdout, which doit takes away and, with threads, may not give back.
    print(json.dumps({"seconds": seconds, "called": called}), file=sys.__stdout__)


class Calls:
    """How often a task was called: proof that the work was done."""

    count = 0
