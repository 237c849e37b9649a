"""Which demonstration a home holds: its parameters, and the file that keeps two of them apart.

The same parameters again are harmless: the same samples are written once more and nothing is computed twice. Other
parameters, or other people's data, are refused: two truths in one historian would make nonsense of both.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import pandas as pd

from twin_assets.demo.plant import EVERY
from twin_assets.errors import TwinError
from twin_assets.home import Home

SCRIPT_FILE = "demo.json"
FEWEST_TIMES = 12


@dataclass(frozen=True)
class Script:
    """What decides about a demonstration.

    Attributes:
        twin: its name.
        seed: of all that is random.
        days: how long it lasts.
        start: its first time, ISO 8601, UTC.
        fmu: SHA-256 of the model.
    """

    twin: str
    seed: int
    days: float
    start: str
    fmu: str

    @property
    def times(self) -> pd.DatetimeIndex:
        """(k,) times of the samples."""
        start = pd.Timestamp(self.start)
        return pd.date_range(start, start + pd.Timedelta(days=self.days), freq=EVERY, inclusive="left", unit="ns")

    @property
    def end(self) -> pd.Timestamp:
        """The first time that is not part of it any more."""
        return self.times[-1] + EVERY

    @property
    def lasts(self) -> str:
        """How long, in words."""
        return f"{self.days:g} day{'s' * (self.days != 1)}"

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """The script of the demonstration that a folder holds; None if it holds none."""
        try:
            return cls(**json.loads((folder / SCRIPT_FILE).read_text()))
        except FileNotFoundError:
            return None
        except (TypeError, ValueError) as error:
            raise TwinError(
                f"{folder / SCRIPT_FILE}: found no description of a demonstration ({error}). Choose another --home."
            ) from None

    def write(self, folder: Path) -> None:
        """Keep it, whole or not at all."""
        folder.mkdir(parents=True, exist_ok=True)
        aside = folder / f".{SCRIPT_FILE}"
        aside.write_text(json.dumps(asdict(self), indent=2) + "\n")
        aside.replace(folder / SCRIPT_FILE)


@dataclass(frozen=True)
class Wish:
    """What was asked for; None where the default will do."""

    seed: int | None = None
    days: float | None = None
    start: pd.Timestamp | None = None


def agree(wish: Wish, twin: str, fmu: str, home: Home, now: pd.Timestamp) -> Script:
    """The script to play: the one that the home holds, if it is what was asked for, else a new one.

    By default a new demonstration has seed 1, lasts three days and ends at the last midnight (UTC).

    Raises:
        TwinError: if the home holds another demonstration, or the period makes no sense.
    """
    held = Script.read(demo_folder(home))
    if held is None:
        return _new(wish, twin, fmu, now)
    asked = Script(
        twin,
        held.seed if wish.seed is None else wish.seed,
        held.days if wish.days is None else wish.days,
        held.start if wish.start is None else wish.start.isoformat(),
        fmu,
    )
    differences = [name for name, value in asdict(held).items() if asdict(asked)[name] != value]
    if differences:
        old, new = asdict(held), asdict(asked)
        changes = ", ".join(f"{name} {_shown(old[name])}, not {_shown(new[name])}" for name in differences)
        raise TwinError(
            f"{home.root}: this home holds another demonstration ({changes}). Two of them in one historian would mix"
            " their truths: choose another home with --home, or remove this one."
        )
    return held


def demo_folder(home: Home) -> Path:
    """Where a demonstration keeps its truth, pictures and tables."""
    return home.root / "demo"


def _new(wish: Wish, twin: str, fmu: str, now: pd.Timestamp) -> Script:
    days = 3.0 if wish.days is None else wish.days
    # Days that are no whole number of samples: the first one is earlier, the last one stays the last before midnight.
    start = (now.floor("D") - pd.Timedelta(days=days)).floor(EVERY) if wish.start is None else wish.start
    if pd.Timedelta(days=days) < FEWEST_TIMES * EVERY:
        least = FEWEST_TIMES * EVERY / pd.Timedelta(days=1)
        raise TwinError(f"--days {days:g} is too short; expected at least {least:.3g}.")
    if start != start.floor(EVERY):
        raise TwinError(f"--start {start:%Y-%m-%dT%H:%M:%S}: expected a full hour, 20 or 40 minutes past.")
    script = Script(twin, 1 if wish.seed is None else wish.seed, days, start.isoformat(), fmu)
    if script.end > now:
        raise TwinError(
            f"--start {start:%Y-%m-%dT%H:%M}: {script.lasts} from there go on to {script.end:%Y-%m-%dT%H:%M} UTC, which"
            " is still to come. Choose an earlier start."
        )
    return script


def _shown(value: object) -> str:
    text = str(value)
    return text[:12] + "…" if len(text) > 40 else text  # noqa: PLR2004 - a hash, of which the first digits tell enough
