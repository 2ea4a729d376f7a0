"""How well a text answers a question, against its golden answers, on SQuAD's normal form."""

from __future__ import annotations

import re
import string
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Sequence

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_MARK = re.compile(r"\s*\[(?:\?|\d+(?:,\s*\d+)*)\]")
_WORD = re.compile(r"[^\W_]+(?:[-'\u2019][^\W_]+)*")
_LABELS = (frozenset({"yes", "no", "maybe"}), frozenset({"supports", "refutes"}))
_SAME = {"supported": "supports", "support": "supports", "refuted": "refutes", "refute": "refutes"}
"""Other forms of labels."""


def plain(answer: str | None, cited: Collection[int] | None = None) -> str:
    """An answer without the marks of its citations and of what is unsupported: their numbers are no words of it.

    >>> plain("It is [42], as they say [1].", cited=[1])
    'It is [42], as they say.'
    """

    def unmarked(match: re.Match[str]) -> str:
        numbers = [int(number) for number in re.findall(r"\d+", match[0])]
        return "" if cited is None or all(number in cited for number in numbers) else match[0]

    return _MARK.sub(unmarked, answer or "")


def normal(text: str) -> str:
    """SQuAD's normal form: lower case, no ASCII punctuation, no English articles, single spaces.

    Source: Rajpurkar et al., arXiv:1606.05250, as in the official evaluation script.
    >>> normal("The  Seljuk Turks.")
    'seljuk turks'
    """
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact(answer: str, golden: Sequence[str]) -> float:
    """1.0 where the answer equals a golden one in normal form, else 0.0.

    >>> exact("The Turks", ["Turks"]), exact("", ["The"]), exact("%", ["%"])
    (1.0, 0.0, 1.0)
    """
    return float(_words(answer) in map(_words, golden) and bool(answer.strip()))


def f1(answer: str, golden: Sequence[str]) -> float:
    """Token F1 in 0..1 against the golden answer that fits best, in normal form.

    >>> f1("the Seljuk Turks", ["Turks", "Pechenegs"])
    0.6666666666666666
    """
    return _best(answer, golden, lambda said, gold: sum((Counter(said) & Counter(gold)).values()))


def rouge_l(answer: str, golden: Sequence[str]) -> float:
    """F-measure in 0..1 of the longest common subsequence of tokens, for the golden answer that fits best.

    Precision and recall weigh the same; tokens are those of the normal form, not stemmed.

    Source: Lin, ROUGE: A Package for Automatic Evaluation of Summaries, ACL workshop 2004, section 3.1.
    >>> rouge_l("gunman the killed police", ["police killed the gunman"])
    0.3333333333333333
    """
    return _best(answer, golden, _longest_common)


def contains(text: str, golden: Sequence[str]) -> float:
    """1.0 where a golden answer occurs in the text as whole words, in normal form, else 0.0.

    >>> contains("It fell in 1956.", ["1956"]), contains("It fell in 1956.", ["195"])
    (1.0, 0.0)
    """
    padded = f" {normal(text)} "
    return float(any(f" {gold} " in padded for gold in map(normal, golden) if gold))


def labels(golden: Sequence[str]) -> frozenset[str]:
    """The labels that an answer chooses among, where all golden answers are labels of one kind; else none.

    They are yes, no and maybe, or, of claims to be checked, supports and refutes.

    >>> sorted(labels(["REFUTES"])), sorted(labels(["no", "none"]))
    (['refutes', 'supports'], [])
    """
    given = {normal(gold) for gold in golden}
    return next((known for known in _LABELS if given and given <= known), frozenset())


def yes_no(answer: str, golden: Sequence[str]) -> float:
    """1.0 where the first label that the answer says, as a whole word, is golden, else 0.0; see `labels`.

    >>> yes_no("Yes: there is no other.", ["yes"]), yes_no("Certainly.", ["yes"])
    (1.0, 0.0)
    """
    known = labels(golden)
    words = (_SAME.get(word, word) for word in _WORD.findall(answer.lower()))
    said = next((word for word in words if word in known), None)
    return float(said is not None and said in map(normal, golden))


def _best(answer: str, golden: Sequence[str], common: Callable[[list[str], list[str]], int]) -> float:
    """The best F-measure over the golden answers, given how many tokens two texts have in common."""
    said = _words(answer)
    return max((_f_measure(said, _words(gold), common) for gold in golden), default=0.0)


def _words(text: str) -> list[str]:
    """The tokens of the normal form; where it has none, such as that of "%" or "A", the text in lower case."""
    return normal(text).split() or text.lower().split()


def _f_measure(said: list[str], gold: list[str], common: Callable[[list[str], list[str]], int]) -> float:
    if not said or not gold:
        return 0.0
    return 2 * common(said, gold) / (len(said) + len(gold))


def _longest_common(first: Sequence[str], second: Sequence[str]) -> int:
    """Length of the longest common subsequence.

    A row of the usual table is one integer, whose bits are 0 where the length grows: an answer of 1,000 tokens takes
    a millisecond. Source: Hyyro, Bit-parallel LCS-length computation revisited, AWOCA 2004.
    """
    places: dict[str, int] = defaultdict(int)
    for place, token in enumerate(first):
        places[token] |= 1 << place
    every = (1 << len(first)) - 1
    row = every
    for token in second:
        matched = row & places.get(token, 0)
        row = ((row + matched) | (row - matched)) & every
    return len(first) - row.bit_count()


MEASURES: dict[str, Callable[[str, Sequence[str]], float]] = {
    "em": exact,
    "f1": f1,
    "contains": contains,
    "rouge_l": rouge_l,
    "yes_no": yes_no,
}
"""By metric; each takes an answer and its golden answers."""
