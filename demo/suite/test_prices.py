import pytest

from demo.suite.prices import InvalidPrice, cents, share, shown


@pytest.mark.parametrize(("text", "amount"), [("12.50", 1250), ("0", 0), ("3", 300)])
def test_a_price_is_read_as_cents(text: str, amount: int) -> None:
    assert cents(text) == amount


@pytest.mark.parametrize("text", ["free", "-1", "0.125"])
def test_what_is_no_price_is_refused(text: str) -> None:
    with pytest.raises(InvalidPrice, match="not a price"):
        cents(text)


def test_half_a_cent_goes_to_the_even_cent() -> None:
    assert [share(50, 25), share(50, 27), share(50, 29)] == [12, 14, 14]


def test_a_price_is_shown_with_two_decimals() -> None:
    assert shown(1205) == "12.05"


def test_the_voucher_is_taken_off(must_fail: bool) -> None:
    """Fails when the run's parameter `fail` says so."""
    price = cents("20.00")
    reduced = price - share(price, 10 if must_fail else 25)
    assert shown(reduced) == "15.00"
