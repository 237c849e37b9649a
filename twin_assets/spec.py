"""TwinSpec: what ``twin.yaml`` may say.

Belongs here: the fields, their meaning, defaults and the rules among them. Reading the file and naming its lines is
``spec_file``'s; what needs the FMU to be judged is ``spec_check``'s.
"""

from datetime import date, timedelta
from typing import Annotated, Literal, Self

import pandas as pd
from croniter import croniter
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.\[\]-]*$", max_length=128)]
WINDOWS = ("hourly", "daily", "weekly")


def _cron(value: str) -> str:
    if not croniter.is_valid(value):
        raise ValueError(f"'{value}' is no cron expression; five fields are expected, for example '*/20 * * * *'")
    return value


def _window(value: str) -> str:
    return value if value in WINDOWS else _cron(value)


def _duration(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return pd.Timedelta(value).to_pytimedelta()
    except ValueError:
        raise ValueError(
            f"'{value}' is no duration; expected a number with a unit, for example 20min, 30s or 2h"
        ) from None


def _positive(value: timedelta) -> timedelta:
    if value <= timedelta(0):
        raise ValueError(f"a duration greater than zero is expected, found {value}")
    return value


Cron = Annotated[str, AfterValidator(_cron)]
Duration = Annotated[timedelta, BeforeValidator(_duration), AfterValidator(_positive)]
Bounds = tuple[float | None, float | None]


def _ordered(name: str, bounds: Bounds) -> None:
    low, high = bounds
    if low is not None and high is not None and low >= high:
        raise ValueError(f"{name} are crossed: [{low:g}, {high:g}]; the lower one must be below the upper one")


class Part(BaseModel):
    """What all sections share: values that never change, and no key that is not described."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_by_name=True)


class ModelSpec(Part):
    """The simulation model and how it is evaluated."""

    fmu: str = Field(description="FMI 2.0 co-simulation FMU: a path beside twin.yaml")
    mode: Literal["steady_state"] = Field(
        "steady_state", description="steady_state: every prediction is the model's settled answer"
    )
    step_s: float = Field(2.0, gt=0, description="communication step while settling, simulated seconds")
    max_settle_s: float = Field(3600.0, gt=0, description="give up settling after this many simulated seconds")
    tolerance: float = Field(
        1e-7, gt=0, lt=1e-2, description="settled when the estimated rest of the transient is below this, relative"
    )
    timeout_s: float = Field(60.0, gt=0, description="wall-clock seconds after which one evaluation counts as hung")
    parameters: dict[Name, float] = Field(
        default_factory=dict, description="other FMU parameters set once, before initialization"
    )


class NamedPart(Part):
    """A section about one variable of the model."""

    name: Name = Field(description="the FMU's variable")


class Channel(NamedPart):
    """A model variable with a name in the historian."""

    property_name: str | None = Field(
        None, alias="property", description="its name in the historian, where it differs from `name`"
    )
    unit: str | None = Field(None, description="physical unit; if given it must be the FMU's")

    @property
    def source(self) -> str:
        """The property that the historian knows it by."""
        return self.property_name or self.name


class InputSpec(Channel):
    """An operating condition: measured (the default) or constant."""

    constant: float | None = Field(None, description="fixed value; without it the input is read from the historian")
    valid_range: Bounds = Field((None, None), description="values outside count as not measured")
    max_age: Duration = Field(timedelta(hours=1), description="how long the last good value holds")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _ordered("valid_range", self.valid_range)
        if self.constant is not None and self.property_name is not None:
            raise ValueError(f"input '{self.name}' has both a constant and a property; keep one")
        return self


class CoefficientSpec(NamedPart):
    """A model parameter that the filter infers; it must be tunable or settable before initialization."""

    unit: str | None = Field(None, description="physical unit; if given it must be the FMU's")
    initial: float = Field(description="prior mean, before any measurement")
    initial_std: float = Field(gt=0, description="prior standard deviation")
    drift_std_per_sqrt_hour: float = Field(
        0.0, ge=0, description="how fast it may wander: standard deviation after one hour; grows with the square root"
    )
    bounds: Bounds = Field((None, None), description="physical limits; the estimate and its interval stay inside")
    limit: float | None = Field(None, description="value at which operators want to be warned")
    description: str = Field("", description="what people see beside the name")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _ordered("bounds", self.bounds)
        low, high = self.bounds
        if (low is not None and self.initial < low) or (high is not None and self.initial > high):
            raise ValueError(f"initial {self.initial:g} of '{self.name}' lies outside its bounds [{low}, {high}]")
        return self


class MeasurementSpec(Channel):
    """A model output that is also measured."""

    noise_std: float = Field(gt=0, description="standard deviation of one observation's measurement noise")
    valid_range: Bounds = Field((None, None), description="values outside count as not measured")
    stuck_after: Duration | None = Field(
        None, description="a value that has not changed for this long counts as stuck; without it, nothing does"
    )
    description: str = Field("", description="what people see beside the name")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _ordered("valid_range", self.valid_range)
        return self


class Alarm(Part):
    """Thresholds of a virtual sensor."""

    low: float | None = None
    high: float | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _ordered("alarm thresholds", (self.low, self.high))
        return self


class VirtualSensorSpec(Channel):
    """A model output that is predicted for its own sake."""

    alarm: Alarm | None = Field(None, description="thresholds that operators are warned at")
    description: str = Field("", description="what people see beside the name")


class AlignSpec(Part):
    """How samples of many channels become observations at common times."""

    every: Duration | None = Field(
        None,
        description="length of one observation: the mean of the good samples in [t, t + every), on a grid anchored at"
        " 1970-01-01; without it, samples whose times agree within `tolerance` are one observation",
    )
    tolerance: Duration = Field(timedelta(seconds=1), description="times this close are the same, without `every`")


class CheckSpec(Part):
    """What must hold before results are published."""

    gate_probability: float = Field(
        1e-4, gt=0, lt=0.1, description="chance that a good observation is gated: sets the Mahalanobis gate"
    )
    consistency_probability: float = Field(
        1e-4, gt=0, lt=0.1, description="chance that a good window is refused by the innovation consistency check"
    )
    max_gated_fraction: float = Field(
        0.5, gt=0, le=1, description="refuse a window in which more of the measured values than this were gated"
    )
    max_age: Duration | None = Field(
        None, description="freshness: refuse when the newest observation of a live window is older; off by default"
    )


class TwinSpec(Part):
    """One described model of one kind of machine: the whole of ``twin.yaml``."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64, description="the folder's name under twins/")
    title: str = Field("", description="what people see; the name if empty")
    model: ModelSpec
    units: tuple[str, ...] | Literal["discovered"] = Field(
        (), description="physical machines; one named like the twin if empty; `discovered`: those in the historian"
    )
    inputs: tuple[InputSpec, ...] = ()
    coefficients: tuple[CoefficientSpec, ...] = Field(min_length=1)
    measurements: tuple[MeasurementSpec, ...] = Field(min_length=1)
    virtual_sensors: tuple[VirtualSensorSpec, ...] = ()
    window: Annotated[str, AfterValidator(_window)] = Field("daily", description="hourly, daily, weekly or a cron, UTC")
    schedule: Cron | None = Field(
        None, description="cron (UTC) of the live runs; without it only new telemetry starts them"
    )
    start: date = Field(date(2020, 1, 1), description="first day (UTC) of the first window")
    align: AlignSpec = AlignSpec()
    checks: CheckSpec = CheckSpec()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        named: dict[str, str] = {}
        groups: dict[str, tuple[NamedPart, ...]] = {
            "inputs": self.inputs,
            "coefficients": self.coefficients,
            "measurements": self.measurements,
            "virtual_sensors": self.virtual_sensors,
        }
        for group, parts in groups.items():
            for part in parts:
                if part.name in named:
                    raise ValueError(f"'{part.name}' is named twice: in {named[part.name]} and in {group}")
                named[part.name] = group
        if self.units != "discovered" and len(set(self.units)) != len(self.units):
            raise ValueError(f"units are named twice: {', '.join(self.units)}")
        return self

    @property
    def label(self) -> str:
        """Title for people."""
        return self.title or self.name
