"""What monitoring found, for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, Group
from rich.text import Text

from features.utils.console import Table
from features.utils.dates import to_iso
from features.utils.formatting import percent
from training.monitoring.matured_predictions import Matured
from training.monitoring.report import MonitorReport, Watched

#: So many features are named, those that moved furthest; JSON holds all.
SHOWN = 12
COLUMNS = ("within", "it happened to", "expected", "happened", "ratio", "AUC", "slope")
FORMER_COLUMNS = ("it happened to", "ratio", "slope")
# Nothing is cut off in a terminal of eighty columns.


def print_monitor(report: MonitorReport, console: Console) -> None:
    """Print it, the verdict last."""
    for target, watched in report.targets.items():
        facts = (
            f": version {watched.version}, trained on what was known before {to_iso(watched.trained_through)}; "
            f"looked at through {to_iso(report.data_through)}"
        )
        console.print(Text.assemble((target, "bold"), facts))
        _print_matured(watched.matured, console)
        _print_former(watched, console)
        drifted = watched.drifted
        far = list(drifted.far().items())
        moved = ", ".join(f"{name} {value:.2f}" for name, value in far[:SHOWN])
        more = f", and {len(far) - SHOWN} more" if len(far) > SHOWN else ""
        console.print(f"score PSI {drifted.score_psi:.2f}; features of another population: {moved or 'none'}{more}")
    for line in report.feeds:
        console.print(Text.assemble(("feed", "red"), f"   {line}"))
    for target, watched in report.targets.items():
        for note in watched.notes:
            console.print(Text(f"{target}  {note}"))
        for reason in watched.reasons:
            console.print(Text.assemble((target, "yellow"), f"  {reason}"))
    if report.feeds and any(w.reasons for w in report.targets.values()):
        console.print("mend the feeds first; what is trained on them would learn the fault")
    else:
        console.print("train again: `renewcast train SIGNALS`" if report.retrain else "no reason to train again")


def _print_matured(matured: Sequence[Matured], console: Console) -> None:
    table = Table(*COLUMNS, gap=1)
    for seen in matured:
        table.add_row(f"{seen.days} days", *_cells(seen))
    console.print(table if matured else "no prediction has matured yet")


def _print_former(watched: Watched, console: Console) -> None:
    if not watched.former:
        return
    console.print("all champions so far, each on the dates that it answered for:")
    _print_matured(watched.together, console)
    days = watched.horizon_days
    table = Table("version", "from", "until", *FORMER_COLUMNS, gap=1)
    for former in watched.former:
        seen = next((one for one in former.matured or () if one.days == days), None)
        cells = dict(zip(COLUMNS[1:], _cells(seen), strict=True)) if seen else {}
        told = [cells.get(name, "") for name in FORMER_COLUMNS]
        if former.matured is None:
            told[0] = "not readable"
        table.add_row(former.version, to_iso(former.since), to_iso(former.until), *told)
    console.print(f"of them, those before the present one, within {days} days:")
    console.print(table)


def _cells(seen: Matured) -> list[str | Group]:
    return [
        f"{seen.happened:,} of {seen.accounts:,}",
        percent(seen.expected),
        percent(seen.rate),
        _with_interval(seen.ratio),
        _with_interval(seen.roc_auc),
        _with_interval(seen.slope),
    ]


def _with_interval(figure: tuple[float, float, float]) -> str | Group:
    value, low, high = figure
    return "" if value != value else Group(f"{value:.2f}", f"({low:.2f}, {high:.2f})")
