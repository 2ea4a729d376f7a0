from __future__ import annotations

import os
import signal
from collections.abc import Generator
from pathlib import Path

import pytest

from agentrag.core.bindings import LlamaCpp
from agentrag.core.settings import Runtime, Settings, load_settings
from agentrag.models.pull import pull

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in jobs that a shell began in the background
    # processes that tests interrupt would inherit the deafness
    signal.signal(signal.SIGINT, signal.default_int_handler)

SMOLLM = "smollm2-135m-instruct"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail what skips in continuous integration: what a test needs there is for `.ci/run` to bring, a GPU aside."""
    report = yield
    if os.environ.get("CI") == "true" and report.skipped and "gpu" not in item.keywords:
        report.outcome = "failed"
        report.longrepr = f"skipped under CI: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def smollm(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings whose default model is a real one, small enough for tests; pulled at first use, then kept in the user's cache.

    What is written besides the model goes to a folder of the test run.
    """
    kept = load_settings(_empty(tmp_path_factory)).cache
    pull(SMOLLM, kept)
    place = tmp_path_factory.mktemp("agentrag")
    (place / "cache").mkdir()
    (place / "cache" / "models").symlink_to(kept / "models")
    return Settings(
        home=place / "home",
        cache=place / "cache",
        models={"default": LlamaCpp(model=SMOLLM), "local": LlamaCpp(model=SMOLLM)},
        runtime=Runtime(threads=1, parallel=2, context=2048),
    )


def _empty(factory: pytest.TempPathFactory) -> Path:
    """A settings file that says nothing: what lies in the working directory must not matter."""
    path = factory.mktemp("settings") / "agentrag.yaml"
    path.touch()
    return path
