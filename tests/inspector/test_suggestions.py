"""Names that somebody may have meant."""

from wfgen_inspector.suggestions import did_you_mean, nearest

WORKERS = ["users.create", "users.delete", "orders.create", "Mail.Send"]


def test_the_nearest_name_comes_first() -> None:
    """A typing error finds its name."""
    assert nearest("users.creat", WORKERS) == ["users.create"]
    assert nearest("orders.craete", WORKERS, limit=2)[0] == "orders.create"


def test_case_makes_no_difference() -> None:
    """A name in another case is found as it is spelled."""
    assert nearest("mail.send", WORKERS) == ["Mail.Send"]


def test_of_equally_near_names_the_common_beginning_decides() -> None:
    """Codes that are equally near are told apart by what they begin with."""
    assert nearest("WF1O1", ["WF711", "WF101"], limit=2) == ["WF101", "WF711"]


def test_nothing_near_is_nothing() -> None:
    """No suggestion is better than a wild one."""
    assert nearest("zebra", WORKERS) == []
    assert did_you_mean([]) is None


def test_a_question_names_all() -> None:
    """Several names are joined."""
    assert did_you_mean(["a", "b"]) == "Did you mean 'a' or 'b'?"
