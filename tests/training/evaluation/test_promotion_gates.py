"""Every gate can fail separately, and a check that did not run is not passed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import lru_cache

import numpy as np
import pytest
import scipy.special

from training.dataset.sufficiency import Sufficiency
from training.evaluation.baselines import BASE_RATE, HEALTH_SCORE, LIGHTGBM, LOGISTIC_REGRESSION, RENEWAL_DUE
from training.evaluation.champion_comparison import ChampionComparison
from training.evaluation.comparison import Comparison, compare_candidates
from training.evaluation.promotion_gates import SLOPE_BOUNDS, Gate, all_passed, blocking_gates, gate_text, undecided
from training.evaluation.promotion_gates import evaluate_gates as all_gates

ROWS = 1_500
ENOUGH = Sufficiency("churn", 900.0, 300, {}, {}, {}, (), (), None)


@lru_cache
def judgement(subject: str = "truth", rival: str = "noise", due: str | None = None) -> Comparison:
    """The subject, the base rate, two rivals, and what the renewal date tells if there is one."""
    rng = np.random.default_rng(0)
    log_odds = rng.normal(-2, 1.5, ROWS)
    y = (rng.random(ROWS) < scipy.special.expit(log_odds)).astype(float)
    probabilities = {
        "truth": scipy.special.expit(log_odds),
        "extreme": scipy.special.expit(2 * log_odds + 2),
        "noise": scipy.special.expit(scipy.special.logit(y.mean()) + rng.normal(0, 0.1, ROWS)),
        "average": np.full(ROWS, y.mean()),
    }
    candidates = {LIGHTGBM: probabilities[subject], LOGISTIC_REGRESSION: probabilities[rival], HEALTH_SCORE: probabilities["noise"]}
    candidates |= {BASE_RATE: probabilities["average"]} | ({RENEWAL_DUE: probabilities[due]} if due else {})
    accounts = [f"{i % 300}" for i in range(ROWS)]
    return compare_candidates(y, candidates, accounts, np.ones(ROWS), float(y.mean()), LIGHTGBM, resamples=60)


def gates(
    result: Comparison, enough: Sufficiency, leaks: Sequence[str] | None, against: ChampionComparison | None = None
) -> tuple[Gate, ...]:
    """Gates of a training with sound feeds."""
    return all_gates(result, enough, leaks, against, feeds=[])


def failed(
    result: Comparison, enough: Sufficiency = ENOUGH, leaks: list[str] | None = None, run: bool = True
) -> list[str]:
    return [gate.name for gate in gates(result, enough, (leaks or []) if run else None) if not gate.passed]


def test_a_good_candidate_passes_all() -> None:
    results = gates(judgement(), ENOUGH, [])
    assert all_passed(results)
    assert [gate.name for gate in results] == [
        "no_leak",
        "feeds_sound",
        "enough_data",
        "beats_base_rate",
        "no_loss_to_logistic_regression",
        "no_loss_to_health_score",
        "calibration_slope",
    ]
    assert all(gate.words for gate in results)


def test_an_empty_list_of_gates_is_not_passed() -> None:
    assert not all_passed(())


def test_a_leak_is_reported() -> None:
    assert failed(judgement(), leaks=["usage.events_7d changes with the future"]) == ["no_leak"]
    assert "usage.events_7d" in gates(judgement(), ENOUGH, ["usage.events_7d changes with the future"])[0].words


def test_a_leak_check_that_did_not_run_fails_the_gate() -> None:
    assert failed(judgement(), run=False) == ["no_leak"]


def test_too_little_data() -> None:
    assert failed(judgement(), replace(ENOUGH, missing=("20 more accounts",))) == ["enough_data"]


def test_a_candidate_no_better_than_the_base_rate_fails() -> None:
    assert failed(judgement("noise")) == ["beats_base_rate", *failed(judgement("noise"))[1:]]
    assert "beats_base_rate" in failed(judgement("average"))


def test_a_loss_to_the_linear_model() -> None:
    assert "no_loss_to_logistic_regression" in failed(judgement("noise", "truth"))
    assert failed(judgement("truth", "truth")) == []


@pytest.mark.parametrize(
    ("apart", "loses", "words"),
    [
        ((0.01, 0.004, 0.02), True, "worse than that of"),
        ((0.005, 0.001, 0.009), False, "by less than the margin"),
        ((0.001, -0.004, 0.006), False, "not worse than that of the champion, version 3 by more than the margin"),
        ((0.01, -0.004, 0.02), False, "a loss of 0.017 or more would be found with a probability of at least 80%"),
        ((-0.01, -0.02, -0.004), False, "better than that of"),
    ],
)
def test_a_loss_fails_if_it_is_measurable_and_matters(apart: tuple[float, float, float], loses: bool, words: str) -> None:
    result = {g.name: g for g in gates(judgement(), ENOUGH, [], ChampionComparison("3", apart))}["no_loss_to_champion"]
    assert result.passed is not loses
    assert result.figure == apart[0]
    assert words in result.words
    assert "version 3" in result.words
    assert "labels that neither was trained on; their windows may overlap earlier ones of the same account" in result.words


@pytest.mark.parametrize("share", [0.3, 0.6, 3.0])
def test_the_stated_loss_fails_the_gate_with_a_probability_of_80_percent(share: float) -> None:
    """Whether the margin or the standard error decides: estimates around a true loss as large as the words say."""
    margin = 0.02 * judgement()[BASE_RATE]["log_loss"].value
    error = share * margin

    def result(value: float) -> Gate:
        against = ChampionComparison("3", (value, value - 1.96 * error, value + 1.96 * error))
        return next(g for g in gates(judgement(), ENOUGH, [], against) if g.name == "no_loss_to_champion")

    stated = float(result(margin / 2).words.split("a loss of ")[1].split(" or more")[0])
    estimates = stated + error * scipy.special.ndtri(np.linspace(0.0025, 0.9975, 200))
    # The words round to two digits.
    assert np.mean([not result(value).passed for value in estimates]) == pytest.approx(0.8, abs=0.06)


def test_a_person_may_override_a_missing_comparison() -> None:
    results = gates(judgement(), ENOUGH, [], ChampionComparison("3", None, "it has seen them"))
    (gate,) = (g for g in results if not g.passed)
    assert (gate.name, gate.figure) == ("no_loss_to_champion", None)
    assert gate.undecided
    assert "version 3: it has seen them" in gate.words
    assert not all_passed(results)
    assert blocking_gates([asdict(g) for g in results]) == []


def test_a_person_cannot_override_other_failed_gates() -> None:
    lost = [asdict(g) for g in gates(judgement(), ENOUGH, [], ChampionComparison("3", (0.01, 0.004, 0.02)))]
    assert [result["name"] for result in blocking_gates(lost)] == ["no_loss_to_champion"]
    leaky = [asdict(g) for g in gates(judgement(), ENOUGH, None, ChampionComparison("3", None, "it has seen them"))]
    assert [result["name"] for result in blocking_gates(leaky)] == ["no_leak"]


def test_an_unreadable_champion_passes_the_gate_with_a_note() -> None:
    result = {g.name: g for g in gates(judgement(), ENOUGH, [], ChampionComparison("3", None, "version 3 is broken", unreadable=True))}
    assert result["no_loss_to_champion"].passed
    assert "version 3 is broken" in result["no_loss_to_champion"].words


def test_faulty_or_unchecked_label_feeds_fail_the_gate() -> None:
    stale = all_gates(judgement(), ENOUGH, [], None, ["subscriptions: no rows since 2026-01-01"])
    assert [g.name for g in stale if not g.passed] == ["feeds_sound"]
    assert "no rows since 2026-01-01" in stale[1].words
    assert [g.name for g in all_gates(judgement(), ENOUGH, []) if not g.passed] == ["feeds_sound"]


def test_gate_texts_include_the_numbers() -> None:
    result = {"name": "calibration_slope", "passed": False, "figure": 0.312, "limit": 0.6, "words": "too extreme"}
    assert gate_text(result) == "calibration slope: too extreme (0.312, limit 0.6)"
    assert gate_text(result | {"figure": None}) == "calibration slope: too extreme"
    assert not undecided(result | {"figure": None})


def test_a_missing_comparison_fails_the_gate() -> None:
    evaluated = judgement()
    alone = replace(evaluated, differences=tuple(d for d in evaluated.differences if d.against == BASE_RATE))
    assert failed(alone) == ["no_loss_to_logistic_regression"]
    assert "beats_base_rate" in failed(replace(evaluated, differences=()))


def test_without_health_data_the_gate_does_not_apply() -> None:
    evaluated = judgement()
    without = replace(evaluated, differences=tuple(d for d in evaluated.differences if d.against != HEALTH_SCORE))
    result = {gate.name: gate for gate in gates(without, ENOUGH, [])}["no_loss_to_health_score"]
    assert (result.passed, result.figure) == (True, None)
    assert result.words == "not applicable: no account has a health score"
    assert failed(without) == []


def test_a_loss_to_the_renewal_date() -> None:
    """What a CRM alone can tell: a candidate that is worse adds nothing. Without renewal dates there is no such gate."""
    assert failed(judgement(due="noise")) == []
    assert "no_loss_to_renewal_due" in [gate.name for gate in gates(judgement(due="noise"), ENOUGH, [])]
    assert "no_loss_to_renewal_due" in failed(judgement("noise", "noise", "truth"))
    assert "no_loss_to_renewal_due" not in [gate.name for gate in gates(judgement(), ENOUGH, [])]


def test_probabilities_that_are_too_extreme_fail() -> None:
    assert "calibration_slope" in failed(judgement("extreme"))
    slope = next(g for g in gates(judgement("extreme"), ENOUGH, []) if g.name == "calibration_slope")
    assert slope.figure == pytest.approx(0.5, abs=0.1)
    assert slope.limit == SLOPE_BOUNDS[0]


def test_a_slope_that_may_be_1_is_not_refused() -> None:
    """Few outcomes or a weak ranking: the slope is outside the bounds by chance, which is no proof of a fault."""
    evaluated = judgement("extreme")
    own = evaluated[LIGHTGBM]
    uncertain = replace(own, metrics=tuple(replace(m, low=0.1, high=1.1) if m.name == "calibration_slope" else m for m in own.metrics))
    wide = replace(evaluated, rows=tuple(uncertain if row is own else row for row in evaluated.rows))
    slope = next(g for g in gates(wide, ENOUGH, []) if g.name == "calibration_slope")
    assert slope.passed
    assert slope.words == "its probabilities may be too extreme, but the slope is not measurably different from 1 (0.10 to 1.10)"


@pytest.mark.parametrize("seed", range(8))
def test_without_signal_nothing_is_promoted(seed: int) -> None:
    """Neither noise nor a shrunk model without signal is better than the rate by more than chance."""
    rng = np.random.default_rng(seed)
    y = (rng.random(ROWS) < 0.1).astype(float)
    rate = np.full(ROWS, 0.1)
    guesses = {spread: scipy.special.expit(scipy.special.logit(0.1) + rng.normal(0, spread, ROWS)) for spread in (0.02, 0.3, 1.0)}
    for guess in guesses.values():
        rivals = {BASE_RATE: rate, LOGISTIC_REGRESSION: rate}
        accounts = [f"{i % 300}" for i in range(ROWS)]
        result = compare_candidates(y, {LIGHTGBM: guess} | rivals, accounts, np.ones(ROWS), 0.1, LIGHTGBM, resamples=60)
        assert "beats_base_rate" in failed(result)
        assert result.grade == "none"


def test_a_weak_model_is_promoted_if_it_is_better_than_the_base_rate() -> None:
    """Probabilities close to the base rate, with a grade that says so."""
    rng = np.random.default_rng(3)
    log_odds = -2 + 0.5 * rng.normal(size=2 * ROWS)
    y = (rng.random(2 * ROWS) < scipy.special.expit(log_odds)).astype(float)
    rivals = {name: np.full(2 * ROWS, y.mean()) for name in (BASE_RATE, LOGISTIC_REGRESSION)}
    accounts = [f"{i % 1000}" for i in range(2 * ROWS)]
    result = compare_candidates(
        y, {LIGHTGBM: scipy.special.expit(log_odds)} | rivals, accounts, np.ones(2 * ROWS), float(y.mean()), LIGHTGBM, resamples=100
    )
    assert result.grade == "weak"
    assert failed(result) == []


def _few_outcomes(seed: int, effect: float, drift: float = 0.0) -> Comparison:
    """400 accounts on four dates. The log-odds vary by ``effect`` between accounts and rise by ``drift`` at each date."""
    rng = np.random.default_rng(seed)
    accounts, dates = np.repeat(np.arange(400), 4), np.tile(np.arange(4), 400)
    level, ranking = -3.5 + drift * dates, np.repeat(rng.normal(0, 1, 400), 4)
    y = (rng.random(1_600) < scipy.special.expit(level + effect * ranking)).astype(float)
    p = scipy.special.expit(level + (effect or 0.3) * ranking)
    rate = np.full(len(y), y.mean())
    candidates = {LIGHTGBM: p, BASE_RATE: rate, LOGISTIC_REGRESSION: rate}
    names = [f"{account}" for account in accounts]
    return compare_candidates(y, candidates, names, np.ones(len(y)), rate, LIGHTGBM, 200, dates=dates)


@pytest.mark.slow
def test_a_ranking_better_than_chance_passes_where_the_log_loss_is_lower_but_not_measurably() -> None:
    results = [_few_outcomes(seed, 0.25) for seed in range(20)]
    uncertain = [each for each in results if not each.difference(BASE_RATE).better and each.difference(BASE_RATE).value < 0]
    by_ranking = [each for each in uncertain if each.ranking.low > 0.5]
    assert by_ranking
    assert len(by_ranking) < len(uncertain)
    for result in uncertain:
        gate = next(each for each in gates(result, ENOUGH, []) if each.name == "beats_base_rate")
        assert gate.passed == (result.ranking.low > 0.5)
        assert ("ranks accounts measurably better than chance" in gate.words) == gate.passed
        assert (result.grade == "none") != gate.passed


def test_rates_that_differ_between_dates_are_no_ranking() -> None:
    """The pooled ranking of dates is right; among accounts of one date there is nothing to rank."""
    result = _few_outcomes(0, 0.0, drift=0.8)
    assert result[LIGHTGBM]["roc_auc"].low > 0.55
    assert result.ranking.low < 0.5


def test_probabilities_too_close_to_the_average_are_not_refused() -> None:
    rng = np.random.default_rng(0)
    log_odds = rng.normal(-2, 1.5, ROWS)
    y = (rng.random(ROWS) < scipy.special.expit(log_odds)).astype(float)
    flat, rate = scipy.special.expit(-1.6 + 0.4 * (log_odds + 2)), np.full(ROWS, y.mean())
    accounts = [f"{i % 300}" for i in range(ROWS)]
    candidates = {LIGHTGBM: flat, BASE_RATE: rate, LOGISTIC_REGRESSION: rate}
    result = compare_candidates(y, candidates, accounts, np.ones(ROWS), float(y.mean()), LIGHTGBM, resamples=60)
    slope = next(each for each in gates(result, ENOUGH, []) if each.name == "calibration_slope")
    assert slope.passed
    assert slope.figure > SLOPE_BOUNDS[1]
    assert "too close to the average: they understate differences" in slope.words


def test_one_probability_for_all_has_no_slope() -> None:
    slope = next(g for g in gates(judgement("average"), ENOUGH, []) if g.name == "calibration_slope")
    assert not slope.passed
    assert slope.figure is None
