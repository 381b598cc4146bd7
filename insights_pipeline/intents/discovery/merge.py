"""Communities alike beyond doubt are one intent, and so are those whose texts do not tell them apart.

Where few intents have many texts each, or requests follow templates, communities are an intent's ways of asking. The
most alike pair of parts is joined again and again, and two rules say how far to go:

- every merge of a pair that is alike beyond doubt is kept. How alike two parts are is the mean similarity between them
  over that within them, both less the mean over all pairs: what every request of a project shares says nothing.
- from there on, among the merges of parts alike at all, the partition with the highest `cohesion` less a price on the
  logarithm of the number of parts: twice as many intents must show in neighbourhoods that are purer by 0.06. Those near
  must stay as pure as they were: where many intents are hard to tell apart, any few look better than all of them. Of
  partitions as good as the best the finest is taken.

The constants were chosen on CLINC150 (3 to 60 intents of all its domains, 5 to 45 of banking, travel and work,
sampling seeds 0-2), requests to smart homes in English, Spanish and Italian, and templates of customer service, all
in two spaces. Agreement is flat between 0.35 and 0.45 for `_BEYOND_DOUBT` and between 0.08 and 0.1 for `_PRICE`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from insights_pipeline.intents.discovery.cohesion import Cohesion
from insights_pipeline.intents.discovery.map_equation import Labels, by_size
from insights_pipeline.intents.vectors import Floats

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Wide = NDArray[np.float64]
_BEYOND_DOUBT = 0.4
_AT_ALL = 0.05
_FADING = 6  # the power by which a granularity of 1.5 leaves nearly nothing to the second rule
_LINKS = 0.25  # exponent of the share of graph links that cross
_PRICE = 0.09
_AS_PURE = 0.02
_AS_GOOD = 0.003


class _Merge(NamedTuple):
    """Part `right` joins `left`, the smaller number; parts after it move up."""

    left: int
    right: int
    alike: float


def merge_alike(
    labels: Labels,
    meaning: Floats,
    wording: Floats,
    graph: csr_matrix,
    *,
    granularity: float = 1.0,
) -> Labels:
    """The partition after joining parts that are one intent, the most alike first; two parts at least remain.

    `meaning` and `wording` are unit rows (n, d), `graph` is a similarity graph of the same texts. More `granularity`
    asks for more likeness, above all of pairs not beyond doubt, and lowers the price of a part.
    """
    parts = int(labels.max()) + 1
    if parts < 3:
        return labels
    beyond_doubt = _BEYOND_DOUBT * granularity
    merges = _merges(labels, meaning, graph, least=min(_AT_ALL * granularity**_FADING, beyond_doubt))
    certain = next((place for place, merge in enumerate(merges) if merge.alike < beyond_doubt), len(merges))
    found = _after(labels, merges[:certain])
    if certain < len(merges):
        price = _PRICE / granularity
        further = _worth(found, merges[certain:], Cohesion(found, meaning, wording), price)
        found = _after(found, merges[certain : certain + further])
    return by_size(found)


def _worth(labels: Labels, merges: list[_Merge], cohesion: Cohesion, price: float) -> int:
    """How many of the merges to make."""
    parts = int(labels.max()) + 1
    pure = cohesion.near() - _AS_PURE
    values = [cohesion.mean() - price * np.log(parts)]
    for done, merge in enumerate(merges, start=1):
        cohesion.join(merge.left, merge.right)
        worth = cohesion.mean() - price * np.log(parts - done)
        values.append(worth if cohesion.near() >= pure else -np.inf)
    return int((np.array(values) >= max(values) - _AS_GOOD).argmax())


def _after(labels: Labels, merges: list[_Merge]) -> Labels:
    owner = np.arange(int(labels.max()) + 1)
    for merge in merges:
        owner[owner == merge.right] = merge.left
        owner[owner > merge.right] -= 1
    after: Labels = owner[labels]
    return after


def _merges(labels: Labels, meaning: Floats, graph: csr_matrix, *, least: float) -> list[_Merge]:
    """Merges of the most alike pair each time, until two parts remain or none are as alike as `least`."""
    parts, texts = int(labels.max()) + 1, len(labels)
    member = np.zeros((texts, parts))
    member[np.arange(texts), labels] = 1
    sums: Wide = member.T @ meaning.astype(np.float64)
    sizes: Wide = member.sum(axis=0)
    links: Wide = member.T @ (graph @ member)
    everyone = sums.sum(axis=0)
    usual = float((everyone @ everyone - texts) / (texts * (texts - 1)))
    merges: list[_Merge] = []
    while len(sizes) > 2:
        score = _alike(sums, sizes, links, usual)
        left, right = sorted(divmod(int(score.argmax()), len(sizes)))
        if score[left, right] < least:
            break
        merges.append(_Merge(left, right, float(score[left, right])))
        for array in (sums, sizes, links, links.T):
            array[left] += array[right]
        rest = np.delete(np.arange(len(sizes)), right)
        sums, sizes, links = sums[rest], sizes[rest], links[np.ix_(rest, rest)]
    return merges


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
