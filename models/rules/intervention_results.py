"""Results of interventions by play and by alert rule, from how people closed them.

The *plain save rate* of a play is the share that ended with ``saved``, of its interventions that ended with ``saved``
or ``lost``, as in the KPI ``save_rate``. It does not measure the effect of the play, since many accounts would have
stayed anyway (`models.rules.intervention_effects`).

The *precision* of an alert rule is the share of closed interventions, among those that began while an alert of the rule
was active, that ended with ``saved`` or ``lost``: there was something to lose. Only alerts that people acted on count.

Both are unknown with fewer than `MIN_CLOSED` interventions that count.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from models.rules.alerts import ALERT_CODES
from models.rules.intervention_effects import InterventionRecord, InterventionResult
from models.uplift.average_effect import RateEstimate, estimate_share

#: With fewer closed interventions, rates are unknown.
MIN_CLOSED = 20


@dataclass(frozen=True)
class ResultCounts:
    """How many interventions of one play or alert rule have each result.

    Parameters
    ----------
    name : the play, or the code of the alert rule.
    open, saved, lost, no_effect : the numbers of interventions. Those that were closed without a result count nowhere.
    rate : the plain save rate or the precision, with its 95% interval; None if it is unknown.
    rated : the results that count for the rate.
    """

    name: str
    open: int
    saved: int
    lost: int
    no_effect: int
    rate: RateEstimate | None
    rated: tuple[InterventionResult, ...]

    @property
    def closed(self) -> int:
        """The number of interventions with a result."""
        return self.saved + self.lost + self.no_effect

    @property
    def why_unknown(self) -> str | None:
        """Why the rate is unknown; None if it is known."""
        if self.rate is not None:
            return None
        closed = sum(getattr(self, result) for result in self.rated)
        return f"{closed} {'closed' if 'no_effect' in self.rated else 'saved or lost'}, {MIN_CLOSED} needed"


def results_by_play(interventions: Iterable[InterventionRecord]) -> list[ResultCounts]:
    """Count the results of each play, with the plain save rate; plays with most interventions first.

    Held-out accounts and interventions without a play are left out.
    """
    groups: dict[str, list[InterventionRecord]] = {}
    for record in _treated(interventions):
        if record.play is not None:
            groups.setdefault(record.play, []).append(record)
    counts = [_counts(play, records, ("saved",), ("saved", "lost")) for play, records in groups.items()]
    return sorted(counts, key=lambda each: (-each.open - each.closed, each.name))


def results_by_alert(interventions: Iterable[InterventionRecord]) -> list[ResultCounts]:
    """Count the results for each alert rule, with its precision, in the order of `models.rules.alerts.ALERT_CODES`.

    An intervention that began while alerts of several rules were active counts once for each of them.
    """
    groups: Mapping[str, list[InterventionRecord]] = {code: [] for code in ALERT_CODES}
    for record in _treated(interventions):
        for code in set(record.alerts) & groups.keys():
            groups[code].append(record)
    return [
        _counts(code, records, ("saved", "lost"), ("saved", "lost", "no_effect")) for code, records in groups.items()
    ]


def _treated(interventions: Iterable[InterventionRecord]) -> list[InterventionRecord]:
    return [record for record in interventions if not record.held_out]


def _counts(
    name: str,
    records: Sequence[InterventionRecord],
    counted: tuple[InterventionResult, ...],
    rated: tuple[InterventionResult, ...],
) -> ResultCounts:
    saved, lost, unchanged = (sum(r.result == result for r in records) for result in ("saved", "lost", "no_effect"))
    part, whole = (sum(r.result in results for r in records) for results in (counted, rated))
    rate = estimate_share(part, whole) if whole >= MIN_CLOSED else None
    return ResultCounts(name, sum(r.closed_at is None for r in records), saved, lost, unchanged, rate, rated)
