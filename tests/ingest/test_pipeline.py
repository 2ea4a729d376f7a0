"""The pipeline: only what changed, nothing half done, nothing lost, everything told."""

from __future__ import annotations

import asyncio
import errno
import gzip
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agentrag.core.errors import StoreError
from agentrag.ingest.documents import Document, Documents, Part, Reading, placed
from agentrag.ingest.loaders.formats import Format, loader
from agentrag.ingest.pipeline import Options, Progress, Report, ingest


def counts(report: Report) -> tuple[int, int, int, int]:
    return report.added, report.replaced, report.unchanged, report.removed


def reasons(report: Report) -> dict[str, str]:
    return {Path(entry.source).name: entry.reason for entry in report.skipped}


def write(root: Path, **texts: str) -> Path:
    root.mkdir(exist_ok=True)
    for name, text in texts.items():
        (root / f"{name}.txt").write_text(text, encoding="utf-8")
    return root


async def test_unchanged_files_are_passed_over_and_changed_ones_replaced(
    tmp_path: Path, collection: Any, options: Options
) -> None:
    root = write(tmp_path / "docs", a="One.", b="Two.")
    assert counts(await ingest([root], collection, options)) == (2, 0, 0, 0)
    assert counts(await ingest([root], collection, options)) == (0, 0, 2, 0)
    write(root, b="Three.", c="Four.")
    report = await ingest([root], collection, options)
    assert counts(report) == (1, 1, 1, 0)
    assert report.passages == 2
    assert collection.texts() == ["One.", "Three.", "Four."]


