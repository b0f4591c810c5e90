"""What the features of past outcomes, peers and the calendar are worth: log loss and AUC with and without each group.

At several cut-offs, a plain model (the mean log-odds of a regularized logistic regression and LightGBM, with fixed
settings) is fitted on every snapshot whose label was known at the cut-off, and predicts the snapshots at the cut-off:
without the new features, with one group of them, and with all. The differences are those of the same rows; accounts are
resampled for the 90% intervals.

    python bench/outcome_features.py [crm-simulated online-retail SIGNALS ...]
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Mapping
from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd
from scipy.special import expit, logit
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import QuantileTransformer

from features.catalogue.catalogue import CATALOGUE
from features.families.subscriptions import OUTCOME_FEATURES
from features.utils.arrays import Floats
from models.peer_groups.segments import ARR_FEATURE, segment_of
from models.targets import TARGETS, Target
from training.config import TrainConfig
from training.dataset.labelled_snapshots import LabelledSnapshots, read_labelled_snapshots

EXAMPLES = Path(__file__).resolve().parent.parent / "notebooks" / "examples"
KINDS = ("segment", "plan", "industry", "region")
"""What the peers of a trend have in common."""
TRENDS = {
    "users": "usage.active_users_trend_91d",
    "events": "usage.events_trend_91d",
    "arr": "contract.arr_change_364d",
}
GROUPS: Mapping[str, frozenset[str]] = {
    "own outcomes": OUTCOME_FEATURES,
    "payments": frozenset({"billing.days_since_overdue", "billing.problems_change_91d"}),
    "gaps between orders": frozenset({"orders.reactivated"}),
    "peers": frozenset(n for n in CATALOGUE if n.startswith("peers.")),
    "portfolio level": frozenset(n for n in CATALOGUE if n.startswith("portfolio.")),
    "calendar": frozenset({"year_sin", "year_cos", "days_to_quarter_end"}),
    "renewal month": frozenset({"renewal_year_sin", "renewal_year_cos"}),
    "trends of peers": frozenset(f"{kind}_{trend}" for kind in KINDS for trend in TRENDS),
    "churn of the segment": frozenset({"segment_churn"}),
}
"""The last four are not in the catalogue (bench/RESULTS.md says why); see `with_calendar` and `with_peers`."""
MINIMUM_PEERS, PRIOR_ROWS = 5, 100.0
"""Fewest other accounts of a group for a mean; rows for which the portfolio's rate counts in that of a segment."""
EVERY_DAYS, HORIZON_DAYS = 28, 90
RESAMPLES = 1_000


