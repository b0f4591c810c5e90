"""What each signal is worth, on simulated portfolios with known true probabilities.

For each preset of the simulator and each seed: simulate, and fit trees that predict the true probabilities of four
dates from the snapshots of other accounts. Their skill is the share of the loss of the best constant forecast that they
save; log loss and Brier score are the expected ones given the true probabilities, so chance in the outcomes has no
influence. Then the same without the features that a signal (a table, or some columns of one) makes possible. Two
figures per signal, as shares of the skill with all signals:

- ``full``: what is lost if it alone is missing. Other signals replace a part of it.
- ``alone``: what it adds to contracts and accounts (to orders and accounts without contracts), if there is no other.

This is what the signal shows, as learned from a truth that no company has; a model that learns from a few hundred
outcomes uses less of it. A feature belongs to a signal if its value changes when the signal is removed from the source.

The third-party CRM has no true probabilities: there the trees learn from outcomes, and predict later ones.

    python bench/signal_values.py [--presets NAME ...] [--seeds 0 1 2] [--accounts 600] [--weeks 104] [--workdir DIR]
    python bench/signal_values.py --crm [--workdir DIR]
    python bench/signal_values.py --seeds --write 2026-11-29 --workdir DIR    # write what is stored to the package
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
from portfolios import EXAMPLES

from features.catalogue.catalogue import CATALOGUE
from features.signals.signals import OpenSignals, read_signals
from features.snapshots.snapshot import snapshot
from features.sources.base import from_tables
from features.sources.open_source import open_source
from features.utils.arrays import Floats
from features.utils.dates import Grid, midnight
from models.targets import TARGETS, Target
from training.dataset.labels import label
from training.simulation import PRESETS, MarketOptions, simulate

SIGNALS: Mapping[str, tuple[str, ...]] = {
    "usage": ("usage",),
    "usage.user_id": ("usage.user_id",),
    "usage.feature": ("usage.feature",),
    "usage.minutes": ("usage.minutes",),
    "engagement": ("engagement",),
    "engagement.outcome": ("engagement.outcome", "engagement.response_hours"),
    "support": ("support",),
    "support.csat": ("support.csat", "support.sentiment"),
    "support.resolved_at": ("support.resolved_at",),
    "outcomes": ("outcomes",),
    "relationship": ("relationship",),
    "billing": ("billing",),
    "company": ("company",),
    "interventions": ("interventions",),
    "subscriptions.seats": ("subscriptions.seats",),
    "subscriptions.plan": ("subscriptions.plan",),
    "subscriptions.renewal_at": ("subscriptions.renewal_at",),
    "subscriptions.usage_limit": ("subscriptions.usage_limit",),
    "accounts.industry": ("accounts.industry", "accounts.region", "accounts.employees"),
}
"""What a source may lack: a table, or columns of one."""
HORIZON, GRACE = 90, 30
TRUTH_GRID = (52, 91)
"""The oldest date with true probabilities, in weeks before the end, and the days from date to date."""
TEST_DATES, STEP = 3, 28
"""Of the third-party CRM: the dates of one test, and the days from date to date."""
FOLDS = 2
TREES: dict[str, Any] = {
    "objective": "cross_entropy",
    "learning_rate": 0.05,
    "num_leaves": 8,
    "min_data_in_leaf": 40,
    "lambda_l2": 10.0,
    "feature_fraction": 0.4,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "max_bin": 63,
    "num_threads": 1,
    "seed": 1,
    "verbosity": -1,
}
ROUNDS = 150


def without(address: Path, names: Iterable[str]) -> OpenSignals:
    """Return the signals of a source without some of its tables and columns."""
    source = open_source(address)
    tables = {name: table.to_pyarrow() for name, table in source.tables.items()}
    for name in names:
        table, _, column = name.partition(".")
        if not column:
            tables.pop(table, None)
        elif table in tables and column in tables[table].column_names:
            tables[table] = tables[table].drop_columns([column])
    return read_signals(from_tables(tables, str(address)))


def dependent_features(address: Path) -> dict[str, list[str]]:
    """Return by signal the features whose values change without it, on a few dates of a small portfolio."""
    whole = without(address, ())
    last = midnight(whole.data_through - timedelta(weeks=4))
    grid = Grid.ending(last, last - timedelta(days=280), 140)
    with_all = snapshot(whole, grid)
    given = {name: table.columns for name, table in whole.tables.items()}
    whole.close()
    result = {}
    for name, parts in SIGNALS.items():
        tables = {part.partition(".")[0] for part in parts}
        if not tables <= set(given):
            continue
        signals = without(address, parts)
        less = snapshot(signals, grid)
        signals.close()
        assert less["account_id"].tolist() == with_all["account_id"].tolist(), name
        changed = [f for f in CATALOGUE if not _same(with_all[f], less[f])]
        if changed:
            result[name] = changed
    return result


def _same(one: pd.Series[Any], other: pd.Series[Any]) -> bool:
    return bool(((one == other) | (one.isna() & other.isna())).all())


def encode(train: pd.DataFrame, test: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return both frames with categories as numbers of their levels in the training rows."""
    names = [n for n in CATALOGUE if n in train]
    parts = train[names].copy(), test[names].copy()
    for name in names:
        if not pd.api.types.is_numeric_dtype(train[name]):
            codes = {level: float(i) for i, level in enumerate(sorted(train[name].dropna().astype(str).unique()))}
            for part in parts:
                part[name] = part[name].astype(object).astype(str).map(codes).astype(float)
    return parts


