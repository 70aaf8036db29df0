"""How the environment is read: an empty variable counts as none, one that can't be understood is named."""

from ipaddress import IPv4Network, IPv6Network, ip_network
from math import inf, isinf
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

YES = ("1", "true", "on", "ok", "y", "yes")
NO = ("0", "false", "off", "n", "no")
EXPECTED = {int: "a whole number", float: "a number", bool: "1 or 0"}


class Environment(environ.Env):
    """django-environ, which takes any word for "no" and doesn't say which variable was wrong."""

    def count(self, var: str, *, default: int, least: int = 1, most: int | None = None) -> int:
        """A whole number from `least` to `most`. Raises `ImproperlyConfigured` as `get_value` does."""
        found = int(self.int(var, default=default))
        if found < least or (most is not None and found > most):
            expected = f"of {least} or more" if most is None else f"from {least} to {most}"
            raise ImproperlyConfigured(f"{var} is {found}; expected a whole number {expected}.")
        return found

    def amount(self, var: str, *, default: float, most: float = inf) -> float:
        """A number from 0 to `most`. Raises `ImproperlyConfigured` as `get_value` does."""
        found = float(self.float(var, default=default))
        if not 0 <= found <= most or isinf(found):
            expected = "of 0 or more" if isinf(most) else f"from 0 to {most:g}"
            raise ImproperlyConfigured(f"{var} is {found:g}; expected a number {expected}.")
        return found

    def get_value(
        self, var: str, cast: Any = None, default: Any = environ.Env.NOTSET, parse_default: bool = False
    ) -> Any:
        """The value of `var`. Raises `ImproperlyConfigured` with its name, its value and what was expected."""
        text = self.ENVIRON.get(var)
        if text == "" and default is not self.NOTSET:
            return default
        try:
            if cast is bool and text is not None and text.strip().lower() not in (*YES, *NO):
                raise ValueError(text)
            return super().get_value(var, cast=cast, default=default, parse_default=parse_default)
        except (ValueError, TypeError) as error:
            expected = EXPECTED.get(cast, "something else")
            raise ImproperlyConfigured(f"{var} is {text!r}; expected {expected}.") from error

    def folders(self, var: str) -> list[str]:
        """The absolute paths of `var`, comma-separated; none by default. Raises `ImproperlyConfigured`."""
        found = [text.strip() for text in self.list(var, default=[])]
        for text in found:
            if not text.startswith("/"):
                raise ImproperlyConfigured(f"{var} has {text!r}; expected absolute paths of folders.")
        return found

    def networks(self, var: str) -> list[IPv4Network | IPv6Network]:
        """The IP networks of `var`, comma-separated; none by default. Raises `ImproperlyConfigured`."""
        found = []
        for text in self.list(var, default=[]):
            try:
                found.append(ip_network(text.strip()))
            except ValueError as error:
                expected = "an address or a network such as 10.0.0.0/8"
                raise ImproperlyConfigured(f"{var} has {text!r}; expected {expected}.") from error
        return found
