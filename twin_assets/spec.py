"""TwinSpec: what ``twin.yaml`` may say.

Belongs here: the fields, their meaning, defaults and the rules among them. Reading the file and naming its lines is
``spec_file``'s; what needs the FMU to be judged is ``spec_check``'s; kinds of values are ``spec_types``'s.
"""

from datetime import date, timedelta
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from twin_assets import spec_names
from twin_assets.spec_types import (
    Bounds,
    Conflict,
    Cron,
    Duration,
    Name,
    Number,
    Text,
    TwinName,
    WindowName,
    bounds_text,
    ordered,
    outside,
    refuse_if,
)

DISCOVERED: Literal["discovered"] = "discovered"


def _fmu(value: object) -> object:
    if isinstance(value, str) and "://" in value:
        raise ValueError(
            f"found '{value}'; this version expects a path beside twin.yaml, not a URI: copy the FMU there"
        )
    return value


def _units(value: object) -> object:
    if value == DISCOVERED or (isinstance(value, list | tuple) and all(isinstance(unit, str) for unit in value)):
        return value
    raise ValueError(f"found {value!r}; expected a list of names, for example [line_1], or the word {DISCOVERED}")


class Part(BaseModel):
    """What all sections share: values that never change, and no key that is not described."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_by_name=True)


class ModelSpec(Part):
    """The simulation model and how it is evaluated."""

    HOW_IT_RUNS: ClassVar[frozenset[str]] = frozenset({"timeout_s", "isolation", "recycle_after", "recycle_above_mb"})
    """Fields that change no result, only how it is come by; where the model failed it is tried again after a change."""

    fmu: Annotated[Text, BeforeValidator(_fmu)] = Field(
        description="FMU (FMI 2.0 or 3.0, co-simulation or model exchange): a path beside twin.yaml"
    )
    mode: Literal["steady_state", "transient"] = Field(
        "steady_state",
        description="steady_state: every prediction is the model's settled answer. transient: of a process that never"
        " rests; every prediction follows the model through the recent past, its measured inputs applied in between",
    )
    memory_s: Number | None = Field(
        None,
        gt=0,
        description="transient: how long the recent past is that a prediction depends on, seconds; eight times the"
        " slowest time constant, for what the model began with has to be forgotten within it",
    )
    follow_step_s: Number | None = Field(
        None,
        gt=0,
        description="transient: longest communication step while measured inputs are applied, simulated seconds; short"
        " against what moves; without it, the shorter of `step_s` and `max_step_s`. An FMU that wants equal steps"
        " settles in such short ones, too; by model exchange continuous inputs need none, for the solver asks for them",
    )
    after_gap: Literal["wait", "settled"] | None = Field(
        None,
        description="transient, at the first telemetry and after a gap in the inputs longer than their `max_age`. wait"
        " (the default): nothing is compared until the inputs of `memory_s` are known. settled: the process is taken"
        " to have been at rest under the first inputs that are known",
    )
    interface: Literal["co_simulation", "model_exchange"] | None = Field(
        None,
        description="co_simulation (the FMU's own solver) or model_exchange (solved by CVode); without it,"
        " co-simulation where the FMU offers that",
    )
    step_s: Number = Field(2.0, gt=0, description="communication step while settling, simulated seconds")
    max_step_s: Number | None = Field(
        None,
        gt=0,
        description="longest communication step that the FMU is given, simulated seconds; settling doubles its steps,"
        " and an FMU whose own solver is of fixed step may diverge in long ones. Without it, no limit",
    )
    max_settle_s: Number = Field(3600.0, gt=0, description="give up settling after this many simulated seconds")
    tolerance: Number = Field(
        1e-7, gt=0, lt=1e-2, description="settled when the estimated rest of the transient is below this, relative"
    )
    timeout_s: Number = Field(
        60.0,
        gt=0,
        description="wall-clock seconds after which one evaluation counts as hung; it is tried once more, and then the"
        " filter goes on without it; after a change what failed is tried again where its window is materialized",
    )
    isolation: Literal["process", "thread"] = Field(
        "process",
        description="process: the FMU runs in processes of its own, which may crash, hang, print and leak, and are"
        " replaced. thread: it runs inside the run's process, one instance a worker, with the same results to the bit,"
        " for FMUs that are trusted: a crash ends the whole run, a hanging evaluation is given up but cannot be"
        " stopped, what it prints appears, what it leaks stays until the run ends",
    )
    recycle_after: int = Field(
        10_000,
        gt=0,
        description="a worker process is replaced by a fresh one, between two batches, once it has evaluated so often:"
        " before an FMU that leaks or wears out dies of it; results stay the same to the bit",
    )
    recycle_above_mb: Number = Field(
        500.0,
        gt=0,
        description="a worker process is also replaced once its memory has grown by more than so many megabytes since"
        " its FMU was ready (Linux, macOS)",
    )
    parameters: dict[Name, Number] = Field(
        default_factory=dict, description="other FMU parameters set once, before initialization"
    )

    @model_validator(mode="after")
    def _can_settle(self) -> Self:
        if self.max_settle_s <= self.step_s:
            message = f"found {self.max_settle_s:g}; expected more than one step_s ({self.step_s:g})"
            refuse_if([Conflict(("max_settle_s",), message)])
        return self

    @model_validator(mode="after")
    def _has_a_memory(self) -> Self:
        if self.mode == "transient":
            missing = (
                "is missing; expected in transient mode: eight times the model's slowest time constant, in seconds"
            )
            refuse_if([Conflict(("memory_s",), missing)] if self.memory_s is None else [])
            return self
        refuse_if(
            Conflict((key,), "is only for mode: transient; found mode: steady_state. Remove it, or change the mode")
            for key in ("memory_s", "follow_step_s", "after_gap")
            if getattr(self, key) is not None
        )
        return self


class NamedPart(Part):
    """A section about one variable of the model."""

    name: Name = Field(description="the FMU's variable; of an array (FMI 3.0) an element, x[2] or x[1,3]: from 1")


class Channel(NamedPart):
    """A model variable with a name in the historian."""

    property_name: Text | None = Field(
        None, alias="property", description="its name in the historian, where it differs from `name`"
    )
    unit: str | None = Field(None, description="physical unit; if given it must be the FMU's")

    @property
    def source(self) -> str:
        """The property that the historian knows it by."""
        return self.property_name or self.name


class InputSpec(Channel):
    """An operating condition: measured (the default) or constant."""

    noise_std: Number | None = Field(
        None,
        gt=0,
        description="standard deviation of its error, new with every observation: the filter takes it into account, and"
        " predictions have it as a part of their uncertainty. Without it, the input is taken as exact",
    )
    constant: Number | None = Field(
        None, description="fixed value (of a Boolean 0 or 1); without it the input is read from the historian"
    )
    valid_range: Bounds = Field((None, None), description="values outside count as not measured")
    max_age: Duration = Field(timedelta(hours=1), description="how long the last good value holds")
    between: Literal["linear", "hold"] = Field(
        "linear",
        description="in transient mode: what the input does from one observation to the next. linear: it goes straight"
        " to the next value, as most that is measured does; hold: it keeps its value until then, as a setpoint does",
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.constant is not None and self.property_name is not None:
            message = "found a constant and a property; expected one of them: remove the other"
            refuse_if([Conflict(("constant",), message)])
        if self.constant is not None and self.noise_std is not None:
            message = (
                "found a noise_std and a constant; expected one of them: what a constant is off by stays the same, and"
                " is no noise. One that is not known exactly belongs to the coefficients, with its initial_std"
            )
            refuse_if([Conflict(("noise_std",), message)])
        return self


class CoefficientSpec(NamedPart):
    """A model parameter that the filter infers; it must be tunable or settable before initialization."""

    unit: str | None = Field(None, description="physical unit; if given it must be the FMU's")
    initial: Number = Field(description="prior mean, before any measurement")
    initial_std: Number = Field(gt=0, description="prior standard deviation")
    drift_std_per_sqrt_hour: Number = Field(
        0.0, ge=0, description="how fast it may wander: standard deviation after one hour; grows with the square root"
    )
    bounds: Bounds = Field((None, None), description="physical limits; the estimate and its interval stay inside")
    limit: Number | None = Field(None, description="value at which operators want to be warned")
    description: str = Field("", description="what people see beside the name")

    @model_validator(mode="after")
    def _inside_bounds(self) -> Self:
        refuse_if(
            Conflict((key,), f"found {value:g}, outside the bounds {bounds_text(*self.bounds)}; expected inside")
            for key, value in (("initial", self.initial), ("limit", self.limit))
            if value is not None and outside(value, *self.bounds)
        )
        return self


class MeasurementSpec(Channel):
    """A model output that is also measured."""

    noise_std: Number | None = Field(
        None,
        gt=0,
        description="standard deviation of one observation's measurement noise; without it, it is estimated from what"
        " measurement and model differ by, each unit's own, and shown in the columns <name>_noise_std of ukf_state",
    )
    resolution: Number | None = Field(
        None,
        gt=0,
        description="smallest step that the sensor shows; estimated noise is never below that / sqrt(12)."
        " Without it: the resolution of single precision",
    )
    valid_range: Bounds = Field((None, None), description="values outside count as not measured")
    stuck_after: Duration | None = Field(
        None, description="a value that has not changed for this long counts as stuck; without it, nothing does"
    )
    description: str = Field("", description="what people see beside the name")

    @model_validator(mode="after")
    def _one_noise(self) -> Self:
        if self.noise_std is not None and self.resolution is not None:
            message = "found a noise_std and a resolution, which only estimated noise has a use for; remove one of them"
            refuse_if([Conflict(("resolution",), message)])
        return self


class Alarm(Part):
    """Thresholds of a virtual sensor."""

    low: Number | None = Field(None, description="warn below")
    high: Number | None = Field(None, description="warn above")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        ordered((self.low, self.high))
        return self


class VirtualSensorSpec(Channel):
    """A model output that is predicted for its own sake."""

    alarm: Alarm | None = Field(None, description="thresholds that operators are warned at")
    discrepancy_std: Number | None = Field(
        None,
        ge=0,
        description="by how much the machine's value differs from the calibrated model's, standard deviation, in its"
        " unit: what the model leaves out. Nobody measures it, so no data tell; without it, nothing is stated, and the"
        " interval is that of a model that leaves nothing out",
    )
    description: str = Field("", description="what people see beside the name")


class AlignSpec(Part):
    """How samples of many channels become observations at common times."""

    every: Duration | None = Field(
        None,
        description="length of one observation: the mean of the good samples in [t, t + every), on a grid anchored at"
        " 1970-01-01; without it, samples whose times agree within `tolerance` are one observation",
    )
    tolerance: Duration = Field(timedelta(seconds=1), description="times this close are the same, without `every`")


class FilterSpec(Part):
    """How the filter works."""

    reuse: bool = Field(
        default=True,
        description="slopes of the model that earlier updates found are used again while the model, run where an update"
        " ends, confirms them: one or two runs an update, a few more where it is bent, instead of two for each"
        " coefficient and one",
    )
    diagnosis: bool = Field(
        default=True,
        description="sensor or plant: where innovations turn inconsistent, the columns `diagnosis` of ukf_state and the"
        " check of that name say what explains them best: a channel (biased, stuck, noisy, dead), a coefficient that"
        " moves, or the model. A channel is left out of the updates once no movement of the coefficients explains it,"
        " with the reason suspect: bias, stuck, noisy or dead, and let in again when it has behaved for 24 observations"
        " (48 and 96 after earlier times); never more than a third of the channels, nor, unless it is stuck, one"
        " that alone tells something. It costs no model runs",
    )
    adaptive_drift: bool = Field(
        default=False,
        description="each coefficient's drift_std_per_sqrt_hour is corrected by a factor between 1/30 and 30 that the"
        " innovations tell, each unit's own, shown in the columns <name>_drift_factor of ukf_state; where a drift is 0"
        " it stays 0. Turn it on where drifts are guesses: one that is wrong by five either way is made good within"
        " some hundred observations. Off by default: where a drift was right, one to five percent of accuracy are lost,"
        " and until it is known 95 % intervals hold the truth 89 to 95 % of the time. Not with model.mode transient",
    )


class PublishSpec(Part):
    """What of the estimates is published as news."""

    hold: bool = Field(
        default=True,
        description="a published coefficient stays until the observations say that it is wrong (a CUSUM of likelihood"
        " ratios, coefficient by coefficient); wander within the noise is no news. The estimate of every observation"
        " is in the tables all the same. false: every estimate is published",
    )
    hold_shift: Number = Field(
        2.0,
        gt=0,
        description="hold: how far off a published value has to be found, in standard deviations of the newest"
        " estimate; half of it is tolerated (the CUSUM's allowance)",
    )
    hold_threshold: Number = Field(
        7.0,
        gt=0,
        description="hold: log-likelihood ratio at which a published value is given up. A value that is right stays for"
        " e^threshold / 2 observations on average, or more: 200 at 6, 550 at 7, 1500 at 8. Lower finds changes sooner",
    )

    @model_validator(mode="after")
    def _holds_what_is_tuned(self) -> Self:
        tuned = sorted(self.model_fields_set & {"hold_shift", "hold_threshold"})
        refuse_if(
            Conflict((name,), f"found {name}, with hold: false, where nothing is held; remove it, or hold")
            for name in tuned
            if not self.hold
        )
        return self


class CheckSpec(Part):
    """What must hold before results are published."""

    gate_probability: Number = Field(
        1e-4, gt=0, lt=0.1, description="chance that a good observation is gated: sets the Mahalanobis gate"
    )
    consistency_probability: Number = Field(
        1e-4, gt=0, lt=0.1, description="chance that a good window is refused by the innovation consistency check"
    )
    max_gated_fraction: Number = Field(
        0.5, gt=0, le=1, description="refuse a window in which more of the measured values than this were gated"
    )
    max_age: Duration | None = Field(
        None, description="freshness: refuse when the newest observation of a live window is older; off by default"
    )


class FleetSpec(Part):
    """What units of one kind have to do with each other."""

    prior: Literal["fleet", "own"] | None = Field(
        None,
        description="what a unit that comes later starts from: own, this file's `initial` and `initial_std`; fleet,"
        " what the units seen by the end of the window before say of another one, where at least three tell the"
        " coefficient. Without it, fleet where units are discovered, own where they are named",
    )
    silent_after: Duration = Field(
        timedelta(days=1), description="a unit without a sample for so long is noted as silent in the record of units"
    )
    outlier_probability: Number = Field(
        1e-3, gt=0, lt=0.1, description="chance that a window of a good fleet names any unit as an outlier"
    )


class TwinSpec(Part):
    """One described model of one kind of machine: the whole of ``twin.yaml``."""

    name: TwinName = Field(description="the folder's name under twins/")
    title: str = Field("", description="what people see; the name if empty")
    model: ModelSpec = Field(description="the simulation model")
    units: Annotated[tuple[Text, ...] | Literal["discovered"], BeforeValidator(_units)] = Field(
        (), description="physical machines; one named like the twin if empty; `discovered`: those in the historian"
    )
    fleet: FleetSpec = Field(FleetSpec(), description="what units of one kind have to do with each other")
    shards: int = Field(
        1,
        ge=1,
        le=1000,
        description="into how many parts, each with runs of its own, the units are divided; no result depends on it",
    )
    inputs: tuple[InputSpec, ...] = Field((), description="operating conditions that the model is told")
    coefficients: tuple[CoefficientSpec, ...] = Field(min_length=1, description="model parameters to calibrate")
    measurements: tuple[MeasurementSpec, ...] = Field(min_length=1, description="model outputs that are measured")
    virtual_sensors: tuple[VirtualSensorSpec, ...] = Field((), description="model outputs to predict")
    window: WindowName = Field("daily", description="hourly, daily, weekly or a cron, UTC")
    schedule: Cron | None = Field(
        None, description="cron (UTC) of the live runs; without it only new telemetry starts them"
    )
    start: date = Field(
        date(2020, 1, 1), description="first day (UTC): the first window is the one that holds its beginning"
    )
    align: AlignSpec = Field(AlignSpec(), description="how samples become observations")
    filter: FilterSpec = Field(FilterSpec(), description="how the filter works")
    identifiability: Literal["report", "hold"] = Field(
        "report",
        description="what the filter does about combinations of coefficients that the measurements cannot tell: report"
        " leaves them to drift and chance, and says so; hold keeps them at their prior, which has to be as wide as they"
        " may ever differ, at more than twice the model runs an update",
    )
    smoothing: bool = Field(
        default=False,
        description="whether windows that are over are smoothed backwards, into a table smoothed_coefficients beside"
        " calibrated_coefficients: each estimate then knows the later observations of its window, too. It costs no"
        " model runs, changes nothing else and is not published; not together with identifiability hold, nor with"
        " model.mode transient",
    )
    publish: PublishSpec = Field(PublishSpec(), description="what of the estimates is published as news")
    checks: CheckSpec = Field(CheckSpec(), description="what must hold before results are published")

    @model_validator(mode="after")
    def _unique(self) -> Self:
        sections: dict[str, tuple[NamedPart, ...]] = {
            "inputs": self.inputs,
            "coefficients": self.coefficients,
            "measurements": self.measurements,
            "virtual_sensors": self.virtual_sensors,
        }
        refuse_if(spec_names.name_conflicts(sections))
        refuse_if(
            [*spec_names.property_conflicts(self.sources, self.results), *spec_names.column_conflicts(sections)],
        )
        return self

    @model_validator(mode="after")
    def _can_be_smoothed(self) -> Self:
        if self.smoothing and self.identifiability == "hold":
            message = (
                "found true, with identifiability hold; expected one of them: what is held does not drift, and"
                " smoothing would make up knowledge of it. Remove this line, or let identifiability be report"
            )
            refuse_if([Conflict(("smoothing",), message)])
        if self.smoothing and self.model.mode == "transient":
            message = (
                "found true, with model.mode transient; expected one of them: there an estimate may rest on earlier"
                " observations read anew, which looking back would count twice. Remove this line"
            )
            refuse_if([Conflict(("smoothing",), message)])
        return self

    @model_validator(mode="after")
    def _moves(self) -> Self:
        if self.transient and all(part.constant is not None for part in self.inputs):
            message = (
                "found transient, and no measured input: under constant inputs a model settles, and what it settles at"
                " is all that it tells; expected mode: steady_state, or an input that is read from the historian"
            )
            refuse_if([Conflict(("model", "mode"), message)])
        if self.transient and self.filter.adaptive_drift:
            message = "found true, with model.mode transient, where drift is taken as given; expected false"
            refuse_if([Conflict(("filter", "adaptive_drift"), message)])
        if self.transient and self.identifiability == "hold":
            message = "found hold, with model.mode transient, where nothing is held; expected report"
            refuse_if([Conflict(("identifiability",), message)])
        refuse_if(
            Conflict(
                ("measurements", number),
                f"'{part.name}' has no noise_std; expected one in transient mode, where none is estimated",
            )
            for number, part in enumerate(self.measurements)
            if self.transient and part.noise_std is None
        )
        refuse_if(
            Conflict(
                ("inputs", number, "noise_std"),
                f"'{part.name}' has a noise_std; expected none in transient mode: there an input's error stays in the"
                " model's state from one observation to the next, which the filter does not account for. Remove it",
            )
            for number, part in enumerate(self.inputs)
            if self.transient and part.noise_std is not None
        )
        return self

    @model_validator(mode="after")
    def _unique_units(self) -> Self:
        units = () if self.units == DISCOVERED else self.units
        refuse_if(
            Conflict(("units", index), f"unit '{unit}' is named twice; keep one")
            for index, unit in enumerate(units)
            if unit in units[:index]
        )
        return self

    @property
    def transient(self) -> bool:
        """Whether predictions follow the model through the recent past."""
        return self.model.mode == "transient"

    @property
    def label(self) -> str:
        """Title for people."""
        return self.title or self.name

    @property
    def named_units(self) -> tuple[str, ...] | None:
        """The units that twin.yaml names, one like the twin where it names none; None if they are discovered."""
        return None if self.units == DISCOVERED else self.units or (self.name,)

    @property
    def several_units(self) -> bool:
        """Whether there may be more than one unit."""
        return self.named_units is None or len(self.named_units) > 1

    @property
    def learns_from_fleet(self) -> bool:
        """Whether a unit that comes later starts from what the others say."""
        return (self.fleet.prior or ("fleet" if self.units == DISCOVERED else "own")) == "fleet"

    @property
    def shows_fleet(self) -> bool:
        """Whether the stage that compares units is one of this twin's own."""
        return self.several_units and self.shards == 1

    def holds(self, unit: str) -> bool:  # noqa: ARG002 - a shard holds some
        """Whether a unit that the historian has is one of this twin's."""
        return True

    @property
    def sources(self) -> tuple[spec_names.Claim, ...]:
        """What is read from the historian: inputs that are not constant, then measurements."""
        read: list[tuple[str, int, Channel]] = [
            ("inputs", i, part) for i, part in enumerate(self.inputs) if part.constant is None
        ]
        read += [("measurements", i, part) for i, part in enumerate(self.measurements)]
        return tuple(
            spec_names.Claim(part.source, (section, index), f"the source of {section} '{part.name}'")
            for section, index, part in read
        )

    @property
    def results(self) -> tuple[spec_names.Result, ...]:
        """What is published to the historian; none of it goes onto what is measured."""
        return tuple(spec_names.published(self.coefficients, self.virtual_sensors, self.measurements))
