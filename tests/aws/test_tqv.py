"""Points as the API and its files spell them: botocore's own model says whether that is right."""

import math
from typing import Any

import botocore.session
import numpy as np
import pytest
from botocore.validate import ParamValidator

from twin_assets.aws.tqv import CSV_COLUMNS, Points, Series, csv_rows, property_value

MODEL = botocore.session.Session().get_service_model("iotsitewise")
SERIES = Series("11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222")
NS = 1_767_225_600_123_456_789


def points(values: list[float], null: list[bool] | None = None) -> Points:
    """Of successive nanoseconds, GOOD."""
    count = len(values)
    return Points(
        NS + np.arange(count),
        np.zeros(count, np.int8),
        np.array(values, dtype=np.float64),
        np.array(null or [False] * count),
    )


@pytest.mark.parametrize(
    ("data_type", "value", "null", "variant"),
    [
        ("DOUBLE", 1.5, False, {"doubleValue": 1.5}),
        ("INTEGER", 3.0, False, {"integerValue": 3}),
        ("BOOLEAN", 1.0, False, {"booleanValue": True}),
        ("DOUBLE", math.nan, True, {"nullValue": {"valueType": "D"}}),
        ("BOOLEAN", math.nan, True, {"nullValue": {"valueType": "B"}}),
    ],
)
def test_values_are_what_the_service_model_takes(
    data_type: str, value: float, *, null: bool, variant: dict[str, Any]
) -> None:
    """One member of the right type, nanoseconds split in two, a quality; by botocore's own validator."""
    found = property_value(data_type, NS, 1, value, null=null)
    assert found["value"] == variant
    assert found["timestamp"] == {"timeInSeconds": 1_767_225_600, "offsetInNanos": 123_456_789}
    assert found["quality"] == "UNCERTAIN"
    assert not ParamValidator().validate(found, MODEL.shape_for("AssetPropertyValue")).has_errors()


def test_what_was_written_is_read_the_same() -> None:
    """Every bit of a double, every nanosecond, quality, NaN and null."""
    values = [0.1, -0.0, 5e-324, 1.7976931348623157e308, math.nan, math.nan]
    nulls = [False, False, False, False, False, True]
    answered = [
        property_value("DOUBLE", NS + number, number % 3, value, null=null)
        for number, (value, null) in enumerate(zip(values, nulls, strict=True))
    ]
    answered[4]["value"] = {"doubleValue": "NaN"}  # as JSON has it
    found = Points.parsed(answered)
    assert found.time_ns.tolist() == [NS + number for number in range(6)]
    assert found.code.tolist() == [0, 1, 2, 0, 1, 2]
    assert found.value.tobytes()[:32] == np.array(values[:4]).tobytes()
    assert np.isnan(found.value[4:]).all()
    assert found.null.tolist() == nulls


def test_text_is_no_number() -> None:
    """A property that holds text where numbers were expected gives NaN, never a wrong number."""
    found = Points.parsed([{"value": {"stringValue": "12"}, "timestamp": {"timeInSeconds": 1}, "quality": "GOOD"}])
    assert np.isnan(found.value).all()
    assert not found.null.any()


def test_a_csv_row_has_the_documented_columns() -> None:
    """As the service's guide shows them; numbers with every digit, null as nothing."""
    assert set(CSV_COLUMNS) <= set(MODEL.shape_for("ColumnName").enum)
    rows = csv_rows(SERIES, points([0.1, math.nan, math.nan], [False, False, True])).splitlines()
    head = f"{SERIES.asset_id},{SERIES.property_id},DOUBLE,1767225600"
    assert rows == [f"{head},123456789,GOOD,0.1", f"{head},123456790,GOOD,NaN", f"{head},123456791,GOOD,"]


def test_whole_numbers_and_booleans_are_spelt_as_such() -> None:
    """1.0 is no INTEGER, and 1 no BOOLEAN, to SiteWise."""
    assert csv_rows(Series("a", "p", "INTEGER"), points([7.0])).strip().endswith(",7")
    assert csv_rows(Series("a", "p", "BOOLEAN"), points([1.0])).strip().endswith(",true")
