import ast
import importlib
import importlib.util
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.artifacts.bundle import Bundle
from models.scorer import scorer as module
from models.scorer.errors import ScorerError
from models.scorer.scorer import Scorer
from models.scorer.strict_files import read_bounded, read_json

Change = Callable[[dict[str, Any]], object]

KINDS: dict[str, dict[str, Any]] = {
    "sigmoid": {
        "parameters": {"a": 0.9, "b": -0.2},
        "resamples": [{"a": 0.7 + 0.02 * i, "b": -0.5 + 0.04 * i} for i in range(20)],
    },
    "beta": {
        "parameters": {"a": 0.8, "b": 1.3, "c": 0.1},
        "resamples": [{"a": 0.6 + 0.02 * i, "b": 1.5 - 0.02 * i, "c": 0.03 * i} for i in range(20)],
    },
    "isotonic": {
        "parameters": {"x": [-3.0, -1.0, -0.5, 2.0], "y": [0.0, 0.1, 0.1, 0.9]},
        "resamples": [
            {"x": [-3.0, -1.0 + 0.02 * i, 2.0], "y": [0.01 * i, 0.1 + 0.005 * i, 0.8 + 0.01 * i]} for i in range(20)
        ],
    },
}


@pytest.fixture(scope="module")
def make(model_text: str, bundle: Bundle) -> Callable[[str], Scorer]:
    schema = json.loads((bundle.folder / "schema.json").read_text())
    return lambda kind: Scorer.from_texts(model_text, schema, {"kind": kind} | KINDS[kind])


