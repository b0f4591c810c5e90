"""Coverage of the interval if the level moves, on simulated worlds with a known level.

600 accounts, 130 weeks. Log-odds have the right shape and are calibrated as in training: the slope on all dates with a
known outcome, the level halfway to that of the newest quarter. The forecast is for the day after the data. "steady":
the level stays; "double", "halve": it moves by log 2 once, after the middle of the newest quarter and never before;
"walk": it moves by log 2 up or down every half-year. Each is evaluated without and with the past movements of the
level.

    python bench/level.py [--worlds 16]
"""

from __future__ import annotations

import argparse
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy.special

from features.utils.arrays import Bools, Floats
from models.scorer.scorer import INTERVAL, NORMAL_80
from training.estimators.calibration import apply_calibrator, calibrate
from training.estimators.level_shift import WINDOW_DAYS, estimate_level_move, recent_shift
from training.statistics import newton_logistic

ACCOUNTS, WEEKS, GAP, SLICE, AHEAD, BASE = 600, 130, 17, 13, 13, -3.0
WORLDS = ("steady", "double", "halve", "walk")
#: Weeks between the rows of the calibrator, as in training.
STEP = 4
#: Standard deviation, in log-odds, of what no signal of these worlds shows. The truth of a single account varies by it
#: around the rate of similar accounts, for which the product's intervals are; so the intervals here are widened by it.
UNEXPLAINED_SPREAD = 0.85


class World(NamedTuple):
    """Signals (weeks, accounts), customer ids, outcomes within 13 weeks, signals and true chances at the end."""

    signal: Floats
    ids: Floats
    outcome: Bools
    now: Floats
    truth: Floats


def path(kind: str, rng: np.random.Generator) -> Floats:
    values = np.zeros(WEEKS + AHEAD)
    if kind == "walk":
        for week in range(26, len(values), 26):
            values[week:] += np.log(2) * rng.choice([-1, 1])
    elif kind != "steady":
        values[rng.integers(WEEKS - GAP - SLICE // 2, WEEKS) :] += np.log(2) * (1 if kind == "double" else -1)
    return values


def world(kind: str, seed: int) -> World:
    rng = np.random.default_rng(seed)
    levels, usual, unseen = path(kind, rng), rng.normal(size=ACCOUNTS), rng.normal(0, UNEXPLAINED_SPREAD, ACCOUNTS)
    ids, signal, weeks, available, ended = np.arange(ACCOUNTS, dtype=np.float64), usual.copy(), [], [], []
    now, left = signal, np.ones(ACCOUNTS)
    for week, high in enumerate(levels):
        signal = usual + 0.8 * (signal - usual) + rng.normal(0, 0.25, ACCOUNTS)
        hazard = 1 - (1 - scipy.special.expit(BASE + high + signal + unseen)) ** (1 / AHEAD)
        if week == WEEKS:
            now, then = signal.copy(), unseen.copy()
        if week >= WEEKS:
            left *= (1 - scipy.special.expit(BASE + high + now + then)) ** (1 / AHEAD)
        churned = rng.random(ACCOUNTS) < hazard
        weeks.append(signal.copy())
        available.append(ids.copy())
        ended.append(churned)
        usual[churned], unseen[churned] = (
            rng.normal(size=churned.sum()),
            rng.normal(0, UNEXPLAINED_SPREAD, churned.sum()),
        )
        signal[churned], ids[churned] = usual[churned], ids.max() + 1 + np.arange(churned.sum())
    counts = np.vstack([np.zeros(ACCOUNTS), np.cumsum(ended, axis=0)])
    return World(np.array(weeks), np.array(available), counts[AHEAD:] > counts[:-AHEAD], now, 1 - left)


def one(kind: str, seed: int) -> dict[str, float]:
    created, last = world(kind, seed), WEEKS - GAP

    def rows(first: int, end: int, every: int = 1) -> tuple[Floats, Floats, np.ndarray, pd.Series]:
        weeks = np.arange(first, end, every)
        dates = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(np.repeat(7 * weeks, ACCOUNTS), unit="D")
        labels = created.outcome[weeks].ravel().astype(np.float64)
        return created.signal[weeks].ravel(), labels, created.ids[weeks].ravel().astype(str), pd.Series(dates)

    signal, y, accounts, as_of = rows(0, last, STEP)
    slope, constant = newton_logistic.fit(
        np.column_stack([signal, np.ones_like(signal)]), y, np.ones((1, len(y))), np.zeros(2), np.zeros(2)
    )[0]
    raw = slope * signal + constant
    expected = scipy.special.logit(apply_calibrator(calibrate(raw, y, accounts, as_of, resamples=0), raw))
    recent = ((as_of.max() - as_of) < pd.Timedelta(days=WINDOW_DAYS)).to_numpy()
    shift = recent_shift(expected[recent], y[recent], np.full(int(recent.sum()), STEP / AHEAD))
    newest = (last - 1) // STEP * STEP
    ahead = 7 * (WEEKS - newest) + WINDOW_DAYS / 2
    move = estimate_level_move(expected, y, accounts, as_of, ahead)
    answer = {"move": move}
    for name, by in (("without", 0.0), ("with", move)):
        calibrated = calibrate(raw, y, accounts, as_of, shift, seed=seed, move=by)
        requested = slope * created.now + constant
        every = [
            apply_calibrator({"kind": calibrated["kind"], "parameters": p}, requested) for p in calibrated["resamples"]
        ]
        point = scipy.special.logit(apply_calibrator(calibrated, requested))
        low, high = scipy.special.logit(np.quantile(every, INTERVAL, axis=0))
        wide = NORMAL_80 * UNEXPLAINED_SPREAD
        lower = point - np.hypot(wide, np.maximum(point - low, 0))
        upper = point + np.hypot(wide, np.maximum(high - point, 0))
        true = scipy.special.logit(created.truth)
        answer |= {f"truth inside, {name}": float(((lower <= true) & (true <= upper)).mean())}
        answer |= {f"width, {name}": float((scipy.special.expit(upper) - scipy.special.expit(lower)).mean())}
    return answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=16, help="number of simulated worlds (default: %(default)s)")
    options = parser.parse_args()
    for kind in WORLDS:
        frame = pd.DataFrame([one(kind, seed) for seed in range(options.worlds)])
        print(kind, frame.mean().round(3).to_dict(), flush=True)


if __name__ == "__main__":
    main()
