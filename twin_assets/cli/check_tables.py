"""How ``twin check`` looks to people: tables, from the same values that machines get."""

import sys
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from twin_assets.check_twin import Report

# Nobody's terminal cuts the lines of a pipe or a file.
PIPE_WIDTH = 200


def print_report(report: Report, values: dict[str, Any]) -> None:
    """Verdict, findings, warnings, and what the runs showed."""
    console = _console()
    verdict = "[bold red]has to be mended[/]" if report.findings else "[bold green]holds[/]"
    console.print(f"[bold]{escape(report.name)}[/]: {verdict}")
    for finding in report.findings:
        console.print(f"  {escape(finding)}", soft_wrap=True, highlight=False)
    if values["fmu"]:
        console.print(f"  FMU: {escape(_fmu_line(values['fmu']))}", soft_wrap=True, highlight=False)
    if report.evidence is not None:
        _print_evidence(console, values)
    for warning in report.warnings:
        console.print(f"  [yellow]Warning:[/] {escape(warning)}", soft_wrap=True, highlight=False)


def print_variables(name: str, variables: list[dict[str, Any]]) -> None:
    """All variables of an FMU."""
    columns = ("variable", "used as", "causality", "variability", "type", "unit", "start", "min", "max", "description")
    keys = ("name", "used_as", "causality", "variability", "type", "unit", "start", "min", "max", "description")
    table = _table(f"{name}: variables of the FMU", columns, numbers=("start", "min", "max"))
    for variable in variables:
        table.add_row(*(_cell(variable[key]) for key in keys))
    _console().print(table)


def _print_evidence(console: Console, values: dict[str, Any]) -> None:
    console.print(f"  Restart: {escape(values['restart']['choice'])}.", soft_wrap=True, highlight=False)
    if values["memory"] is not None:
        console.print(f"  Memory: {escape(_memory_line(values['memory']))}.", soft_wrap=True, highlight=False)
    console.print(f"  Run {values['model_runs']} times around the prior{escape(_where(values))}.", soft_wrap=True)
    if values["observations_seen"]:
        console.print(_operating_points(values))
    console.print(_coefficients(values), _outputs(values))


def _where(values: dict[str, Any]) -> str:
    points, seen = values["operating_points"], values["observations_seen"]
    if seen:
        count = (
            f"{len(points)} operating points that stand" if len(points) > 1 else "the one operating point that stands"
        )
        return f" at {count} for {seen} observations in the historian"
    told = ", ".join(f"{name} = {value:g}" for name, value in values["inputs"].items())
    return f" with {told}" if told else ""


def _operating_points(values: dict[str, Any]) -> Table:
    names = tuple(values["inputs"])
    table = _table("Operating points seen", (*names, "share"), numbers=(*names, "share"))
    for point in values["operating_points"]:
        table.add_row(*(_cell(value) for value in point["inputs"].values()), f"{point['share']:.0%}")
    return table


def _coefficients(values: dict[str, Any]) -> Table:
    numbers = ("initial", "standard deviation", "after one observation", "learned")
    table = _table("Coefficients: what one observation tells", ("coefficient", "unit", *numbers), numbers=numbers)
    for row in values["coefficients"]:
        learned = 1 - (row["std_after_one"] / row["initial_std"]) ** 2
        figures = (row["initial"], row["initial_std"], row["std_after_one"])
        table.add_row(
            _cell(row["name"]), _cell(row["unit"]), *(f"{figure:.3g}" for figure in figures), f"{learned:.0%}"
        )
    table.caption = "learned: the part of the prior's variance that one observation takes away, judged locally"
    if len(values["operating_points"]) > 1:
        table.caption += ", on average over the operating points"
    return table


def _outputs(values: dict[str, Any]) -> Table:
    numbers = ("value", "noise_std")
    first = ", at the first operating point" if len(values["operating_points"]) > 1 else ""
    table = _table(f"Outputs at the prior{first}", ("output", "role", "unit", *numbers), numbers=numbers)
    for row in values["outputs"]:
        noise = row["noise_std"]
        if noise is None and row["role"] == "measurement":
            noise = "estimated from the data"
        table.add_row(*(_cell(row[key]) for key in ("name", "role", "unit", "value")), _cell(noise))
    return table


def _fmu_line(fmu: dict[str, Any]) -> str:
    tool = f", exported by {fmu['generation_tool']}" if fmu["generation_tool"] else ""
    platforms = ", ".join(fmu["platforms"])
    interface = fmu["interface"].replace("_", " ").replace("co simulation", "co-simulation")
    return f"{fmu['file']} (FMI {fmu['fmi_version']} {interface}{tool}; {platforms}; SHA-256 {fmu['sha256'][:12]}…)"


def _memory_line(memory: dict[str, Any]) -> str:
    line = f"after memory_s {memory['left']:.2g} of the error at the beginning is left in '{memory['output']}'"
    needed = memory["needed_s"]
    return line if needed is None else f"{line}; it is a thousandth after {needed:.2g} s"


def _table(title: str, columns: tuple[str, ...], numbers: tuple[str, ...]) -> Table:
    table = Table(title=title, title_justify="left", caption_justify="left")
    for column in columns:
        table.add_column(column, justify="right" if column in numbers else "left", overflow="fold")
    return table


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else escape(str(value))


def _console() -> Console:
    return Console(file=sys.stdout, width=None if sys.stdout.isatty() else PIPE_WIDTH)