def test_scorer_works_without_our_packages(bundle: Bundle, ensemble: Bundle, portfolio: pd.DataFrame) -> None:
    """Loaded from its path under another name, without our packages, the scorer gives bit-identical results."""
    folder = Path(module.__file__).parent
    imported = set()
    for source in folder.glob("*.py"):
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Import):
                imported |= {name.name.split(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                imported.add(str(node.module).split(".")[0])
    assert imported <= {*sys.stdlib_module_names, "numpy", "lightgbm", "onnxruntime"}
    spec = importlib.util.spec_from_file_location("travelling", folder / "__init__.py", submodule_search_locations=[str(folder)])
    assert spec is not None
    assert spec.loader is not None
    sys.modules["travelling"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["travelling"])
    travelling = importlib.import_module("travelling.scorer")
    for each in (bundle, ensemble):
        there, here = travelling.Scorer.load(each.folder).predict(portfolio), each.scorer.predict(portfolio)
        for one, two in zip(there, here, strict=True):
            np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("kind", KINDS)
def test_single_rows_are_bit_identical_to_rows_of_a_batch(
    make: Callable[[str], Scorer], portfolio: pd.DataFrame, kind: str
) -> None:
    scorer = make(kind)
    many = pd.concat([portfolio] * 3, ignore_index=True)
    batch, parts = scorer.predict(many), scorer.contributions(scorer.encode(many).matrix)
    for i in range(0, 300, 7):
        alone = many.iloc[[i]]
        assert [v[0] for v in scorer.predict(alone)] == [v[i] for v in batch]
        np.testing.assert_array_equal(scorer.contributions(scorer.encode(alone).matrix)[0], parts[i])


def test_contributions_add_up_to_the_raw_score(bundle: Bundle, portfolio: pd.DataFrame) -> None:
    matrix = bundle.scorer.encode(portfolio).matrix
    parts = bundle.scorer.contributions(matrix)
    assert parts.shape == (len(portfolio), 8)
    np.testing.assert_allclose(parts.sum(axis=1), bundle.scorer.raw(matrix), rtol=0, atol=1e-9)
    assert np.ptp(parts[:, -1]) == 0.0


def test_contributions_that_do_not_add_up_are_rejected(
    make: Callable[[str], Scorer], portfolio: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = make("sigmoid")
    raw = scorer.raw
    monkeypatch.setattr(scorer, "raw", lambda matrix: raw(matrix) + 2e-6)
    with pytest.raises(ScorerError, match="differ from the raw score by 2e-06"):
        scorer.contributions(scorer.encode(portfolio).matrix)


def test_explainers_replace_lightgbm_unless_they_return_none(
    model_text: str, bundle: Bundle, portfolio: pd.DataFrame
) -> None:
    schema = json.loads((bundle.folder / "schema.json").read_text())
    calibrator = {"kind": "sigmoid"} | KINDS["sigmoid"]
    calls: list[tuple[int, ...]] = []

    def declines(model: str, columns: int, members: Sequence[range]) -> list[Callable[[np.ndarray], None]]:
        assert (model, columns, members) == (model_text, 7, [range(15)])
        return [lambda matrix: calls.append(matrix.shape)]

    plain = Scorer.from_texts(model_text, schema, calibrator)
    declined = Scorer.from_texts(model_text, schema, calibrator, declines)
    matrix = plain.encode(portfolio).matrix
    assert calls == []
    np.testing.assert_array_equal(declined.contributions(matrix), plain.contributions(matrix))
    assert calls == [(300, 7)]
    # A bundle's explains by tables: the same but for the last bits.
    np.testing.assert_allclose(bundle.scorer.contributions(matrix), plain.contributions(matrix), rtol=0, atol=1e-9)
    wrong = Scorer.from_texts(model_text, schema, calibrator, lambda *_: [lambda matrix: np.zeros((len(matrix), 8))])
    with pytest.raises(ScorerError, match="differ from the raw score"):
        wrong.contributions(matrix)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60)
@given(st.lists(st.floats(-40, 40), min_size=1, max_size=30))
def test_probabilities_are_monotonic_in_the_raw_score(
    make: Callable[[str], Scorer], kind: str, raw: list[float]
) -> None:
    p, low, high = make(kind).calibrate(np.sort(raw))
    assert (np.diff(p) >= 0).all()
    assert (low <= p).all()
    assert (p <= high).all()
    assert p.min() >= 1e-6
    assert p.max() <= 1 - 1e-6


@pytest.mark.parametrize(
    ("kind", "raw", "expected"),
    [
        ("sigmoid", 0.0, 1 / (1 + np.exp(0.2))),
        ("sigmoid", 2.0, 1 / (1 + np.exp(-1.6))),
        # p = 1/2: log-odds = c - a log 2 + b log 2.
        ("beta", 0.0, 1 / (1 + np.exp(-(0.1 + 0.5 * np.log(2))))),
        ("isotonic", -0.75, 0.1),
        ("isotonic", 0.75, 0.5),
        ("isotonic", -9.0, 1e-6),
        ("isotonic", 9.0, 0.9),
    ],
)
def test_calibrators_match_values_computed_by_hand(make: Callable[[str], Scorer], kind: str, raw: float, expected: float) -> None:
    assert make(kind).calibrate(np.array([raw])).probability[0] == pytest.approx(expected, abs=1e-12)


def test_interval_is_the_middle_80_percent_of_the_resamples(make: Callable[[str], Scorer]) -> None:
    _, low, high = make("isotonic").calibrate(np.array([2.0]))
    # At x = 2 the resamples say 0.80, 0.81, ... 0.99.
    assert (low[0], high[0]) == pytest.approx((0.8 + 0.01 * 1.9, 0.8 + 0.01 * 17.1))


def test_interval_always_contains_the_probability(make: Callable[[str], Scorer]) -> None:
    p, low, _ = make("isotonic").calibrate(np.array([-3.0]))
    assert p[0] == low[0] == 1e-6  # every resample but one says more


def test_columns_are_found_by_name(bundle: Bundle, portfolio: pd.DataFrame) -> None:
    turned = portfolio[portfolio.columns[::-1]].assign(extra="x")
    for one, two in zip(bundle.scorer.predict(turned), bundle.scorer.predict(portfolio), strict=True):
        np.testing.assert_array_equal(one, two)


def test_missing_columns_are_unknown_and_named(bundle: Bundle, portfolio: pd.DataFrame) -> None:
    encoded = bundle.scorer.encode(portfolio.drop(columns=["usage.trend_28d", "contract.plan"]))
    assert encoded.missing == ("usage.trend_28d", "contract.plan")
    assert np.isnan(encoded.matrix[:, [2, 6]]).all()


def test_unseen_categories_are_unknown_and_marked_by_row(bundle: Bundle) -> None:
    frame = pd.DataFrame({"contract.plan": ["pro", "platinum", None, "basic"]})
    encoded = bundle.scorer.encode(frame)
    np.testing.assert_array_equal(encoded.matrix[:, 6], [1.0, np.nan, np.nan, 0.0])
    assert encoded.unseen["contract.plan"].tolist() == [False, True, False, False]


@pytest.mark.parametrize("dtype", ["float64", "Float64", "object"])
def test_nulls_and_infinities_are_unknown(bundle: Bundle, dtype: str) -> None:
    frame = pd.DataFrame({"contract.arr": pd.Series([1.0, None, np.inf], dtype=dtype)})
    np.testing.assert_array_equal(bundle.scorer.encode(frame).matrix[:, 4], [1.0, np.nan, np.nan])


def test_text_in_numeric_columns_is_rejected_without_its_value(bundle: Bundle) -> None:
    with pytest.raises(ScorerError, match=r"column contract\.arr contains a value that is not a number") as caught:
        bundle.scorer.encode(pd.DataFrame({"contract.arr": ["secret"]}))
    assert "secret" not in str(caught.value)


def test_duplicate_columns_are_rejected(bundle: Bundle) -> None:
    frame = pd.DataFrame([[1.0, 2.0]], columns=["contract.arr", "contract.arr"])
    with pytest.raises(ScorerError, match=r"contract\.arr occurs 2 times"):
        bundle.scorer.encode(frame)


def test_no_rows_give_empty_results(bundle: Bundle, portfolio: pd.DataFrame) -> None:
    assert [v.shape for v in bundle.scorer.predict(portfolio.iloc[:0])] == [(0,)] * 3
    assert bundle.scorer.contributions(np.empty((0, 7))).shape == (0, 8)


def test_matrices_of_another_width_are_rejected(bundle: Bundle) -> None:
    with pytest.raises(ScorerError, match=r"\(3, 2\).*expected \(n, 7\)"):
        bundle.scorer.raw(np.zeros((3, 2)))


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("sigmoid", lambda c: c.update(kind="spline"), "kind is not one of"),
        ("sigmoid", lambda c: c.update(resamples=c["resamples"][:9]), "at least 10 resamples"),
        ("sigmoid", lambda c: c["parameters"].pop("b"), "parameters of kind sigmoid must hold exactly a, b"),
        ("sigmoid", lambda c: c["parameters"].update(c=1.0), "must hold exactly a, b"),
        ("sigmoid", lambda c: c["resamples"][4].update(a=-0.1), r"resamples\[4\] would reverse the ranking"),
        ("sigmoid", lambda c: c["parameters"].update(a="0.9"), "not a number"),
        ("sigmoid", lambda c: c["parameters"].update(a=True), "not a number"),
        ("sigmoid", lambda c: c["parameters"].update(a=[1.0]), "not a number"),
        ("sigmoid", lambda c: c["parameters"].update(a=float("inf")), "not finite"),
        ("beta", lambda c: c["parameters"].update(b=-0.1), "reverse the ranking"),
        ("isotonic", lambda c: c["parameters"].update(y=[0.0, 0.2, 0.1, 0.9]), "never decreases"),
        ("isotonic", lambda c: c["parameters"].update(x=[-3.0, -1.0, -1.0, 2.0]), "ascending x"),
        ("isotonic", lambda c: c["parameters"].update(y=[0.0, 0.1, 0.1, 1.1]), "within 0 to 1"),
        ("isotonic", lambda c: c["parameters"].update(x=[], y=[]), "of equal length"),
        ("isotonic", lambda c: c["parameters"].update(y=0.3), "must hold lists"),
    ],
)
def test_invalid_calibrators_are_rejected(
    model_text: str, bundle: Bundle, kind: str, change: Change, message: str
) -> None:
    calibrator = json.loads(json.dumps({"kind": kind} | KINDS[kind]))
    change(calibrator)
    schema = json.loads((bundle.folder / "schema.json").read_text())
    with pytest.raises(ScorerError, match=message):
        Scorer.from_texts(model_text, schema, calibrator)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s["features"].reverse(), "at position 0 usage.active_users_7d in the model"),
        (lambda s: s["features"].pop(), "7 in the model, 6 in the schema"),
        (lambda s: s["features"].append(s["features"][0]), "a unique name"),
        (lambda s: s["features"][0].update(kind="date"), "neither number nor category"),
        (lambda s: s["features"][6].pop("categories"), "list of distinct strings"),
        (lambda s: s["features"][6].update(categories=["a", "a"]), "list of distinct strings"),
        (lambda s: s.update(features=[]), "no list of features"),
    ],
)
def test_schemas_that_do_not_match_are_rejected(model_text: str, bundle: Bundle, change: Change, message: str) -> None:
    schema = json.loads((bundle.folder / "schema.json").read_text())
    change(schema)
    with pytest.raises(ScorerError, match=message):
        Scorer.from_texts(model_text, schema, {"kind": "sigmoid"} | KINDS["sigmoid"])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("end of trees", "", "its end is missing"),
        ("objective=binary sigmoid:1", "objective=regression", "only 'binary'"),
        ("objective=binary sigmoid:1", "objective=binary sigmoid:2", "only 'binary'"),
    ],
)
def test_models_without_log_odds_are_rejected(
    model_text: str, bundle: Bundle, old: str, new: str, message: str
) -> None:
    schema = json.loads((bundle.folder / "schema.json").read_text())
    with pytest.raises(ScorerError, match=message):
        Scorer.from_texts(model_text.replace(old, new), schema, {"kind": "sigmoid"} | KINDS["sigmoid"])


