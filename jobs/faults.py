"""What is wrong in a JSON document a person or program sent: where, of which kind, and in words."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing wrong; the three fields are those of an `errors[]` entry of problem+json (docs/api.md).

    `pointer` is an RFC 6901 JSON pointer into the document ("" is the document itself), `code` a short
    word for programs, `detail` a sentence that names the value and what was expected.
    """

    pointer: str
    code: str
    detail: str


class Faulty(ValueError):
    """A document was refused; `errors` holds everything that is wrong with it, not only the first thing."""

    def __init__(self, errors: Iterable[Fault]) -> None:
        self.errors = list(errors)
        super().__init__(" ".join(error.detail for error in self.errors))


def pointer(*path: str | int) -> str:
    """The JSON pointer of a path, escaped by RFC 6901: ("a/b", 0) -> "/a~1b/0"."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)
