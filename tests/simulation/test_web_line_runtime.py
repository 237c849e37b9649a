"""The demonstration's FMU under the runtime: a real model with a slow dancer and stiff webs."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from twin_assets.simulation import FmuModel, SettleSettings, probe_restart, read_description
from twin_assets.simulation.messages import Restart

FMU = Path(__file__).parents[2] / "twins" / "web_line" / "web_line.fmu"
BEARINGS = tuple(f"b{number}" for number in (1, 2, 3, 4, 5, 7, 8, 9, 10))
SPEED = np.array([1.0])
WORN = np.abs(1e-3 + 1e-3 * np.random.default_rng(3).standard_normal((7, 9)))
WORN[:, 7] += 0.06


def web_line(
    workers: int = 1, restart: Restart | None = None, reference: Mapping[str, float] | None = None, step_s: float = 2.0
) -> FmuModel:
    """All outputs of the line."""
    outputs = tuple(v.name for v in read_description(FMU).variables if v.causality == "output")
    return FmuModel(
        FMU,
        coefficients=BEARINGS,
        inputs=("web_speed_setpoint",),
        outputs=outputs,
        reference=reference,
        settle=SettleSettings(step_s=step_s),
        workers=workers,
        restart=restart or "auto",
    )


def test_workers_and_order_change_no_bit() -> None:
    """One worker, two, and rows in another order give the same bytes."""
    with web_line() as model:
        one = model.evaluate(WORN, SPEED)
    order = np.array([0, 4, 6, 2, 1, 5, 3])
    with web_line(workers=2) as model:
        model.evaluate(WORN[::-1] * 0.5, SPEED * 2.0)
        two = model.evaluate(WORN, SPEED)
        shuffled = model.evaluate(WORN[order], SPEED)
    assert two.tobytes() == one.tobytes()
    assert shuffled.tobytes() == one[order].tobytes()


def test_the_settled_answer_does_not_depend_on_the_way_there() -> None:
    """From a healthy line, from a worn one, from a cold start, in other steps: one end, to 1e-6 relative."""
    ways = [
        web_line(),
        web_line(reference={"b1": 0.02, "b9": 0.1, "web_speed_setpoint": 1.2}),
        web_line(restart="reset"),
        web_line(step_s=0.7),
    ]
    answers = []
    for way in ways:
        with way as model:
            answers.append(model.evaluate(WORN[:2], SPEED))
    nominal = np.array([model.description.variable(name).nominal or 1.0 for name in model.outputs])
    scale = np.maximum(np.abs(answers[0]), np.abs(nominal))
    for other in answers[1:]:
        assert np.max(np.abs(other - answers[0]) / scale) < 1e-6


def test_it_restarts_exactly_every_way() -> None:
    """What the model description claims, holds to the bit, in another process too."""
    report = probe_restart(web_line())
    assert [report.rollback.status, report.reset.status, report.serialize.status] == ["exact"] * 3
