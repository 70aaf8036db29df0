"""`make chaos`: breaks a site of its own in every way that is promised to be survived, and counts.

Its PostgreSQL flushes what it commits, unlike that of the tests. Exits with 1 when something was lost, done
twice without a trace, or otherwise wrong.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import tests.servers as own

if TYPE_CHECKING:
    from tests.chaos.faults import Fault, Sizes
    from tests.chaos.tally import Row

DATABASE = "chaos"
LEASES = {"deployment": 45.0, "short": 6.0}


def main() -> int:
    options = _options()
    seed = options.seed if options.seed is not None else int.from_bytes(os.urandom(4))
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.chaos.settings"
    # What this process itself can't send is no news in the report.
    os.environ["HEADWAY_LOG_LEVEL"] = "ERROR"
    own.SERVERS.postgres.options = ("max_connections=200",)
    own.SERVERS.start()
    import django

    django.setup()
    from tests.chaos import faults
    from tests.chaos.tally import table

    wanted = options.only or list(faults.ALL)
    lease = LEASES["deployment" if options.deployment_times else "short"]
    sizes = faults.Sizes(
        rounds=options.rounds,
        scale=options.scale,
        lease=lease,
        freeze=40.0 if options.deployment_times else 8.0,
    )
    print(f"seed {seed}, lease {lease:g} s, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}", flush=True)
    _make_template()
    rows = []
    for name in wanted:
        began = time.monotonic()
        # A seed of its own, so that one row can be repeated alone.
        rows.append(_row(name, faults.ALL[name], sizes, random=Random(f"{seed}/{name}")))
        print(f"{name}: {time.monotonic() - began:.0f} s, {'ok' if rows[-1].holds else 'WRONG'}", flush=True)
    print(table(rows))
    return 0 if all(row.holds for row in rows) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("only", nargs="*", help="the rows to run (default: all)")
    parser.add_argument("--seed", type=int, help="repeats what a run with this seed chose")
    parser.add_argument("--rounds", type=int, default=12, help="how often each fault happens (default: 12)")
    parser.add_argument("--scale", type=float, default=2.0, help="how much work a round has (default: 2)")
    parser.add_argument(
        "--deployment-times", action="store_true", help="leases and freezes as long as in a deployment"
    )
    return parser.parse_args()


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
    site = Site(folder=folder, environment=environment)
    try:
        return fault(Arena(servers=servers, site=site, folder=folder, random=random), sizes)
    except AssertionError as error:
        return Row(fault=name, times=0, submitted=0, wrong=[f"the row did not come about: {error}"])
    finally:
        site.stop_all()
        connection.close()
        connection.settings_dict["NAME"] = template


def _times(sizes: "Sizes") -> dict[str, str]:
    """A deployment's own times, where those are asked for."""
    if sizes.lease != LEASES["deployment"]:
        return {}
    return {"HEADWAY_LEASE_SECONDS": "45", "HEADWAY_HEARTBEAT_SECONDS": "10", "HEADWAY_SWEEP_SECONDS": "2"}


if __name__ == "__main__":
    sys.exit(main())
