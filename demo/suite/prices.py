"""Prices of the demo's little shop: whole cents, one way of rounding."""

from decimal import ROUND_HALF_EVEN, Decimal


class InvalidPrice(ValueError):
    """A text that is no price."""


def cents(text: str) -> int:
    """The cents that "12.50" means; raises InvalidPrice."""
    try:
        amount = Decimal(text) * 100
    except ArithmeticError:
        raise InvalidPrice(f"{text!r} is not a price; expected something like '12.50'.") from None
    if amount != amount.to_integral_value() or amount < 0:
        raise InvalidPrice(f"{text!r} is not a price; expected whole cents from 0.")
    return int(amount)


def share(amount: int, percent: int) -> int:
    """`percent` per cent of `amount` cents; half a cent goes to the even one."""
    return int((Decimal(amount) * percent / 100).quantize(Decimal(1), rounding=ROUND_HALF_EVEN))


def shown(amount: int) -> str:
    """Cents as people read them: 1250 -> "12.50"."""
    return f"{amount // 100}.{amount % 100:02d}"
