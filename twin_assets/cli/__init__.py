"""The ``twin`` command: options that all commands share, and errors as people want to read them.

Each command is a module of its own, imported when it is called: ``twin --help`` answers at once.
"""

import os
import sys
import traceback
from importlib import import_module
from pathlib import Path

import click

from twin_assets.blobs import store_place
from twin_assets.errors import TwinError
from twin_assets.home import HISTORIAN_VARIABLE, HOME_VARIABLE, STORE_VARIABLE, TWINS_VARIABLE

COMMANDS = {
    "demo": "A plant with hidden, drifting coefficients, calibrated end to end; a summary compares truth and estimate.",
    "new": "Write twins/NAME/ with a commented twin.yaml from an FMU.",
    "check": "Validate twin.yaml and FMU, run the model once, say what was found.",
    "ingest": "Recorded telemetry (CSV or Parquet) into the historian.",
    "replay": "A recording sent live into the historian, as an edge gateway would.",
    "run": "Materialize the windows of a range (default: what is new) through Dagster.",
    "provision": "Make what IoT SiteWise needs for a twin: asset model and assets.",
    "export": "A table as CSV or Parquet.",
    "emulator": "A local AWS IoT SiteWise and IoT TwinMaker over HTTP, for tests and demonstrations.",
}


FAILED = 1
INTERRUPTED = 130  # 128 + SIGINT, as shells have it

DEBUG_OPTION = click.Option(["--debug"], is_flag=True, expose_value=False, help="Show the traceback of an error.")


class LazyCommands(click.Group):
    """A group whose commands live in ``twin_assets.cli.<name>`` as ``command``."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Names in the order a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import the command's module."""
        if cmd_name not in COMMANDS:
            return None
        command = import_module(f"twin_assets.cli.{cmd_name}").command
        if not isinstance(command, click.Command):
            raise TypeError(f"twin_assets.cli.{cmd_name}.command is no click command")
        if DEBUG_OPTION not in command.params:
            command.params.append(DEBUG_OPTION)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name]) for name in self.list_commands(ctx)])


@click.command(cls=LazyCommands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--home", type=click.Path(path_type=Path), help=f"Home folder (default .twin, or ${HOME_VARIABLE}).")
@click.option(
    "--twins", type=click.Path(path_type=Path), help=f"Folder with the twins (default twins, or ${TWINS_VARIABLE})."
)
@click.option(
    "--historian",
    metavar="URL",
    help=f"Database of the samples, or sitewise://REGION (default SQLite in the home, or ${HISTORIAN_VARIABLE}).",
)
@click.option(
    "--store",
    metavar="PLACE",
    help=f"Folder or s3://bucket/prefix of the tables (default store in the home, or ${STORE_VARIABLE}).",
)
def group(home: Path | None, twins: Path | None, historian: str | None, store: str | None) -> None:
    """Living digital twins: calibrate an FMU from sensor history, through Dagster."""
    # Worker processes and Dagster's code location read the same variables: one way to say it, everywhere.
    if home is not None:
        os.environ[HOME_VARIABLE] = str(home.absolute())
    if twins is not None:
        os.environ[TWINS_VARIABLE] = str(twins.absolute())
    if historian is not None:
        os.environ[HISTORIAN_VARIABLE] = historian
    if store is not None:
        os.environ[STORE_VARIABLE] = str(store_place(store))


group.params.append(DEBUG_OPTION)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; what a user did wrong is one message and exit code 1, with ``--debug`` a traceback too."""
    debug = "--debug" in (sys.argv[1:] if arguments is None else arguments)
    try:
        # Without standalone mode, ``ctx.exit(code)`` comes back as the return value.
        code = group.main(args=arguments, prog_name="twin", standalone_mode=False)
        sys.stdout.flush()
    except (click.ClickException, TwinError) as error:
        if debug:
            traceback.print_exception(error)
        _show(error)
        sys.exit(FAILED)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Stopped.", err=True)
        sys.exit(INTERRUPTED)
    except OSError as error:
        if not isinstance(error, BrokenPipeError):
            if debug:
                traceback.print_exception(error)
            where = f"{error.filename}: " if error.filename else ""
            _show(TwinError(f"{where}{error.strerror or error}. Mend what is named and try again; --debug says where."))
            sys.exit(FAILED)
        # The reader (head, less) has gone; Python would complain when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)
    if isinstance(code, int) and code:
        sys.exit(code)


def _show(error: click.ClickException | TwinError) -> None:
    if isinstance(error, click.ClickException):
        error.show()
        return
    message = str(error)
    click.echo(f"Error:\n{message}" if "\n" in message else f"Error: {message}", err=True)
