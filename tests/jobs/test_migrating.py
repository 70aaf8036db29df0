"""jobs.migrating: operations of a migration that are applied together."""

import pytest
from django.db import connection, migrations, models
from django.db.migrations.state import ProjectState

from jobs.migrating import AtOnce


def tables() -> set[str]:
    return {name for name in connection.introspection.table_names() if name.startswith("orchard_")}


@pytest.mark.django_db
def test_operations_at_once_do_what_they_do_one_by_one_and_are_taken_back_together() -> None:
    number = ("id", models.BigAutoField(primary_key=True))
    owner = ("tree", models.ForeignKey("orchard.Tree", on_delete=models.CASCADE))
    together = AtOnce(
        migrations.CreateModel("Tree", [number]),
        migrations.CreateModel("Apple", [number, owner]),
    )
    before = ProjectState()
    assert not before.apps.all_models.get("orchard")  # drawn, as a migration finds it
    after = before.clone()
    together.state_forwards("orchard", after)
    assert after.apps.get_model("orchard.Apple")._meta.get_field("tree").related_model.__name__ == "Tree"
    with connection.schema_editor() as editor:
        together.database_forwards("orchard", editor, before, after)
    assert tables() == {"orchard_tree", "orchard_apple"}
    with connection.schema_editor() as editor:
        together.database_backwards("orchard", editor, after, before)
    assert tables() == set()
    assert together.describe() == "Create model Tree; Create model Apple"


def test_one_that_cannot_be_taken_back_makes_the_whole_so() -> None:
    assert AtOnce(migrations.RunSQL("SELECT 1", "SELECT 1")).reversible
    assert not AtOnce(migrations.RunSQL("SELECT 1", "SELECT 1"), migrations.RunSQL("SELECT 1")).reversible
