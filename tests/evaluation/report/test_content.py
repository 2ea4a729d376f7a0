"""What a report says, whatever its form."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from agentrag.core.errors import DataSetError
from agentrag.evaluation.comparing.comparison import compare_systems
from agentrag.evaluation.evaluation import Evaluation
from agentrag.evaluation.folder.folder import RunFolder
from agentrag.evaluation.report.content import Report, report_on
from agentrag.evaluation.report.standing import best_runs, explained
from agentrag.evaluation.report.tables import (
    calibration_event,
    calibration_sentence,
    differing,
    environment_table,
    question_table,
)
from tests.evaluation.report.samples import HOSTILE, made

STRONG, WEAK = made("strong", 0.9, n=120), made("weak", 0.3, n=120, tokens=100)


def best(report: Report) -> dict[str, str]:
    rows = [row for group in report.groups for row in group.rows]
    return {row.metric.name: report.runs[row.best].name for row in rows if row.best is not None}


def searching(name: str, *, gold: bool = False) -> Evaluation:
    """A run that retrieves and does not answer; without `gold` its data set has no golden answers either."""
    run = made(name, 0.2, n=120)
    outcomes = [replace(each, answered=each.answered and replace(each.answered, answer=None)) for each in run.outcomes]
    if not gold:
        unanswered = [replace(each.query, gold=replace(each.query.gold, answers=())) for each in outcomes]
        outcomes = [replace(each, query=query) for each, query in zip(outcomes, unanswered, strict=True)]
    return replace(run, outcomes=tuple(outcomes))


def test_a_run_is_told_with_what_it_was_made_of_and_on() -> None:
    report = report_on([made("plain", 0.6, unanswerable=10)])
    (run,) = report.runs
    assert report.title == "plain on rivers"
    assert run.facts == {
        "system": "graph plain",
        "data set": "rivers",
        "half": "report",
        "questions": "60, 10 of them without an answer",
        "models": "writer: local",
        "inputs": "style=short",
        "begun": "2026-05-01T10:00:00+00:00",
    }
    assert (run.warnings, run.command) == ((), "agentrag eval plain --data rivers --half report -i style=short")


def test_failures_unjudged_questions_and_an_early_end_are_told(tmp_path: Path) -> None:
    run = made("plain", 0.6, failures=1)
    unjudged = replace(run.outcomes[5].query, gold=replace(run.outcomes[5].query.gold, relevant={}))
    outcomes = [*run.outcomes[:5], replace(run.outcomes[5], query=unjudged), *run.outcomes[6:]]
    folder = RunFolder(tmp_path / "run")
    folder.begin(run.about, [outcome.query for outcome in made("plain", 0.6, n=80).outcomes], {})
    (told,) = report_on([replace(run, outcomes=tuple(outcomes), folder=folder.path)]).runs
    assert told.warnings == (
        "The evaluation was stopped: 60 of 80 questions were asked so far.",
        "1 question failed; they count as 0 in the metrics of answers and rankings.",
        "1 question has no relevant document: in no metric of rankings.",
    )
    assert told.failed == {"q000": "the server went away"}


def test_one_run_is_neither_compared_nor_plotted_against_its_cost() -> None:
    report = report_on([STRONG])
    assert (report.comparison, report.refused, report.scatters, report.tradeoffs, best(report)) == (None, "", (), (), {})
    assert [group.title for group in report.groups] == ["Answers", "Rankings", "Refusals", "Costs of a question"]


def test_runs_are_compared_with_the_first_and_plotted_in_one_metric_of_answers_and_one_of_rankings() -> None:
    report = report_on([WEAK, STRONG, made("third", 0.5, n=120)])
    assert report.comparison is not None
    assert [(pair.baseline, pair.system) for pair in report.comparison.pairs] == [("weak", "strong"), ("weak", "third")]
    assert [(each.metric, each.system) for each in report.scatters] == [
        ("em", "strong"),
        ("ndcg@10", "strong"),
        ("em", "third"),
        ("ndcg@10", "third"),
    ]
    assert [(each.quality, each.cost) for each in report.tradeoffs] == [
        ("em", "tokens"),
        ("em", "latency"),
        ("ndcg@10", "tokens"),
        ("ndcg@10", "latency"),
    ]


@pytest.mark.parametrize("order", [(STRONG, WEAK), (WEAK, STRONG)], ids=["baseline", "other"])
def test_a_run_is_the_best_where_the_comparison_shows_it_whichever_comes_first(order: tuple[Evaluation, ...]) -> None:
    found = best(report_on(order))
    assert (found["em"], found["recall@5"], found["tokens"], found["latency"]) == ("strong", "strong", "weak", "weak")
    assert "calls" not in found


def test_no_run_is_the_best_where_the_first_two_do_not_differ_by_more_than_chance() -> None:
    near = made("near", 0.88, n=120)
    found = best(report_on([WEAK, STRONG, near]))
    assert "em" not in found
    assert found["tokens"] == "weak"
    systems = [replace(run, name=run.run).as_system() for run in (WEAK, STRONG, near)]
    assert best_runs(systems[:2], compare_systems(systems[:2]))["em"] == 1


def test_a_metric_that_a_run_lacks_has_no_best() -> None:
    report = report_on([STRONG, searching("search", gold=True)])
    values = {row.metric.name: row.values for group in report.groups for row in group.rows}
    assert values["em"][1] is None
    assert values["recall@5"][1] is not None
    assert best(report)["recall@5"] == "strong"
    assert "em" not in best(report)


def test_only_the_named_metrics_are_shown_and_compared_rankings_at_any_depth() -> None:
    report = report_on([WEAK, STRONG], ["recall@1", "f1"])
    assert [row.metric.name for group in report.groups for row in group.rows] == ["f1", "recall@1"]
    assert report.comparison is not None
    assert {row["metric"] for row in report.comparison.rows()} == {"recall@1", "f1"}
    assert report.runs[0].questions.head[4:] == ("f1", "recall@1")
    assert [each.quality for each in report.tradeoffs] == ["f1", "f1", "recall@1", "recall@1"]


@pytest.mark.parametrize(
    ("runs", "metrics", "says"),
    [
        ([], None, "at least one"),
        ([STRONG], ["f2"], "Unknown metric 'f2'"),
        ([STRONG], ["yes_no"], "Unknown metric 'yes_no'"),
        ([STRONG, STRONG], None, "Run 'strong' is there twice"),
    ],
    ids=["no run", "unknown", "no run has it", "twice"],
)
def test_what_cannot_be_told_is_refused(runs: list[Evaluation], metrics: list[str] | None, says: str) -> None:
    with pytest.raises(DataSetError, match=says):
        report_on(runs, metrics)


def test_runs_that_cannot_be_compared_are_told_beside_each_other_with_the_reason() -> None:
    other = made("other", 0.5)
    changed = replace(other.outcomes[0].query, gold=replace(other.outcomes[0].query.gold, answers=("Rhine",)))
    report = report_on([made("plain", 0.6), replace(other, outcomes=(replace(other.outcomes[0], query=changed),))])
    assert report.comparison is None
    assert "was judged by different gold" in report.refused
    assert report.warnings[0].startswith("The runs were not asked the same questions")
    assert (report.scatters, report.tradeoffs) == ((), ())
    assert len(report.groups) == 4


def test_a_run_in_which_nothing_was_answered_yet_is_told_without_numbers() -> None:
    report = report_on([Evaluation("new", {}, ())])
    assert (report.groups, report.runs[0].facts, report.runs[0].command) == ((), {"questions": "0"}, "")


def test_versions_and_hashes_stand_side_by_side_and_those_that_differ_are_known() -> None:
    newer = {"environment": {"python": "3.12.1", "packages": {"agentrag": "0.2.0"}}}
    found = environment_table([made("a", 0.5), made("b", 0.5, about=newer)])
    rows = {row[0]: row[1:] for row in found.rows}
    assert rows["environment packages agentrag"] == ("0.1.0", "0.2.0")
    assert rows["environment packages numpy"] == ("2.4.6", "")
    assert rows["data sha256 corpus.jsonl"] == ("ab" * 32,) * 2
    different = {found.rows[number][0] for number in differing(found)}
    assert different == {"system name", "environment packages agentrag", "environment packages numpy"}


def test_each_question_has_a_row_and_those_beyond_the_most_are_counted() -> None:
    found = question_table(made("plain", 0.6, n=25, unanswerable=25, failures=1), most=10)
    assert (len(found.rows), found.more) == (10, 15)
    rows = {row[0]: row for row in found.rows}
    assert rows["q000"][3] == "(failed: the server went away)"
    assert rows["q003"][1] == HOSTILE
    assert {row[2] for row in found.rows} == {"(cannot be answered)"}
    assert any(row[3].startswith("(refused) The") for row in found.rows)
    assert found.head[:4] == ("id", "question", "golden answers", "answer")
    assert "latency (s)" in found.head


def test_columns_that_are_empty_for_all_questions_are_left_out() -> None:
    found = question_table(searching("search"))
    assert found.head[:3] == ("id", "question", "ndcg@10")
    assert {len(row) for row in found.rows} == {len(found.head)}
    assert found.texts[:3] == (True, True, False)
    failed = searching("search").outcomes[0]
    failed = replace(failed, answered=None, error="broke")
    assert question_table(replace(searching("search"), outcomes=(failed,))).head[:3] == ("id", "question", "answer")
    assert question_table(Evaluation("new", {}, ())).head == ("id", "question")


@pytest.mark.parametrize("metrics", [None, ["map", "mrr@10"]], ids=["all", "named"])
def test_metrics_stand_in_the_order_of_the_comparison(metrics: list[str] | None) -> None:
    report = report_on([WEAK, STRONG], metrics)
    assert report.comparison is not None
    shown = [row.metric.name for group in report.groups for row in group.rows]
    compared = [row.metric for row in report.comparison.pairs[0].rows if row.metric != "usd"]
    assert shown == compared
    assert metrics is None or shown == metrics


def test_each_metric_has_its_number_of_questions_and_each_run_where_they_differ() -> None:
    runs = [made("plain", 0.6, unanswerable=10, failures=1), made("other", 0.6, unanswerable=10), searching("search")]
    rows = {row.metric.name: row for group in report_on(runs[:2]).groups for row in group.rows}
    assert (rows["em"].counts, rows["em"].n) == ((50, 50), 50)
    assert (rows["latency"].counts, rows["latency"].n) == ((59, 60), None)
    assert rows["abstention_recall"].n == 10
    refused = sum(each.answered.abstained for each in runs[1].outcomes if each.answered)
    assert rows["abstention_precision"].counts[1] == refused < 10
    assert rows["latency"].told(1).endswith(", n 60")
    assert "n" not in rows["em"].told(0)
    (em,) = [row for group in report_on(runs[1:], ["em"]).groups for row in group.rows]
    assert (em.counts, em.n, em.told(1)) == ((50, 0), 50, "")


@pytest.mark.parametrize(
    ("runs", "compared", "marked", "pairs", "beside"),
    [
        (1, False, False, False, False),
        (2, False, False, False, True),
        (2, True, True, False, True),
        (3, True, True, True, True),
    ],
    ids=["one", "not comparable", "two", "three"],
)
def test_the_sentences_above_the_table_say_what_can_be_in_it(
    runs: int, compared: bool, marked: bool, pairs: bool, beside: bool
) -> None:
    said = " ".join(explained(runs, compared=compared))
    assert "n is the number of those questions" in said
    assert ("runs differ" in said, "marked as best" in said, "against each other one" in said) == (beside, marked, pairs)


def test_a_curve_is_told_in_a_sentence() -> None:
    (found,) = report_on([made("gated", 0.6, n=100, signals={"answerable": "relevant"})]).calibrations
    assert found.auroc is not None
    assert found.ece is not None
    event = "The event that answerable foretells: a relevant document is among the retrieved passages."
    assert calibration_event(found) == event
    assert calibration_sentence(found) == (
        f"The event came true for {found.true} of 100 questions. Expected calibration error {found.ece:.3f} over 10 bins of "
        f"about equal counts; chance alone keeps it above 0. AUROC {found.auroc.mean:.3f}, 95 % interval "
        f"{found.auroc.low:.3f} to {found.auroc.high:.3f}."
    )
    assert calibration_sentence(replace(found, auroc=None)).endswith("AUROC is not defined: the outcome is the same for all.")
