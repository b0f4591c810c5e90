"""Reading the specs of the rules: Markdown files whose fenced tables say what is known of accounts, and what follows.

`HOW_TO_READ` says how a spec is written; it opens the page that shows them.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from fenced import Said, SpecError, Topic, Written, table_of, topic_of, topics_of

from models.health.rubric import load_rubric
from models.peer_groups.frame_columns import number_column
from models.peer_groups.rule_files import read_rules
from models.rules.alerts import AlertsFile, alerts
from models.rules.evaluate import Judged, judge
from models.rules.history import History
from models.rules.playbook import ModelView

HERE = Path(__file__).resolve().parent / "rules"
ACCOUNT, AS_OF = "a", "2026-06-01"
UNKNOWN, NOTHING = "?", "-"
INPUTS = ("options", "features", "scores", "models", "published")
EVERYONE = "*"
EXPECTED = ("health", "breakdown", "alerts", "warnings", "onboarding", "expansion", "play")

HOW_TO_READ = f"""\
Each case shows what is known about some accounts, and then what the shipped rules make of it.

- `features` holds one value of a feature per line. The account is `{ACCOUNT}` and the date is {AS_OF} unless a column says
  otherwise. A feature that is not shown is unknown. `{UNKNOWN}` is unknown, `{NOTHING}` is nothing. A value of account
  `{EVERYONE}` holds for all accounts of the case that have no line of their own.
- `models` holds what the models predict: the bands of churn and expansion, and the churn probability. A case without it has
  no model.
- `published` holds plays that were published earlier and are not done, and when they were first due.
- `scores` gives health scores, bands and risk scores by date directly.
- The rubric is five-dimensions unless `options` names another.
- The last table is what is expected. There are no other accounts than those shown, so a single account is at the 50th
  percentile of everything.
