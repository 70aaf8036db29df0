"""What every address of the API that is no list has in common: a query that is checked, and a description."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar

from rest_framework.request import Request
from rest_framework.views import APIView

from jobs.wire import NO_QUERY, Schema, query

Method = TypeVar("Method", bound=Callable[..., Any])


def described(*, body: Schema | None = None, answers: Mapping[Any, Any]) -> Callable[[Method], Method]:
    """Says in the OpenAPI document what one method of a view takes and answers, where its methods differ."""

    def mark(method: Method) -> Method:
        method.body_schema, method.answers = body, answers  # type: ignore[attr-defined]
        return method

    return mark


class Endpoint(APIView):
    """An address that is no list: a GET reads what `query_schema` declares from the query, and nothing else.

    `body_schema` and `answers` (status to serializer) describe the rest of it in the OpenAPI document.
    """

    query_schema: ClassVar[Schema] = NO_QUERY
    body_schema: ClassVar[Schema | None] = None
    answers: ClassVar[Mapping[Any, Any]] = {}

    def initial(self, request: Request, *arguments: Any, **options: Any) -> None:
        """After the caller's rights, checks the query; `asked` is what it says. Raises InvalidQuery."""
        super().initial(request, *arguments, **options)
        self.asked = query(request, self.query_schema if request.method in ("GET", "HEAD") else NO_QUERY)
