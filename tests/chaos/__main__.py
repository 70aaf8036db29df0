"""`make chaos`: breaks a site of its own in every way that is promised to be survived, and counts.

Its PostgreSQL flushes what it commits, unlike that of the tests. Exits with 1 when something was lost, done
twice without a trace, or otherwise wrong.
"""

import argparse
import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import tests.servers as own

if TYPE_CHECKING:
    from tests.chaos.faults import Fault
    from tests.chaos.sizes import Sizes
    from tests.chaos.tally import Row

DATABASE = "chaos"


def main() -> int:
    options = _options()
    seed = options.seed if options.seed is not None else int.from_bytes(os.urandom(4))
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.chaos.settings"
    # What this process itself can't send is no news in the report.
    os.environ["HEADWAY_LOG_LEVEL"] = "ERROR"
    # What is counted afterwards may be a million rows; the site keeps the limit that it has.
    os.environ["HEADWAY_STATEMENT_TIMEOUT"] = "0"
    own.SERVERS.postgres.options = ("max_connections=200",)
    own.SERVERS.start()
    import django

    django.setup()
    from tests.chaos import faults
    from tests.chaos.tally import head, lines_of

    wanted = options.only or list(faults.ALL)
    sizes = _sizes(options)
    print(
        f"seed {seed}, lease {sizes.lease:g} s, {sizes.rounds} rounds, {os.cpu_count()} CPUs, "
        f"load {os.getloadavg()[0]:.1f}",
        flush=True,
    )
    _make_template()
    rows = []
    print(head(), flush=True)
    for name in wanted:
        began = time.monotonic()
        # A seed of its own, so that one row can be repeated alone.
        rows.append(_row(name, faults.ALL[name], sizes, random=Random(f"{seed}/{name}")))
        print(lines_of(rows[-1]), flush=True)
        print(f"  {name}: {time.monotonic() - began:.0f} s", flush=True)
    return 0 if all(row.holds for row in rows) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("only", nargs="*", help="the rows to run (default: all)")
    parser.add_argument("--seed", type=int, help="repeats what a run with this seed chose")
    parser.add_argument(
        "--full", action="store_true", help="as often and as long as docs/reliability.md promises"
    )
    parser.add_argument("--rounds", type=int, help="how often workers, slots and beats are killed")
    parser.add_argument(
        "--lease", type=float, help="of the site, in seconds; from 45 on its other times grow too"
    )
    parser.add_argument("--scale", type=float, help="how much work a round has")
    return parser.parse_args()


def _sizes(options: argparse.Namespace) -> "Sizes":
    from tests.chaos.sizes import FULL, SHORT

    told = {name: getattr(options, name) for name in ("rounds", "scale", "lease")}
    changes = {name: value for name, value in told.items() if value is not None}
    return replace(FULL if options.full else SHORT, **changes)


def _make_template() -> None:
    """Migrates once; each row gets a copy."""
    from django.core.management import call_command
    from django.db import connection

    call_command("migrate", interactive=False, verbosity=0)
    call_command("sync_jobs", verbosity=0)
    connection.close()


def _row(name: str, fault: "Fault", sizes: "Sizes", *, random: Random) -> "Row":
    import psycopg
    from django.db import connection

    from tests.chaos.arena import Arena
    from tests.chaos.tally import Row
    from tests.site import Site, environment_for

    database = f"{DATABASE}_{name.replace('-', '_')}"
    template = connection.settings_dict["NAME"]
    connection.close()
    servers = own.SERVERS
    with psycopg.connect(
        f"postgresql://headway@/template1?host={servers.postgres.sockets}", autocommit=True
    ) as admin:
        admin.execute(f'CREATE DATABASE "{database}" TEMPLATE "{template}"'.encode())
    connection.settings_dict["NAME"] = database
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=servers.folder))
    environment = environment_for(database, host=servers.postgres.sockets) | _times(sizes)
    environment["HEADWAY_STATEMENT_TIMEOUT"] = "30s"
    site = Site(folder=folder, environment=environment)
    try:
        return fault(Arena(servers=servers, site=site, folder=folder, random=random), sizes)
    except AssertionError as error:
        return Row(
            fault=name, times=0, submitted=0, wrong=[f"the row did not come about: {str(error)[-1000:]}"]
        )
    finally:
        site.stop_all()
        connection.close()
        connection.settings_dict["NAME"] = template


def _times(sizes: "Sizes") -> dict[str, str]:
    """A deployment's own times at full size; what a test's site is told else is shorter."""
    if not sizes.is_long:
        return {}
    return {
        "HEADWAY_LEASE_SECONDS": "45",
        "HEADWAY_HEARTBEAT_SECONDS": "10",
        "HEADWAY_SWEEP_SECONDS": "2",
        "HEADWAY_CANCEL_GRACE_SECONDS": "4",
        "HEADWAY_STOP_GRACE_SECONDS": "25",
    }


if __name__ == "__main__":
    sys.exit(main())