"""


class Case(Said):
    """One thing said, what is known of accounts, and what follows."""

    def _given(self, name: str) -> list[dict[str, str]]:
        return next((table.dicts() for table in self.tables if table.name == name), [])

    def judged(self) -> tuple[list[str], Judged]:
        """The accounts, and what the rules say of them."""
        cells: dict[tuple[str, str], dict[str, float]] = {}
        common: dict[str, float] = {}
        for row in self._given("features"):
            value = np.nan if row["value"] == UNKNOWN else float(row["value"])
            if row.get("account_id", ACCOUNT) == EVERYONE:
                common[row["feature"]] = value
            else:
                key = row.get("as_of", AS_OF), row.get("account_id", ACCOUNT)
                cells.setdefault(key, {})[row["feature"]] = value
        for row in self._given("models"):
            cells.setdefault((AS_OF, row["account_id"]), {})
        rows = [
            {"account_id": account, "as_of": pd.Timestamp(date, tz="UTC"), **common, **values}
            for (date, account), values in cells.items()
        ]
        history = History(pd.DataFrame(rows))
        options = next(iter(self._given("options")), {})
        rubric = load_rubric(options.get("rubric", "five-dimensions"))
        accounts = list(history.accounts)
        called: dict[str, dict[str, date]] = {}
        for row in self._given("published"):
            called.setdefault(row["account_id"], {})[row["play"]] = date.fromisoformat(row["due"])
        return accounts, judge(history, rubric, view=self._view(accounts, history), called=called)

    def _view(self, accounts: list[str], history: History) -> ModelView:
        """What the models say."""
        told = {row["account_id"]: row for row in self._given("models")}

        def column(name: str, unknown: Any) -> np.ndarray[Any, Any]:
            values = [told.get(account, {}).get(name, UNKNOWN) for account in accounts]
            return np.array([unknown if value in (UNKNOWN, NOTHING) else value for value in values], dtype=object)

        probability = column("churn_probability", np.nan).astype(np.float64)
        arr = number_column(history.now, "contract.arr")
        return ModelView(column("churn", None), column("expansion", None), probability * arr)

    def found(self) -> list[dict[str, Any]]:
        """What the rules say, in the columns of the expectation, sorted as it is written."""
        if self.expected.name == "alerts":
            return self._alerts()
        accounts, judged = self.judged()
        rows: list[dict[str, Any]] = []
        for row, account in enumerate(accounts):
            about = {"account_id": account}
            rows += [about | told for told in _tell(self.expected.name, judged, row)]
        return rows

    def _alerts(self) -> list[dict[str, Any]]:
        given = pd.DataFrame(self._given("scores"))
        given["account_id"] = given.get("account_id", pd.Series([ACCOUNT] * len(given)))
        dates = sorted(given["as_of"].unique())
        accounts = sorted(given["account_id"].unique())
        score, risk = np.full((2, len(accounts), len(dates)), np.nan)
        band = np.full(score.shape, "insufficient_data", dtype=object)
        for cell in given.to_dict("records"):
            at = accounts.index(cell["account_id"]), dates.index(cell["as_of"])
            score[at] = np.nan if cell.get("score", UNKNOWN) == UNKNOWN else float(cell["score"])
            risk[at] = np.nan if cell.get("risk", UNKNOWN) == UNKNOWN else float(cell["risk"])
            band[at] = cell.get("band", "insufficient_data")
        instants = [pd.Timestamp(date, tz="UTC").to_pydatetime() for date in dates]
        told = alerts(instants, score, band, risk, read_rules("alerts", AlertsFile))
        return [
            {
                "account_id": account,
                "alert": a.code,
                "to": a.to,
                "since": a.since.date().isoformat(),
                "raised": "yes" if a.raised else "no",
                "by": NOTHING if a.by is None else a.by.date().isoformat(),
            }
            for account, each in zip(accounts, told, strict=True)
            for a in each
        ]


def _tell(name: str, judged: Judged, row: int) -> list[dict[str, Any]]:
    if name == "health":
        points = {f"{d}": v for d, v in judged.health.dimensions.iloc[row].items()}
        return [
            {
                "score": judged.health.score.iloc[row],
                "band": judged.health.band.iloc[row],
                "coverage": judged.health.coverage.iloc[row],
                **points,
            }
        ]
    if name == "breakdown":
        return judged.health.breakdown(row)[["signal", "grade", "points", "weight", "adds"]].to_dict("records")
    if name == "warnings":
        return [
            {
                "warning": w.code,
                "standing": w.standing,
                "severity": w.severity,
                "cause": w.cause,
                "since": w.since.date().isoformat(),
                "before_renewal": "yes" if w.before_renewal else "no",
            }
            for w in judged.warnings[row]
        ]
    if name == "onboarding":
        told = judged.onboarding[row]
        return [
            {
                "day": told.day,
                "under_way": "yes" if told.under_way else "no",
                "missed": ", ".join(step.code for step in told.missed) or NOTHING,
                "act": told.missed[-1].act if told.missed else NOTHING,
                "cannot_tell": ", ".join(told.unknown) or NOTHING,
                "first_value_late": {None: UNKNOWN, True: "yes", False: "no"}[told.late],
            }
        ]
    if name == "expansion":
        told = judged.expansion
        return [
            {
                "points": told.score[row],
                "type": told.type[row] or NOTHING,
                "may_be_proposed": "yes" if told.open[row] else "no",
                "find_out": ", ".join(told.to_find_out(row)) or NOTHING,
                **{item: states[row] for item, states in told.gate.items()},
            }
        ]
    about = {
        "proposed": "yes" if judged.playbook.proposed[row] else "no",
        "withdrawn": judged.playbook.withdrawn[row] or NOTHING,
    }
    plays = [
        {
            "act": play.act,
            "kind": play.kind,
            "cause": play.cause,
            "who": play.who,
            "severity": play.severity,
            "due": play.due.isoformat(),
            "overdue": "yes" if play.overdue else "no",
            "because": ", ".join(play.because),
        }
        for play in judged.plays_of(row)
    ]
    nothing = dict.fromkeys(("act", "kind", "cause", "who", "severity", "due", "overdue", "because"), NOTHING)
    return [about | play for play in plays or [nothing]]


def read_topics(folder: Path = HERE) -> tuple[Topic, ...]:
    """The topics, in the order of their files' names."""
    return topics_of(folder, _case)


def read_topic(name: str, text: str) -> Topic:
    """One file, the last table of whose cases is what is expected."""
    return topic_of(name, text, _case)


def _case(written: Written) -> Case:
    names = [name for name, _ in written.fences]
    if not names or names[-1] not in EXPECTED or any(name not in INPUTS for name in names[:-1]):
        raise SpecError(f"{written.where}: tables of {INPUTS}, then one of {EXPECTED}")
    *tables, expected = (table_of(written.where, name, text) for name, text in written.fences)
    return Case(written.topic, written.title, written.prose, tuple(tables), expected)


def same(got: Any, expected: str) -> bool:
    """Whether a value is the one written."""
    if isinstance(got, str) or got is None:
        return str(got if got is not None else UNKNOWN) == expected
    if expected == UNKNOWN:
        return bool(pd.isna(got))
    try:
        return not pd.isna(got) and abs(float(got) - float(expected)) < 5e-3
    except ValueError:
        return False
