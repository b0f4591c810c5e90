"""A candidate beside the champion, on outcomes that the champion could not know when it was trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pandas as pd

from features.catalogue.catalogue import Catalogue
from features.errors import BundleError
from features.utils.arrays import Floats
from models.artifacts.bundle import Bundle, load_bundle
from models.artifacts.champion import ChampionEntry, read_pointer
from models.home import Home
from models.targets import TARGETS, Target
from training.config import TrainConfig
from training.dataset.sufficiency import MINIMUM_OUTCOMES
from training.statistics.account_bootstrap import AccountBootstrap, interval
from training.statistics.metrics import log_odds
from training.statistics.newton_logistic import row_log_loss


@dataclass(frozen=True)
class ChampionComparison:
    """A candidate held against the champion.

    Parameters
    ----------
    version : the champion's.
    apart : how much worse (positive) the candidate's log loss is, with its 95% interval; None where the two cannot be
        compared.
    reason : why they cannot.
    unreadable : whether there is nothing to be compared with, because the champion can no longer be read.
    """

    version: str
    difference: tuple[float, float, float] | None
    reason: str = ""
    unreadable: bool = False


@dataclass(frozen=True)
class UnreadableChampion:
    """A champion of this version that can no longer be read."""

    version: str


def load_champions(home: Home, catalogue: Catalogue) -> Mapping[Target, Bundle | UnreadableChampion]:
    """The champion of each target that has one. One that is broken says nothing against the other.

    Parameters
    ----------
    catalogue : the features of the training: a champion that needs others cannot be asked.

    Raises
    ------
    BundleError
        If the file that points to them is broken: nothing could be promoted either.
    """
    pointer, found = read_pointer(home), dict[Target, Bundle | UnreadableChampion]()
    for target in TARGETS:
        if pointer is not None and (pointed := pointer.of(target)) is not None:
            found[target] = _read(home, target, pointed, catalogue)
    return found


def _read(home: Home, target: Target, pointed: ChampionEntry, catalogue: Catalogue) -> Bundle | UnreadableChampion:
    try:
        bundle = load_bundle(home.root / pointed.folder, target, catalogue)
    except BundleError:
        return UnreadableChampion(pointed.version)
    return bundle if bundle.manifest.version == pointed.version else UnreadableChampion(pointed.version)


def compare_with_champion(
    champion: Bundle | UnreadableChampion,
    p: Floats,
    frame: pd.DataFrame,
    y: Floats,
    grace_days: int,
    config: TrainConfig,
) -> ChampionComparison:
    """Compare them on the test rows whose label window was still open when the champion was trained.

    A champion of the same data has none such: what is served was fitted on the test's outcomes too.

    Parameters
    ----------
    p : the candidate's probabilities on the test rows, shape (n,).
    frame, y : the rows and their labels, 0 or 1.
    """
    if isinstance(champion, UnreadableChampion):
        reason = f"the champion, version {champion.version}, can no longer be read"
        return ChampionComparison(champion.version, None, reason, unreadable=True)
    told, horizon = champion.manifest, config.horizon_days
    if (told.horizon_days, told.grace_days) != (horizon, grace_days):
        theirs, ours = f"{told.horizon_days} days ahead (grace {told.grace_days})", f"{horizon} (grace {grace_days})"
        return ChampionComparison(told.version, None, f"it predicts {theirs}, not {ours}")
    open_then = (frame["as_of"] + timedelta(days=horizon + grace_days) > told.trained_through).to_numpy()
    accounts = frame["account_id"].to_numpy(dtype=object)
    known = f"it was trained through {told.trained_through:%Y-%m-%d}"
    if not open_then.any():
        return ChampionComparison(told.version, None, f"{known} and has seen every outcome of the test")
    least, rows = MINIMUM_OUTCOMES["test"], np.flatnonzero(open_then)
    if (happened := len(set(accounts[open_then & (y == 1)]))) < least:
        words = f"{known}, and of the outcomes of the test it has not seen those of {happened} accounts"
        return ChampionComparison(told.version, None, f"{words}; at least {least} are needed")
    probability = champion.scorer.predict(frame.iloc[rows]).probability
    losses = [row_log_loss(log_odds(of), y[rows]) for of in (p[rows], probability)]
    apart = losses[0] - losses[1]
    means = AccountBootstrap(accounts[rows], config.resamples, config.seed).means(apart)
    return ChampionComparison(told.version, (float(apart.mean()), *interval(means)))
