"""What all partitioned assets share: their place in the graph, and the way through the windows of a run.

An asset says how one window's table is made. Here every window of the run's range gets its turn, in order: the table is
written with its lineage, and its metadata goes to its own partition.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import pandas as pd

from twin_assets.assets.metadata import table_metadata
from twin_assets.automation import partitions_of
from twin_assets.progress import within_window
from twin_assets.resources import Workbench, mended_by_users
from twin_assets.spec import TwinSpec
from twin_assets.spec_file import Twin
from twin_assets.stages import UKF_STATE
from twin_assets.stages.fingerprint import FINGERPRINT, fingerprint
from twin_assets.stages.lineage import made_from
from twin_assets.windows import Window, WindowGrid

# A picture shows at least a week of windows, however few a live run covers, and at most what one can make out.
PICTURE_WINDOWS = (7, 92)
ITSELF_BEFORE = dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1)
"""A table that goes on from that of the window before."""
Steps = Callable[[int, int], None]
Draw = Callable[[tuple[str, ...]], Mapping[str, dg.MarkdownMetadataValue]]


@dataclass(frozen=True)
class Made:
    """One window's table.

    Attributes:
        frame: the rows.
        beside: what is kept beside them in the store.
        shown: what people see beside the row counts.
    """

    frame: pd.DataFrame
    beside: Mapping[str, str] = field(default_factory=dict)
    shown: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Tables:
    """The tables of one stage of one twin, as a run makes them.

    Attributes:
        twin: which one.
        stage: which stage.
        bench: what they are made with.
    """

    twin: Twin
    stage: str
    bench: Workbench

    @property
    def spec(self) -> TwinSpec:
        """The twin's spec."""
        return self.twin.spec

    def read(self, stage: str, window: Window) -> pd.DataFrame:
        """A table that this stage needs.

        Raises:
            Failure: if it was never made.
        """
        found = self.bench.store.read(self.spec.name, stage, window.key)
        if found is None:
            raise dg.Failure(
                f"window {window.key} of twin '{self.spec.name}' has no table '{stage}', which '{self.stage}' is made"
                f" from. Materialize '{self.spec.name}/{stage}' for this window first."
            )
        return found

    def filtered_otherwise(self, window: Window, fmu_sha256: str) -> str:
        """Why a window's ``ukf_state`` is not what the filter would make of it now; empty if it is."""
        made_by = (self.bench.store.metadata(self.spec.name, UKF_STATE, window.key) or {}).get(FINGERPRINT)
        if made_by == fingerprint(self.spec, fmu_sha256):
            return ""
        return (
            f"window {window.key} of twin '{self.spec.name}': 'ukf_state' was computed with another FMU or twin.yaml"
            f" than there is now. Materialize '{self.spec.name}/ukf_state' for this window first."
        )

    def make(
        self,
        context: dg.AssetExecutionContext,
        make: Callable[[Window, Steps], Made],
        draw: Draw | None = None,
    ) -> dg.MaterializeResult[None]:
        """Make the table of every window of the run, in order.

        Args:
            context: of the asset.
            make: one window's table; its second argument is told of steps (done, total) where they take long.
            draw: pictures of some windows, by the windows' keys.
        """
        digests = []
        with mended_by_users():
            self.bench.turns.take(self.spec.name)
            windows = windows_of(context, self.spec)
            for number, window in enumerate(windows):
                steps = within_window(self.bench.progress, self.stage, number, len(windows))
                made = make(window, steps)
                beside = {**made.beside, **made_from(self.bench.store, self.spec, self.stage, window)}
                digests.append(self.bench.store.write(self.spec.name, self.stage, window.key, made.frame, beside))
                context.add_asset_metadata({**table_metadata(made.frame), **made.shown}, partition_key=window.key)
                steps(1, 1)
            if draw is not None and self.bench.pictures and (keys := self._drawn(windows)):
                context.add_asset_metadata(draw(keys), partition_key=windows[-1].key)
        return dg.MaterializeResult(data_version=dg.DataVersion(_version(digests)))

    def _drawn(self, windows: Sequence[Window]) -> tuple[str, ...]:
        """Keys of the windows that a picture shows: the run's and those before it, where they have rows."""
        least, most = PICTURE_WINDOWS
        keys = [key for key in self.bench.store.keys(self.spec.name, self.stage) if key <= windows[-1].key]
        count = max(least, sum(key >= windows[0].key for key in keys))
        return tuple(keys[-min(count, most) :])


def windows_of(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext, spec: TwinSpec) -> list[Window]:
    """The windows of the run, in order."""
    grid = WindowGrid.of(spec)
    return [grid.parse(key) for key in sorted(context.partition_keys)]


def windowed_asset(
    twin: Twin,
    stage: str,
    *,
    description: str,
    columns: Iterable[tuple[str, str, str]],
    deps: Sequence[dg.AssetKey | dg.AssetDep] = (),
    kinds: frozenset[str],
    code_version: str = "1",
    output_required: bool = True,
) -> Callable[[Callable[..., object]], dg.AssetsDefinition]:
    """``dg.asset`` for a partitioned stage of a twin: ``[twin, stage]``, all windows of a range in one run.

    Args:
        twin: gives the group and the partitions.
        stage: its name.
        description: for people.
        columns: of its table: (name, type, description) each.
        deps: what it is made from.
        kinds: what Dagster shows as icons.
        code_version: to be raised when the same inputs give another table.
        output_required: see ``dg.asset``.
    """
    return dg.asset(
        key=dg.AssetKey([twin.spec.name, stage]),
        group_name=twin.spec.name,
        description=description,
        metadata=column_schema(columns),
        deps=deps,
        kinds=set(kinds),
        code_version=code_version,
        partitions_def=partitions_of(twin.spec),
        backfill_policy=dg.BackfillPolicy.single_run(),
        output_required=output_required,
    )


def column_schema(columns: Iterable[tuple[str, str, str]]) -> Mapping[str, dg.TableSchemaMetadataValue]:
    """Definition metadata that names a table's columns: (name, type, description) each."""
    described = [dg.TableColumn(name, kind, description) for name, kind, description in columns]
    return {"dagster/column_schema": dg.TableSchemaMetadataValue(dg.TableSchema(described))}


def estimate_columns(measures: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Columns of a table of estimates; ``measures``: unit of measure by name."""
    found = [("unit", "string", "machine"), ("time", "timestamp", "UTC, nanoseconds")]
    for name, measure in measures.items():
        suffix = f", {measure}" if measure else ""
        found += [
            (name, "double", f"mean{suffix}"),
            (f"{name}_std", "double", f"standard deviation{suffix}"),
            (f"{name}_lower", "double", f"95 % interval from{suffix}"),
            (f"{name}_upper", "double", f"95 % interval to{suffix}"),
        ]
    return found


def prediction_columns(measures: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Columns of a table of predictions; ``measures``: unit of measure by name."""
    found = estimate_columns(measures)
    for name, measure in measures.items():
        suffix = f", {measure}" if measure else ""
        found += [
            (f"{name}_std_coefficients", "double", f"part of the standard deviation, inputs known exactly{suffix}"),
            (f"{name}_std_inputs", "double", f"part of the standard deviation, from errors of inputs{suffix}"),
            (f"{name}_std_discrepancy", "double", f"part of it, plant unlike model; NaN: not stated{suffix}"),
        ]
    found.append(("valid", "boolean", "whether the row rests on what was calibrated"))
    return [*found, ("why_not", "string", "and if not, why")]


def _version(digests: Sequence[str]) -> str:
    """One data version for all windows of a run: Dagster has one a materialization. Of one window it is its digest."""
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()
