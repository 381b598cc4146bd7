"""The between-day variance is a root: it solves its equation, and a row's bits are its own."""

from __future__ import annotations

import numpy as np
import pytest

from insights_pipeline.drift.constants import DEFAULT, Constants
from insights_pipeline.drift.statistics.moderation import huber_mean, paule_mandel

PLAIN = Constants(prior_days=0, huber=float("inf"), winsor=float("inf"), consistency=1)


def days(seed: int, *, rows: int = 200, between: float = 0.1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Daily values with outliers, their sampling variances (from equal to a thousandfold apart) and gaps."""
    rng = np.random.default_rng(seed)
    v = np.exp(rng.normal(-5, rng.uniform(0, 2, (rows, 1)), (rows, 30)))
    y = np.sqrt(v) * rng.normal(size=v.shape) + between * rng.standard_t(3, v.shape)
    return y, v, rng.random(v.shape) < rng.uniform(0.1, 1, (rows, 1))


@pytest.mark.parametrize("c", [DEFAULT, PLAIN])
@pytest.mark.parametrize("between", [0.01, 0.1, 2.0])
def test_tau2_solves_its_equation_or_is_zero_where_the_days_scatter_too_little(
    between: float, c: Constants
) -> None:
    y, v, mask = days(1, between=between)
    tau2 = paule_mandel(y, v, mask, c=c)

    def surplus(at: np.ndarray) -> np.ndarray:
        w = 1 / (at[:, None] + np.where(mask, v, 1.0))
        mu, _ = huber_mean(np.where(mask, y, 0.0), w, mask, huber=c.huber)
        squares = np.where(mask, (y - mu[:, None]) ** 2 * w, 0.0)
        return np.asarray(np.minimum(squares, c.winsor).sum(axis=1) * c.consistency - (mask.sum(axis=1) - 1))

    found = tau2 > 0
    assert found.sum() > 20
    # by what one ten-thousandth of tau2 changes it, the equation changes sign
    assert (surplus(tau2 * 0.9999)[found] > 0).all()
    assert (surplus(tau2 * 1.0001)[found] < 0).all()
    assert (surplus(np.zeros(len(y)))[~found & (mask.sum(axis=1) > 1)] <= 0).all()


def test_a_row_has_the_same_bits_alone_and_among_others() -> None:
    y, v, mask = days(2)
    together = paule_mandel(y, v, mask, c=DEFAULT)
    alone = [paule_mandel(y[[row]], v[[row]], mask[[row]], c=DEFAULT)[0] for row in range(len(y))]
    np.testing.assert_array_equal(together, alone)
