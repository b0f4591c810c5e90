"""Read the specs of the rules: Markdown files with facts about accounts and the expected results as tables.

`HOW_TO_READ` explains how a spec is written. It is the introduction of the page that shows the specs.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from case_files import CaseText, SpecCase, SpecError, Topic, parse_table, read_folder, read_text

from models.health.parent_health import parent_health
from models.health.rubric import load_rubric
from models.peer_groups.frame_columns import number_column
from models.peer_groups.rule_files import read_rules
from models.rules.alerts import AlertsFile, RenewalTerms, find_alerts
from models.rules.evaluate import RuleResults, apply_rules
from models.rules.history import PortfolioHistory
from models.rules.playbook import ModelView

HERE = Path(__file__).resolve().parent / "rules"
ACCOUNT, AS_OF = "a", "2026-06-01"
UNKNOWN, NOTHING = "?", "-"
INPUTS = ("options", "features", "scores", "models", "published", "company")
EVERYONE = "*"
EXPECTED = ("health", "parent_health", "breakdown", "alerts", "warnings", "onboarding", "expansion", "play", "stage")

HOW_TO_READ = f"""\
Each case shows facts about some accounts, and then the result of the shipped rules.

- `features` has one value of a feature per row. The account is `{ACCOUNT}` and the date is {AS_OF} unless a column says
  otherwise. A feature that is not shown is unknown. `{UNKNOWN}` means unknown, `{NOTHING}` means none. A value of account
  `{EVERYONE}` applies to all accounts of the case without a row of their own.
- `models` has the predictions of the models: the bands of churn and expansion, and the churn probability. A case without it
  has no model.
- `published` has plays that were published earlier and are not done, and when they were first due.
- `scores` gives health scores, bands, risk scores, days to the renewal and days of the term by date directly.
- `company` has the accounts of a company, each with its parent, health score and ARR, and `options` then has the rule of
  the rubric for the health of parents.
- The rubric is five-dimensions unless `options` names another.
- The last table is the expected result. There are no other accounts than those shown, so a single account is at the 50th
  percentile of everything.
