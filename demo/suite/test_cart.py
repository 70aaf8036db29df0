import pytest

from demo.suite.cart import Cart, UnknownArticle


def test_an_empty_cart_costs_nothing(cart: Cart) -> None:
    assert cart.total == 0


def test_one_article_costs_its_price_and_shipping(cart: Cart) -> None:
    cart.add("notebook")
    assert cart.total == 450 + 490


def test_the_same_article_twice_adds_up(cart: Cart) -> None:
    cart.add("pencil")
    cart.add("pencil", 2)
    assert cart.goods == 360


def test_expensive_carts_are_sent_for_nothing(cart: Cart) -> None:
    cart.add("backpack")
    assert cart.total == 5900


def test_ten_of_an_article_are_cheaper(cart: Cart) -> None:
    cart.add("pencil", 10)
    assert cart.goods == 1020


def test_nine_of_an_article_are_not(cart: Cart) -> None:
    cart.add("pencil", 9)
    assert cart.goods == 1080


def test_what_is_removed_costs_nothing(cart: Cart) -> None:
    cart.add("pencil", 3)
    cart.remove("pencil")
    assert cart.total == 0


def test_an_unknown_article_is_refused(cart: Cart) -> None:
    with pytest.raises(UnknownArticle):
        cart.add("elephant")


@pytest.mark.parametrize("quantity", [0, -1])
def test_less_than_one_article_is_refused(cart: Cart, quantity: int) -> None:
    with pytest.raises(ValueError, match="expected 1 or more"):
        cart.add("pencil", quantity)
