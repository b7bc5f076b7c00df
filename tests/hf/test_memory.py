"""How much memory is free, and how much of it kept states may take."""

from prunekit.core.spec import Spec
from prunekit.hf import memory


def test_the_limit_of_a_container_is_kept(monkeypatch, tmp_path):
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(memory, "CONTAINER_LIMIT", limit)
    whole = memory.free_bytes()
    assert whole > 10**6
    limit.write_text("1000000\n")
    assert memory.free_bytes() == 10**6
    limit.write_text("max\n")
    assert memory.free_bytes() > 10**6


def test_kept_states_take_a_quarter_shared_by_all_processes(monkeypatch):
    monkeypatch.setattr(memory, "free_bytes", lambda: 8_000)
    assert memory.memory_for_states(Spec("m", device="cpu")) == 2_000
    assert memory.memory_for_states(Spec("m", device="cpu", processes=4)) == 500
    assert memory.memory_for_states(Spec("m", device="cpu", state_memory=600, processes=4)) == 150
    assert memory.memory_for_states(Spec("m", device="cpu", state_memory=0)) == 0
