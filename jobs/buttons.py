"""Button: what stands on an admin page to be pressed, who may press it, and when it makes sense.

A button is one POST, one permission, one line in the object's history and one sentence back. In a list it
stands in the row, as `<button formaction>` of the form that the list is anyway; on the object's page it has
a form of its own. So it works without JavaScript, carries the CSRF token, and no GET ever does anything.
`jobs.panel` gives them their addresses.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

Method = TypeVar("Method", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """What a button says, who may press it, and for which objects it makes sense.

    `asks`: it leads to a page of its own first, which a GET may open.
    """

    name: str
    label: str
    permission: str
    offered: Callable[[Any], bool]
    asks: bool = False
    danger: bool = False

    @property
    def address(self) -> str:
        """The last part of the button's address."""
        return self.name.replace("_", "-")

    @property
    def classes(self) -> str:
        """What the skin knows it by."""
        return "button danger" if self.danger else f"button {self.address}"


def button(
    label: str,
    *,
    permission: str,
    offered: Callable[[Any], bool] = lambda _: True,
    asks: bool = False,
    danger: bool = False,
) -> Callable[[Method], Method]:
    """Makes a button of a method `(request, object)` of a Panel.

    The method does the one thing and returns the sentence that says so, or a page of its own; it may raise
    one of the panel's `refusals`.
    """

    def mark(method: Method) -> Method:
        made = Button(
            name=method.__name__,
            label=label,
            permission=permission,
            offered=offered,
            asks=asks,
            danger=danger,
        )
        method.button = made  # type: ignore[attr-defined]
        return method

    return mark
