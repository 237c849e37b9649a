"""Faults on request: what a real service does on its bad days, drawn from a seeded source.

Belongs here: saying which faults there are, and drawing them. Carrying them out is ``app``'s, and for single entries
``sitewise.putting``'s.
"""

import re
from dataclasses import dataclass
from random import Random
from threading import Lock

from twin_assets.errors import TwinError

EXAMPLE = "throttle=10%,error=5%,partial=10%,slow=200ms,drop=1%"
SHARES = ("throttle", "error", "partial", "drop")
_SHARE = re.compile(r"(\d+(?:\.\d+)?)%")
_DELAY = re.compile(r"(\d+(?:\.\d+)?)(ms|s)")


@dataclass(frozen=True)
class Faults:
    """How often what goes wrong.

    Attributes:
        throttle: share of requests refused with ThrottlingException, 0 to 1.
        error: share of requests that fail with an internal error (500); half of them after they were carried out.
        partial: share of put entries that are refused as throttled.
        drop: share of requests whose connection is dropped; half of them after they were carried out.
        slow_s: every answer is late by up to twice this, in seconds, half of it on average.
    """

    throttle: float = 0.0
    error: float = 0.0
    partial: float = 0.0
    drop: float = 0.0
    slow_s: float = 0.0


def parse_faults(text: str) -> Faults:
    """Faults as people write them.

    Raises:
        TwinError: if a part is no fault; the message says which.
    """
    found: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, amount = part.partition("=")
        share, delay = _SHARE.fullmatch(amount), _DELAY.fullmatch(amount)
        if name in SHARES and share and float(share.group(1)) <= 100:  # noqa: PLR2004 - per cent
            found[name] = float(share.group(1)) / 100
        elif name == "slow" and delay:
            found["slow_s"] = float(delay.group(1)) / (1000 if delay.group(2) == "ms" else 1)
        else:
            raise TwinError(
                f"'{part}' is no fault; expected throttle, error, partial or drop with a share up to 100%, or slow with"
                f" a time in ms or s, for example {EXAMPLE}"
            )
    return Faults(**found)


@dataclass(frozen=True)
class Mishap:
    """What happens to one request.

    Attributes:
        kind: throttle, error or drop; None where all goes well.
        carried_out: whether the request is carried out before it fails.
        delay_s: how late the answer is.
    """

    kind: str | None
    carried_out: bool
    delay_s: float


class FaultSource:
    """Draws faults; the same seed and the same order of requests give the same faults."""

    def __init__(self, faults: Faults, seed: int) -> None:
        """Nothing is drawn yet.

        Args:
            faults: how often.
            seed: of the draws.
        """
        self.faults = faults
        self._random = Random(seed)  # noqa: S311 - chance, no secret
        self._lock = Lock()

    def mishap(self) -> Mishap:
        """What happens to the next request."""
        with self._lock:
            faults, draw = self.faults, self._random.random()
            carried_out = self._random.random() < 0.5  # noqa: PLR2004 - half of them
            delay_s = self._random.uniform(0.0, 2.0 * faults.slow_s)
        kind = None
        for name in ("throttle", "error", "drop"):
            share = getattr(faults, name)
            if draw < share:
                kind = name
                break
            draw -= share
        return Mishap(kind, carried_out and kind != "throttle", delay_s)

    def refuses_entry(self) -> bool:
        """Whether the next entry of a put is refused as throttled."""
        with self._lock:
            return self._random.random() < self.faults.partial
