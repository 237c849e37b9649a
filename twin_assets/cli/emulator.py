"""``twin emulator``: IoT SiteWise and IoT TwinMaker on the loopback, for whoever has no account."""

import json
import os

import click

from twin_assets.emulator import Emulator
from twin_assets.errors import TwinError
from twin_assets.home import home_from

S3_VARIABLE = "AWS_ENDPOINT_URL_S3"
FOLDER = "emulator"  # in the home
PORT = 4572

TOLD = """\
IoT SiteWise and IoT TwinMaker at {url}, data in {data}.
Point boto3, the AWS CLI and this project at it (docs/emulator.md):
  export AWS_ENDPOINT_URL_IOTSITEWISE={url} AWS_ENDPOINT_URL_IOTTWINMAKER={url}
  export AWS_DISABLE_HOST_PREFIX_INJECTION=true AWS_DEFAULT_REGION=eu-central-1
  export AWS_ACCESS_KEY_ID=none AWS_SECRET_ACCESS_KEY=none
Ctrl-C ends it."""


@click.command(short_help="A local AWS IoT SiteWise and IoT TwinMaker over HTTP.")
@click.option("--port", type=click.IntRange(0, 65535), default=PORT, show_default=True, help="0: any that is free.")
@click.option(
    "--data",
    metavar="FOLDER_OR_URL",
    help=f"Where it keeps what it holds: a folder (default {FOLDER}/ in the home), or the URL of a database.",
)
@click.option("--faults", metavar="TEXT", default="", help="For example throttle=10%,error=5%,partial=10%,drop=1%.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Of the faults.")
@click.option(
    "--quotas",
    metavar="TEXT",
    default="documented",
    show_default=True,
    help="Of requests and values a second: documented, off, or for example points=5000,requests=2000.",
)
@click.option("--s3-endpoint", metavar="URL", help=f"From which bulk imports read (default ${S3_VARIABLE}, or AWS).")
@click.option("--json", "as_machine", is_flag=True, help="Print where it listens as JSON, on one line.")
def command(
    port: int, data: str | None, faults: str, seed: int, quotas: str, s3_endpoint: str | None, as_machine: bool
) -> None:
    """Serve the part of the IoT SiteWise and IoT TwinMaker APIs that this platform and its viewers use.

    Requests and answers are checked against the services' own models; limits, quotas and, on request, faults are the
    services' own. What it holds stays in its database. docs/emulator.md says what is served.
    """
    if s3_endpoint is not None:
        if not s3_endpoint.startswith(("http://", "https://")):
            raise TwinError(f"--s3-endpoint '{s3_endpoint}' is no URL; expected one like http://127.0.0.1:5000")
        os.environ[S3_VARIABLE] = s3_endpoint  # where boto3 itself looks
    place = data or str(home_from(os.environ).root / FOLDER)
    with Emulator(place, port=port, faults=faults, seed=seed, quotas=quotas) as emulator:
        told = json.dumps({"url": emulator.url}) if as_machine else TOLD.format(url=emulator.url, data=emulator.name)
        click.echo(told)
        try:
            emulator.wait()
        except KeyboardInterrupt:
            click.echo("Stopped.", err=True)
