"""Effects of plays in a worklist: the save rate, the churn reduction of each account, and the results by play."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from features.utils.arrays import Floats
from features.utils.formatting import percent
from models.predictions.assessment import Assessment
from models.predictions.payload import format_instant
from models.rules.intervention_effects import (
    InterventionRecord,
    InterventionReport,
    compared_records,
    first_of_accounts,
    report_interventions,
)
from models.uplift.account_effects import AccountEffectModel, EffectsFile
from models.uplift.average_effect import InterventionEffect, RateEstimate
from serving.worklist.account_view import WorklistAccounts
from serving.worklist.schemas import EffectSource


@dataclass(frozen=True)
class ChurnReductions:
    """The expected reduction of each account's churn probability by its play, shape (n,); NaN is unknown.

    ``sources`` says where each comes from, or None.
    """

    value: Floats
    sources: Sequence[EffectSource | None]


def churn_reductions(
    assessment: Assessment,
    accounts: WorklistAccounts,
    results: InterventionReport,
    save_rate: float | None,
    effects: EffectsFile | None = None,
) -> ChurnReductions:
    """Return the churn reductions.

    Parameters
    ----------
    assessment : the assessed portfolio.
    accounts : its accounts.
    results : the measured effects.
    save_rate : the save rate of all plays, measured or assumed; None if it is unknown.
    effects : effects per account. They count only if they were estimated at or before the date of the assessment.
    """
    value = np.full(len(accounts.arr), np.nan)
    sources: list[EffectSource | None] = [None] * len(value)
    usable = usable_effects(effects, assessment.as_of.to_pydatetime())
    names = np.array(["" if play is None else play.cause for play in accounts.plays], dtype=object)
    for name in set(names.tolist()):
        rows = np.flatnonzero(names == name)
        used = UsedEffect.of(name, results, save_rate, usable)
        if used.model is not None:
            value[rows] = used.model.reduction(accounts.probability[rows], accounts.arr[rows])
        elif used.save_rate is not None:
            value[rows] = accounts.probability[rows] * used.save_rate
        for row in rows[np.isfinite(value[rows])].tolist():
            sources[row] = used.source
    return ChurnReductions(value, sources)


@dataclass(frozen=True)
class UsedEffect:
    """What a worklist uses for the accounts with a play: where it comes from, the save rate, and the model of accounts.

    Without any known effect, all are None.
    """

    source: EffectSource | None
    save_rate: float | None
    model: AccountEffectModel | None

    @classmethod
    def of(
        cls, play: str, results: InterventionReport, save_rate: float | None, usable: EffectsFile | None
    ) -> UsedEffect:
        """Return what is used for a play.

        Parameters
        ----------
        results, save_rate : as in `churn_reductions`.
        usable : effects per account that count at the date.
        """
        pooled = results.rates
        rate = None if pooled is None else pooled.save_rate(play)
        if pooled is None or rate is None:
            return cls(None if save_rate is None else "assumed", save_rate, None)
        # Plays that differ have no common model.
        common = usable.model_of(None) if usable is not None and pooled.variance == 0.0 else None
        model = common if usable is None else usable.model_of(play) or common
        if model is not None:
            return cls("account", rate, model)
        return cls("play" if play in pooled.by_play else "all_plays", rate, None)


def usable_effects(effects: EffectsFile | None, as_of: datetime) -> EffectsFile | None:
    """Return the effects per account if they were estimated at or before a date; None otherwise."""
    return effects if effects is not None and effects.as_of <= as_of else None


def choose_save_rate(results: InterventionReport, assumed: float | None, has_risk: bool = True) -> dict[str, Any]:
    """Return the save rate of all plays (`serving.worklist.schemas.SaveRate`).

    Parameters
    ----------
    results : the measured effects.
    assumed : the rate to assume if none is measured.
    has_risk : whether the ARR at risk is known, by which accounts are ranked otherwise.
    """
    if results.effect is not None and results.effect.low > 0:
        effect = results.effect
        adjusted = f", an uplift of {100 * effect.uplift:.1f} points after adjustment" if effect.adjusted_for else ""
        words = (
            f"{effect.treated.value:.0%} of the treated accounts and {effect.held_out.value:.0%} of those held out at "
            f"random stayed{adjusted}"
        )
        return {"value": effect.save_rate, "source": "measured", "words": words}
    why = (
        _not_distinguishable(results.effect)
        if results.effect is not None
        else results.why_no_effect or "no data about interventions"
    )
    if assumed is not None:
        return {"value": assumed, "source": "assumed", "words": f"assumed: {why}"}
    ranked = "ranked by ARR at risk" if has_risk else "the effect of plays is unknown"
    return {"value": None, "source": "unknown", "words": f"{ranked}: {why}"}


def _not_distinguishable(effect: InterventionEffect) -> str:
    text = "the effect of interventions is not yet distinguishable from chance"
    if effect.high < 0:
        return "treated accounts stayed less often than those held out"
    if effect.detectable is None:
        return text
    return f"{text} (an uplift of {100 * effect.detectable:.1f} points or more would probably have been detected)"


def intervention_summary(
    results: InterventionReport, save_rate: float | None, usable: EffectsFile | None
) -> dict[str, Any]:
    """Return the results of interventions (`serving.worklist.schemas.InterventionSummary`).

    Parameters
    ----------
    results : the measured effects.
    save_rate, usable : as in `UsedEffect.of`.
    """
    return {
        "saved": results.saved,
        "lost": results.lost,
        "no_effect": results.no_effect,
        "open": results.open,
        "save_rate": rate_document(results.save_rate),
        "held_out_accounts": results.held_out_accounts,
        "effect": effect_document(results.effect),
        "why_no_effect": results.why_no_effect,
        "by_play": [
            {
                "play": each.play,
                "accounts": each.accounts,
                "held_out_accounts": each.held_out_accounts,
                "effect": effect_document(each.effect),
                "why_no_effect": each.why_no_effect,
                "save_rate": None if results.rates is None else results.rates.save_rate(each.play),
                "effect_source": UsedEffect.of(each.play, results, save_rate, usable).source,
            }
            for each in results.by_play
        ],
        "crossovers": results.crossovers,
    }


def effect_document(effect: InterventionEffect | None) -> dict[str, Any] | None:
    """Return an effect as plain data (`serving.worklist.schemas.InterventionEffectResponse`)."""
    if effect is None:
        return None
    return {
        "treated": rate_document(effect.treated),
        "held_out": rate_document(effect.held_out),
        "uplift": effect.uplift,
        "interval": [effect.low, effect.high],
        "save_rate": effect.save_rate,
        "detectable": effect.detectable,
        "adjusted_for": list(effect.adjusted_for),
    }


def rate_document(rate: RateEstimate | None) -> dict[str, Any] | None:
    """Return a share as plain data (`serving.worklist.schemas.RateEstimateResponse`); None if it is unknown."""
    return None if rate is None else {"value": rate.value, "interval": [rate.low, rate.high], "of": rate.of}


NOT_STORED = "effects per account are not stored for this date; `renewcast holdout effect` estimates them"


def effects_document(
    as_of: datetime, interventions: Sequence[InterventionRecord], effects: EffectsFile | None, notes: Sequence[str]
) -> dict[str, Any]:
    """Return the effect of plays (`serving.worklist.schemas.PlayEffectsResponse`).

    Parameters
    ----------
    as_of : the date.
    interventions : all interventions known before it.
    effects : the effects per account that count at the date; None if there are none.
    notes : why others are missing.
    """
    results = report_interventions(interventions)
    rate = choose_save_rate(results, None)
    compared = compared_records(sorted(interventions, key=lambda record: record.occurred_at))
    observed = [record for record in first_of_accounts(compared) if record.stayed is not None]
    return {
        "as_of": format_instant(as_of),
        "trials": sorted({record.trial for record in compared if record.trial is not None}),
        "accounts": len(observed),
        "held_out_accounts": sum(record.held_out for record in observed),
        "save_rate": rate,
        "interventions": intervention_summary(results, rate["value"], effects),
        "variance_between_plays": None if results.rates is None else results.rates.variance,
        "models": [] if effects is None else [model.model_dump(mode="json") for model in effects.models],
        "models_as_of": None if effects is None else format_instant(effects.as_of),
        "notes": list(notes),
    }


def effect_sources(payload: Mapping[str, Any]) -> str:
    """Return in words where the effects of a worklist's plays come from."""
    count: dict[str, int] = {}
    for item in payload["accounts"]:
        if item["effect_source"] is not None and item["because"] != "renewal":
            count[item["effect_source"]] = count.get(item["effect_source"], 0) + 1
    rate = payload["save_rate"]["value"]
    words = {
        "account": "effects measured per account",
        "play": "save rates measured by play",
        "all_plays": f"the measured save rate of {percent(rate, 0)} of all plays",
        "assumed": f"an assumed save rate of {percent(rate, 0)}",
    }
    return ", ".join(f"{words[source]}" for source in words if source in count) or payload["save_rate"]["source"]
