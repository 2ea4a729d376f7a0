import asyncio

import pytest

from agentrag.core.errors import ModelError, NotPulledError, RunError
from agentrag.evaluation.asking.ask import Answered, Outcome, ask_all
from agentrag.evaluation.data.dataset import Gold, Query, Question


def queries(count: int) -> list[Query]:
    return [Query(Question(f"q{n}", f"text {n}"), Gold(("gold",))) for n in range(count)]


async def test_outcomes_come_in_the_order_of_the_questions_whoever_ends_first() -> None:
    async def ask(question: Question) -> Answered:
        await asyncio.sleep(0.02 if question.id == "q0" else 0.0)
        return Answered(answer=question.text)

    watched: list[Outcome] = []
    outcomes = await ask_all(ask, queries(4), concurrency=4, watch=watched.append)
    assert [outcome.query.id for outcome in outcomes] == ["q0", "q1", "q2", "q3"]
    assert [outcome.answered and outcome.answered.answer for outcome in outcomes] == [f"text {n}" for n in range(4)]
    assert watched[-1].query.id == "q0"
    assert outcomes[0].seconds >= 0.02


@pytest.mark.parametrize("limit", [1, 3])
async def test_no_more_questions_are_in_flight_than_allowed(limit: int) -> None:
    flying: list[int] = [0]
    most: list[int] = []

    async def ask(question: Question) -> Answered:
        flying[0] += 1
        most.append(flying[0])
        await asyncio.sleep(0.001)
        flying[0] -= 1
        return Answered(answer="")

    await ask_all(ask, queries(9), concurrency=limit)
    assert max(most) == limit


async def test_a_question_that_fails_is_an_outcome_with_its_reason() -> None:
    async def ask(question: Question) -> Answered:
        if question.id == "q1":
            raise ModelError("the server\nhung up")
        return Answered(answer="yes")

    outcomes = await ask_all(ask, queries(3))
    assert [outcome.error for outcome in outcomes] == ["", "the server hung up", ""]
    assert outcomes[1].answered is None


async def test_an_evaluation_whose_first_questions_all_fail_is_given_up() -> None:
    asked: list[str] = []

    async def ask(question: Question) -> Answered:
        asked.append(question.id)
        raise ModelError("no route to the server")

    with pytest.raises(RunError, match=r"All of the first 5 questions failed\. no route to the server"):
        await ask_all(ask, queries(50))
    assert len(asked) == 5
    with pytest.raises(RunError, match="All of the first 2 questions failed"):
        await ask_all(ask, queries(2))


async def test_what_is_no_failure_of_a_question_ends_the_evaluation() -> None:
    async def ask(question: Question) -> Answered:
        raise NotPulledError("some-model")

    with pytest.raises(NotPulledError, match="agentrag models pull some-model"):
        await ask_all(ask, queries(3), concurrency=2)


async def test_no_questions_give_no_outcomes() -> None:
    async def ask(question: Question) -> Answered:
        return Answered()

    assert await ask_all(ask, []) == []