@pytest.mark.parametrize(
    "content", [b"[1]", b'{"a": NaN}', b'{"a": 1e999}', b'{"a": 1, "a": 2}', b"{", b'{"a": "\xff"}', b"[" * 100_000]
)
def test_only_strict_json_is_read(content: bytes) -> None:
    with pytest.raises(ScorerError, match=r"a\.json"):
        read_json(content, "a.json")


def test_missing_and_oversized_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"12345")
    assert read_bounded(tmp_path / "a.json", 5) == b"12345"
    with pytest.raises(ScorerError, match=r"a\.json is larger than 4 bytes"):
        read_bounded(tmp_path / "a.json", 4)
    with pytest.raises(ScorerError, match=r"b\.json cannot be read: No such file"):
        read_bounded(tmp_path / "b.json", 4)


def test_the_score_is_the_mean_of_the_members(ensemble: Bundle, portfolio: pd.DataFrame) -> None:
    """Alone and in a batch: each member is half of its own trees and its linear model, computed by LightGBM."""
    scorer, matrix = ensemble.scorer, ensemble.scorer.encode(portfolio).matrix
    members = scorer.member_raw(matrix)
    booster = lightgbm.Booster(model_file=str(ensemble.folder / "model.txt"))
    plan, arr = matrix[:, 6].astype(int), np.log1p(matrix[:, 4])
    for k in range(3):
        trees = booster.predict(matrix, raw_score=True, start_iteration=5 * k, num_iteration=5, num_threads=1)
        linear = -1.0 + 0.1 * k + 0.1 * (k - 1) * (arr - 10.0) + np.array([0.05 * k, 0.0, -0.05])[plan] - 0.01
        np.testing.assert_allclose(members[k], 0.5 * np.asarray(trees) + linear, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(scorer.raw(matrix), members.mean(axis=0))
    batch, parts = scorer.predict(portfolio), scorer.member_contributions(matrix)
    assert parts.shape == (3, 300, 8)
    np.testing.assert_allclose(parts.sum(axis=2), members, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(scorer.contributions(matrix), parts.mean(axis=0))
    for row in range(0, 300, 29):
        alone = portfolio.iloc[[row]]
        assert [v[0] for v in scorer.predict(alone)] == [v[row] for v in batch]
        np.testing.assert_array_equal(scorer.member_contributions(scorer.encode(alone).matrix)[:, 0], parts[:, row])


def test_the_standard_error_is_that_of_the_jackknife(ensemble: Bundle, portfolio: pd.DataFrame) -> None:
    """(k - 1) / k times the sum of squared distances, averaged with the mean variance of training (0.04, weight 2)."""
    matrix = ensemble.scorer.encode(portfolio).matrix
    members = ensemble.scorer.member_raw(matrix)
    raw, error = ensemble.scorer.estimate(matrix)
    np.testing.assert_array_equal(raw, members.mean(axis=0))
    jackknife = 2 / 3 * ((members[0] - raw) ** 2 + (members[1] - raw) ** 2 + (members[2] - raw) ** 2)
    np.testing.assert_allclose(error, np.sqrt((2 * 0.04 + 2 * jackknife) / 4), rtol=1e-12)


def test_intervals_add_both_kinds_of_uncertainty(ensemble: Bundle, portfolio: pd.DataFrame) -> None:
    """In log-odds, the half widths of the calibrator and of 1.28 standard errors are added in quadrature."""

    def log_odds(p: np.ndarray) -> np.ndarray:
        return np.asarray(np.log(p / (1 - p)))

    scorer = ensemble.scorer
    raw, error = scorer.estimate(scorer.encode(portfolio).matrix)
    plain, both = scorer.calibrate(raw), scorer.calibrate(raw, error)
    np.testing.assert_array_equal(both.probability, plain.probability)
    model = 0.9 * 1.2815515655446004 * error  # 0.9 is the slope of the calibrator
    center = log_odds(both.probability)
    for bound, without in ((both.low, plain.low), (both.high, plain.high)):
        expected = np.hypot(model, center - log_odds(without))
        np.testing.assert_allclose(np.abs(log_odds(bound) - center), expected, rtol=1e-6)
    certain = scorer.calibrate(raw, np.zeros_like(raw))
    np.testing.assert_allclose(certain.low, plain.low, rtol=1e-9)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ({"variance": 0.1}, "error must have the keys variance and weight"),
        ({"variance": -0.1, "weight": 1.0}, r"error\.variance must be a number from 0 to 100"),
        ({"variance": 0.1, "weight": "1"}, r"error\.weight must be a number"),
        ([0.1, 1.0], "error must have the keys"),
    ],
)
def test_invalid_error_models_are_rejected(model_text: str, ensemble: Bundle, error: object, message: str) -> None:
    schema = json.loads((ensemble.folder / "schema.json").read_text())
    with pytest.raises(ScorerError, match=message):
        Scorer.from_texts(model_text, schema, {"kind": "sigmoid", "error": error} | KINDS["sigmoid"])


@pytest.mark.parametrize("resamples", [1, 2, 11, 200])
@pytest.mark.parametrize("accounts", [1, 40])
def test_the_ends_of_intervals_are_the_quantiles_of_numpy(resamples: int, accounts: int) -> None:
    values = np.random.default_rng(resamples).random((resamples, accounts)).round(2)
    for changed in (values, np.where(values == values[0, 0], np.nan, values)):
        expected = np.quantile(changed, module.INTERVAL, axis=0)
        np.testing.assert_array_equal(module._quantiles(changed, module.INTERVAL), expected)
