"""Who writes: the shop's customers, each with a storefront, a zone of time and habits of writing."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import NDArray

from insights_pipeline.demo.wording import Style, draw_style
from insights_pipeline.demo.world import TENANTS, USERS, Tenant


@dataclass(frozen=True, slots=True)
class Customers:
    """Customers by index; the first ones write most."""

    tenants: NDArray[np.int64]  # index into TENANTS
    styles: tuple[Style, ...]
    ids: tuple[str, ...]

    def tenant(self, user: int) -> Tenant:
        return TENANTS[int(self.tenants[user])]


def draw_customers(*, seed: int) -> Customers:
    """The same customers for every day of a seed."""
    rng = np.random.default_rng([seed, 2])
    random = Random(int(rng.integers(2**62)))
    return Customers(
        tenants=rng.choice(len(TENANTS), size=USERS, p=[tenant.share for tenant in TENANTS]),
        styles=tuple(draw_style(random) for _ in range(USERS)),
        ids=tuple(f"cust_{number:06d}" for number in rng.permutation(900_000)[:USERS] + 100_000),
    )
