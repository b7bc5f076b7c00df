"""Measuring on a Ray cluster: the same numbers, whatever dies."""

import dataclasses
import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

import prunekit
from prunekit.core import CheckpointError, ConfigError, PluginError, PrunekitError, Spec
from prunekit.engine.cache import MeasurementCache
from prunekit.engine.journal import Journal
from prunekit.hf.tokens import batches_of
from prunekit.plugins.backends import ray_cluster, ray_workers
from prunekit.plugins.backends.local import Local
from prunekit.plugins.backends.ray_backend import OnRay
from prunekit.plugins.objectives.divergence import Divergence
from prunekit.plugins.objectives.perplexity import Perplexity
from prunekit.plugins.searchers.signals import BLOCK_SIMILARITY, GATE_GRADIENTS

ray = ray_cluster._import_ray(ray_cluster.LOCAL)  # with its settings: nothing leaves this machine
ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import a test

TEXT = {"data": "demo", "samples": 6, "length": 24}
TOKENS = 48  # three batches, so that two replicas share one
SINGLES = [frozenset({i}) for i in range(8)]


@pytest.fixture(scope="module")
def spec(tiny_model):
    return Spec(str(tiny_model("llama3", n_blocks=8)), tokens_per_forward=TOKENS)


@pytest.fixture(scope="module")
def batches(demo_tokenizer):
    return batches_of(Perplexity(**TEXT).calibration_set(demo_tokenizer), TOKENS)


@pytest.fixture(scope="module")
def meter(spec, batches):
    """Two replicas on a cluster of their own; searches of the same model share them."""
    meter = OnRay(replicas=2).open(spec, Perplexity(**TEXT), batches)
    yield meter
    meter.close()


def search(spec, workdir, backend, **more):
    given = {"ray": {"replicas": 2}} if backend == "ray" else {}
    return prunekit.search(
        spec.model,
        workdir=workdir,
        backend=backend,
        tokens_per_forward=TOKENS,
        ppl=TEXT,
        **given,
        **more,
    )


def rows(workdir):
    """What the journals under `workdir` hold, by folder, in the order written."""
    return [
        (path.parent.name, line)
        for path in sorted(Path(workdir).glob("journals/*/*.jsonl"))
        for line in path.read_text().splitlines()[1:]
    ]


def untimed(workdir):
    """The only `result.json` under `workdir`, without its seconds, and its folder's name."""
    (path,) = Path(workdir).glob("runs/*/result.json")
    result = json.loads(path.read_text())
    result["work"].pop("seconds")
    return {**result, "run": path.parent.name}


def by_hand(meter, batches, subsets=SINGLES):
    """Everything that a meter gives, in one order."""
    found = list(meter.measure([subsets] * len(batches)))
    return sorted(found, key=lambda piece: (piece.batch, sorted(piece.subset)))


def pid_of(worker):
    return ray.get(worker.replica.__ray_call__.remote(lambda replica: os.getpid()))


@dataclasses.dataclass(frozen=True)
class Refusing(Perplexity):
    """Raises an error that names one of its options."""

    def measure(self, output, batch):
        raise ConfigError("refusing.level: too low", ("refusing", "level"))


@dataclasses.dataclass(frozen=True)
class Buggy(Perplexity):
    """Has a mistake."""

    def measure(self, output, batch):
        return {}["sums"]


@dataclasses.dataclass(frozen=True)
class Deadly(Perplexity):
    """Takes its process with it, but not on the batch before the one that it hates."""

    hated: int = 0

    def measure(self, output, batch):
        if int(batch.input_ids.sum()) == self.hated:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().measure(output, batch)


@pytest.mark.parametrize("searcher", ["one-shot", "greedy", "beam", "genetic"])
def test_a_search_ends_as_in_one_process(searcher, spec, meter, tmp_path):
    for backend in ("local", "ray"):
        search(spec, tmp_path / backend, backend, searcher=searcher)
    assert untimed(tmp_path / "ray") == untimed(tmp_path / "local")
    assert sorted(rows(tmp_path / "ray")) == sorted(rows(tmp_path / "local"))


