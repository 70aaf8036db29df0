"""The fields that answers of the API are made of: passed on as they are, described by a JSON Schema."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self

from rest_framework import serializers

from jobs.wire import INSTANT_OR_NULL, TEXT_OR_NULL, Schema, instant_text


class Value(serializers.Field[Any, Any, Any, Any]):
    """A field of an answer, passed on as it is; `schema` says in the API's description what it may be."""

    def __init__(self, schema: Schema, **options: Any) -> None:
        self.schema = schema
        super().__init__(read_only=True, **options)

    def get_attribute(self, instance: Any) -> Any:
        """A relation that is not there (`owner.username`) makes null, where the schema knows it."""
        try:
            return super().get_attribute(instance)
        except serializers.SkipField:
            if "null" in self.schema.get("type", ()):
                return None
            raise

    def __deepcopy__(self, memo: Mapping[int, Any]) -> Self:
        # Each serializer copies its fields; copying the schemas with them would take longer than the rest.
        return type(self)(*self._args, **self._kwargs)  # type: ignore[attr-defined]

    def to_representation(self, value: Any) -> Any:
        return value


class Text(Value):
    """A text of which the empty one means that there is none: null."""

    def __init__(self, schema: Schema = TEXT_OR_NULL, **options: Any) -> None:
        super().__init__(schema, **options)

    def to_representation(self, value: Any) -> str | None:
        return str(value) or None


class Instant(Value):
    """An instant: RFC 3339 in UTC with `Z`."""

    def __init__(self, schema: Schema = INSTANT_OR_NULL, **options: Any) -> None:
        super().__init__(schema, **options)

    def to_representation(self, value: datetime) -> str:
        return instant_text(value)


class Absent(Value):
    """A field of the contract that an object of this kind never has a value for."""

    def __init__(self, schema: Schema, **options: Any) -> None:
        super().__init__(schema, source="*", **options)

    def to_representation(self, value: Any) -> None:
        return None
