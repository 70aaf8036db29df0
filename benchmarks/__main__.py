"""`make bench`: measures this checkout and its peers on this machine; prints a table and writes JSON."""

import argparse
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

from benchmarks import headway
from benchmarks.figures import table, write
from benchmarks.peers import venv
from benchmarks.site import Sizes

QUICK = Sizes(bulk=20_000, single=1_000, probes=100, history=50_000, schedules=2_000)
FULL = Sizes(bulk=100_000, single=5_000, probes=400, history=1_000_000, schedules=100_000)


def main() -> int:
    options = _options()
    # So that what was started is ended, however this ends.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sizes = QUICK if options.quick else FULL
    if options.history is not None:
        sizes = replace(sizes, history=options.history)
    print(f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f} before the start", flush=True)
    began = time.monotonic()
    figures = []
    names = () if options.no_peers else tuple(options.peers or venv.NAMES)
    if names:
        figures += venv.measure(names, count=1_500 if options.quick else 10_000, probes=sizes.probes)
    if not options.only_peers:
        figures += headway.measure(sizes, names=options.rows)
    print(table(figures))
    write(options.json, figures, options={"quick": options.quick, "history": sizes.history, "peers": names})
    print(f"{time.monotonic() - began:.0f} s; as JSON in {options.json}")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a fifth of the work, in about two minutes")
    parser.add_argument("--history", type=int, help="finished runs in the table when pages are measured")
    parser.add_argument("--no-peers", action="store_true", help="Headway alone")
    parser.add_argument("--only-peers", action="store_true", help="the peers alone")
    parser.add_argument("--peers", nargs="+", choices=venv.NAMES, help="only these peers")
    parser.add_argument(
        "--rows", nargs="+", choices=headway.NAMES, default=headway.NAMES, help="only these of Headway's"
    )
    parser.add_argument("--json", type=Path, default=Path("var/bench.json"), help="where the figures go")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
