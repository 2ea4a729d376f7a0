from collections.abc import Sequence
from math import inf

import pytest

from agentrag.evaluation.comparing.comparison import compare_systems
from agentrag.evaluation.comparing.results import Comparison, Move, Moved, Pair, Row, System, Verdict
from agentrag.evaluation.comparing.wording import markdown_of, sentence, text_of
from agentrag.evaluation.statistics.intervals import Share
from agentrag.evaluation.statistics.paired import Paired

NONE: Verdict = "no difference shown"
RISE = Paired(183, 0.5, 0.546, 0.046, 0.016, 0.075, 0.001, 0.22, 0.042, 183)
FLAT = Paired(183, 0.6, 0.605, 0.005, -0.017, 0.027, 0.61, 0.04, 0.031, 183)
TOKENS = Paired(183, 1200.4, 1534.25, 333.85, 290.1, 377.2, 0.0001, 1.1, 50.0, 183)


def row(metric: str, found: Paired, p_holm: float | None, verdict: Verdict) -> Row:
    return Row("B", "A", metric, found, p_holm, verdict)


def comparison(rows: Sequence[Row], notes: tuple[str, ...] = (), moved: Moved | None = None) -> Comparison:
    return Comparison("A", (Pair("B", "A", tuple(rows), notes, moved),), sum(not each.cost for each in rows))


FULL = comparison(
    [row("ndcg@10", RISE, 0.002, "better"), row("recall@5", FLAT, 0.61, NONE), row("tokens", TOKENS, None, "dearer")],
    ("17 questions were left out: only A was asked.",),
    Moved("ndcg@10", (Move("q1", "What  is\n*x* | y?", 0.0, 1.0), Move("q22", "Why?", 0.25, 0.75)), ()),
)

TEXT = """\
B against A
metric      n      A      B  difference    95 % interval     p  Holm  effect  detectable  verdict
ndcg@10   183  0.500  0.546      +0.046   0.016 to 0.075  .001  .002    0.22       0.042  better
recall@5  183  0.600  0.605      +0.005  -0.017 to 0.027  .610  .610    0.04       0.031  no difference shown
tokens    183  1,200  1,534        +334       290 to 377                1.10              dearer

ndcg@10: B is better than A by 0.046 (95 % interval 0.016 to 0.075, p .002 after Holm over 2 tests).
recall@5: no difference shown between A and B; with 183 questions a difference of 0.031 would be found in four of five such \
comparisons, tested alone.
Note: 17 questions were left out: only A was asked.

ndcg@10 rose most from A to B
id       A      B  question
q1   0.000  1.000  What is *x* | y?
q22  0.250  0.750  Why?

ndcg@10 fell on no question"""

MARKDOWN = """\
## B against A

| metric | n | A | B | difference | 95 % interval | p | Holm | effect | detectable | verdict |
|:---|---:|---:|---:|---:|---:|---:|---:|---:|---:|:---|
| ndcg@10 | 183 | 0.500 | 0.546 | +0.046 | 0.016 to 0.075 | .001 | .002 | 0.22 | 0.042 | better |
| recall@5 | 183 | 0.600 | 0.605 | +0.005 | -0.017 to 0.027 | .610 | .610 | 0.04 | 0.031 | no difference shown |
| tokens | 183 | 1,200 | 1,534 | +334 | 290 to 377 |  |  | 1.10 |  | dearer |

- ndcg@10: B is better than A by 0.046 (95 % interval 0.016 to 0.075, p .002 after Holm over 2 tests).
- recall@5: no difference shown between A and B; with 183 questions a difference of 0.031 would be found in four of five such \
comparisons, tested alone.
- Note: 17 questions were left out: only A was asked.

### ndcg@10 rose most from A to B

| id | A | B | question |
|:---|---:|---:|:---|
| q1 | 0.000 | 1.000 | What is \\*x\\* \\| y? |
| q22 | 0.250 | 0.750 | Why? |

### ndcg@10 fell on no question
"""


def test_a_comparison_reads_as_table_verdicts_notes_and_moves() -> None:
    assert text_of(FULL) == TEXT


def test_a_comparison_reads_the_same_in_markdown() -> None:
    assert markdown_of(FULL) == MARKDOWN


