"""fmu: the simulation model's file; its data version is the hash of its bytes."""

import dagster as dg

from twin_assets.assets.metadata import markdown_table
from twin_assets.models import Models
from twin_assets.resources import Workbench, mended_by_users
from twin_assets.simulation import FmuDescription
from twin_assets.spec_check import check_against_fmu, description_of
from twin_assets.spec_file import Twin
from twin_assets.stages.registration import restart_choice

FMU = "fmu"
VARIABLES_SHOWN = 200


def fmu_asset(twin: Twin) -> dg.AssetsDefinition:
    """The FMU of a twin. Nothing is written: the file is where people put it, and this says what it is."""
    spec = twin.spec

    @dg.asset(
        key=dg.AssetKey([spec.name, FMU]),
        group_name=spec.name,
        code_version="1",
        kinds={"fmi"},
        description=f"The simulation model `{spec.model.fmu}`, held against twin.yaml.",
    )
    def fmu(bench: dg.ResourceParam[Workbench], models: dg.ResourceParam[Models]) -> dg.MaterializeResult[None]:
        with mended_by_users():
            digest = models.of(twin).sha256
            description = description_of(twin)
            check_against_fmu(twin, description)
            restart = {"restart": restart_choice(twin, bench.store, digest)} if spec.transient else {}
        return dg.MaterializeResult(
            data_version=dg.DataVersion(digest),
            metadata={
                "path": dg.MetadataValue.path(str(twin.fmu_path)),
                "sha256": digest,
                "bytes": twin.fmu_path.stat().st_size,
                "model": description.model_name,
                "fmi_version": description.fmi_version,
                "interface": description.interface,
                "platforms": ", ".join(description.platforms),
                "generation_tool": description.generation_tool or "not said",
                "keeps_state": description.can_get_set_state,
                **restart,
                "variables": dg.MetadataValue.md(_variables(twin, description)),
            },
        )

    return fmu


def _variables(twin: Twin, description: FmuDescription) -> str:
    """The FMU's variables as Markdown: those that the twin uses first."""
    spec = twin.spec
    roles = {part.name: "input" for part in spec.inputs} | {part.name: "coefficient" for part in spec.coefficients}
    roles |= {part.name: "measurement" for part in spec.measurements}
    roles |= {part.name: "virtual sensor" for part in spec.virtual_sensors}
    ordered = sorted(description.variables, key=lambda variable: (variable.name not in roles, variable.name))
    rows = [
        (
            roles.get(v.name, ""),
            v.name,
            v.causality,
            v.unit or "",
            *map(_number, (v.start, v.min, v.max)),
            v.description,
        )
        for v in ordered[:VARIABLES_SHOWN]
    ]
    return markdown_table(("used as", "name", "causality", "unit", "start", "min", "max", "description"), rows)


def _number(value: float | None) -> object:
    return "" if value is None else value
