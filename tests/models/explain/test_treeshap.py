"""TreeSHAP by lookup against LightGBM's contributions, for many kinds of boosters and for edge-case rows."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.explain import lookup_tables, treeshap
from models.explain.treeshap import LazyTreeShap, TreeShap

Floats = np.ndarray[Any, np.dtype[np.float64]]

COLUMNS = 7
SHAPES = st.fixed_dictionaries(
    {
        "num_leaves": st.sampled_from([2, 3, 6, 12, 31]),
        "max_depth": st.sampled_from([-1, 3]),
        "trees": st.integers(1, 12),
        "seed": st.integers(0, 1000),
        "zero_as_missing": st.booleans(),
        "use_missing": st.booleans(),
        "max_cat_to_onehot": st.sampled_from([2, 8]),
        "bagging_fraction": st.sampled_from([0.5, 1.0]),
        "min_data_in_leaf": st.sampled_from([1, 5, 400]),
        "path_smooth": st.sampled_from([0.0, 5.0]),
        "weighted": st.booleans(),
        "extra_trees": st.booleans(),
    }
)


def random_rows(rows: int, seed: int) -> Floats:
    """Numbers, many of them whole or zero, some unknown; columns 5 and 6 are categories of 4 and 40 codes."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, COLUMNS)) * np.where(rng.random((rows, COLUMNS)) < 0.5, 1.0, 0.0)
    x[:, 2] = np.round(x[:, 2] * 3)
    x[:, 5], x[:, 6] = rng.integers(0, 4, rows), rng.integers(0, 40, rows)
    x[rng.random(x.shape) < 0.15] = np.nan
    x[:, 4] = np.abs(rng.normal(size=rows))
    return x


def edge_case_rows(seed: int) -> Floats:
    """Rows like those of `random_rows`, with values that no training row has."""
    x = random_rows(60, seed)
    odd = [np.inf, -np.inf, 1e-36, -1e-36, float(np.float32(1e-35)), -float(np.float32(1e-35)), 1e300, -0.0, np.nan]
    odd += [-1.0, -0.5, 0.5, 3.99, 39.0, 40.0, 63.0, 64.0, 1e9, 1e10, -1e10]
    rng = np.random.default_rng(seed)
    return np.where(rng.random(x.shape) < 0.3, rng.choice(odd, x.shape), x)


def train_booster(shape: dict[str, Any]) -> lightgbm.Booster:
    """Train a booster with these settings, and write and read it."""
    options = dict(shape)
    trees, weighted = options.pop("trees"), options.pop("weighted")
    rng = np.random.default_rng(options["seed"])
    x = random_rows(300, options["seed"])
    score = np.nan_to_num(x[:, 0] * x[:, 1]) + np.isnan(x[:, 3]) + (x[:, 5] == 2) + np.isin(x[:, 6], [3, 7, 20]) - x[:, 4]
    y = (score + rng.normal(size=300) * 0.3 > 0).astype(float)
    settings = {"objective": "binary", "verbosity": -1, "num_threads": 1, "bagging_freq": 1, "min_data_per_group": 5}
    settings |= {"cat_smooth": 1.0, "min_sum_hessian_in_leaf": 1e-6} | options
    weight = rng.random(300) + 0.5 if weighted else None
    data = lightgbm.Dataset(x, y, weight=weight, categorical_feature=[5, 6], params=settings)
    return lightgbm.Booster(model_str=lightgbm.train(settings, data, trees).model_to_string())


def lightgbm_contributions(booster: lightgbm.Booster, rows: Floats) -> Floats:
    return np.asarray(booster.predict(rows, pred_contrib=True, num_threads=1))


PLAIN: dict[str, Any] = {"num_leaves": 31, "trees": 12, "seed": 1, "min_data_in_leaf": 2, "weighted": False}
ALL = range(12)


@settings(max_examples=150)
@given(SHAPES)
def test_contributions_equal_those_of_lightgbm(shape: dict[str, Any]) -> None:
    booster, rows = train_booster(shape), edge_case_rows(shape["seed"])
    ours = TreeShap.of(booster.model_to_string(), COLUMNS).contributions(rows)
    np.testing.assert_allclose(ours, lightgbm_contributions(booster, rows), rtol=0, atol=1e-9)
    raw = np.asarray(booster.predict(rows, raw_score=True))
    np.testing.assert_allclose(ours.sum(axis=1), raw, rtol=0, atol=1e-9)