def test_a_search_goes_on_with_what_the_other_backend_measured(spec, meter, tmp_path):
    for searcher, one, other in (("one-shot", "local", "ray"), ("greedy", "ray", "local")):
        first, known = search(spec, tmp_path, one, searcher=searcher), sorted(rows(tmp_path))
        assert search(spec, tmp_path, other, searcher=searcher) == first
        assert sorted(rows(tmp_path)) == known


def test_a_replica_killed_in_mid_search_changes_nothing(spec, meter, tmp_path, monkeypatch):
    search(spec, tmp_path / "local", "local", searcher="genetic")
    victim, *_ = meter._pool.workers
    replica, pid = victim.replica, pid_of(victim)
    receive, heard = ray_workers.Worker.receive, []

    def killing(worker):
        heard.append(worker)
        if len(heard) == 20:
            os.kill(pid, signal.SIGKILL)
        return receive(worker)

    monkeypatch.setattr(ray_workers.Worker, "receive", killing)
    search(spec, tmp_path / "ray", "ray", searcher="genetic")
    assert victim.replica is not replica
    assert untimed(tmp_path / "ray") == untimed(tmp_path / "local")
    assert sorted(rows(tmp_path / "ray")) == sorted(rows(tmp_path / "local"))


def test_objectives_that_look_at_the_dense_model_and_signals_are_the_same(spec, meter, batches):
    objective = Divergence(**TEXT, top=8)
    here = Local().open(spec, objective, batches)
    there = OnRay(replicas=2).open(spec, objective, batches)
    replicas = {worker.replica for worker in meter._pool.workers}
    assert by_hand(there, batches) == by_hand(here, batches)
    for wanted in (GATE_GRADIENTS, BLOCK_SIMILARITY):
        assert list(map(list, there.signal(wanted))) == list(map(list, here.signal(wanted)))
    there.close()
    assert {worker.replica for worker in meter._pool.workers} == replicas


def test_its_cluster_and_files_are_closed_to_others(meter):
    node = ray._private.worker._global_node
    folder = next(p for p in Path(node.get_session_dir_path()).parents if "prunekit" in p.name)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    code = "import sys; from ray._raylet import GcsClient; GcsClient(address=sys.argv[1])"
    for mode in ({"RAY_AUTH_MODE": "disabled"}, {**ray_cluster.TOKEN, "RAY_AUTH_TOKEN": 64 * "a"}):
        found = subprocess.run(
            [sys.executable, "-c", code, node.gcs_address],
            env={**os.environ, **mode},
            capture_output=True,
            text=True,
        )
        assert found.returncode == 1
        assert "InvalidAuthToken" in found.stderr
    assert not {"RAY_AUTH_MODE", "RAY_AUTH_TOKEN"} & os.environ.keys()


def test_facts_are_those_of_one_process(spec, meter, batches):
    assert meter.facts == Local().open(spec, Perplexity(**TEXT), batches).facts


@pytest.mark.parametrize("objective", [Refusing(**TEXT), Buggy(**TEXT)], ids=["config", "bug"])
def test_what_fails_in_a_replica_fails_as_it_does_here(objective, spec, meter, batches):
    """And the replica lives on."""
    failures = []
    for backend in (Local(), OnRay(replicas=2)):
        opened = backend.open(spec, objective, batches)
        with pytest.raises(PrunekitError) as failure:
            list(opened.measure([SINGLES] * len(batches)))
        opened.close()
        failures.append(failure.value)
    assert meter._pool.idle()
    here, there = failures
    assert (type(there), str(there)) == (type(here), str(here))
    assert "\n" not in str(there)


