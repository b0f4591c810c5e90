"""Random assignment of accounts to a play or to no action, stratified by play and risk.

The accounts of a play are ordered by churn probability and divided into consecutive strata. In each stratum, accounts
are drawn at random. The number of held-out accounts of a stratum is rounded at random, so that every account is held
out with exactly the given probability.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from math import ceil, floor

import numpy as np

from features.utils.arrays import Bools, Floats, Texts


def assign_arms(
    account_ids: Sequence[str], plays: Texts, churn: Floats, share: float, trial: str, seed: int, as_of: str
) -> Bools:
    """Draw which accounts are held out. The same arguments give the same result, whatever the order of the accounts.

    Parameters
    ----------
    account_ids, plays, churn : id, play and churn probability of each account, shape (n,).
    share : the probability to be held out, above 0 and below 1.
    trial : the name of the trial.
    seed : of the random numbers.
    as_of : the date of the assignment, so that each batch of a trial has its own draw.

    Returns
    -------
    Bools
        Whether each account is held out.
    """
    digest = hashlib.sha256("\x1f".join([trial, str(seed), as_of]).encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:16], "big"))
    order = sorted(range(len(account_ids)), key=lambda row: (str(plays[row]), float(churn[row]), account_ids[row]))
    held_out = np.zeros(len(account_ids), dtype=bool)
    # Two held-out or two treated accounts in each stratum, whichever arm is smaller.
    size = ceil(2.0 / min(share, 1.0 - share))
    start = float(rng.random())
    done = 0
    for first in range(0, len(order), size):
        rows = order[first : first + size]
        # The running sum of the share, rounded from a random start, decides how many are held out.
        until = floor(share * (first + len(rows)) + start)
        held_out[rng.permutation(rows)[: until - done]] = True
        done = until
    return held_out
