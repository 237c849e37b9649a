"""The home: the folder with the historian's file, the store and Dagster's instance; or another historian, or store."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from twin_assets.blobs import store_place
from twin_assets.errors import TwinError

HOME_VARIABLE = "TWIN_HOME"
TWINS_VARIABLE = "TWINS_PATH"
HISTORIAN_VARIABLE = "TWIN_HISTORIAN"
STORE_VARIABLE = "TWIN_STORE"

DAGSTER_YAML = """\
# Dagster's instance of this twin home; its own usage telemetry and its invitation at the first visit are off.
telemetry:
  enabled: false
nux:
  enabled: false
"""


@dataclass(frozen=True)
class Home:
    """Where one installation keeps what it knows.

    Attributes:
        root: the folder.
        historian_url: the database that holds the samples, with its password; None: the embedded one in the folder.
        store: where assets keep their tables and states, a folder or ``s3://bucket/prefix``; None: in the home.
    """

    root: Path
    historian_url: str | None = field(default=None, repr=False)
    store: Path | str | None = None

    @property
    def historian_path(self) -> Path:
        """SQLite file of the embedded historian."""
        return self.root / "historian.sqlite"

    @property
    def store_path(self) -> Path | str:
        """Folder, or S3 prefix, in which assets keep their tables and states."""
        return self.root / "store" if self.store is None else self.store

    @property
    def dagster_path(self) -> Path:
        """DAGSTER_HOME: runs, events, schedules."""
        return self.root / "dagster"

    def prepare(self) -> None:
        """Make the folders and Dagster's configuration, if they are not there.

        Raises:
            TwinError: if the home cannot be written.
        """
        try:
            for folder in (self.root, self.store_path, self.dagster_path):
                if isinstance(folder, Path):
                    folder.mkdir(parents=True, exist_ok=True)
            config = self.dagster_path / "dagster.yaml"
            if not config.exists():
                config.write_text(DAGSTER_YAML)
            probe = self.root / f".writable-{os.getpid()}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise TwinError(
                f"{self.root}: the home cannot be written ({error.strerror or error}). Expected a folder that you may"
                f" write to: choose one with --home or {HOME_VARIABLE}."
            ) from error


def home_from(environment: Mapping[str, str]) -> Home:
    """The home that the environment names: ``$TWIN_HOME``, or ``.twin`` here.

    Its historian is ``$TWIN_HISTORIAN``, its store ``$TWIN_STORE``.

    Raises:
        TwinError: if the store is neither a folder nor an S3 prefix.
    """
    root = Path(environment.get(HOME_VARIABLE) or ".twin").absolute()
    store = environment.get(STORE_VARIABLE, "").strip()
    return Home(root, environment.get(HISTORIAN_VARIABLE, "").strip() or None, store_place(store) if store else None)


def twins_path_from(environment: Mapping[str, str]) -> Path:
    """Where twins are looked up: ``$TWINS_PATH``, or ``twins`` in the current folder."""
    return Path(environment.get(TWINS_VARIABLE) or "twins").absolute()
