"""A process that has imported what commands need and forks one child for each command, which saves the time of imports.

It also translates each expression to SQL once for all homes.

Each line of standard input is a JSON object: arguments, environment, and the files for standard output and standard
error. The answer is a line with the exit code, or -1 if a signal ended the child.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import sys
from pathlib import Path

LIMIT_SECONDS = 500
#: Modules that take long to import.
SLOW = (
    "alembic", "ibis.backends.sql.compilers", "lightgbm", "matplotlib", "mlflow", "optuna", "pydantic_settings",
    "pyarrow.parquet", "rich.console", "scipy.stats", "sklearn.isotonic", "sklearn.linear_model", "sqlalchemy", "sqlglot",
    "typer", "features.sources.sql_cache",
)  # fmt: skip
#: Modules that import most of what commands run. None of them reads the environment, which is that of each command.
OWN = (
    "ibis.backends.duckdb", "serving.cli.tables.admin", "serving.cli.tables.kpi", "serving.portfolio.publish_kpis",
    "serving.presentations.leadership", "serving.renewals.inputs", "serving.scoring.publish_predictions",
    "serving.scoring.score_portfolio", "serving.snapshots.report_tables", "training.cli.tables.connect",
    "training.estimator_api", "training.registry.promotion", "training.review.run", "training.simulation",
    "training.source_report.html.render",
)  # fmt: skip


def prepare(texts: Path) -> None:
    """Import the modules, and let all commands use the file ``texts`` as their cache of SQL."""
    for name in (*SLOW, *OWN):
        importlib.import_module(name)
    # The threads of its default connection, which commands do not use, would not survive a fork.
    importlib.import_module("duckdb").close()
    assert current_declarations_are_unread()
    from features.sources import sql_cache

    enable = sql_cache.enable_sql_cache
    sql_cache.enable_sql_cache = lambda _: enable(texts)
    # Otherwise each child copies the memory of all modules when it looks for garbage.
    gc.freeze()


def current_declarations_are_unread() -> bool:
    """Return whether no import has read RENEWCAST_FEATURES, which differs between commands."""
    from features.contract import current_contract

    return current_contract._read.cache_info().currsize == 0


def become(request: dict[str, object]) -> None:
    """Set arguments, environment and files as in a new process."""
    os.environ.clear()
    os.environ.update(request["environment"])  # type: ignore[call-overload]
    for descriptor, path in ((1, request["out"]), (2, request["err"])):
        file = os.open(str(path), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, descriptor)
        os.close(file)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    sys.argv = ["renewcast", *request["arguments"]]  # type: ignore[misc]
    signal.alarm(LIMIT_SECONDS)


def main() -> None:
    prepare(Path(sys.argv[1]))
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            become(json.loads(line))
            import renewcast

            renewcast.main()
            return
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(max(code, -1), flush=True)


if __name__ == "__main__":
    main()
