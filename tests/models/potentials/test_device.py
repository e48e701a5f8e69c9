"""Where a potential computes: on the processor unless a campaign asks for a GPU and there is one."""

import pytest

from matloop.data.errors import PotentialError, UnknownNameError
from matloop.models.potentials import device, guarded_relaxation
from matloop.models.potentials.contract import device_of
from matloop.models.potentials.device import chosen_device


@pytest.mark.parametrize(("there", "found"), [(True, "cuda"), (False, "cpu")])
def test_auto_takes_a_gpu_where_there_is_one(there: bool, found: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "gpu_is_there", lambda: there)
    assert chosen_device("auto") == found
    assert chosen_device("cpu") == "cpu"


def test_a_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "gpu_is_there", lambda: False)
    with pytest.raises(PotentialError, match="device: auto"):
        chosen_device("cuda")
    with pytest.raises(UnknownNameError, match="gpu"):
        chosen_device("gpu")


def test_without_torch_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device.importlib.util, "find_spec", lambda name: None)
    assert not device.gpu_is_there()


@pytest.mark.parametrize(("on", "warm"), [("cpu", True), ("cuda", False)])
def test_a_gpu_is_not_touched_before_processes_are_forked(on: str, warm: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    class Somewhere:
        device = on
        batch_sites = 1

    warmed: list[object] = []
    monkeypatch.setattr(guarded_relaxation, "shared_potential", lambda name, options: Somewhere())
    monkeypatch.setattr(guarded_relaxation, "require_capability", lambda *_: None)
    monkeypatch.setattr(guarded_relaxation, "_warm_up", lambda potential, example: warmed.append(potential))
    guarded_relaxation.readiness("somewhere", {})
    assert bool(warmed) is warm
    assert device_of(Somewhere()) == on  # type: ignore[arg-type]
    assert device_of(object()) == "cpu"  # type: ignore[arg-type]
