"""What the filters of lists share: they are read from the address, which is the page's whole state."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from django.http import QueryDict

LONGEST_WORD = 200


@dataclass(slots=True, kw_only=True)
class Narrowing:
    """What a list is narrowed to by the query string `data`. `errors` are sentences about it, by parameter."""

    data: QueryDict
    errors: dict[str, str] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """What the parameter says, as far as anything may be looked for by it."""
        found: str = self.data.get(name, "")
        return found.strip()[:LONGEST_WORD].replace("\0", "")

    def one_of(self, name: str, known: Mapping[str, object], otherwise: str = "") -> str:
        """What the parameter says if it is known, and `otherwise` if it says nothing; another word is an error."""
        value = self.text(name) or otherwise
        if value and value not in known:
            self.errors[name] = f"{value!r} is not a known {name}: expected one of {', '.join(known)}."
            return otherwise
        return value

    def changed(self, *, without: tuple[str, ...] = (), **said: str) -> QueryDict:
        """The query string without the parameters `without` and those that say nothing, and with what is `said`."""
        query = self.data.copy()
        for name in (*without, *said):
            query.pop(name, None)
        query.update({name: value for name, value in said.items() if value})
        for name in [name for name in query if not any(query.getlist(name))]:
            del query[name]
        return query
