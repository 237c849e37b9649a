"""What the historian's tests share."""

from collections.abc import Callable

import pandas as pd
import pytest

Samples = Callable[..., pd.DataFrame]


@pytest.fixture(name="samples")
def _samples() -> Samples:
    """Samples of line_1's Roller1_w, one a time, 1.0 and GOOD unless said otherwise."""

    def make(*times: str, **columns: object) -> pd.DataFrame:
        index = pd.DatetimeIndex([pd.Timestamp(time, tz="UTC") for time in times], dtype="datetime64[ns, UTC]")
        defaults = {"unit": "line_1", "property": "Roller1_w", "time": index, "value": 1.0, "quality": "GOOD"}
        return pd.DataFrame(defaults | columns)

    return make
