"""The best of many scores, with ties in a fixed order."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def best_rows(scores: NDArray[np.floating[Any]], k: int) -> NDArray[np.intp]:
    """Rows of the `k` largest scores, best first, ties by row; all rows where there are fewer.

    Cost: linear in the number of scores.

    >>> best_rows(np.array([1.0, 3.0, 3.0, 2.0], dtype=np.float32), 2).tolist()
    [1, 2]
    """
    if k < len(scores):
        least = np.partition(scores, len(scores) - k)[len(scores) - k]
        # every row that ties with the last place takes part, so that the order of rows decides and not the partition's
        rows = np.flatnonzero(scores >= least)
    else:
        rows = np.arange(len(scores))
    return rows[np.lexsort((rows, -scores[rows]))][:k]