def with_calendar(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the snapshots with the time of the year at the date and at the renewal, as a point on a circle."""
    date = frame["as_of"].dt.tz_convert(None)
    renewal = date + pd.to_timedelta(frame["contract.days_to_renewal"], unit="D")
    columns: dict[str, pd.Series[float]] = {
        "days_to_quarter_end": (date + pd.offsets.QuarterEnd(0) - date).dt.days.astype(np.float64)
    }
    for name, at in {"year": date, "renewal_year": renewal}.items():
        angle = 2.0 * np.pi * (at.dt.day_of_year - 1) / 365.25
        columns |= {f"{name}_sin": np.sin(angle), f"{name}_cos": np.cos(angle)}
    return frame.assign(**columns)


def with_peers(prepared: LabelledSnapshots, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the snapshots with trends of the other accounts of each group, and with the known churn of the segment.

    Trends are means over the other accounts at the same date. The churn of a segment is that of the snapshots of the
    year before whose outcome was known, without those of the account itself.
    """
    segment = pd.Series(segment_of(frame[ARR_FEATURE]), index=frame.index)
    texts = {"plan": "contract.plan", "industry": "account.industry", "region": "account.region"}
    groups = {"segment": segment} | {kind: frame[name] for kind, name in texts.items() if name in frame}
    columns: dict[str, pd.Series[float]] = {}
    for kind, group in groups.items():
        for trend, name in TRENDS.items():
            by = frame[name].groupby([group, frame["as_of"]])
            others = by.transform("count") - frame[name].notna()
            total = by.transform("sum") - frame[name].fillna(0.0)
            columns[f"{kind}_{trend}"] = (total / others.clip(lower=1)).where(others >= MINIMUM_PEERS)
    rows = pd.DataFrame({"segment": segment, "account": frame["account_id"].astype(str), "as_of": frame["as_of"]})
    rows["y"] = prepared.labels["churn"].to_numpy(np.float64)
    rate = pd.Series(np.nan, index=frame.index)
    certain = pd.Timedelta(days=HORIZON_DAYS + prepared.grace_days)
    for at in sorted(rows["as_of"].unique()):
        now = rows["as_of"] == at
        past = rows[(rows["as_of"] + certain <= at) & (rows["as_of"] + certain > at - pd.Timedelta(days=364))]
        past = past[past["y"].notna() & past["segment"].notna()]
        if past.empty:
            continue
        all_rows = past.groupby("segment")["y"].agg(["sum", "count"])
        own = past.groupby(["segment", "account"])["y"].agg(["sum", "count"])
        keys = pd.MultiIndex.from_frame(rows.loc[now, ["segment", "account"]])
        others = all_rows.reindex(rows.loc[now, "segment"]).to_numpy() - own.reindex(keys).fillna(0.0).to_numpy()
        rate[now] = (others[:, 0] + PRIOR_ROWS * past["y"].mean()) / (others[:, 1] + PRIOR_ROWS)
    return frame.assign(**columns, segment_churn=rate)


def predict(train: pd.DataFrame, y: Floats, test: pd.DataFrame, names: list[str]) -> Floats:
    """Return the probabilities of the test rows, shape (n,)."""
    numbers = [n for n in names if pd.api.types.is_numeric_dtype(train[n]) and train[n].nunique() > 1]
    past, now = train[numbers].to_numpy(np.float64), test[numbers].to_numpy(np.float64)
    linear = make_pipeline(
        QuantileTransformer(n_quantiles=50, output_distribution="normal", subsample=None),
        SimpleImputer(strategy="median", add_indicator=True),
        LogisticRegression(C=0.01, max_iter=500),
    )
    trees = lightgbm.LGBMClassifier(
        n_estimators=150, learning_rate=0.04, num_leaves=7, min_child_samples=60, colsample_bytree=0.3, subsample=0.7,
        subsample_freq=1, reg_lambda=10.0, num_threads=1, random_state=0, deterministic=True, verbose=-1,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        odds = [logit(model.fit(past, y).predict_proba(now)[:, 1].clip(1e-6, 1 - 1e-6)) for model in (linear, trees)]
    return np.asarray(expit(np.mean(odds, axis=0)), dtype=np.float64)


def backtest(prepared: LabelledSnapshots, target: Target, cutoffs: int, step: int, chosen: list[str]) -> pd.DataFrame:
    """Return the predictions at the cut-offs: account, date, y and one column for each set of features."""
    frame, y = with_peers(prepared, with_calendar(prepared.frame)), prepared.labels[target].to_numpy(np.float64)
    base = [n for n in CATALOGUE if not any(n in group for group in GROUPS.values())]
    present = {name: [n for n in group if n in frame and frame[n].nunique() > 1] for name, group in GROUPS.items()}
    sets = {"without": base} | {name: base + sorted(present[name]) for name in chosen if present[name]}
    sets["all of the catalogue"] = base + sorted(n for group in present.values() for n in group if n in CATALOGUE)
    parts = []
    for at in sorted(frame["as_of"].unique())[::-1][: cutoffs * step : step]:
        known = frame["as_of"] + pd.Timedelta(days=HORIZON_DAYS + prepared.grace_days) <= at
        train, test = (known & np.isfinite(y)).to_numpy(), ((frame["as_of"] == at) & np.isfinite(y)).to_numpy()
        if y[train].sum() < 30:
            continue
        predicted = {name: predict(frame[train], y[train], frame[test], names) for name, names in sets.items()}
        keys = {"account": frame["account_id"][test].to_numpy(), "at": at, "y": y[test]}
        parts.append(pd.DataFrame(keys | predicted))
    return pd.concat(parts, ignore_index=True)


def _log_loss(p: Floats, y: Floats) -> Floats:
    p = p.clip(1e-6, 1 - 1e-6)
    return np.asarray(-np.where(y == 1, np.log(p), np.log1p(-p)), dtype=np.float64)


def report(name: str, target: Target, rows: pd.DataFrame) -> None:
    """Print the figures of one target: the mean over the cut-offs, and the difference from "without"."""
    y, rng = rows["y"].to_numpy(), np.random.default_rng(0)
    codes, accounts = pd.factorize(rows["account"])
    weights = rng.multinomial(len(accounts), np.full(len(accounts), 1 / len(accounts)), RESAMPLES)[:, codes]
    base = _log_loss(rows["without"].to_numpy(), y)
    for column in rows.columns[3:]:
        p = rows[column].to_numpy()
        by_date = [each for _, each in rows.groupby("at") if each["y"].nunique() > 1]
        auc = np.mean([roc_auc_score(each["y"], each[column]) for each in by_date])
        change = _log_loss(p, y) - base
        spread = (weights @ change) / weights.sum(axis=1)
        low, high = np.quantile(spread, [0.05, 0.95])
        print(
            f"| {name} | {target} | {column} | {rows['at'].nunique()} | {auc:.4f} | {_log_loss(p, y).mean():.4f} | "
            f"{change.mean():+.4f} ({low:+.4f} to {high:+.4f}) |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", nargs="*", default=["crm-simulated", "online-retail"])
    parser.add_argument("--cutoffs", type=int, default=6)
    parser.add_argument("--step", type=int, default=2, help="cut-offs are this many times 28 days apart")
    parser.add_argument("--groups", nargs="*", default=list(GROUPS), choices=list(GROUPS))
    options = parser.parse_args()
    print("| data | target | features | cut-offs | AUC | log loss | change of log loss (90%) |")
    print("|---|---|---|---|---|---|---|")
    for source in options.sources:
        address = EXAMPLES / f"{source}.toml" if (EXAMPLES / f"{source}.toml").exists() else Path(source)
        prepared = read_labelled_snapshots(address, None, TrainConfig(every_days=EVERY_DAYS, horizons=()))
        prepared.signals.close()
        for target in TARGETS:
            report(address.stem, target, backtest(prepared, target, options.cutoffs, options.step, options.groups))


if __name__ == "__main__":
    main()
