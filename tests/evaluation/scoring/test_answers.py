import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentrag.evaluation.scoring.answers import MEASURES, contains, exact, f1, labels, normal, plain, rouge_l, yes_no

WORDS = st.lists(st.sampled_from("uvwxyz"), max_size=12)


@pytest.mark.parametrize(
    ("text", "is_"),
    [
        ("The Black-Sea!", "blacksea"),
        ("  an  apple\ta day ", "apple day"),
        ("theatre", "theatre"),
        ("the", ""),
        ("$1,000", "1000"),
        ("Zürich", "zürich"),
    ],
)
def test_the_normal_form_is_that_of_squad(text: str, is_: str) -> None:
    assert normal(text) == is_


@pytest.mark.parametrize(
    ("answer", "golden", "em", "overlap"),
    [
        ("the Black Forest.", ["Black Forest"], 1.0, 1.0),
        ("Black Forest in Germany", ["Black Forest"], 0.0, 2 * 2 / (4 + 2)),
        ("in Germany", ["Black Forest", "Germany"], 0.0, 2 / 3),
        ("forest forest", ["forest"], 0.0, 2 / 3),
        ("river", ["Black Forest"], 0.0, 0.0),
        ("", ["Black Forest"], 0.0, 0.0),
        ("the", ["a"], 0.0, 0.0),
        ("%", ["%"], 1.0, 1.0),
        ("", ["%"], 0.0, 0.0),
        ("anything", [], 0.0, 0.0),
    ],
    ids=["equal", "longer", "best-of-two", "repeated", "other", "empty", "only-articles", "only-signs", "refused", "no-gold"],
)
def test_exact_match_and_f1_take_the_best_golden_answer(answer: str, golden: list[str], em: float, overlap: float) -> None:
    assert exact(answer, golden) == em
    assert f1(answer, golden) == pytest.approx(overlap)


@pytest.mark.parametrize(
    ("text", "golden", "held"),
    [
        ("It begins in the Black Forest, in Germany.", ["Black Forest"], 1.0),
        ("It begins in Blackforest.", ["Black Forest"], 0.0),
        ("In 1956 it froze.", ["195"], 0.0),
        ("It begins in Germany.", ["Black Forest", "germany"], 1.0),
        ("Anything at all.", ["the"], 0.0),
        ("", ["x"], 0.0),
    ],
    ids=["inside", "joined", "part-of-a-number", "second", "nothing-left", "empty"],
)
def test_a_text_contains_an_answer_as_whole_words(text: str, golden: list[str], held: float) -> None:
    assert contains(text, golden) == held


@pytest.mark.parametrize(
    ("answer", "golden", "value"),
    [
        ("The police killed the gunman.", ["police killed gunman"], 1.0),
        ("police kill the gunman", ["police killed the gunman"], 2 / 3),
        ("the gunman kill police", ["police killed the gunman"], 1 / 3),
        ("long ago in Rome", ["Rome"], 2 * 1 / (4 + 1)),
        ("in Rome", ["Athens", "in old Rome", "Rome now"], 2 * 2 / (2 + 3)),
        ("w w w", ["w w"], 2 * 2 / (3 + 2)),
        ("", ["Rome"], 0.0),
        ("the", ["a"], 0.0),
        ("Rome", [], 0.0),
    ],
    ids=["equal", "substitution", "order", "longer", "best-of-three", "repeated", "empty", "both-empty", "no-gold"],
)
def test_rouge_l_counts_the_words_in_common_that_stand_in_the_same_order(answer: str, golden: list[str], value: float) -> None:
    assert rouge_l(answer, golden) == pytest.approx(value)


def longest(first: list[str], second: list[str]) -> int:
    """The usual table."""
    above = [0] * (len(second) + 1)
    for word in first:
        row = [0]
        for place, other in enumerate(second):
            row.append(above[place] + 1 if word == other else max(above[place + 1], row[-1]))
        above = row
    return above[-1]


@given(WORDS, WORDS)
def test_rouge_l_agrees_with_the_table_of_the_textbook_and_never_exceeds_f1(first: list[str], second: list[str]) -> None:
    answer, gold = " ".join(first), " ".join(second)
    expected = 2 * longest(first, second) / (len(first) + len(second)) if first and second else 0.0
    assert rouge_l(answer, [gold]) == pytest.approx(expected)
    assert rouge_l(answer, [gold]) <= f1(answer, [gold])


@pytest.mark.parametrize(
    ("golden", "known"),
    [
        (["yes"], {"yes", "no", "maybe"}),
        (["Maybe.", "No"], {"yes", "no", "maybe"}),
        (["SUPPORTS"], {"supports", "refutes"}),
        (["yes", "yes it does"], set()),
        (["yes", "REFUTES"], set()),
        (["nobody"], set()),
        (["the"], set()),
        ([], set()),
    ],
)
def test_golden_answers_that_are_all_labels_of_one_kind_say_what_to_choose_among(golden: list[str], known: set[str]) -> None:
    assert labels(golden) == known


@pytest.mark.parametrize(
    ("answer", "golden", "right"),
    [
        ("Yes, there is no doubt.", ["yes"], 1.0),
        ("There is no doubt: yes.", ["yes"], 0.0),
        ("**Maybe**", ["maybe"], 1.0),
        ("_no_", ["No."], 1.0),
        ("Yes\u2014it does.", ["yes"], 1.0),
        ("No-one knows, maybe.", ["no"], 0.0),
        ("Nobody did.", ["no"], 0.0),
        ("It depends.", ["maybe"], 0.0),
        ("", ["no"], 0.0),
        ("The passage SUPPORTS the claim.", ["SUPPORTS"], 1.0),
        ("The passage refutes it; nothing supports it.", ["SUPPORTS"], 0.0),
        ("The claim is refuted.", ["REFUTES"], 1.0),
        ("Yes", ["SUPPORTS"], 0.0),
        ("Rome", ["Rome"], 0.0),
    ],
)
def test_the_first_label_of_an_answer_is_what_it_says(answer: str, golden: list[str], right: float) -> None:
    assert yes_no(answer, golden) == right


@given(st.text(max_size=40), st.lists(st.text(max_size=20), max_size=3))
def test_every_measure_of_any_text_is_in_0_to_1_and_1_for_an_answer_that_is_golden(text: str, golden: list[str]) -> None:
    for name, measure in MEASURES.items():
        assert 0.0 <= measure(text, golden) <= 1.0
        if text.strip() and (name in {"em", "f1", "rouge_l"} or (name == "contains" and normal(text))):
            assert measure(text, [*golden, text]) == 1.0


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("It is so [1].", "It is so."),
        ("So [1][2], and [3, 4] so.", "So, and so."),
        ("[sic] a [b1]", "[sic] a [b1]"),
        ("So it [?]. Or [1][?]?", "So it. Or?"),
        (None, ""),
    ],
)
def test_citation_marks_are_no_part_of_an_answer(answer: str | None, text: str) -> None:
    assert plain(answer) == text
