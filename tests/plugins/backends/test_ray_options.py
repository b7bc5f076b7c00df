"""Options of the Ray backend, checked without a cluster."""

import pytest

from prunekit.core import ConfigError, Spec
from prunekit.plugins.backends import ray_cluster, ray_workers
from prunekit.plugins.backends.ray_backend import OnRay, share
from prunekit.plugins.backends.ray_cluster import Connection

ray = ray_cluster._import_ray(ray_cluster.LOCAL)  # with its settings: nothing leaves this machine

CPUS, GPUS = [{"CPU": 4.0}] * 3, [{"CPU": 8.0, "GPU": 4.0}, {"CPU": 8.0, "GPU": 1.0}]


@pytest.mark.parametrize(
    ("device", "options", "nodes", "shared"),
    [
        ("auto", {}, CPUS, ("auto", 3, 0)),
        ("auto", {}, [{"CPU": 0.0}, *CPUS], ("auto", 3, 0)),
        ("auto", {"replicas": 2}, CPUS, ("auto", 2, 0)),
        ("auto", {}, GPUS, ("cuda", 5, 1)),
        ("auto", {"gpus": 0.5}, GPUS, ("cuda", 10, 0.5)),
        ("cuda", {"gpus": 0.4, "replicas": 3}, GPUS, ("cuda", 3, 0.4)),
        ("auto", {"gpus": 2.0}, GPUS, ("cuda", 2, 2)),
        ("auto", {"gpus": 0.0}, GPUS, ("cpu", 2, 0)),
        ("cpu", {}, GPUS, ("cpu", 2, 0)),
    ],
)
def test_replicas_follow_from_what_the_cluster_has(device, options, nodes, shared):
    spec, replicas, gpus = share(Spec("demo", device=device), OnRay(**options), nodes)
    assert (spec.device, replicas, gpus) == shared


@pytest.mark.parametrize(
    ("device", "options", "nodes", "message"),
    [
        ("cuda", {}, CPUS, "has 0 GPUs: at 1 per replica, room for 0, not for 1"),
        ("auto", {"replicas": 6}, GPUS, "has 5 GPUs: at 1 per replica, room for 5, not for 6"),
        ("auto", {"gpus": 3.0, "replicas": 2}, GPUS, "at 3 per replica, room for 1, not for 2"),
        ("cuda:1", {}, GPUS, "write --device cuda"),
    ],
)
def test_more_than_the_cluster_has_is_refused(device, options, nodes, message):
    with pytest.raises(ConfigError, match=message):
        share(Spec("demo", device=device), OnRay(**options), nodes)


def test_a_gpu_and_a_half_is_refused():
    with pytest.raises(ConfigError, match="ray.gpus: expected a share of one GPU or whole ones"):
        OnRay(gpus=1.5)


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("127.0.0.1:1", "Connection refused"),
        ("ray://10.0.0.1:10001", "expected local, auto or HOST:PORT"),
        ("somewhere", "expected local, auto or HOST:PORT"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_at_once(address, reason, monkeypatch):
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(ConfigError, match=f"^ray.address: '{address}' .*{reason}"):
        Connection().join(address)


def test_nodes_that_would_measure_something_else_are_refused():
    expected = {"prunekit": "0.2.0", "dtype": "float32", "torch": "2.13.0"}
    ray_workers._check_alike(expected, dict(expected))
    with pytest.raises(ConfigError, match=r"nodes .* differ \(torch: 2.13.0 and 2.12.0\)"):
        ray_workers._check_alike(expected, {**expected, "torch": "2.12.0"})
