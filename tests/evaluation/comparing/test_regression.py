from collections.abc import Sequence
from dataclasses import replace

import pytest

from agentrag.core.types import Citation, Passage, Usage
from agentrag.evaluation.asking.ask import Answered, Outcome
from agentrag.evaluation.comparing.regression import Band, overlap, regressions
from agentrag.evaluation.data.dataset import Gold, Query, Question
from agentrag.evaluation.evaluation import Evaluation

N = 40


def run(name: str, found: Sequence[Sequence[str]], tokens: Sequence[int] = (100,) * N, seconds: float = 1.0) -> Evaluation:
    """An evaluation of N questions; the document of question n is dn."""
    outcomes = tuple(
        Outcome(
            Query(Question(f"q{n}", f"question {n}"), Gold(relevant={f"d{n}": 1})),
            Answered(
                passages=tuple(Passage(document, "", document, record=document) for document in documents),
                usage={"write": Usage(calls=1, prompt_tokens=paid, seconds=seconds)},
            ),
        )
        for n, (documents, paid) in enumerate(zip(found, tokens, strict=True))
    )
    return Evaluation(name, {}, outcomes)


RIGHT = [[f"d{n}", f"e{n}", f"f{n}"] for n in range(N)]


def test_an_equal_run_has_no_regression() -> None:
    assert regressions(run("before", RIGHT), run("after", RIGHT)) == []


def test_a_metric_that_fell_on_many_questions_is_one_and_on_one_question_is_none() -> None:
    few = [*RIGHT[:-1], RIGHT[-1][::-1]]
    many = [found[::-1] if n % 2 else found for n, found in enumerate(RIGHT)]
    assert regressions(run("before", RIGHT), run("after", few)) == []
    (first, *_) = lost = regressions(run("before", RIGHT), run("after", many))
    assert {each.what for each in lost} == {"ndcg@10", "mrr@10", "map"}
    assert first.why.startswith("1 to 0.75, a difference of -0.25 [-0.")
    assert first.why.endswith("over 40 questions")


def test_a_metric_that_rose_is_none() -> None:
    worse = [found[::-1] for found in RIGHT]
    assert regressions(run("before", worse), run("after", RIGHT)) == []


def test_a_loss_within_the_band_is_let_pass() -> None:
    many = [found[::-1] if n % 2 else found for n, found in enumerate(RIGHT)]
    assert regressions(run("before", RIGHT), run("after", many), Band(quality=0.5)) == []


@pytest.mark.parametrize(
    ("tokens", "lost"),
    [((104,) * N, []), ((110,) * N, ["tokens"]), ((90,) * N, []), ((100,) * (N - 1) + (900,), [])],
    ids=["within-the-band", "dearer", "cheaper", "by-one-question"],
)
def test_costs_may_rise_within_their_band_or_by_chance(tokens: Sequence[int], lost: list[str]) -> None:
    found = regressions(run("before", RIGHT), run("after", RIGHT, tokens))
    assert [each.what for each in found] == lost


def test_time_is_never_a_regression() -> None:
    assert regressions(run("before", RIGHT), run("after", RIGHT, seconds=60.0)) == []


def test_other_documents_are_told_where_no_metric_sees_them() -> None:
    others = [[found[0], "x", "y"] if n % 2 else found for n, found in enumerate(RIGHT)]
    (lost,) = regressions(run("before", RIGHT), run("after", others))
    assert lost.what == "retrieved"
    assert lost.why == "of the first 10 documents of the baseline 66.7% are still among the first 10"
    assert regressions(run("before", RIGHT), run("after", others), Band(retrieved=0.5)) == []


def test_overlap_is_over_the_questions_that_both_have_and_none_without_rankings() -> None:
    assert overlap(run("before", RIGHT), run("after", RIGHT)) == 1.0
    short = Evaluation("after", {}, run("after", [found[::-1] for found in RIGHT]).outcomes[:3])
    assert overlap(run("before", RIGHT), short, depth=1) == 0.0
    assert overlap(run("before", [[]] * N), run("after", RIGHT)) is None


def failing(name: str, failed: int) -> Evaluation:
    outcomes = [
        Outcome(outcome.query, None, error="it broke") if n < failed else outcome
        for n, outcome in enumerate(run(name, RIGHT).outcomes)
    ]
    return Evaluation(name, {}, tuple(outcomes))


def test_questions_that_fail_now_are_told_beside_what_they_lower() -> None:
    assert [each.what for each in regressions(failing("before", 0), failing("after", 3))] == ["retrieved"]
    lost = regressions(failing("before", 0), failing("after", 20))
    assert lost[0].what == "failed"
    assert lost[0].why == "0 to 20 of 40 questions failed"
    assert "recall@5" in {each.what for each in lost}


def test_a_quality_that_is_gone_altogether_is_a_regression() -> None:
    def cites(name: str, citations: tuple[Citation, ...]) -> Evaluation:
        outcomes = run(name, RIGHT).outcomes
        answered = [outcome.answered and replace(outcome.answered, answer="so", citations=citations) for outcome in outcomes]
        return Evaluation(name, {}, tuple(replace(o, answered=a) for o, a in zip(outcomes, answered, strict=True)))

    lost = regressions(cites("before", (Citation(1, "d0", None, "", 0, 1, "q"),)), cites("after", ()))
    assert {each.what for each in lost} == {"citation_precision", "citation_recall", "answer_support"}
    assert {each.why for each in lost} == {"the baseline has it, this run does not"}


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_a_handful_of_questions_is_no_ground_for_a_regression(n: int) -> None:
    before, after = run("before", RIGHT).outcomes[:n], run("after", [found[::-1] for found in RIGHT], (900,) * N).outcomes[:n]
    assert regressions(Evaluation("before", {}, before), Evaluation("after", {}, after)) == []


def test_a_baseline_that_was_scored_with_other_metrics_is_no_reason_to_alarm() -> None:
    before = run("before", RIGHT).scored_by(["ndcg@3", "success@1"])
    assert regressions(before, run("after", RIGHT)) == []
    lost = regressions(before, run("after", [found[::-1] for found in RIGHT]))
    assert [each.what for each in lost] == ["ndcg@3", "success@1"]


def test_to_refuse_nothing_any_more_is_no_regression_by_itself() -> None:
    def refusing(name: str, refused: bool) -> Evaluation:
        asked = Outcome(Query(Question("u", "unknown?"), Gold(answerable=False)), Answered("so", abstained=False))
        first, *others = run(name, RIGHT).outcomes
        answers = [replace(o, answered=o.answered and replace(o.answered, answer="so")) for o in others]
        wrongly = replace(first, answered=first.answered and replace(first.answered, answer="no", abstained=refused))
        return Evaluation(name, {}, (wrongly, *answers, asked))

    before, after = refusing("before", refused=True), refusing("after", refused=False)
    assert "abstention_precision" in before.scores
    assert "abstention_precision" not in after.scores
    assert regressions(before, after) == []