async def test_other_chunk_settings_or_a_newer_loader_read_files_again(
    tmp_path: Path, collection: Any, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write(tmp_path / "docs", a="One.")
    await ingest([root], collection, options)
    other = replace(options, limit=replace(options.limit, tokens=30))
    assert counts(await ingest([root], collection, other)) == (0, 1, 0, 0)
    monkeypatch.setitem(loader, "text", replace(loader["text"], version=99))
    assert counts(await ingest([root], collection, other)) == (0, 1, 0, 0)


async def test_prune_removes_what_vanished_below_the_given_paths_only(
    tmp_path: Path, collection: Any, options: Options
) -> None:
    root = write(tmp_path / "docs", a="One.", b="Two.")
    near = write(tmp_path / "docs-old", c="Three.")
    await ingest([root, near], collection, options)
    (root / "a.txt").unlink()
    (near / "c.txt").unlink()
    assert counts(await ingest([root], collection, options)) == (0, 0, 1, 0)
    assert counts(await ingest([root], collection, replace(options, prune=True))) == (0, 0, 1, 1)
    assert sorted(collection.texts()) == ["Three.", "Two."]


async def test_prune_keeps_what_is_there_and_cannot_be_read(tmp_path: Path, collection: Any, options: Options) -> None:
    root = write(tmp_path / "docs", a="One.", b="Two.")
    await ingest([root], collection, options)
    (root / "a.txt").write_bytes(bytes(range(256)) * 10)
    report = await ingest([root], collection, replace(options, prune=True))
    assert counts(report) == (0, 0, 1, 0)
    assert reasons(report) == {"a.txt": "binary data, not text"}
    assert "One." in collection.texts()


def corpus(root: Path, **texts: str) -> Path:
    lines = [json.dumps({"id": name, "title": name.upper(), "text": text}) for name, text in texts.items()]
    (root / "corpus.jsonl.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    return root


async def test_records_of_a_corpus_are_each_added_replaced_kept_or_pruned(
    tmp_path: Path, collection: Any, options: Options
) -> None:
    prune = replace(options, prune=True)
    assert counts(await ingest([corpus(tmp_path, a="One.", b="Two.", c="Three.")], collection, prune)) == (3, 0, 0, 0)
    assert counts(await ingest([corpus(tmp_path, c="Three.", b="2.", d="Four.")], collection, prune)) == (1, 1, 1, 1)
    documents = [document for document, _ in collection.stored.values()]
    assert [(document.record, document.title) for document in documents] == [("b", "B"), ("c", "C"), ("d", "D")]
    assert documents[0].source == f"{tmp_path / 'corpus.jsonl.gz'}#b"


async def test_records_are_not_pruned_where_a_line_could_not_be_read(tmp_path: Path, collection: Any, options: Options) -> None:
    (tmp_path / "corpus.jsonl").write_text('{"id": "a", "text": "One."}\n{"id": "b", "text": "Two."}', encoding="utf-8")
    await ingest([tmp_path], collection, options)
    (tmp_path / "corpus.jsonl").write_text('{"id": "a", "text": "One."}\n{"id": "b", "te', encoding="utf-8")
    report = await ingest([tmp_path], collection, replace(options, prune=True))
    assert counts(report) == (0, 0, 1, 0)
    assert reasons(report)["corpus.jsonl"].startswith("line 2: ")
    assert report.failed == []


async def test_a_record_stays_one_passage_where_the_embedder_reads_it_whole(
    tmp_path: Path, collection: Any, options: Options
) -> None:
    corpus(tmp_path, short="A sentence of five words. " * 20, long="A sentence of five words. " * 60)
    report = await ingest([tmp_path], collection, options)
    sizes = {document.record: len(chunks) for document, chunks in collection.stored.values()}
    assert sizes["short"] == 1
    assert sizes["long"] == report.passages - 1 == 8


async def test_a_folder_of_a_data_set_gives_its_corpus_and_reasons_for_the_rest(
    tmp_path: Path, collection: Any, options: Options
) -> None:
    corpus(tmp_path, a="One.")
    (tmp_path / "queries.jsonl").write_text('{"id": "q", "text": "?"}', encoding="utf-8")
    (tmp_path / "qrels.tsv").write_text("q\ta\t1", encoding="utf-8")
    report = await ingest([tmp_path], collection, options)
    assert counts(report) == (1, 0, 0, 0)
    assert set(reasons(report)) == {"queries.jsonl", "qrels.tsv"}
    assert report.failed == []


def _breaks(reading: Reading) -> Documents:
    def parts() -> Any:
        yield Part("A sentence of five words. " * 40)
        raise reading.error("the second half is missing")

    yield Document(reading.source, "half", placed(parts()))


def _crashes(reading: Reading) -> Documents:
    yield Document(reading.source, "x", placed([Part(1)]))  # type: ignore[arg-type]


async def test_a_document_that_fails_half_way_stays_as_it_was_and_harms_no_other(
    tmp_path: Path, collection: Any, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write(tmp_path / "docs", a="One.", b="Two.", c="Three.")
    await ingest([root], collection, options)
    write(root, b="Changed.", c="Changed too.")
    whole = loader["text"].load
    monkeypatch.setitem(
        loader, "text", replace(loader["text"], load=lambda reading: (_breaks if reading.path.stem == "b" else whole)(reading))
    )
    report = await ingest([root], collection, options)
    assert counts(report) == (0, 1, 1, 0)
    assert reasons(report) == {"b.txt": "the second half is missing"}
    assert collection.texts() == ["One.", "Two.", "Changed too."]


async def test_a_parser_that_crashes_costs_one_file(
    tmp_path: Path, collection: Any, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(loader, "crash", Format((".crash",), _crashes))
    root = write(tmp_path / "docs", z="Fine.")
    (root / "a.crash").write_text("x", encoding="utf-8")
    report = await ingest([root], collection, options)
    assert counts(report) == (1, 0, 0, 0)
    assert reasons(report)["a.crash"].startswith("its parser failed (TypeError")


async def test_a_file_that_changes_while_it_is_read_is_not_stored(
    tmp_path: Path, collection: Any, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(reading: Reading) -> Documents:
        def parts() -> Any:
            yield Part("Old.")
            reading.path.write_text("New and longer.", encoding="utf-8")

        yield Document(reading.source, "x", placed(parts()))

    root = write(tmp_path / "docs", a="Old.")
    monkeypatch.setitem(loader, "text", replace(loader["text"], load=load))
    report = await ingest([root / "a.txt"], collection, options)
    assert collection.texts() == []
    assert [entry.reason for entry in report.failed] == ["it changed while it was read; run this again"]


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("missing.txt", None, "does not exist"),
        ("empty.txt", b"", "empty"),
        ("blank.txt", b" \n\n ", "no text in it"),
        ("garbage.txt", os.urandom(3000), "binary data, not text"),
        ("odd.xyz", b"x", "unknown file type"),
        ("broken.pdf", b"%PDF-1.4 x", "a broken PDF"),
        ("bad.jsonl", b"{}\n{}", "not a corpus of lines with 'id' and 'text' (line 1: no 'id'"),
    ],
)
async def test_a_named_file_that_gives_nothing_is_a_failure_with_its_reason(
    tmp_path: Path, collection: Any, options: Options, name: str, data: bytes | None, reason: str
) -> None:
    if data is not None:
        (tmp_path / name).write_bytes(data)
    report = await ingest([tmp_path / name], collection, options)
    assert [entry.reason.startswith(reason) for entry in report.failed] == [True]
    assert "\n" not in report.failed[0].reason


async def test_a_folder_that_gives_nothing_is_a_failure(tmp_path: Path, collection: Any, options: Options) -> None:
    (tmp_path / "image.png").write_bytes(b"x")
    report = await ingest([tmp_path], collection, options)
    assert [entry.reason for entry in report.failed] == ["no document in this folder could be read"]


async def test_a_full_disk_is_one_error_that_says_what_to_do(tmp_path: Path, collection: Any, options: Options) -> None:
    collection.fail = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(StoreError, match=r"The disk is full.*Free some space and run this again"):
        await ingest([write(tmp_path / "docs", a="One.")], collection, options)


async def test_progress_ends_at_all_bytes(tmp_path: Path, collection: Any, options: Options) -> None:
    root = write(tmp_path / "docs", a="One. " * 1000, b="Two. " * 1000)
    told: list[Progress] = []
    await ingest([root], collection, options, told.append)
    assert told[-1].done == told[-1].total == 10_000
    assert told[-1].passages == len(collection.texts())


async def test_the_event_loop_stays_free_and_a_cancelled_run_keeps_what_is_complete(
    tmp_path: Path, collection: Any, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "docs"
    root.mkdir()
    for number in range(2000):
        (root / f"{number:04}.txt").write_text(f"Text {number}. " * 20, encoding="utf-8")
    reached = asyncio.Event()
    task = asyncio.create_task(ingest([root], collection, options, lambda now: reached.set()))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    kept = len(collection.stored)
    assert 0 < kept < 2000
    assert counts(await ingest([root], collection, options)) == (2000 - kept, 0, kept, 0)


async def test_a_report_is_json(tmp_path: Path, collection: Any, options: Options) -> None:
    report = await ingest([write(tmp_path / "docs", a="One."), tmp_path / "gone"], collection, options)
    data = json.loads(json.dumps(report.as_json()))
    assert data["added"] == 1
    assert data["skipped"] == [{"source": str(tmp_path / "gone"), "reason": "does not exist", "named": True}]
