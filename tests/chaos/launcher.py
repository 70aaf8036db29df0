"""Launches runs in a process of its own and prints the id of each as soon as it was accepted.

python -m tests.chaos.launcher COUNT
"""

import sys

import django


def main(count: int) -> None:
    django.setup()
    from jobs.models import Job
    from runs import causes, dispatch, launch
    from tests.chaos.ledger.jobs import SLUG

    job = Job.objects.get(slug=SLUG)
    for _ in range(count):
        # The first hint goes by a thread, which opens the line for the next ones.
        dispatch.publisher.flush(10)
        print(launch.launch(job, cause=causes.manual()).run.pk, flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
