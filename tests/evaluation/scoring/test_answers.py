import pytest

from agentrag.evaluation.scoring.answers import contains, exact, f1, normal


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
        ("the", ["a"], 1.0, 1.0),
        ("anything", [], 0.0, 0.0),
    ],
    ids=["equal", "longer", "best-of-two", "repeated", "other", "empty", "both-empty", "no-gold"],
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