def predicted(
    train: pd.DataFrame, y: Floats, test: pd.DataFrame, names: list[str], parameters: Mapping[str, Any] = TREES
) -> Floats:
    """Return the predictions of trees."""
    data = lightgbm.Dataset(train[names].to_numpy(np.float64), y)
    p = lightgbm.train(dict(parameters), data, ROUNDS).predict(test[names].to_numpy(np.float64))
    return np.clip(np.asarray(p, dtype=np.float64), 1e-5, 1 - 1e-5)


def cross_fitted(
    frame: pd.DataFrame, q: Floats, accounts: Floats, names: list[str], parameters: Mapping[str, Any] = TREES
) -> Floats:
    """Return for each row the prediction of trees that were fitted on other accounts."""
    result = np.empty(len(frame))
    for fold in range(FOLDS):
        out = accounts % FOLDS == fold
        result[out] = predicted(frame[~out], q[~out], frame[out], names, parameters)
    return result


def skills(p: Floats, q: Floats) -> tuple[float, float]:
    """Return the log loss and Brier skill of forecasts p, given true probabilities (or outcomes) q."""

    def log_loss(f: Any) -> float:
        return float(-np.mean(q * np.log(f) + (1 - q) * np.log(1 - f)))

    def brier(f: Any) -> float:
        return float(np.mean((f - q) ** 2 + q * (1 - q)))

    p = np.clip(p, 1e-9, 1 - 1e-9)
    # The level of the forecast is not the signals' merit: both it and the constant have that of the test rows.
    odds = np.log(p / (1 - p))
    low, high = -5.0, 5.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if np.mean(1 / (1 + np.exp(-odds - middle))) < q.mean() else (low, middle)
    level = 1 / (1 + np.exp(-odds - low))
    return 1 - log_loss(level) / log_loss(q.mean()), 1 - brier(level) / brier(q.mean())


def measured(
    columns: list[str], of_signal: Mapping[str, list[str]], of: Callable[[list[str]], tuple[float, float]]
) -> dict[str, Any]:
    """Return the skill with all signals, with contracts only, and without and with only each signal.

    Parameters
    ----------
    columns : all features.
    of_signal : the features of each signal.
    of : returns the skills with the given features.
    """
    events = {f for name, names in of_signal.items() if "." not in name for f in names}
    base = [c for c in columns if c not in events]
    row: dict[str, Any] = {"all": of(columns), "base": of(base), "signals": {}}
    for name, names in of_signal.items():
        row["signals"][name] = {"without": of([c for c in columns if c not in set(names)])}
        if "." not in name:
            # A feature of several tables needs them all.
            others = {f for other, fs in of_signal.items() if other != name and "." not in other for f in fs}
            own = [c for c in columns if c in base or (c in set(names) and c not in others)]
            row["signals"][name]["alone"] = of(own)
    return row


