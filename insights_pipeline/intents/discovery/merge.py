"""Communities alike beyond doubt are one intent: one that has most of the traffic is found in pieces.

How alike two parts are is the mean similarity between them over that within them, both less the mean over all pairs:
what every request of a project shares says nothing. The bound was chosen on the samples named in `scale`; agreement is
flat between 0.35 and 0.45.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from insights_pipeline.intents.discovery.map_equation import Labels, by_size
from insights_pipeline.intents.vectors import Floats

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Wide = NDArray[np.float64]
_BEYOND_DOUBT = 0.4
_LINKS = 0.25  # exponent of the share of graph links that cross


def merge_alike(labels: Labels, meaning: Floats, graph: csr_matrix, *, granularity: float = 1.0) -> Labels:
    """The partition after joining pairs that are alike beyond doubt, the most alike first; two parts at least remain.

    `meaning` are unit rows, `graph` is a similarity graph of the same texts.
    """
    parts, texts = int(labels.max()) + 1, len(labels)
    if parts < 3:
        return labels
    member = np.zeros((texts, parts))
    member[np.arange(texts), labels] = 1
    sums: Wide = member.T @ meaning.astype(np.float64)
    sizes: Wide = member.sum(axis=0)
    links: Wide = member.T @ (graph @ member)
    everyone = sums.sum(axis=0)
    usual = float((everyone @ everyone - texts) / (texts * (texts - 1)))
    owner = np.arange(parts)
    while len(sizes) > 2:
        score = _alike(sums, sizes, links, usual)
        left, right = sorted(divmod(int(score.argmax()), len(sizes)))
        if score[left, right] < _BEYOND_DOUBT * granularity:
            break
        owner[owner == right] = left
        owner[owner > right] -= 1
        for array in (sums, sizes, links, links.T):
            array[left] += array[right]
        rest = np.delete(np.arange(len(sizes)), right)
        sums, sizes, links = sums[rest], sizes[rest], links[np.ix_(rest, rest)]
    return by_size(owner[labels])


def _alike(sums: Wide, sizes: Wide, links: Wide, usual: float) -> Wide:
    """Likeness between parts over that within them, times the share of crossing links to the power 1/4."""
    between = (sums @ sums.T) / np.outer(sizes, sizes) - usual
    within = ((sums**2).sum(axis=1) - sizes) / np.maximum(sizes * (sizes - 1), 1) - usual
    within = np.maximum(within, 0.01)
    inside = np.maximum(np.diag(links), 0.5)
    crossing = links / np.minimum.outer(inside, inside)
    score: Wide = between / np.sqrt(np.outer(within, within)) * np.maximum(crossing, 1e-9) ** _LINKS
    np.fill_diagonal(score, -np.inf)
    return score