@pytest.mark.parametrize("classes", [1, 16, 256, 4096])
@pytest.mark.parametrize("table_bytes", [0, 30_000, 2**26])
def test_contributions_do_not_depend_on_how_leaves_are_grouped(classes: int, table_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One or many leaves per group; all, some or no groups in tables."""
    monkeypatch.setattr(treeshap, "MAX_ROW_CLASSES", classes)
    monkeypatch.setattr(treeshap, "_split_by_size", lambda groups, _, within=treeshap._split_by_size: within(groups, table_bytes // 8))
    booster, rows = train_booster(PLAIN), edge_case_rows(1)
    ours = TreeShap.of(booster.model_to_string(), COLUMNS)
    np.testing.assert_allclose(ours.contributions(rows), lightgbm_contributions(booster, rows), rtol=0, atol=1e-9)


@pytest.mark.parametrize("entries", [0, 4_000, 2**23])
def test_single_rows_are_bit_identical_to_rows_of_a_batch(entries: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(treeshap, "_split_by_size", lambda groups, _, within=treeshap._split_by_size: within(groups, entries))
    monkeypatch.setattr(treeshap, "BATCH_ROWS", 500)
    ours = TreeShap.of(train_booster(PLAIN).model_to_string(), COLUMNS)
    rows = np.vstack([edge_case_rows(seed) for seed in range(12)])
    together = ours.contributions(rows)
    assert len(rows) > lookup_tables.FEW_ROWS
    for i in range(0, len(rows), 37):
        np.testing.assert_array_equal(ours.contributions(rows[i : i + 1])[0], together[i])
    np.testing.assert_array_equal(ours.contributions(rows[:9]), together[:9])


def test_constant_model_contributes_only_the_base() -> None:
    booster = train_booster(PLAIN | {"min_data_in_leaf": 400, "trees": 3})
    ours = TreeShap.of(booster.model_to_string(), COLUMNS).contributions(random_rows(400, 0))
    assert (ours[:, :-1] == 0.0).all()
    np.testing.assert_array_equal(ours, lightgbm_contributions(booster, random_rows(400, 0)))


def test_no_rows_give_an_empty_result() -> None:
    ours = TreeShap.of(train_booster(PLAIN).model_to_string(), COLUMNS)
    assert ours.contributions(np.empty((0, COLUMNS))).shape == (0, COLUMNS + 1)


@pytest.mark.parametrize("change", [("MAX_FACTORS", 10), ("MAX_TABLE_BYTES", 80)])
def test_lightgbm_explains_if_tables_would_be_too_large(
    change: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(treeshap, *change)
    monkeypatch.setattr(treeshap, "_split_by_size", lambda groups, _: _split(groups, change[0] == "MAX_FACTORS"))
    (explainer,) = LazyTreeShap.by_member(train_booster(PLAIN).model_to_string(), COLUMNS, [ALL])
    assert explainer(random_rows(3, 0)) is None


def _split(groups: Sequence[Any], all_deep: bool) -> tuple[list[Any], list[Any]]:
    return ([], list(groups)) if all_deep else (list(groups), [])


def test_tables_are_built_once_for_all_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[TreeShap] = []
    monkeypatch.setattr(treeshap, "TreeShap", lambda *args: built.append(TreeShap(*args)) or built[-1])
    explainer, rows = LazyTreeShap(train_booster(PLAIN).model_to_string(), COLUMNS, ALL), random_rows(5, 0)
    assert built == []
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(explainer, [rows] * 16))
    assert len(built) == 1
    for answer in answers:
        np.testing.assert_array_equal(answer, answers[0])


def test_lightgbm_explains_models_that_cannot_be_read() -> None:
    text = train_booster(PLAIN).model_to_string().replace("is_linear=0", "is_linear=1", 1)
    explainer = LazyTreeShap(text, COLUMNS, ALL)
    assert explainer(random_rows(3, 0)) is None
    assert explainer(random_rows(3, 0)) is None


def test_each_member_explains_its_own_trees() -> None:
    """The members' contributions are LightGBM's for their trees, and their sum is that of the whole model."""
    booster, rows = train_booster(PLAIN), edge_case_rows(2)
    members = LazyTreeShap.by_member(booster.model_to_string(), COLUMNS, [range(5), range(5, 5), range(5, 12)])
    parts = [member(rows) for member in members]
    for part, (first, trees) in zip(parts, ((0, 5), (5, 0), (5, 7)), strict=True):
        assert part is not None
        if trees:
            own = booster.predict(rows, pred_contrib=True, start_iteration=first, num_iteration=trees, num_threads=1)
            np.testing.assert_allclose(part, own, rtol=0, atol=1e-9)
        else:
            assert not part.any()
    np.testing.assert_allclose(np.sum(parts, axis=0), lightgbm_contributions(booster, rows), rtol=0, atol=1e-9)
