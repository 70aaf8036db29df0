"""triggers.dependencies: edits that would close a circle only together."""

import threading

from django.db import IntegrityError, connection, transaction

from jobs.models import Job
from tests.factories import make_dependency, make_job
from triggers import dependencies
from triggers.models import Upstream


class Editor(threading.Thread):
    """Adds one edge in a transaction of its own, and keeps what came of it."""

    def __init__(self, upstream: Job, downstream: Job) -> None:
        super().__init__()
        self.edge = upstream, downstream
        self.refusal: dependencies.CircularDependency | None = None

    def run(self) -> None:
        try:
            make_dependency(self.edge[0], job=self.edge[1])
        except dependencies.CircularDependency as error:
            self.refusal = error
        finally:
            connection.close()


def test_two_edits_at_once_cannot_close_a_circle(own_database: str) -> None:
    for _ in range(5):
        a, b = make_job(), make_job()
        editors = [Editor(a, b), Editor(b, a)]
        for editor in editors:
            editor.start()
        for editor in editors:
            editor.join()
        refused = [editor.refusal for editor in editors if editor.refusal]
        assert len(refused) == 1
        assert len(refused[0].chain) == 3
    assert Upstream.objects.count() == 5


def test_the_second_edit_waits_for_the_first_and_sees_it(own_database: str) -> None:
    a, b = make_job(), make_job()
    editor = Editor(b, a)
    with transaction.atomic():
        make_dependency(a, job=b)
        editor.start()
        editor.join(0.2)
        assert editor.is_alive()
    editor.join()
    assert editor.refusal is not None


def test_the_database_holds_when_nobody_asks_first(own_database: str) -> None:
    """Edges that are written past the code, by two at once, close no circle either."""
    a, b = make_job(), make_job()
    before, after = make_dependency(make_job(), job=a), make_dependency(make_job(), job=b)
    refused: list[IntegrityError] = []

    def add() -> None:
        try:
            Upstream.objects.create(trigger=after, job=a)
        except IntegrityError as error:
            refused.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=add)
    with transaction.atomic():
        Upstream.objects.create(trigger=before, job=b)
        thread.start()
        thread.join(0.2)
        assert thread.is_alive()
    thread.join()
    assert "come after itself" in str(refused[0])
