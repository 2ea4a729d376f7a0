from agentrag.core.types import Usage
from agentrag.evaluation.asking.ask import Answered, Outcome
from agentrag.evaluation.scoring.costs import cost, cost_scores
from agentrag.evaluation.statistics.intervals import Share
from tests.evaluation.scoring.samples import failed, query, unanswerable

WRITE = Usage(calls=1, prompt_tokens=100, completion_tokens=10, seconds=2.0, usd=0.25)
SEARCH = Usage(calls=2, seconds=0.5)
MADE = Answered("gold", usage={"write": WRITE, "search": SEARCH}, first_token=0.7)
REPLAYED = Answered(
    "gold",
    usage={"write": Usage(reused=1), "search": Usage(reused=2)},
    saved={"write": WRITE, "search": SEARCH},
    first_token=0.001,
)
COSTS = {"calls": 3.0, "tokens": 110.0, "usd": 0.25, "seconds": 2.5}


def test_a_question_costs_what_all_its_calls_cost() -> None:
    scores = cost_scores([Outcome(query("q"), MADE, seconds=2.2)])
    assert scores == {name: {"q": Share(value)} for name, value in (COSTS | {"latency": 2.2, "first_token": 0.7}).items()}


def test_a_replay_costs_what_the_calls_had_cost_and_has_no_latency() -> None:
    scores = cost_scores([Outcome(query("q"), REPLAYED, seconds=0.01)])
    assert scores == {name: {"q": Share(value)} for name, value in COSTS.items()}
    assert cost(REPLAYED) == WRITE + SEARCH + Usage(reused=3)


def test_a_question_of_which_one_call_was_reused_has_no_latency_and_others_keep_theirs() -> None:
    half = Answered("gold", usage={"write": WRITE, "search": Usage(reused=1)}, saved={"search": SEARCH})
    scores = cost_scores([Outcome(query("half"), half, seconds=1.0), Outcome(query("made"), MADE, seconds=2.0)])
    assert scores["latency"] == {"made": Share(2.0)}
    assert scores["seconds"] == {"half": Share(2.5), "made": Share(2.5)}


def test_refusals_and_unanswerable_questions_cost_too_and_failed_ones_are_left_out() -> None:
    free = Answered("no", abstained=True)
    outcomes = [Outcome(query("q"), MADE), Outcome(query("free"), free), Outcome(unanswerable("u"), MADE), failed(query("f"))]
    assert cost_scores(outcomes)["calls"] == {"q": Share(3), "free": Share(0), "u": Share(3)}


def test_where_no_usage_and_no_time_is_known_nothing_is_said_of_costs() -> None:
    assert cost_scores([Outcome(query("q"), Answered("gold")), failed(query("f"))]) == {}
    assert cost_scores([Outcome(query("q"), Answered("gold"), seconds=1.5)]) == {"latency": {"q": Share(1.5)}}
