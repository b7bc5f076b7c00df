"""The built-in trackers, with their packages where these are installed."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from prunekit.plugins.trackers.mlflow import MLflow
from prunekit.plugins.trackers.wandb import WeightsAndBiases
from prunekit.testing import check_tracker


def test_mlflow_keeps_curves_results_and_files(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.chdir(tmp_path)
    tracker = MLflow(uri=f"sqlite:///{tmp_path / 'runs.db'}")
    check_tracker(tracker)
    (*_, first) = mlflow.search_runs(
        experiment_names=["prunekit-check"],
        filter_string="params.budget = '2'",
        output_format="list",
    )
    points = mlflow.MlflowClient().get_metric_history(first.info.run_id, "best above dense")
    assert [(of.step, of.value) for of in points] == [(10, 0.75), (40, 0.5), (160, 0.25)]
    assert first.data.tags["removed"] == "2,5"
    assert list(Path(tmp_path).rglob("result.json"))


def test_trackio_keeps_curves_and_results(tmp_path):
    """In a process of its own, as the package reads its folder when it is imported."""
    pytest.importorskip("trackio")
    script = (
        "from prunekit.plugins.trackers.trackio import Trackio\n"
        "from prunekit.testing import check_tracker\n"
        "check_tracker(Trackio())\n"
    )
    paths = os.pathsep.join(sys.path)
    environment = {**os.environ, "TRACKIO_DIR": str(tmp_path), "PYTHONPATH": paths}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == ""
    (database,) = tmp_path.rglob("prunekit-check.db")
    with sqlite3.connect(database) as opened:
        rows = opened.execute("select step, metrics from metrics order by step").fetchall()
    texts = [(step, str(row)) for step, row in rows]  # JSON as text or as bytes
    assert {step for step, text in texts if "best above dense" in text} == {10, 40, 160}
    assert any("2,5" in text for _, text in texts)
    kept = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert b"{}\n" in kept


def test_wandb_works_without_a_network(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(os.environ, "WANDB_SILENT", "true")
    check_tracker(WeightsAndBiases(mode="offline"))
    assert len(list(Path(tmp_path, "wandb").glob("offline-run-*"))) == 3