def simulated_rows(preset: str, seed: int, accounts: int, weeks: int, work: Path) -> list[dict[str, Any]]:
    """Return the measured skills of one simulated portfolio, by target."""
    # What depends on a table or column is the same in all presets with contracts.
    names = work / f"features-{KINDS.get(preset, 'contracts')}.json"
    if not names.exists():
        with tempfile.TemporaryDirectory(dir=work) as folder:
            simulate(Path(folder) / "s", accounts=100, weeks=104, seed=7, options=MarketOptions(preset=preset))
            names.write_text(json.dumps(dependent_features(Path(folder) / "s")))
    of_signal = json.loads(names.read_text())
    with tempfile.TemporaryDirectory(dir=work) as folder:
        place = Path(folder) / "s"
        simulate(place, accounts=accounts, weeks=weeks, seed=seed, options=MarketOptions(preset=preset))
        truth = pd.read_parquet(place.with_name("s-truth.parquet"))
        truth["as_of"] = pd.to_datetime(truth["as_of"], utc=True).dt.as_unit("us")
        signals = read_signals(open_source(place))
        weeks_back, step = TRUTH_GRID
        last = truth["as_of"].max().to_pydatetime()
        frame = snapshot(signals, Grid.ending(last, last - timedelta(weeks=weeks_back), step))
        signals.close()
    frame = frame.merge(truth, on=["account_id", "as_of"])
    codes, (encoded, _) = pd.factorize(frame["account_id"])[0], encode(frame, frame)
    rows = []
    for target in TARGETS:
        q = frame[target].to_numpy(np.float64)

        def of(chosen: list[str], q: Floats = q) -> tuple[float, float]:
            return skills(cross_fitted(encoded, q, codes, chosen), q)

        row = measured(list(encoded), of_signal, of)
        rows.append({"preset": preset, "seed": seed, "target": target, "oracle": skills(q, q)} | row)
    return rows


def crm_rows(work: Path) -> list[dict[str, Any]]:
    """Return the same for the third-party CRM: three test dates, by their outcomes."""
    address = EXAMPLES / "crm-simulated.toml"
    names = work / "features-crm.json"
    if not names.exists():
        names.write_text(json.dumps(dependent_features(address)))
    of_signal = json.loads(names.read_text())
    signals = read_signals(open_source(address))
    first = pd.Timestamp("2022-04-01", tz="UTC").to_pydatetime()
    grid = Grid.ending(pd.Timestamp("2023-10-01", tz="UTC").to_pydatetime(), first, STEP)
    frame = snapshot(signals, grid)
    outcomes = label(signals, frame[["account_id", "as_of"]], HORIZON, GRACE)
    signals.close()
    rows = []
    for back in range(0, 9, 4):
        first_test = grid.last - timedelta(days=STEP * (TEST_DATES - 1 + back))
        until = first_test + timedelta(days=STEP * (TEST_DATES - 1))
        for target in TARGETS:
            labelled = outcomes[target].notna().to_numpy()
            train = labelled & (frame["as_of"] <= first_test - timedelta(days=HORIZON + GRACE)).to_numpy()
            test = labelled & frame["as_of"].between(first_test, until).to_numpy()
            y, later = (outcomes[target][part].to_numpy(np.float64) for part in (train, test))
            earlier, encoded = encode(frame[train], frame[test])

            def of(chosen: list[str], y: Floats = y, later: Floats = later, x: Any = (earlier, encoded)) -> Any:
                return skills(predicted(x[0], y, x[1], chosen), later)

            row = measured(list(encoded), of_signal, of)
            rows.append({"preset": "crm", "seed": back, "target": target} | row)
    return rows


def stored(work: Path) -> list[dict[str, Any]]:
    """Return the rows measured so far."""
    file = work / "signal-values.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def add(work: Path, rows: list[dict[str, Any]]) -> None:
    """Store measured rows."""
    with (work / "signal-values.jsonl").open("a") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


def shares(rows: list[dict[str, Any]], target: Target) -> pd.DataFrame:
    """Return a row per portfolio and signal: the preset, the seed, and the shares of the skill, by loss."""
    table = []
    for row in rows:
        if row["target"] != target:
            continue
        for name, values in row["signals"].items():
            one: dict[str, Any] = {"preset": row["preset"], "seed": row["seed"], "signal": name}
            for i, loss in enumerate(("log_loss", "brier")):
                one[f"full_{loss}"] = (row["all"][i] - values["without"][i]) / row["all"][i]
                if "alone" in values:
                    one[f"alone_{loss}"] = (values["alone"][i] - row["base"][i]) / row["all"][i]
            table.append(one)
    return pd.DataFrame(table)


