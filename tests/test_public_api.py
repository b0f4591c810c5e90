"""The public Python API: its names and documentation, and that it gives the same numbers as the commands."""

from __future__ import annotations

import doctest
import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import renewcast
from models.home import current_home
from models.predictions.payload import format_instant
from models.predictions.table_export import write_frame
from training import python_api

ROOT = Path(__file__).resolve().parent.parent
AS_OF = "2026-08-05"
NAMES = set(renewcast.__all__)
FUNCTIONS = sorted(name for name in NAMES if inspect.isfunction(getattr(renewcast, name)))
# MLflow's, of its own mappers.
WITH_MLFLOW = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")
QUICK = {"every_days": 14, "trials": 1, "resamples": 50, "folds": 2}
FITTING = ("train", "backtest", "judge", "register", "design_holdout")
Command = Callable[..., Any]


@pytest.fixture(autouse=True)
def _no_tracking_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the address of MLflow's store, which MLflow leaves in the environment of the process."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the synthetic portfolio ``signals``."""
    folder = tmp_path_factory.mktemp("api")
    renewcast.simulate(folder / "signals", accounts=30, weeks=40, seed=1)
    return folder


@pytest.fixture(scope="session")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a portfolio that is large enough to train on."""
    folder = tmp_path_factory.mktemp("training")
    renewcast.simulate(folder / "training-signals", accounts=250, weeks=104, seed=1)
    return folder


@pytest.fixture(scope="session")
def trained(large: Path) -> tuple[renewcast.TrainingResult, Path]:
    """Return a training by the API, and its home."""
    home = large / "home"
    opened = renewcast.open_signals(large / "training-signals", data_through="2026-09-30")
    with pytest.MonkeyPatch.context() as patch, opened as signals:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        return renewcast.train(signals, home=home, config=QUICK), home


@pytest.fixture(scope="session")
def signals(place: Path) -> Iterator[renewcast.Signals]:
    with renewcast.open_signals(place / "signals") as opened:
        yield opened


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Command:
    """Return a function that runs a command on a home and returns its JSON answer, or the bytes of its file."""

    def run(home: Path, *arguments: object, out: Path | None = None) -> Any:
        monkeypatch.setenv("RENEWCAST_HOME", str(home))
        current_home.cache_clear()
        ending = ["--json"] if out is None else ["--out", str(out)]
        result = CliRunner().invoke(renewcast.app, [*map(str, arguments), *ending])
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout) if out is None else out.read_bytes()

    return run


def _bytes(frame: pd.DataFrame, path: Path) -> bytes:
    """Return the frame as commands write it."""
    write_frame(frame, path)
    return path.read_bytes()


def _same_as_the_commands(command: Command, home: Path, source: Path, signals: renewcast.Signals, tmp: Path) -> None:
    about = (source, "--as-of", AS_OF)
    scores = renewcast.score(signals, AS_OF, home=home)
    assert str(scores["as_of"].dtype) == "datetime64[us, UTC]"
    words = scores.assign(as_of=format_instant(scores["as_of"].iloc[0]))
    account = scores["account_id"].iloc[-1]
    explanation = renewcast.explain(signals, account, AS_OF, home=home)
    health = renewcast.health(signals, AS_OF, home=home, rubric="product-relationship-outcomes")
    forecast = renewcast.renewals(signals, AS_OF, period="2026Q4", home=home)
    week = renewcast.worklist(signals, AS_OF, capacity=4, save_rate=0.3, home=home)
    effects = renewcast.play_effects(signals, AS_OF, home=home)
    assert not (home / "snapshots").exists()
    assert not (home / "store.sqlite").exists()
    assert not (home / "effects.json").exists()

    board = command(home, "health", *about, "--rubric", "product-relationship-outcomes", out=tmp / "health.csv")
    assert _bytes(health, tmp / "h.csv") == board
    assert forecast.as_dict() == command(home, "renewals", *about, "--period", "2026Q4")
    assert _bytes(forecast.accounts, tmp / "r.csv") == command(
        home, "renewals", *about, "--period", "2026Q4", out=tmp / "renewals.csv"
    )
    assert week.as_dict() == command(home, "worklist", *about, "--capacity", 4, "--save-rate", 0.3)
    assert effects.as_dict() == command(home, "holdout", "effect", *about)
    if renewcast.load_champion(home=home).versions:
        design = renewcast.design_holdout(signals, AS_OF, save_rate=0.4, per_week=3, home=home)
        assert len(design.by_play) > 1
        assert design.as_dict() == command(home, "holdout", "design", *about, "--save-rate", 0.4, "--per-week", 3)
    answer = command(home, "health", *about, "--account", account)
    assert explanation | {"scored_at": None} == answer | {"scored_at": None}
    assert _bytes(words, tmp / "s.csv") == command(home, "score", *about, out=tmp / "scores.csv")
    # Also after the command has published a snapshot.
    pd.testing.assert_frame_equal(scores, renewcast.score(signals, AS_OF, home=home), check_exact=True)


def test_the_documentation_lists_the_api() -> None:
    text = renewcast.__doc__ or ""
    listed = re.findall(r"^(\w+) : ", text, re.MULTILINE)
    assert sorted(listed) == sorted(renewcast.__all__)
    assert len(listed) == len(NAMES)
    assert set(dir(renewcast)) == NAMES


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_name_is_documented_in_full(name: str) -> None:
    entry = getattr(renewcast, name)
    text = inspect.getdoc(entry) or ""
    assert text.split("\n")[0].endswith(".")
    if name not in FUNCTIONS:
        return
    assert all(f"{head}\n{'-' * len(head)}" in text for head in ("Returns", "Raises", "Examples"))
    parameters = inspect.signature(entry).parameters
    assert all(re.search(rf"^{each} : ", text, re.MULTILINE) for each in parameters)
    # Only the subject and the date are positional.
    positional = [each for each, p in parameters.items() if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert set(positional) <= {"recipes", "estimator", "result", "signals", "source", "folder", "as_of", "account_id", "snapshots"}


def test_a_star_import_imports_exactly_the_api() -> None:
    namespace: dict[str, Any] = {}
    exec("from renewcast import *", namespace)
    assert set(namespace) - {"__builtins__"} == NAMES
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        renewcast.nothing  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.parametrize("name", [*(name for name in FUNCTIONS if name not in FITTING), "renewcast"])
def test_the_examples_run(name: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _run_examples(name, place, monkeypatch)


def _run_examples(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    entry = renewcast if name == "renewcast" else getattr(renewcast, name)
    (example,) = doctest.DocTestFinder(recurse=False, exclude_empty=False).find(entry, name, module=False, globs={})
    assert example.examples
    report: list[str] = []
    assert doctest.DocTestRunner().run(example, out=report.append).failed == 0, "".join(report)


@pytest.mark.slow
def test_check_features_and_snapshot_equal_the_commands(
    place: Path, signals: renewcast.Signals, command: Command, tmp_path: Path
) -> None:
    source = place / "signals"
    result = renewcast.check(source, data_through=AS_OF)
    assert json.loads(json.dumps(result.as_dict())) == command(tmp_path, "check", source, "--data-through", AS_OF)
    assert result.ok
    assert result.ready == ()
    catalogue = renewcast.features().astype(object)
    records = catalogue.where(catalogue.notna(), None).to_dict("records")
    assert records == command(tmp_path, "features")["features"]
    frame = renewcast.snapshot(signals, pd.date_range(end=AS_OF, periods=3, freq="7D"))
    output = command(
        tmp_path, "snapshot", source, "--as-of", AS_OF, "--from", "2026-07-22", out=tmp_path / "snapshot.ndjson"
    )
    assert _bytes(frame, tmp_path / "frame.ndjson") == output


@pytest.mark.slow
def test_scores_equal_the_commands(
    place: Path, signals: renewcast.Signals, command: Command, tmp_path: Path
) -> None:
    _same_as_the_commands(command, tmp_path / "home", place / "signals", signals, tmp_path)


def test_dates_are_accepted_in_all_usual_forms(signals: renewcast.Signals) -> None:
    expected = renewcast.snapshot(signals, AS_OF)
    east = timezone(timedelta(hours=2))
    for same in (
        date(2026, 8, 5),
        datetime(2026, 8, 5),
        datetime(2026, 8, 5, 2, tzinfo=east),
        pd.Timestamp(AS_OF, tz="UTC"),
        np.datetime64(AS_OF),
        [AS_OF, pd.Timestamp(AS_OF)],
    ):
        pd.testing.assert_frame_equal(renewcast.snapshot(signals, same), expected, check_exact=True)


def test_dates_at_unequal_steps_give_one_snapshot_each(signals: renewcast.Signals) -> None:
    dates = ["2026-08-05", "2026-07-01", "2026-07-03"]
    single = [renewcast.snapshot(signals, each) for each in sorted(dates)]
    pd.testing.assert_frame_equal(
        renewcast.snapshot(signals, dates), pd.concat(single, ignore_index=True), check_exact=True
    )


def test_a_date_after_the_data_is_allowed_unless_data_through_is_given(place: Path, signals: renewcast.Signals) -> None:
    later = signals.data_through + timedelta(days=3)
    frame = renewcast.snapshot(signals, later)
    assert frame["as_of"].unique().tolist() == [pd.Timestamp(later)]
    with renewcast.open_signals(place / "signals", data_through=AS_OF) as closed:
        assert closed.data_through == datetime(2026, 8, 5, tzinfo=UTC)
        with pytest.raises(renewcast.RenewcastError, match="as_of 2026-08-06 is after data_through 2026-08-05"):
            renewcast.snapshot(closed, "2026-08-06")


def test_labels_are_the_outcomes(tmp_path: Path) -> None:
    accounts = "account_id,created_at\na,2024-01-01\nb,2024-01-01\n"
    (tmp_path / "accounts.csv").write_text(accounts)
    (tmp_path / "subscriptions.csv").write_text(
        "account_id,started_at,ended_at,arr,seats,plan,renewal_at,end_reason\n"
        "a,2024-01-01,2025-03-01,1000,1,pro,2025-03-01,cancelled\nb,2024-01-01,,1000,1,pro,2027-01-01,\n"
    )
    with renewcast.open_signals(tmp_path, data_through="2025-12-31") as signals:
        past = renewcast.snapshot(signals, ["2025-01-01", "2025-12-01"])
        outcomes = renewcast.labels(signals, past)
    churn = {(row.account_id, f"{row.as_of:%m}"): row.churn for row in outcomes.itertuples()}
    assert churn.pop(("b", "12")) != 0.0
    assert churn == {("a", "01"): 1.0, ("b", "01"): 0.0}
    assert outcomes["churn_kind"].tolist()[0] == "voluntary"


def test_a_source_that_breaks_the_contract_is_described(tmp_path: Path) -> None:
    (tmp_path / "accounts.csv").write_text("account_id,created_at\na,yesterday\n")
    (tmp_path / "subscriptions.csv").write_text("account_id,started_at\na,2024-01-01\n")
    result = renewcast.check(tmp_path)
    assert not result.ok
    assert {"accounts", "subscriptions"} == set(result.errors["table"])
    with pytest.raises(renewcast.RenewcastError, match="violates the data contract"):
        renewcast.open_signals(tmp_path)


def test_a_promotion_is_sent_to_the_webhooks_of_the_same_home(
    signals: renewcast.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[Any, ...]] = []
    report = SimpleNamespace(promoted=("churn",))
    monkeypatch.setattr(renewcast.webhook_events, "enqueue_latest_promotions", lambda *inputs: calls.append(inputs))  # type: ignore[attr-defined]
    monkeypatch.setattr(python_api, "train_signals", lambda _, home, *__: SimpleNamespace(report=report, home=home))
    renewcast.train(signals, home=tmp_path)
    assert calls == [(("churn",), tmp_path)]


def test_mistakes_raise_errors_that_say_what_was_expected(
    place: Path, signals: renewcast.Signals, tmp_path: Path
) -> None:
    score, home = renewcast.score, tmp_path / "home"
    closed = renewcast.open_signals(place / "signals")
    closed.close()
    closed.close()

    def labels(as_of: object, signals: renewcast.Signals = signals) -> Callable[[], object]:
        return lambda: renewcast.labels(signals, pd.DataFrame({"account_id": ["a"], "as_of": [as_of]}))

    mistakes: dict[str, Callable[[], object]] = {
        "no signals source at": lambda: renewcast.open_signals(tmp_path / "nowhere"),
        "invalid date": lambda: score(signals, "yesterday", home=home),
        "a date of type int": lambda: renewcast.snapshot(signals, 20260805),  # type: ignore[arg-type]
        "a date of type NaTType": lambda: renewcast.snapshot(signals, pd.NaT),
        "no date": lambda: renewcast.snapshot(signals, []),
        "the snapshots have no column as_of": lambda: renewcast.labels(signals, pd.DataFrame({"account_id": ["a"]})),
        "date of type float": labels(float("nan")),
        "date of type bool": labels(True),
        "date of type int": labels(20260805),
        "invalid date\n": labels(""),
        "snapshots without as_of": labels(pd.NaT),
        "date of type list": labels(["2026-08-05"]),
        "the signals .* are closed": labels(AS_OF, closed),
        "the signals .* are closed\n": lambda: renewcast.snapshot(closed, AS_OF),
        "are closed\n": lambda: closed.rows,
        "are closed": lambda: score(closed, AS_OF, home=home),
        "no account has this id or name": lambda: renewcast.explain(signals, "unknown", AS_OF, home=home),
        "a capacity of -1": lambda: renewcast.worklist(signals, AS_OF, capacity=-1, home=home),
        "a save rate of 2": lambda: renewcast.worklist(signals, AS_OF, save_rate=2, home=home),
        "there is no churn model": lambda: renewcast.design_holdout(signals, AS_OF, home=home),
        "share is 0": lambda: renewcast.design_holdout(signals, AS_OF, share=0.0, home=home),
        "save_rate is nan": lambda: renewcast.design_holdout(signals, AS_OF, save_rate=float("nan"), home=home),
        "invalid period": lambda: renewcast.renewals(signals, AS_OF, period="Q4", home=home),
        "training setting path": lambda: renewcast.train(signals, home=home, config={"path": 1}),
        "not enough data": lambda: renewcast.train(signals, home=home, config=QUICK),
        "-1|must be|from": lambda: renewcast.simulate(tmp_path / "new", accounts=-1),
    }
    for words, mistake in mistakes.items():
        with pytest.raises(renewcast.RenewcastError, match=words) as caught:
            mistake()
        assert caught.value.found
    # Reading does not change the umask of the process.
    assert os.umask(os.umask(0o022) or 0o022) == 0o022


@pytest.mark.slow
def test_objects_have_a_repr_of_one_line(place: Path, signals: renewcast.Signals, tmp_path: Path) -> None:
    texts = [
        repr(signals),
        repr(renewcast.load_champion(home=tmp_path)),
        repr(renewcast.check(place / "signals")),
        repr(renewcast.renewals(signals, AS_OF, home=tmp_path)),
        repr(renewcast.worklist(signals, AS_OF, capacity=1, home=tmp_path)),
        repr(renewcast.play_effects(signals, AS_OF, home=tmp_path)),
    ]
    assert all(text.startswith("<") and text.endswith(">") and "\n" not in text for text in texts)
    assert texts[1] == "<Champion: no model; rubric five-dimensions>"


def test_a_list_without_accounts_has_its_columns(signals: renewcast.Signals, tmp_path: Path) -> None:
    empty = renewcast.worklist(signals, AS_OF, capacity=0, home=tmp_path).accounts
    filled = renewcast.worklist(signals, AS_OF, capacity=2, home=tmp_path).accounts
    assert len(empty) == 0
    assert set(empty.columns) == set(filled.columns)


@pytest.mark.slow
@WITH_MLFLOW
def test_training_and_scores_equal_the_commands(
    large: Path, trained: tuple[renewcast.TrainingResult, Path], command: Command, tmp_path: Path
) -> None:
    result, home = trained
    source = large / "training-signals"
    (tmp_path / "quick.toml").write_text("".join(f"{name} = {value}\n" for name, value in QUICK.items()))
    about = ("--config", tmp_path / "quick.toml", "--data-through", "2026-09-30")
    other = command(tmp_path / "other", "train", source, *about)
    assert _without_place(result.as_dict()) == _without_place(other)
    with renewcast.open_signals(source) as signals:
        _same_as_the_commands(command, home, source, signals, tmp_path)


@pytest.mark.slow
@WITH_MLFLOW
def test_a_training_result_has_tables(large: Path, trained: tuple[renewcast.TrainingResult, Path]) -> None:
    result, home = trained
    assert str(home) not in os.environ.get("MLFLOW_TRACKING_URI", "")
    assert result.versions == {"churn": "1", "expansion": "1"}
    assert result.champion.versions == result.versions
    assert set(result.promoted) == set(renewcast.load_champion(home=home).versions)
    rows = result.test_predictions("expansion")
    value = result.metrics.loc[("expansion", "blend", "brier"), "value"]
    assert ((rows["blend"] - rows["outcome"]) ** 2).mean() == pytest.approx(value, abs=1e-12)
    assert str(rows["as_of"].dtype) == "datetime64[us, UTC]"
    assert set(result.gates["target"]) == set(result.versions)
    with pytest.raises(renewcast.RenewcastError, match=r"no model of growth was trained\nExpected: one of churn, expansion"):
        result.test_predictions("growth")
    with renewcast.open_signals(large / "training-signals") as signals:
        scores = renewcast.score(signals, "2026-09-30", home=home, champion=result.champion)
    assert (scores["expansion_status"] == "scored").any()
    assert all(file.stat().st_mode & 0o077 == 0 for file in home.rglob("*") if os.name == "posix")


@pytest.mark.slow
@WITH_MLFLOW
@pytest.mark.parametrize("name", FITTING)
def test_examples_that_fit_models_run(
    name: str, large: Path, trained: tuple[renewcast.TrainingResult, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    _run_examples(name, large, monkeypatch)


@pytest.mark.slow
def test_the_wheel_contains_the_api(place: Path, tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path / "dist")]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    target = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(target)]
    subprocess.run([*install, str(wheel)], check=True, capture_output=True, timeout=120)
    code = "import renewcast; print(renewcast.__file__); print(len(renewcast.snapshot(renewcast.open_signals('signals'), '2026-08-05')))"
    environment = os.environ | {"PYTHONPATH": str(target)}
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=place, env=environment, capture_output=True, text=True, timeout=120, check=True
    )
    file, rows = result.stdout.split()
    assert Path(file) == target / "renewcast.py"
    assert int(rows) > 20
    assert (target / "renewcast-0.1.0.dist-info" / "entry_points.txt").read_text().split() == [
        "[console_scripts]", "renewcast", "=", "renewcast:main",
    ]  # fmt: skip


def _without_place(report: dict[str, Any]) -> dict[str, Any]:
    """Return a report without what differs between two runs."""
    plain = json.loads(json.dumps(report))
    plain.pop("run_id")
    plain["leakcheck"].pop("seconds")
    for target in plain["targets"].values():
        target.pop("bundle", None)
        target.pop("run_id", None)
    return plain  # type: ignore[no-any-return]
