"""Whether answers cite what is relevant, whether the quotes hold the answer, and how much of an answer is cited."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from agentrag.evaluation.asking.ask import Answered, Outcome
from agentrag.evaluation.scoring.answers import contains, plain
from agentrag.evaluation.statistics.intervals import Share
from agentrag.retrieval.sentences import sentences


def citation_scores(outcomes: Sequence[Outcome]) -> dict[str, dict[str, Share]]:
    """What each answered question adds to the metrics of citations.

    They apply to what cites: where no answer has a citation or a sentence known to lack one, there are none. Questions
    that failed, that were refused or that the corpus cannot answer are left out. citation_precision and citation_recall
    are over questions with a relevant document, citation_holds_answer over those with golden answers.
    """
    columns: dict[str, dict[str, Share]] = {}
    if any(outcome.answered and (outcome.answered.citations or outcome.answered.unsupported) for outcome in outcomes):
        for outcome in outcomes:
            for name, share in _shares(outcome):
                columns.setdefault(name, {})[outcome.query.id] = share
    return columns


def cited(answered: Answered) -> list[str]:
    """The document that each citation names: a corpus id where it is known, else the source.

    The passages say which record of a corpus a source is. A source that is none of theirs is a record of a corpus file
    if anything: the id stands after its last "#".
    """
    records = {passage.source: passage.record or passage.source for passage in answered.passages or ()}
    return [records.get(citation.source, citation.source.rpartition("#")[2]) for citation in answered.citations]


def _shares(outcome: Outcome) -> Iterator[tuple[str, Share]]:
    answered, gold = outcome.answered, outcome.query.gold
    if answered is None or answered.abstained or not gold.answerable or not (text := plain(answered.answer)):
        return
    count = len(answered.citations)
    relevant = {document for document, score in gold.relevant.items() if score > 0}
    if relevant:
        named = cited(answered)
        yield "citation_precision", Share(sum(document in relevant for document in named), count)
        yield "citation_recall", Share(len(relevant.intersection(named)), len(relevant))
    if gold.answers:
        held = sum(contains(citation.quote, gold.answers) for citation in answered.citations)
        yield "citation_holds_answer", Share(held, count)
    yield "answer_support", _support(answered, text)


def _support(answered: Answered, text: str) -> Share:
    """Sentences with a verified citation, of all: those that are not known to lack one, where there is any citation."""
    count = len(sentences(text))
    return Share(max(0, count - len(answered.unsupported)) if answered.citations else 0, count)