ABOUT = (
    "Shares of what a model with every signal gains over the base rate, on {portfolios} simulated portfolios of "
    "{kinds} kinds. The simulator is ours, so its assumptions are in them."
)
PACKAGE_FILE = Path(__file__).resolve().parent.parent / "training" / "source_report" / "signal_values.toml"
KINDS = {"orders": "orders", "crm": "crm"}
"""The kind of portfolio of a preset; that of the others is contracts."""


def package_text(rows: list[dict[str, Any]], date: str) -> str:
    """Return the file that the package ships: the range of each value over the presets, of the means over seeds.

    Of a kind with a single preset, the range is that over the seeds (of the CRM, over the test dates). The spread is
    the standard deviation of ``full`` over the seeds, the mean over the presets. Only a value above it
    is proposed.
    """
    tables = {target: shares(rows, target) for target in TARGETS}
    simulated = {(row["preset"], row["seed"]) for row in rows if row["preset"] != "crm"}
    about = ABOUT.format(portfolios=len(simulated), kinds=len({preset for preset, _ in simulated}))
    lines = ["# Written by bench/signal_values.py, which says what the numbers mean.", f'date = "{date}"']
    lines += [f'about = "{about}"', ""]
    opinion = []
    for kind in ("contracts", "orders", "crm"):
        names = [
            n
            for n in SIGNALS
            if any(KINDS.get(row["preset"], "contracts") == kind and n in row["signals"] for row in rows)
        ]
        for name in names:
            ranges: dict[str, list[str]] = {"full": [], "alone": [], "spread": []}
            for target, table in tables.items():
                own = table[(table["signal"] == name) & (table["preset"].map(KINDS).fillna("contracts") == kind)]
                for what in ("full", "alone"):
                    values = own[["preset", f"{what}_log_loss"]].dropna().rename(columns={f"{what}_log_loss": "share"})
                    if len(values):
                        by_preset = values.groupby("preset")["share"]
                        means = by_preset.mean() if by_preset.ngroups > 1 else values["share"]
                        ranges[what].append(f"{target} = [{means.min():.3f}, {means.max():.3f}]")
                        if what == "full" and by_preset.std().notna().any():
                            ranges["spread"].append(f"{target} = {by_preset.std().mean():.3f}")
            if kind == "crm":
                opinion.append(f'"{name}" = {{ {", ".join(ranges["full"])} }}')
                continue
            lines += ["[[values]]", f'signal = "{name}"', f'kind = "{kind}"']
            lines += [f"{what} = {{ {', '.join(pairs)} }}" for what, pairs in ranges.items() if pairs]
            lines.append("")
    return "\n".join([*lines, "[second_opinion]", *opinion, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presets", nargs="+", default=list(PRESETS), choices=list(PRESETS))
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--accounts", type=int, default=600)
    parser.add_argument("--weeks", type=int, default=104)
    parser.add_argument("--crm", action="store_true", help="measure the third-party CRM instead")
    parser.add_argument("--write", metavar="DATE", help="write the values, measured on this day, to the package")
    parser.add_argument("--workdir", type=Path, help="folder for stored results")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as fresh:
        work: Path = options.workdir or Path(fresh)
        work.mkdir(parents=True, exist_ok=True)
        done = {(row["preset"], row["seed"]) for row in stored(work)}
        if options.crm:
            if ("crm", 0) not in done:
                add(work, crm_rows(work))
        else:
            for seed in options.seeds:
                for preset in options.presets:
                    if (preset, seed) not in done:
                        add(work, simulated_rows(preset, seed, options.accounts, options.weeks, work))
        rows = stored(work)
        for target in TARGETS:
            table = shares(rows, target)
            for row in rows:
                if row["target"] == target:
                    print(f"{target} {row['preset']} {row['seed']}: skill {row['all']}, contracts {row['base']}")
            if table.empty:
                continue
            print(table.drop(columns="seed").groupby(["signal", "preset"]).agg("mean").round(3).to_string())
        if options.write:
            PACKAGE_FILE.write_text(package_text(rows, options.write), encoding="utf-8")


if __name__ == "__main__":
    main()
