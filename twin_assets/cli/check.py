"""``twin check``: does a twin's description hold, and what can its measurements tell; for people and for machines."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape

from twin_assets.check_twin import Evidence, Report, check_twin
from twin_assets.cli.check_tables import print_report, print_variables
from twin_assets.errors import TwinError
from twin_assets.estimation.combinations import Combination
from twin_assets.home import Home, home_from, twins_path_from
from twin_assets.simulation import FmuDescription, RestartReport, fmu_sha256
from twin_assets.spec import TwinSpec
from twin_assets.spec_check import description_of
from twin_assets.spec_file import Twin, load_twin, shown, twin_names
from twin_assets.stages.conditions import Conditions


@click.command(name="check")
@click.argument("name", required=False)
@click.option("--variables", is_flag=True, help="List all variables of the FMU, and what the twin uses them for.")
@click.option("--json", "as_json", is_flag=True, help="The same for machines.")
@click.option("--quiet", is_flag=True, help="No sign of progress.")
def command(name: str | None, *, variables: bool, as_json: bool, quiet: bool) -> None:
    """Validate twin.yaml and FMU of NAME (default: of all twins), run the model around the prior, say what was found.

    Exits with 1 if anything has to be mended; what is only worth knowing are warnings.
    """
    twins_path = twins_path_from(os.environ)
    names = (name,) if name else twin_names(twins_path)
    if not names:
        raise TwinError(f"{shown(twins_path)}: there is no twin; 'twin new NAME --fmu F' writes one.")
    if variables:
        _show_variables([load_twin(each, twins_path) for each in names], as_json=as_json)
        return
    home = home_from(os.environ)
    reports = (_checked(each, twins_path, home, quiet=quiet) for each in names)
    if not _show_reports(reports, as_json=as_json):
        click.get_current_context().exit(1)


def _checked(name: str, twins_path: Path, home: Home, *, quiet: bool) -> Report:
    """A model may take a minute to settle, or to fail to: something moves meanwhile, where somebody looks."""
    if quiet or not sys.stderr.isatty():
        return check_twin(name, twins_path, home)
    with Console(stderr=True).status(f"Checking {escape(name)} …"):
        return check_twin(name, twins_path, home)


def _show_variables(twins: list[Twin], *, as_json: bool) -> None:
    described = [(twin, description_of(twin)) for twin in twins]
    if as_json:
        click.echo(json.dumps({"twins": [variables_json(twin, fmu) for twin, fmu in described]}, indent=2))
        return
    for twin, fmu in described:
        print_variables(twin.spec.name, variables_json(twin, fmu)["variables"])


def _show_reports(reports: Iterator[Report], *, as_json: bool) -> bool:
    """Whether nothing has to be mended. People see each twin as soon as it is checked."""
    if as_json:
        every = list(reports)
        fine = not any(report.findings for report in every)
        click.echo(json.dumps({"ok": fine, "twins": [report_json(report) for report in every]}, indent=2))
        return fine
    fine = True
    for report in reports:
        print_report(report, report_json(report))
        fine = fine and not report.findings
    return fine


def variables_json(twin: Twin, description: FmuDescription) -> dict[str, Any]:
    """The FMU's variables as plain values, with the twin's section that uses each."""
    spec = twin.spec
    sections = {"input": spec.inputs, "coefficient": spec.coefficients, "measurement": spec.measurements}
    used = {part.name: role for role, parts in sections.items() for part in parts}
    used |= {part.name: "virtual sensor" for part in spec.virtual_sensors}
    used |= dict.fromkeys(spec.model.parameters, "parameter")
    shown_attributes = ("name", "type", "causality", "variability", "unit", "start", "min", "max", "description")
    return {
        "twin": spec.name,
        "variables": [
            {key: getattr(variable, key) for key in shown_attributes} | {"used_as": used.get(variable.name)}
            for variable in description.variables
        ],
    }


def report_json(report: Report) -> dict[str, Any]:
    """A report as plain values."""
    return {
        "twin": report.name,
        "file": shown(report.twin.path) if report.twin else None,
        "ok": not report.findings,
        "findings": list(report.findings),
        "warnings": list(report.warnings),
        "fmu": _fmu_json(report.description) if report.description else None,
        **(
            _evidence_json(report.evidence, report.twin.spec, _units(report)) if report.evidence and report.twin else {}
        ),
    }


def _fmu_json(description: FmuDescription) -> dict[str, Any]:
    return {
        "file": shown(Path(description.path)),
        "sha256": fmu_sha256(description.path),
        "model": description.model_name,
        "fmi_version": description.fmi_version,
        "interface": description.interface,
        "generation_tool": description.generation_tool,
        "platforms": list(description.platforms),
    }


def _units(report: Report) -> dict[str, str | None]:
    return {variable.name: variable.unit for variable in report.description.variables} if report.description else {}


def _restart_json(restart: RestartReport) -> dict[str, Any]:
    ways = {"rollback": restart.rollback, "reset": restart.reset, "serialize": restart.serialize}
    tried = {name: {"status": outcome.status, "detail": outcome.detail} for name, outcome in ways.items()}
    if restart.replay is not None:
        tried["replay"] = {"status": restart.replay.status, "detail": restart.replay.detail}
    return {
        "used": restart.used,
        "reproducible": restart.reproducible,
        "across_runs": restart.across_runs,
        "choice": restart.choice,
        **tried,
    }


def _evidence_json(evidence: Evidence, spec: TwinSpec, units: dict[str, str | None]) -> dict[str, Any]:
    prior, sensitivity = evidence.coefficients, evidence.sensitivity
    rows = zip(prior.names, prior.initial.tolist(), prior.initial_std.tolist(), strict=True)
    points = _points_json(evidence.conditions, tuple(part.name for part in spec.inputs))
    return {
        "restart": _restart_json(evidence.restart),
        "model_runs": evidence.model_runs,
        "memory": None if evidence.memory is None else vars(evidence.memory) | {"enough": evidence.memory.enough},
        "equal_step_s": evidence.equal_step_s,
        "inputs": points[0]["inputs"],
        "operating_points": points,
        "observations_seen": evidence.conditions.observations,
        "outputs": [vars(prediction) for prediction in evidence.predictions],
        "coefficients": [
            {"name": name, "unit": units.get(name), "initial": initial, "initial_std": std, "std_after_one": after}
            for (name, initial, std), after in zip(rows, sensitivity.reachable_std.tolist(), strict=True)
        ],
        "singular_values": sensitivity.singular_values.tolist(),
        "blind": [_blind_json(each) for confusion in sensitivity.confusions for each in confusion.combinations],
        "told": [
            {"among": list(confusion.names), "told": list(confusion.told), "near_the_prior_only": confusion.local}
            for confusion in sensitivity.confusions
        ],
    }


def _points_json(conditions: Conditions, names: tuple[str, ...]) -> list[dict[str, Any]]:
    pairs = zip(conditions.points.tolist(), conditions.shares.tolist(), strict=True)
    return [{"inputs": dict(zip(names, point, strict=True)), "share": share} for point, share in pairs]


def _blind_json(combination: Combination) -> dict[str, Any]:
    return {
        "combination": str(combination),
        "law": combination.law,
        "weights": dict(combination.weights),
        "exponents": dict(combination.exponents),
        "observations": None if combination.endless else combination.observations,
    }