"""


class Case(SpecCase):
    """One statement, facts about accounts, and the expected result."""

    def _given(self, name: str) -> list[dict[str, str]]:
        return next((table.dicts() for table in self.tables if table.name == name), [])

    def evaluate(self) -> tuple[list[str], RuleResults]:
        """Return the accounts and the result of the rules."""
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
        history = PortfolioHistory(pd.DataFrame(rows))
        options = next(iter(self._given("options")), {})
        rubric = load_rubric(options.get("rubric", "five-dimensions"))
        accounts = list(history.accounts)
        published: dict[str, dict[str, date]] = {}
        for row in self._given("published"):
            published.setdefault(row["account_id"], {})[row["play"]] = date.fromisoformat(row["due"])
        return accounts, apply_rules(history, rubric, view=self._view(accounts, history), open_plays=published)

    def _view(self, accounts: list[str], history: PortfolioHistory) -> ModelView:
        """Return the predictions of the models."""
        predictions = {row["account_id"]: row for row in self._given("models")}

        def column(name: str, unknown: Any) -> np.ndarray[Any, Any]:
            values = [predictions.get(account, {}).get(name, UNKNOWN) for account in accounts]
            return np.array([unknown if value in (UNKNOWN, NOTHING) else value for value in values], dtype=object)

        probability = column("churn_probability", np.nan).astype(np.float64)
        arr = number_column(history.now, "contract.arr")
        return ModelView(column("churn", None), column("expansion", None), probability * arr)

    def results(self) -> list[dict[str, Any]]:
        """Return the results of the rules, with the columns and the order of the expectation."""
        if self.expected.name == "alerts":
            return self._alerts()
        if self.expected.name == "parent_health":
            return self._parents()
        accounts, evaluation = self.evaluate()
        rows: list[dict[str, Any]] = []
        for row, account in enumerate(accounts):
            rows += [{"account_id": account} | result for result in _results(self.expected.name, evaluation, row)]
        return rows

    def _parents(self) -> list[dict[str, Any]]:
        company, (options,) = self._given("company"), self._given("options")
        active = [row for row in company if row["arr"] != NOTHING]
        score, arr = (
            np.array([np.nan if row[name] == UNKNOWN else float(row[name]) for row in active]) for name in ("score", "arr")
        )
        rules = load_rubric("five-dimensions").rules.model_copy(update={"parent_health": options["parent_health"]})
        parents = {row["account_id"]: row["parent"] for row in company if row["parent"] != NOTHING}
        found = parent_health(rules, parents, [row["account_id"] for row in active], score, arr)
        rows: list[dict[str, Any]] = [
            {
                "account_id": parent,
                "score": UNKNOWN if each.score is None else each.score,
                "band": each.band,
                "worst": each.worst or NOTHING,
                "unscored": each.unscored,
            }
            for parent, each in sorted(found.items())
        ]
        return rows

    def _alerts(self) -> list[dict[str, Any]]:
        frame = pd.DataFrame(self._given("scores"))
        frame["account_id"] = frame.get("account_id", pd.Series([ACCOUNT] * len(frame)))
        dates = sorted(frame["as_of"].unique())
        accounts = sorted(frame["account_id"].unique())
        score, risk, renewal, term = np.full((4, len(accounts), len(dates)), np.nan)
        band = np.full(score.shape, "insufficient_data", dtype=object)
        for cell in frame.to_dict("records"):
            at = accounts.index(cell["account_id"]), dates.index(cell["as_of"])
            for values, name in ((score, "score"), (risk, "risk"), (renewal, "renewal"), (term, "term")):
                values[at] = np.nan if cell.get(name, UNKNOWN) == UNKNOWN else float(cell[name])
            band[at] = cell.get("band", "insufficient_data")
        instants = [pd.Timestamp(date, tz="UTC").to_pydatetime() for date in dates]
        renewals = RenewalTerms(renewal, term)
        raised = find_alerts(instants, score, band, risk, renewals, read_rules("alerts", AlertsFile))
        return [
            {
                "account_id": account,
                "alert": a.code,
                "to": a.to,
                "since": a.since.date().isoformat(),
                "raised": "yes" if a.raised else "no",
                "by": NOTHING if a.by is None else a.by.date().isoformat(),
            }
            for account, each in zip(accounts, raised, strict=True)
            for a in each
        ]


def _results(name: str, results: RuleResults, row: int) -> list[dict[str, Any]]:
    if name == "health":
        points = {f"{d}": v for d, v in results.health.dimensions.iloc[row].items()}
        return [
            {
                "score": results.health.score.iloc[row],
                "band": results.health.band.iloc[row],
                "coverage": results.health.coverage.iloc[row],
                **points,
            }
        ]
    if name == "breakdown":
        parts = results.health.breakdown(row)[["signal", "grade", "points", "weight", "adds"]].to_dict("records")
        return [{str(column): value for column, value in part.items()} for part in parts]
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
            for w in results.warnings[row]
        ]
    if name == "onboarding":
        onboarding = results.onboarding[row]
        return [
            {
                "day": onboarding.day,
                "under_way": "yes" if onboarding.under_way else "no",
                "missed": ", ".join(step.code for step in onboarding.missed) or NOTHING,
                "act": onboarding.missed[-1].act if onboarding.missed else NOTHING,
                "cannot_tell": ", ".join(onboarding.unknown) or NOTHING,
                "first_value_late": {None: UNKNOWN, True: "yes", False: "no"}[onboarding.late],
            }
        ]
    if name == "expansion":
        expansion = results.expansion
        return [
            {
                "points": expansion.score[row],
                "type": expansion.type[row] or NOTHING,
                "may_be_proposed": "yes" if expansion.open[row] else "no",
                "find_out": ", ".join(expansion.to_find_out(row)) or NOTHING,
                **{item: states[row] for item, states in expansion.gate.items()},
            }
        ]
    if name == "stage":
        return [{"stage": results.stages[row] or NOTHING, "band": results.health.band.iloc[row]}]
    about = {
        "proposed": "yes" if results.playbook.proposed[row] else "no",
        "withdrawn": results.playbook.withdrawn[row] or NOTHING,
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
        for play in results.plays_of(row)
    ]
    nothing = dict.fromkeys(("act", "kind", "cause", "who", "severity", "due", "overdue", "because"), NOTHING)
    return [about | play for play in plays or [nothing]]


def read_topics(folder: Path = HERE) -> tuple[Topic, ...]:
    """Read the topics of a folder, in the order of their file names."""
    return read_folder(folder, _case)


def read_topic(name: str, text: str) -> Topic:
    """Read one file."""
    return read_text(name, text, _case)


def _case(case_text: CaseText) -> Case:
    names = [name for name, _ in case_text.fences]
    if not names or names[-1] not in EXPECTED or any(name not in INPUTS for name in names[:-1]):
        raise SpecError(f"{case_text.where}: tables of {INPUTS}, then one of {EXPECTED}")
    *tables, expected = (parse_table(case_text.where, name, text) for name, text in case_text.fences)
    return Case(case_text.topic, case_text.title, case_text.prose, tuple(tables), expected)


def same(actual: Any, expected: str) -> bool:
    """Return whether a value equals the one in the spec."""
    if isinstance(actual, str) or actual is None:
        return str(actual if actual is not None else UNKNOWN) == expected
    if expected == UNKNOWN:
        return bool(pd.isna(actual))
    try:
        return not pd.isna(actual) and abs(float(actual) - float(expected)) < 5e-3
    except ValueError:
        return False
