"""How well a text answers a question: exact match, token F1 and containment, on SQuAD's normal form."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b")


def normal(text: str) -> str:
    """SQuAD's normal form: lower case, no ASCII punctuation, no English articles, single spaces.

    Source: Rajpurkar et al., arXiv:1606.05250, as in the official evaluation script.
    >>> normal("The  Seljuk Turks.")
    'seljuk turks'
    """
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact(answer: str, golden: Sequence[str]) -> float:
    """1.0 where the answer equals a golden one in normal form, else 0.0."""
    return float(normal(answer) in map(normal, golden))


def f1(answer: str, golden: Sequence[str]) -> float:
    """Token F1 in 0..1 against the golden answer that fits best, in normal form.

    >>> f1("the Seljuk Turks", ["Turks", "Pechenegs"])
    0.6666666666666666
    """
    return max((_overlap(normal(answer).split(), normal(gold).split()) for gold in golden), default=0.0)


def _overlap(answer: list[str], gold: list[str]) -> float:
    if not answer or not gold:
        return float(answer == gold)
    common = sum((Counter(answer) & Counter(gold)).values())
    return 2 * common / (len(answer) + len(gold))


def contains(text: str, golden: Sequence[str]) -> float:
    """1.0 where a golden answer occurs in the text as whole words, in normal form, else 0.0.

    >>> contains("It fell in 1956.", ["1956"]), contains("It fell in 1956.", ["195"])
    (1.0, 0.0)
    """
    padded = f" {normal(text)} "
    return float(any(f" {gold} " in padded for gold in map(normal, golden) if gold))
