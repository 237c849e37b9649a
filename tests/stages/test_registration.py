"""How an FMU restarts is found out once, and again where something else could come of it."""

from pathlib import Path

import pytest

from tests.simulation.conftest import MakeFmu, library, make_fmu
from twin_assets.simulation import FmuModel, RestartReport, probe_restart
from twin_assets.spec import TwinSpec
from twin_assets.spec_file import Twin
from twin_assets.stages import registration
from twin_assets.stages.registration import restart_choice
from twin_assets.store import Store

__all__ = ["library", "make_fmu"]


def test_it_is_tried_once_for_an_fmu_and_a_description(
    make_fmu: MakeFmu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kept in the store; another file, another input or another prior are tried anew."""
    fmu, store, tries = make_fmu(), Store(tmp_path / "store"), []

    def counted(model: FmuModel) -> RestartReport:
        tries.append(model.path)
        return probe_restart(model)

    monkeypatch.setattr(registration, "probe_restart", counted)

    def chosen(sha256: str, **sections: object) -> str:
        spec = {
            "name": "pump",
            "model": {"fmu": fmu.name, "mode": "transient", "memory_s": 10.0, "follow_step_s": 0.5},
            "inputs": [{"name": "u"}],
            "coefficients": [{"name": "a", "initial": 1.0, "initial_std": 0.1}],
            "measurements": [{"name": "y1", "noise_std": 0.1}],
        }
        twin = Twin(TwinSpec.model_validate(spec | sections), tmp_path / "twin.yaml", {})
        return restart_choice(twin, store, sha256)

    first = chosen("0" * 64)
    assert first.endswith(
        "a run goes on after another by replay of the recent past (exact), also where a state would do"
    )
    assert chosen("0" * 64) == first
    assert chosen("0" * 64, title="Another title") == first
    assert len(tries) == 1
    chosen("1" * 64)
    chosen("1" * 64, coefficients=[{"name": "a", "initial": 2.0, "initial_std": 0.1}])
    assert len(tries) == 3
