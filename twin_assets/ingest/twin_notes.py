"""What a recording means for a twin: what it lacks, what lies before the first window, what it must not bring."""

from twin_assets.ingest.errors import RecordingError
from twin_assets.ingest.recording import Recording
from twin_assets.nearest import nearest_hint
from twin_assets.spec import TwinSpec
from twin_assets.stages.telemetry import channel_properties
from twin_assets.windows import WindowGrid

PUBLISHED_REASON = "the twin publishes its own results under this name"
LISTED = 6


def drop_published(recording: Recording, spec: TwinSpec) -> Recording:
    """Skip properties under which the twin publishes: its results would overwrite the recorded values.

    Raises:
        RecordingError: if nothing is left.
    """
    kept = recording.without({result.name for result in spec.results} - set(channel_properties(spec)), PUBLISHED_REASON)
    if kept.samples.empty:
        raise RecordingError(f"found nothing to ingest for twin '{spec.name}'. {' '.join(_skipped(kept))}")
    return kept


def notes(recording: Recording, spec: TwinSpec) -> list[str]:
    """What the user should know, one sentence or two each."""
    return [
        *_skipped(recording),
        *_missing(recording, spec),
        *_constant(recording, spec),
        *_before_start(recording, spec),
    ]


def _skipped(recording: Recording) -> list[str]:
    by_reason: dict[str, list[str]] = {}
    for name, reason in recording.skipped.items():
        by_reason.setdefault(reason, []).append(f"'{name}'")
    texts = [f"Left out {_listed(names)}: {reason}." for reason, names in by_reason.items()]
    if PUBLISHED_REASON in by_reason:
        texts[list(by_reason).index(PUBLISHED_REASON)] += (
            " To keep recorded values beside them, give the virtual sensor another `property` in twin.yaml."
        )
    return texts


def _missing(recording: Recording, spec: TwinSpec) -> list[str]:
    found = recording.properties
    return [
        f"The twin reads '{name}', which is not in this recording.{nearest_hint(name, found)}"
        " If it has another name there, say so with `property` in twin.yaml."
        for name in channel_properties(spec)
        if name not in found
    ]


def _constant(recording: Recording, spec: TwinSpec) -> list[str]:
    return [
        f"The recording holds '{part.name}', which twin.yaml gives as constant {part.constant:g}: to use what was"
        f" recorded, write `property: {part.name}` in place of `constant`."
        for part in spec.inputs
        if part.constant is not None and part.name in recording.properties
    ]


def _before_start(recording: Recording, spec: TwinSpec) -> list[str]:
    start = WindowGrid.of(spec).first.start
    times = recording.samples["time"]
    early = int((times < start).sum())
    if not early:
        return []
    advice = f"To calibrate with them, set `start: {times.min():%Y-%m-%d}` in twin.yaml."
    return [f"{early} samples lie before the twin's first window, {start:%Y-%m-%d}. {advice}"]


def _listed(names: list[str]) -> str:
    """The first few of many names."""
    more = len(names) - LISTED
    return ", ".join(names[:LISTED]) + (f" and {more} more" if more > 0 else "")
