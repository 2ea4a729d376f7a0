import hashlib

import pytest

from agentrag.evaluation.data.dataset import Gold, Query, Question
from agentrag.evaluation.data.halves import digest, half, sample


def queries(count: int) -> list[Query]:
    return [Query(Question(f"q{n}", "?"), Gold()) for n in range(count)]


@pytest.mark.parametrize("name", ["a", "d", "q17", "größe"])
def test_an_even_digest_is_tune_and_an_odd_one_is_report(name: str) -> None:
    number = int.from_bytes(hashlib.sha256(name.encode("utf-8")).digest(), "big")
    assert half(name) == ("report" if number % 2 else "tune")


def test_the_halves_share_nothing_and_leave_nothing_out() -> None:
    everything = {query.id for query in sample(queries(200))}
    tune = {query.id for query in sample(queries(200), "tune")}
    report = {query.id for query in sample(queries(200), "report")}
    assert tune | report == everything
    assert not tune & report
    assert 60 < len(tune) < 140


def test_a_sample_is_the_first_of_the_half_by_digest_whatever_the_order_of_the_file() -> None:
    drawn = sample(reversed(queries(50)), "report", 5)
    assert drawn == sample(queries(50), "report", 5)
    digests = [digest(query.id) for query in drawn]
    rest = [digest(query.id) for query in sample(queries(50), "report")[5:]]
    assert digests == sorted(digests)
    assert max(digests) < min(rest)
