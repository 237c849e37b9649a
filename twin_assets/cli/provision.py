"""``twin provision``: make what IoT SiteWise needs for a twin, from its description."""

import json
import os
from dataclasses import asdict, replace

import click

from twin_assets.errors import TwinError
from twin_assets.historian.choice import sitewise_at
from twin_assets.historian.sitewise_url import SCHEME, is_sitewise, parsed_place
from twin_assets.home import home_from, twins_path_from
from twin_assets.provisioning.sitewise import Provisioned, model_properties, provision
from twin_assets.spec_file import load_twin

PLACES = (SCHEME,)


@click.command(short_help="Make what IoT SiteWise needs for a twin: asset model and assets.")
@click.argument("name")
@click.option("--to", "place", type=click.Choice(PLACES), default=SCHEME, show_default=True, help="Where.")
@click.option("--unit", "units", multiple=True, help="A machine (repeatable). Default: those that twin.yaml lists.")
@click.option("--json", "as_json", is_flag=True, help="What is there now, as JSON.")
def command(*, name: str, place: str, units: tuple[str, ...], as_json: bool) -> None:
    """Make the asset model of twin NAME with all properties that it reads and writes, and an asset for each unit.

    What is there stays, what is missing is added, nothing is removed: call it again whenever twin.yaml has changed. The
    model is the one that the historian's URL names (--historian sitewise://REGION?model=…), or is called like the twin.
    """
    spec = load_twin(name, twins_path_from(os.environ)).spec
    url = home_from(os.environ).historian_url or place
    there = parsed_place(url if is_sitewise(url) else place)
    wanted = units or spec.named_units
    if wanted is None:
        raise TwinError(f"twin '{name}' discovers its units: name those that have to be made with --unit.")
    model = there.model or spec.name
    sitewise = sitewise_at(replace(there, model=model))
    made = provision(sitewise, model, model_properties(spec), wanted, description=spec.label)
    click.echo(json.dumps(asdict(made), indent=2) if as_json else _sentence(made))


def _sentence(made: Provisioned) -> str:
    properties = f"{len(made.properties)} properties added" if made.properties else "all properties there"
    assets = f"assets created: {', '.join(made.new_assets)}" if made.new_assets else "all assets there"
    verb = "created" if made.created else "found"
    return f"Asset model '{made.model_name}' ({made.model_id}) {verb}; {properties}; {assets}."
