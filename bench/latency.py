"""Latency of the service compared with common ways to serve a model: `mlflow models serve`, and FastAPI with SHAP.

Our answers have both targets, intervals, reasons and the health score of an account. The peers answer for one target,
with the trees of the same champion's churn model. All runs are sequential, on loopback, with the load in a separate
process. Times are measured by the caller.

    python bench/latency.py [--home DIR] [--seconds 10] [--port 8300] [--workers 1 2]

Without a home that was trained and scored, one is created (`renewcast simulate`, `train`, `score`; a few minutes).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pyarrow.parquet as pq
from peers.http_load import Load, Request, load, started

AS_OF = "2026-09-30"
CONNECTIONS = (1, 16)
STARTS = 7
HERE = Path(__file__).resolve().parent
SETTINGS = {"RENEWCAST_OPEN_LOCALLY": "true", "RENEWCAST_REQUESTS_A_MINUTE": "1000000"}
#: MLflow calls uvicorn by its name.
PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, help="folder of a trained and scored home (a new one is created)")
    parser.add_argument("--seconds", type=float, default=10.0, help="duration of the load (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8300, help="first port to use (default: %(default)s)")
    parser.add_argument(
        "--workers", type=int, nargs="+", default=[1, 2], help="number of worker processes (default: %(default)s)"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        home = (options.home or train_demo(Path(work))).absolute()
        compare(home, Path(work), options.port, options.seconds, options.workers)


def train_demo(work: Path) -> Path:
    home, signals = work / "home", work / "signals"
    for command in (
        ["simulate", str(signals), "--accounts", "400", "--weeks", "130", "--seed", "1"],
        ["train", str(signals)],
        ["score", str(signals), "--as-of", AS_OF, "--out", str(work / "scores.csv")],
    ):
        subprocess.run([sys.executable, "-m", "renewcast", *command], check=True, env=_environment(home))
    return home


def compare(home: Path, work: Path, port: int, seconds: float, workers: list[int]) -> None:
    champion = json.loads((home / "champion.json").read_text())
    model = str(home / champion["churn"]["folder"] / "model.txt")
    text = Path(model).read_text()
    leaves = [int(each) for each in re.findall(r"^num_leaves=(\d+)", text, re.MULTILINE)]
    names = re.search(r"^feature_names=(.*)$", text, re.MULTILINE)[1].split()  # type: ignore[index]
    print(f"the champion's churn model: {len(leaves)} trees of up to {max(leaves)} leaves, {len(names)} columns")

    snapshot = max((home / "snapshots").glob("*.parquet"))
    table = pq.read_table(snapshot)
    accounts = table.column("account_id").to_pylist()
    by_id = [Request(f"/v1/accounts/{account}/prediction") for account in accounts]
    columns = [name for name in table.column_names if name not in ("account_id", "as_of")]
    values = [table.column(name)[0].as_py() for name in columns]
    split = json.dumps({"dataframe_split": {"columns": columns, "data": [values]}}).encode()
    for many in workers:
        # One worker needs no supervisor, and the others have none either.
        command = [sys.executable, "-m", "renewcast", "serve", "--port", str(port)]
        command += ["--workers", str(many)] if many > 1 else []
        settings = {"RENEWCAST_HOME": str(home), **SETTINGS}
        name = f"ours, {many} worker(s)"
        with started(name, STARTS, command, port, "/readyz", work / "ours.log", **settings) as server:
            first = load(port, by_id, 1, 600.0, once=True)
            print(f"  accounts asked for the first time, 1 connection: {first.words()}")
            print_load("  explained, both targets, health", port, by_id, seconds)
            print_load("  MLflow's /invocations, one row, probability", port, [Request("/invocations", split)], seconds)
            print(f"  then {server.megabytes():.0f} MB")

    row = json.dumps(dict.fromkeys(names, 0.5)).encode()
    rows = json.dumps({"dataframe_split": {"columns": names, "data": [[0.5] * len(names)]}}).encode()
    app = [sys.executable, "-m", "uvicorn", "peers.explained_app:app", "--app-dir", str(HERE), "--port", str(port)]
    app.append("--no-access-log")
    with started("FastAPI + shap", STARTS, app, port, "/ping", work / "app.log", MODEL=model):
        print_load("  explained, one target", port, [Request("/predict", row)], seconds)
    subprocess.run([sys.executable, str(HERE / "peers" / "mlflow_models.py"), model, str(work)], check=True)
    for name, what in (("plain", "probability, one target"), ("explained", "explained, one target")):
        serve = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(work / name), "-p", str(port)]
        serve += ["--env-manager", "local"]
        with started("mlflow models serve", STARTS, serve, port, "/ping", work / "mlflow.log", PATH=PATH):
            print_load(f"  {what}", port, [Request("/invocations", rows)], seconds)


def print_load(what: str, port: int, requests: list[Request], seconds: float) -> None:
    for connections in CONNECTIONS:
        with ProcessPoolExecutor(1) as elsewhere:
            latencies: Load = elsewhere.submit(load, port, requests, connections, seconds).result()
        print(f"{what}, {connections} connection(s): {latencies.words()}", flush=True)


def _environment(home: Path) -> dict[str, str]:
    return os.environ | {"RENEWCAST_HOME": str(home)}


if __name__ == "__main__":
    main()
