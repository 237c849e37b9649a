"""What ``twin check`` says of IoT SiteWise: what keeps the twin from being read and published, before a run fails."""

from twin_assets.historian import HistorianError
from twin_assets.historian.choice import open_sitewise_historian
from twin_assets.historian.sitewise_url import is_sitewise
from twin_assets.home import Home
from twin_assets.spec import TwinSpec
from twin_assets.stages.publish import published_properties
from twin_assets.stages.telemetry import channel_properties


def historian_findings(spec: TwinSpec, home: Home | None) -> tuple[str, ...]:
    """What has to be mended; nothing if all is there, or if the historian is another one.

    Args:
        spec: the twin.
        home: says which historian.
    """
    if home is None or home.historian_url is None or not is_sitewise(home.historian_url):
        return ()
    try:
        with open_sitewise_historian(home) as historian:
            results = tuple(published_properties(spec).values())
            return tuple(historian.check(spec.named_units, channel_properties(spec), results))
    except HistorianError as error:
        return (str(error),)
