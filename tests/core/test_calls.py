"""Outward calls and run ids."""

from agentrag.core.calls import OutwardCall, new_run_id


def call(**changes: object) -> OutwardCall:
    given = {"run": "1", "step": "a", "ordinal": 0, "kind": "chat", "target": "m", "request": {"x": 1, "y": 2}, **changes}
    return OutwardCall(**given)  # type: ignore[arg-type]  # a table of cases


def test_equal_calls_of_any_run_have_one_key_and_others_have_another() -> None:
    assert call().key == call(run="2", step="b", ordinal=3, request={"y": 2, "x": 1}).key
    assert len({made.key for made in (call(), call(target="n"), call(kind="search"), call(request={"x": 2, "y": 2}))}) == 4


def test_two_runs_never_share_an_id_and_an_id_may_say_what_it_is_of() -> None:
    assert len({new_run_id() for _ in range(200)}) == 200
    assert "-squad-ask-" in new_run_id("squad-ask")


def test_a_write_has_one_idempotency_key_in_all_attempts_and_others_have_another() -> None:
    assert call(step="flow.0:send").idempotency_key == call(step="flow.0:send~2").idempotency_key
    others = [call(), call(nth=1), call(run="2"), call(step="b"), call(request={}), call(tenant="t")]
    assert len({made.idempotency_key for made in others}) == len(others)
