"""The command's frame: errors, exit codes, tracebacks, pipes."""

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from twin_assets import cli
from twin_assets.cli import COMMANDS, group, main
from twin_assets.errors import TwinError


class Probe:
    """Stands in for a command's module: raises what it is told to."""

    def __init__(self, error: BaseException | None) -> None:
        def run() -> None:
            click.echo("out")
            if error is not None:
                raise error

        self.command = click.Command("check", callback=run)


def exit_code(monkeypatch: pytest.MonkeyPatch, error: BaseException | None, *arguments: str) -> object:
    """How ``twin check`` ends when it raises the error."""
    monkeypatch.setattr(cli, "import_module", lambda _: Probe(error))
    try:
        main([*arguments])
    except SystemExit as end:
        return end.code
    return 0


def test_a_users_error_is_one_message(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1, the message on standard error, no traceback."""
    assert exit_code(monkeypatch, TwinError("x.csv:3: found text"), "check") == 1
    assert capsys.readouterr().err == "Error: x.csv:3: found text\n"


def test_several_findings_begin_on_a_line_of_their_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """So that each line is one that editors understand: file, line, message."""
    exit_code(monkeypatch, TwinError("a.yaml:1: x\na.yaml:2: y"), "check")
    assert capsys.readouterr().err.splitlines() == ["Error:", "a.yaml:1: x", "a.yaml:2: y"]


@pytest.mark.parametrize("arguments", [("--debug", "check"), ("check", "--debug")])
def test_debug_shows_the_traceback_wherever_it_stands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: tuple[str, str]
) -> None:
    """Before or after the command."""
    assert exit_code(monkeypatch, TwinError("wrong"), *arguments) == 1
    error = capsys.readouterr().err
    assert error.startswith("Traceback")
    assert error.endswith("Error: wrong\n")


@pytest.mark.parametrize(
    "arguments",
    [["chek"], ["check", "--wuff"], ["check", "a", "b"], ["--home"]],
    ids=" ".join,
)
def test_wrong_usage_exits_with_1(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    """One message on standard error."""
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 1
    assert "Error: " in capsys.readouterr().err


@pytest.mark.parametrize("interruption", [KeyboardInterrupt(), click.Abort()])
def test_an_interruption_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], interruption: BaseException
) -> None:
    """Ctrl-C ends with the shell's exit code for it."""
    assert exit_code(monkeypatch, interruption, "check") == 130
    assert capsys.readouterr().err.strip() == "Stopped."


def test_a_commands_exit_code_is_the_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """``ctx.exit(1)`` is not lost."""
    assert exit_code(monkeypatch, click.exceptions.Exit(1), "check") == 1
    assert exit_code(monkeypatch, None, "check") == 0


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """What no user can mend is not hidden."""
    with pytest.raises(ZeroDivisionError):
        exit_code(monkeypatch, ZeroDivisionError(), "check")


def test_help_imports_no_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """``twin --help`` lists all commands at once."""
    monkeypatch.setattr(cli, "import_module", lambda name: pytest.fail(f"imported {name}"))
    main(["--help"])
    output = capsys.readouterr().out
    assert all(name in output for name in COMMANDS)


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_explains_itself(name: str) -> None:
    """Each has help for itself and for each of its options, ``--debug`` among them."""
    command = group.get_command(click.Context(group), name)
    assert command is not None
    assert command.help
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    assert [option.name for option in options if not option.help] == []
    assert "debug" in [option.name for option in options]


def test_home_and_twins_are_passed_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As the two variables that other processes read, absolute."""
    monkeypatch.setenv("TWIN_HOME", "before")
    monkeypatch.setenv("TWINS_PATH", "before")
    monkeypatch.chdir(tmp_path)
    exit_code(monkeypatch, None, "--home", "h", "--twins", "t", "check")
    assert (os.environ["TWIN_HOME"], os.environ["TWINS_PATH"]) == (str(tmp_path / "h"), str(tmp_path / "t"))


def test_a_reader_that_goes_away_is_no_traceback(tmp_path: Path) -> None:
    """``twin … | head -0`` in a real pipe."""
    (tmp_path / "twins").mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "twin_assets", "--help"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    error = process.stderr.read()
    process.stderr.close()
    assert (process.wait(), error) == (1, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_a_full_disk_is_a_message() -> None:
    """What the operating system refuses is said in one line, without a traceback."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "twin_assets", "--help"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr
