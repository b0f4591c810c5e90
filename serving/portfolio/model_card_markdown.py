"""Model cards as Markdown, for a repository or an email."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from features.utils.formatting import UNKNOWN, day, interval_text, number, percent
from serving.portfolio.model_cards import (
    CANDIDATES,
    CHURN_KIND_CANDIDATES,
    CHURN_KIND_METRICS,
    contribution_words,
    evaluation_words,
    reason_words,
    renewal_stage_words,
    renewal_words,
    slice_words,
    snapshot_words,
)

#: The metrics of the candidate comparison, and their headings.
METRICS = {
    "roc_auc": "ROC AUC",
    "pr_auc": "PR AUC",
    "brier_skill": "Brier skill",
    "log_loss": "Log loss",
    "calibration_slope": "Calibration slope",
    "lift_10": "Lift at 10%",
    "captured_20": "Captured at 20%",
}
#: The metrics among the accounts whose renewal is due, and their headings.
DUE_METRICS = {"roc_auc": "ROC AUC", "brier_skill": "Brier skill", "brier": "Brier", "log_loss": "Log loss"}
DUE_NOTE = (
    "Only accounts whose renewal is due within {days} days. The renewal date alone says little about them, so these "
    "metrics show how well each candidate distinguishes between renewals."
)


def card_markdown(cards: Sequence[Mapping[str, Any]]) -> str:
    """Return all cards as one Markdown text."""
    return "\n\n".join("\n".join(_lines(entry)) for entry in cards) + "\n"


def figure_words(figure: Mapping[str, Any] | None, digits: int = 3) -> str:
    """Format a metric with its interval: 0.835 (0.74 to 0.91)."""
    if figure is None or figure["value"] is None:
        return UNKNOWN
    value = number(figure["value"], digits)
    if figure["low"] is None or figure["low"] == figure["high"]:
        return value
    return f"{value} ({interval_text(figure['low'], figure['high'])})"


def _share_words(figure: Mapping[str, Any]) -> str:
    """Format a share with its interval as percentages: 1.1% (0.0% to 4.0%)."""
    if figure["low"] is None or figure["low"] == figure["high"]:
        return percent(figure["value"])
    return f"{percent(figure['value'])} ({percent(figure['low'])} to {percent(figure['high'])})"


def _lines(entry: Mapping[str, Any]) -> Iterable[str]:
    card = entry["card"]
    yield f"# {entry['target'].capitalize()} within {entry['horizon_days']} days, version {entry['version']}"
    yield ""
    if card is not None:
        yield f"**{card['grade']}**: {card['words']}."
        yield ""
    yield "## Intended use"
    yield ""
    yield from (f"- {line}" for line in entry["uses"])
    yield ""
    yield "## Provenance"
    yield ""
    yield f"- Trained on signals before {day(entry['trained_through'])}; created on {day(entry['created_at'])}."
    yield f"- Base rate in the training data: {percent(entry['base_rate'])}."
    for change in entry["promotions"]:
        verb = "promoted" if change["what"] == "promoted" else "rolled back to"
        who, why = _cell(change["who"]), _cell(change["why"])
        yield f"- {day(change['at'])}: version {change['version']} {verb} by {who}: {why}."
    yield from _gates(entry["gates"])
    if card is None:
        yield ""
        yield "This model was trained before model cards existed. Its metrics are those of the manifest."
        yield ""
        yield from _table(
            ("Metric", "Value"), [(name, number(v, 4)) for name, v in entry["metrics"].items() if v is not None]
        )
        return
    yield from _data(card)
    yield from _figures(card)
    yield ""
    yield "## Limits"
    yield ""
    yield from (f"- {line}" for line in entry["limits"])
    yield ""
    yield f"Run {card['run_id']}, features {card['catalogue_version']}."


def _gates(gates: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    yield ""
    yield "## Gates"
    yield ""
    yield from (f"- {'passed' if gate['passed'] else '**failed**'}: {_cell(gate['words'])}" for gate in gates)


def _data(card: Mapping[str, Any]) -> Iterable[str]:
    yield ""
    yield "## Data"
    yield ""
    rows = [
        (
            slice_words(card["slices"], name),
            day(part["first"]),
            day(part["last"]),
            number(part["rows"]),
            number(part["accounts"]),
            number(part["accounts_with_outcome"]),
        )
        for name, part in card["slices"].items()
    ]
    yield from _table(("Slice", "First", "Last", "Rows", "Accounts", "With the outcome"), rows)
    if card["newest_snapshots"]:
        yield ""
        yield snapshot_words(card["newest_snapshots"])


def _figures(card: Mapping[str, Any]) -> Iterable[str]:
    yield ""
    yield "## Performance"
    yield ""
    yield f"{evaluation_words(card)}, with 95% intervals from resampling accounts."
    yield ""
    rows = [
        (CANDIDATES[rival["candidate"]], *(figure_words(rival["metrics"].get(name)) for name in METRICS))
        for rival in in_table_order(card["rivals"])
    ]
    yield from _table(("", *METRICS.values()), rows)
    if card["due"]:
        yield ""
        yield "## Accounts with a renewal due"
        yield ""
        yield DUE_NOTE.format(days=card["horizon_days"])
        yield ""
        rows = [
            (CANDIDATES[rival["candidate"]], *(figure_words(rival["metrics"].get(name)) for name in DUE_METRICS))
            for rival in in_table_order(card["due"])
        ]
        yield from _table(("", *DUE_METRICS.values()), rows)
    if card["renewals"] is not None:
        yield from _renewals(card["renewals"])
    yield ""
    yield "## Predicted and observed"
    yield ""
    bins = [
        (percent(b["said"]), _share_words(b["happened"]), number(b["rows"]), number(b["outcomes"]))
        for b in card["reliability"]
    ]
    yield from _table(("Predicted", "Observed", "Rows", "Outcomes"), bins)
    for title, key in (("By segment", "by_segment"), ("By horizon", "by_horizon")):
        yield ""
        yield f"## {title}"
        yield ""
        yield from _pieces(card[key])
    if card["sight"]:
        yield ""
        yield "## For a team with limited capacity"
        yield ""
        capacity_rows = [
            (
                CANDIDATES[each["candidate"]],
                figure_words(each["caught"]),
                figure_words(each["caught_arr"]),
                figure_words(each["lift"], 2),
            )
            for each in in_table_order(card["sight"])
        ]
        heads = (
            f"The {card['sight'][0]['capacity']} accounts ranked highest by",
            "Outcomes covered",
            "ARR covered",
            "Lift",
        )
        yield from _table(heads, capacity_rows)
    if card["involuntary"] is not None:
        yield from _churn_kinds(card["involuntary"], evaluation_words(card))
    yield ""
    yield "## Feature importance"
    yield ""
    weights = [(w["words"], w["dimension"], percent(w["share"])) for w in card["weights"]]
    yield from _table(("Feature", "Dimension", "Share"), weights)
    yield ""
    yield (
        "Share of the sum of absolute contributions on the latest training snapshot. "
        f"{model_words(card)} {contribution_words(card)}"
    )
    if card["reasons"] is not None:
        yield ""
        yield reason_words(card["reasons"])


def _renewals(card: Mapping[str, Any]) -> Iterable[str]:
    yield ""
    yield "## Renewal model"
    yield ""
    yield _cell(renewal_words(card))
    for stage in card["stages"]:
        yield ""
        yield _cell(renewal_stage_words(stage, card["reason"]))
        if stage["rivals"]:
            yield ""
            rows = [
                (CANDIDATES[rival["candidate"]], *(figure_words(rival["metrics"].get(name)) for name in DUE_METRICS))
                for rival in in_table_order(stage["rivals"])
            ]
            yield from _table(("", *DUE_METRICS.values()), rows)


def _pieces(pieces: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    columns = compared_candidates(pieces)
    heads = (
        "",
        "Accounts",
        "With the outcome",
        "Observed",
        "Predicted",
        "ROC AUC",
        *(f"ROC AUC, {CANDIDATES[b]}" for b in columns),
    )
    rows = [
        (
            p["name"],
            number(p["accounts"]),
            number(p["happened"]),
            percent(p["rate"]),
            percent(p["expected"]),
            figure_words(p["roc_auc"]),
            *(figure_words(p["beside"].get(name)) for name in columns),
        )
        for p in pieces
    ]
    yield from _table(heads, rows)


def _churn_kinds(entry: Mapping[str, Any], dates: str) -> Iterable[str]:
    yield ""
    yield "## Voluntary and involuntary"
    yield ""
    yield f"{_cell(entry['words'][:1].upper() + entry['words'][1:])}."
    if not entry["rivals"]:
        return
    unpaid, others = entry["tested_on"]["involuntary"], entry["tested_on"]["voluntary"]
    yield ""
    yield (
        f"{dates}, {number(unpaid)} accounts churned through nonpayment and {number(others)} for other "
        f"reasons. Involuntary share of churned snapshots: observed {percent(entry['rate'])}, predicted "
        f"{percent(entry['expected'])}, in the training data {percent(entry['known_share'])}. Observed divided by "
        f"predicted: {figure_words(entry['ratio'], 2)}."
    )
    yield ""
    rows = [
        (
            CHURN_KIND_CANDIDATES[rival["candidate"]],
            *(figure_words(rival["metrics"].get(name)) for name in CHURN_KIND_METRICS),
        )
        for rival in entry["rivals"]
        if rival["candidate"] in CHURN_KIND_CANDIDATES
    ]
    yield from _table(("", *CHURN_KIND_METRICS.values()), rows)


def model_words(card: Mapping[str, Any]) -> str:
    """Describe the form of the model in one sentence."""
    trees = f"{card['trees']} trees with at most {card['leaves']} leaves"
    if card["recipe"] is None:
        share = percent(card["trees_share"], 0)
        return f"{trees} provide {share} of the log-odds; a logistic regression provides the rest."
    if card["trees"]:
        return f"The model is a registered estimator, {_cell(card['recipe'])}: {trees}."
    return f"The model is a registered estimator, {_cell(card['recipe'])}, in the ONNX format."


def compared_candidates(pieces: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the candidates with a ROC AUC in any of the rows."""
    return [name for name in CANDIDATES if any(name in p["beside"] for p in pieces)]


def in_table_order(rivals: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the model first, then the baselines."""
    names = list(CANDIDATES)
    return sorted(
        (each for each in rivals if each["candidate"] in names), key=lambda each: names.index(each["candidate"])
    )


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterable[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|{'|'.join('---' for _ in heads)}|"
    yield from (f"| {' | '.join(_cell(cell) for cell in row)} |" for row in rows)


def _cell(text: str) -> str:
    """Escape text for Markdown."""
    plain = " ".join(text.split())
    for sign in "\\|*_`<>[]#":
        plain = plain.replace(sign, f"\\{sign}")
    return plain
