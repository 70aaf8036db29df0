"""Many ids in one value: Django writes a parameter for each of `id__in`, and 500 of them take it milliseconds."""

from collections.abc import Iterable

from django.db.models import BigIntegerField
from django.db.models.expressions import RawSQL


def any_of(ids: Iterable[int]) -> RawSQL:
    """The right side of a lookup `…__in` for any number of ids."""
    return RawSQL("SELECT unnest(%s::bigint[])", [list(ids)], output_field=BigIntegerField())
