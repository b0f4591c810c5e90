"""Model cards as Markdown, for a repository or a mail."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from features.utils.formatting import UNKNOWN, day, number, percent
from serving.portfolio.model_cards import KINDS, MEASURED, OF_KINDS, RIVALS

#: The metrics that are shown beside the rivals', and their headings.
METRICS = {
    "roc_auc": "ROC AUC",
    "pr_auc": "PR AUC",
    "brier_skill": "Brier skill",
    "log_loss": "Log loss",
    "calibration_slope": "Slope",
    "lift_10": "Lift 10%",
    "captured_20": "Captured 20%",
}


def markdown(cards: Sequence[Mapping[str, Any]]) -> str:
    """All cards, one after the other."""
    return "\n\n".join("\n".join(_lines(told)) for told in cards) + "\n"


def figure_words(figure: Mapping[str, Any] | None, digits: int = 3) -> str:
    """A figure and its interval: 0.835 (0.74 to 0.91)."""
    if figure is None or figure["value"] is None:
        return UNKNOWN
    value = number(figure["value"], digits)
    if figure["low"] is None or figure["low"] == figure["high"]:
        return value
    return f"{value} ({number(figure['low'], 2)} to {number(figure['high'], 2)})"


def _share_words(figure: Mapping[str, Any]) -> str:
    """A share and its interval, in percent like the probabilities that it is compared with: 1.1% (0.0% to 4.0%)."""
    if figure["low"] is None or figure["low"] == figure["high"]:
        return percent(figure["value"])
    return f"{percent(figure['value'])} ({percent(figure['low'])} to {percent(figure['high'])})"


def _lines(told: Mapping[str, Any]) -> Iterable[str]:
    card = told["card"]
    yield f"# {told['target'].capitalize()} within {told['horizon_days']} days, version {told['version']}"
    yield ""
    if card is not None:
        yield f"**{card['grade']}**: {card['words']}."
        yield ""
    yield "## What it is for"
    yield ""
    yield from (f"- {line}" for line in told["uses"])
    yield ""
    yield "## Where it comes from"
    yield ""
    yield f"- Trained on signals before {day(told['trained_through'])}; made on {day(told['created_at'])}."
    yield f"- The average account's probability when it was trained: {percent(told['base_rate'])}."
    for change in told["promotions"]:
        verb = "promoted" if change["what"] == "promoted" else "rolled back to"
        who, why = _cell(change["who"]), _cell(change["why"])
        yield f"- {day(change['at'])}: version {change['version']} {verb} by {who}: {why}."
    yield from _gates(told["gates"])
    if card is None:
        yield ""
        yield "This bundle was made before there were cards: its figures are those of the manifest."
        yield ""
        yield from _table(
            ("Metric", "Value"), [(name, number(v, 4)) for name, v in told["metrics"].items() if v is not None]
        )
        return
    yield from _data(card)
    yield from _figures(card)
    yield ""
    yield "## Limits"
    yield ""
    yield from (f"- {line}" for line in told["limits"])
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
            name,
            part["first"],
            part["last"],
            number(part["rows"]),
            number(part["accounts"]),
            number(part["accounts_with_outcome"]),
        )
        for name, part in card["slices"].items()
    ]
    yield from _table(("Slice", "First", "Last", "Rows", "Accounts", "With the outcome"), rows)


def _figures(card: Mapping[str, Any]) -> Iterable[str]:
    yield ""
    yield "## How well it does"
    yield ""
    yield "On the test dates, with 95% intervals over accounts."
    yield ""
    rows = [
        (RIVALS[rival["candidate"]], *(figure_words(rival["metrics"].get(name)) for name in METRICS))
        for rival in ordered(card["rivals"])
    ]
    yield from _table(("", *METRICS.values()), rows)
    yield ""
    yield "## Said and happened"
    yield ""
    bins = [
        (percent(b["said"]), _share_words(b["happened"]), number(b["rows"]), number(b["outcomes"]))
        for b in card["reliability"]
    ]
    yield from _table(("Said", "Happened", "Rows", "Outcomes"), bins)
    for title, key in (("By segment", "by_segment"), ("By horizon", "by_horizon")):
        yield ""
        yield f"## {title}"
        yield ""
        yield from _pieces(card[key])
    if card["sight"]:
        yield ""
        yield "## For a team"
        yield ""
        seen = [
            (
                RIVALS[each["candidate"]],
                figure_words(each["caught"]),
                figure_words(each["caught_arr"]),
                figure_words(each["lift"], 2),
            )
            for each in ordered(card["sight"])
        ]
        heads = (
            f"Looks after the {card['sight'][0]['capacity']} accounts ranked highest by",
            "Sees",
            "Of the ARR",
            "Lift",
        )
        yield from _table(heads, seen)
    if card["involuntary"] is not None:
        yield from _kinds(card["involuntary"])
    yield ""
    yield "## What moves it"
    yield ""
    moved = [(w["words"], w["dimension"], percent(w["share"])) for w in card["weights"]]
    yield from _table(("Feature", "Dimension", "Share"), moved)
    yield ""
    yield (
        f"Shares of the sum of absolute contributions on the newest snapshot of the training. {card['trees']} trees of "
        f"at most {card['leaves']} leaves have {percent(card['trees_share'], 0)} of the log-odds, a logistic "
        f"regression the rest. {MEASURED}"
    )


def _pieces(pieces: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    beside = rivals_beside(pieces)
    heads = (
        "",
        "Accounts",
        "With the outcome",
        "Rate",
        "Expected",
        "ROC AUC",
        *(f"Of {RIVALS[b].lower()}" for b in beside),
    )
    rows = [
        (
            p["name"],
            number(p["accounts"]),
            number(p["happened"]),
            percent(p["rate"]),
            percent(p["expected"]),
            figure_words(p["roc_auc"]),
            *(figure_words(p["beside"].get(name)) for name in beside),
        )
        for p in pieces
    ]
    yield from _table(heads, rows)


def _kinds(told: Mapping[str, Any]) -> Iterable[str]:
    yield ""
    yield "## Voluntary and involuntary"
    yield ""
    yield f"{_cell(told['words'][:1].upper() + told['words'][1:])}."
    if not told["rivals"]:
        return
    unpaid, others = told["tested_on"]["involuntary"], told["tested_on"]["voluntary"]
    yield ""
    yield (
        f"{number(unpaid)} accounts of the test dates ended by nonpayment and {number(others)} otherwise: "
        f"{percent(told['rate'])} of the churned snapshots. Said was {percent(told['expected'])}, known from training "
        f"{percent(told['known_share'])}. Happened over said: {figure_words(told['ratio'], 2)}."
    )
    yield ""
    rows = [
        (KINDS[rival["candidate"]], *(figure_words(rival["metrics"].get(name)) for name in OF_KINDS))
        for rival in told["rivals"]
        if rival["candidate"] in KINDS
    ]
    yield from _table(("", *OF_KINDS.values()), rows)


def rivals_beside(pieces: Sequence[Mapping[str, Any]]) -> list[str]:
    """Those whose ROC AUC is told beside the model's of any of the pieces."""
    return [name for name in RIVALS if any(name in p["beside"] for p in pieces)]


def ordered(rivals: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The model first, then what it had to beat."""
    names = list(RIVALS)
    return sorted(
        (each for each in rivals if each["candidate"] in names), key=lambda each: names.index(each["candidate"])
    )


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterable[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|{'|'.join('---' for _ in heads)}|"
    yield from (f"| {' | '.join(_cell(cell) for cell in row)} |" for row in rows)


def _cell(text: str) -> str:
    """Text that means nothing to Markdown: what others wrote is shown as it is."""
    plain = " ".join(text.split())
    for sign in "\\|*_`<>[]#":
        plain = plain.replace(sign, f"\\{sign}")
    return plain