@pytest.mark.parametrize(
    ("found", "p_holm", "verdict", "tests", "words"),
    [
        (
            RISE,
            0.0042,
            "better",
            6,
            "B is better than A by 0.046 (95 % interval 0.016 to 0.075, p .004 after Holm over 6 tests).",
        ),
        (RISE, 0.0042, "worse", 1, "B is worse than A by 0.046 (95 % interval 0.016 to 0.075, p .004)."),
        (
            Paired(60, 0.5, 0.3, -0.2, -0.31, -0.09, 0.00001, -1.0, 0.1, 60),
            0.00002,
            "worse",
            2,
            "B is worse than A by 0.200 (95 % interval 0.090 to 0.310, p < .001 after Holm over 2 tests).",
        ),
        (
            Paired(60, 0.5, 0.3, -0.2, -0.4, 0.0001, 0.04, -1.0, 0.1, 60),
            0.0498,
            "better",
            1,
            "B is better than A by 0.200 (95 % interval 0.000 to 0.400, p < .05).",
        ),
        (
            Paired(1333, 0.6, 0.605, 0.005, -0.017, 0.027, 0.61, 0.04, 0.031, 1333),
            0.61,
            NONE,
            1,
            "no difference shown between A and B; with 1,333 questions a difference of 0.031 would be found in four of five "
            "such comparisons.",
        ),
        (
            Paired(4, 0.0, 1.0, 1.0, 1.0, 1.0, 0.125, inf, inf, 4),
            0.125,
            NONE,
            1,
            "no difference shown between A and B; 4 questions are too few to show one.",
        ),
        (
            Paired(1, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, inf, inf, 1),
            1.0,
            NONE,
            1,
            "no difference shown between A and B; 1 question is too few to show one.",
        ),
        (Paired(183, 0.5, 0.5, 0, 0, 0, 1, 0, 0, 0), 1.0, NONE, 6, "A and B do not differ on any of the 183 questions."),
        (Paired(1, 0.5, 0.5, 0, 0, 0, 1, 0, inf, 0), 1.0, NONE, 6, "A and B do not differ on the one question."),
        (
            Paired(6, 0.0, 0.1, 0.1, 0.1, 0.1, 2 / 64, inf, 0.0, 6),
            4 / 64,
            NONE,
            2,
            "no difference shown between A and B (p .062 after Holm over 2 tests), though every question differs by 0.100.",
        ),
    ],
    ids=[
        "better",
        "worse",
        "fell",
        "just below the level",
        "none",
        "too few",
        "one question",
        "equal",
        "one equal",
        "too many tests",
    ],
)
def test_a_verdict_is_a_sentence(found: Paired, p_holm: float, verdict: Verdict, tests: int, words: str) -> None:
    assert sentence(row("f1", found, p_holm, verdict), tests) == f"f1: {words}"


@pytest.mark.parametrize(
    ("found", "cells"),
    [
        (Paired(9, 0.0003007, 0.0003078, 0.0000071, 0.0000001, 0.0000138, 1, 0.06, 1, 9), "0.0003007 0.0003078 +0.0000071"),
        (Paired(9, 12345.6, 12000.2, -345.4, -400, -300, 1, -0.5, 1, 9), "12,346 12,000 -345"),
        (Paired(9, 1.0, 1.0, 0.0, 0.0, 0.0, 1, 0.0, 0, 0), "1.000 1.000 0.000 0.000 to 0.000"),
    ],
    ids=["usd", "tokens", "equal"],
)
def test_a_cost_has_the_digits_of_its_size(found: Paired, cells: str) -> None:
    line = text_of(comparison([row("cost", found, None, NONE)])).splitlines()[2]
    assert " ".join(line.split()).startswith(f"cost 9 {cells}")


def test_a_cost_that_is_nothing_in_both_is_not_shown() -> None:
    nothing = Paired(9, 0.0, 0.0, 0.0, 0.0, 0.0, 1, 0.0, 0, 0)
    assert "cost" not in text_of(comparison([row("cost", nothing, None, NONE)]))


def test_what_cannot_be_detected_at_all_is_none_in_the_table() -> None:
    found = Paired(4, 0.0, 1.0, 1.0, 1.0, 1.0, 0.125, inf, inf, 4)
    line = text_of(comparison([row("f1", found, 0.125, NONE)])).splitlines()[2]
    assert " ".join(line.split()) == "f1 4 0.000 1.000 +1.000 1.000 to 1.000 .125 .125 inf none no difference shown"


def test_a_long_question_is_cut_and_stays_on_its_line() -> None:
    moved = Moved("f1", (), (Move("q1", "word\n" * 40, 1.0, 0.0),))
    lines = text_of(comparison([row("f1", FLAT, 0.61, NONE)], moved=moved)).splitlines()
    assert "f1 rose on no question" in lines
    assert lines[-1] == f"q1  1.000  0.000  {'word ' * 15}word…"


def test_a_pair_without_a_row_has_its_notes_only() -> None:
    assert text_of(comparison([], ("f1 is not compared.",))) == "B against A\n\nNote: f1 is not compared."
    assert markdown_of(comparison([], ("f1 is not compared.",))) == "## B against A\n\n- Note: f1 is not compared.\n"


def test_several_systems_follow_each_other_and_equal_input_gives_equal_bytes() -> None:
    systems = [
        System(name, {"f1": {f"q{n}": Share(n % of / of) for n in range(40)}}, {f"q{n}": "Why?" for n in range(40)}, {}, {})
        for name, of in (("A", 7), ("B", 5), ("C", 3))
    ]
    texts = [text_of(compare_systems(systems)) for _ in range(2)]
    assert texts[0].encode() == texts[1].encode()
    assert markdown_of(compare_systems(systems)).encode() == markdown_of(compare_systems(systems)).encode()
    assert [line for line in texts[0].splitlines() if " against " in line] == ["B against A", "C against A"]