def test_where_every_replica_dies_one_line_says_so_and_nothing_is_lost(
    spec, meter, batches, tmp_path, monkeypatch
):
    monkeypatch.setattr(ray_workers, "MAX_DEATHS", 1)
    deadly = Deadly(**TEXT, hated=int(batches[2].input_ids.sum()))
    alone = OnRay(replicas=1).open(spec, deadly, batches)
    cache = MeasurementCache(alone, batches, Journal(tmp_path, {}))
    with pytest.raises(PrunekitError, match="die repeatedly.*what was measured is kept"):
        cache.measure(SINGLES)
    alone.close()
    assert len(Journal(tmp_path, {}).known) == len(SINGLES)


def test_a_cluster_that_is_gone_is_noticed_before_ray_ends_the_process(meter, monkeypatch):
    monkeypatch.setattr(meter._pool, "_lifelines", ("127.0.0.1:1",))
    monkeypatch.setattr(ray_workers, "SECONDS_BETWEEN_CHECKS", -1)
    with pytest.raises(PrunekitError, match="the Ray cluster is gone.*what was measured is kept"):
        meter._pool.wait()


def test_a_folder_that_a_node_does_not_have_is_named(meter, batches):
    with pytest.raises(CheckpointError, match="^/nowhere/model: no such folder on .* every node"):
        OnRay(replicas=1).open(Spec("/nowhere/model"), Perplexity(**TEXT), batches)


def test_an_objective_that_cannot_travel_is_named(spec, meter, batches):
    objective = Perplexity(**TEXT)
    object.__setattr__(objective, "lock", __import__("threading").Lock())
    with pytest.raises(PluginError, match="'ppl' cannot be sent to another process"):
        OnRay(replicas=2).open(spec, objective, batches)


def test_without_ray_it_says_what_to_install(spec, tmp_path, monkeypatch):
    monkeypatch.setattr(ray_cluster, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r'run: pip install "prunekit\[ray\]"$'):
        search(dataclasses.replace(spec, dtype="float32"), tmp_path, "ray", dtype="float32")


def test_listing_plugins_does_not_import_ray():
    code = (
        "import sys; from prunekit.core.registry import load\n"
        "assert load().get('backend', 'ray') and 'ray' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def listening(processes):
    """The addresses at which these wait for connections."""
    connections = [c for process in processes for c in process.net_connections("inet")]
    addresses = [c.laddr.ip for c in connections if c.status == psutil.CONN_LISTEN]
    return {address.removeprefix("::ffff:") for address in addresses}


@pytest.fixture
def ray_folder(monkeypatch):
    """Where Ray puts its files; the usual one for a test has too long a path for sockets."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        monkeypatch.setenv("RAY_TMPDIR", folder)
        yield Path(folder)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_search_that_is_stopped_ends_with_all_its_processes_and_files(
    how, tiny_model, tmp_path, ray_folder
):
    model = str(tiny_model("llama3", n_blocks=16))
    flags = f"--model {model} --searcher exhaustive --budget 8 --backend ray --ray.replicas 1"
    command = [sys.executable, "-m", "prunekit", "search", *flags.split(), "--ppl.data", "demo"]
    child = subprocess.Popen(
        [*command, "--ppl.samples", "2", "--workdir", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C reaches every process of a terminal
    )
    while child.poll() is None and len(rows(tmp_path)) < 3:
        time.sleep(0.1)
    started = psutil.Process(child.pid).children(recursive=True)
    assert listening(started) == {"127.0.0.1"}
    assert list(ray_folder.iterdir())
    os.killpg(child.pid, signal.SIGINT) if how == signal.SIGINT else child.terminate()
    out, err = child.communicate(timeout=120)
    assert len(started) > 3
    assert (child.returncode, out) == (128 + how, "")
    assert err.startswith("stopped. ")
    assert err.count("\n") == 1
    _, left = psutil.wait_procs(started, timeout=10)
    assert not left
    assert not list(ray_folder.iterdir())
