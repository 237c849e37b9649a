"""Values as SiteWise has them (double, integer, boolean, string, null) and as the emulator's tables keep them.

Finite numbers and booleans are numbers of the historian; the data type of their series says what they are. Texts, nulls
and NaN go to ``emulator_values``.
"""

import math
from dataclasses import dataclass

from twin_assets.emulator.protocol import Document
from twin_assets.historian.base import Quality

KINDS = {"doubleValue": "DOUBLE", "integerValue": "INTEGER", "booleanValue": "BOOLEAN", "stringValue": "STRING"}
NULL_TYPES = {"D": "DOUBLE", "B": "BOOLEAN", "S": "STRING", "I": "INTEGER"}
KEYS = {data_type: key for key, data_type in KINDS.items()}
LARGEST_DOUBLE = 1e10  # the API reference, Variant
LONGEST_STRING = 1024
SECOND_NS = 1_000_000_000


@dataclass(frozen=True)
class Null:
    """No value, where one should be.

    Attributes:
        value_type: D, B, S, I, or U for unknown.
    """

    value_type: str


Value = float | bool | str | Null  # an integer is a float here: 32 bits of it are exact


@dataclass(frozen=True)
class Sample:
    """One value of one time series; SiteWise's TQV.

    Attributes:
        time_ns: nanoseconds since 1970-01-01 UTC.
        quality: GOOD, UNCERTAIN or BAD.
    """

    time_ns: int
    quality: Quality
    value: Value


def is_plain(value: Value) -> bool:
    """Whether the historian can hold it: a finite number."""
    return isinstance(value, int | float) and math.isfinite(value)


def data_type_of(variant: Document) -> str | None:
    """DOUBLE, INTEGER, BOOLEAN or STRING; None for a null of unknown type."""
    for key, data_type in KINDS.items():
        if key in variant:
            return data_type
    return NULL_TYPES.get(variant["nullValue"]["valueType"])


def value_of(variant: Document) -> Value:
    """What a variant with one member says."""
    if "nullValue" in variant:
        return Null(variant["nullValue"]["valueType"])
    (value,) = (variant[key] for key in KINDS if key in variant)
    return value  # type: ignore[no-any-return] # JSON's, checked


def variant_of(value: Value, data_type: str) -> Document:
    """A value as the services answer it."""
    if isinstance(value, Null):
        return {"nullValue": {"valueType": value.value_type}}
    if isinstance(value, str):
        return {"stringValue": value}
    if data_type == "BOOLEAN":
        return {"booleanValue": bool(value)}
    if data_type == "INTEGER":
        return {"integerValue": int(value)}
    return {"doubleValue": "NaN" if math.isnan(value) else value}


def time_of(time_ns: int) -> Document:
    """A time as TimeInNanos."""
    seconds, nanos = divmod(time_ns, SECOND_NS)
    return {"timeInSeconds": seconds, "offsetInNanos": nanos}


def tqv(sample: Sample, data_type: str) -> Document:
    """A sample as AssetPropertyValue."""
    return {
        "value": variant_of(sample.value, data_type),
        "timestamp": time_of(sample.time_ns),
        "quality": sample.quality,
    }


def nanoseconds(time: Document) -> int:
    """A TimeInNanos as nanoseconds since 1970-01-01 UTC."""
    return int(time["timeInSeconds"]) * SECOND_NS + int(time.get("offsetInNanos", 0))


def seconds_to_ns(seconds: float) -> int:
    """Seconds since 1970-01-01 UTC as nanoseconds, to the microsecond: more a double does not hold."""
    return round(seconds * 1e6) * 1000


def wrong_value(variant: Document, quality: str) -> str | None:
    """What is wrong with a value, by the API reference's Variant; None where nothing is."""
    given = [key for key in (*KINDS, "nullValue") if key in variant]
    if len(given) != 1:
        return f"exactly one value must be given, found {', '.join(given) or 'none'}"
    value = variant.get("doubleValue", 0.0)
    if math.isinf(value) or abs(value) > LARGEST_DOUBLE:
        return f"doubleValue must lie between -10^10 and 10^10, found {value}"
    text = variant.get("stringValue", "")
    if len(text) > LONGEST_STRING:
        return f"stringValue must have at most {LONGEST_STRING} characters, found {len(text)}"
    if any(ord(character) < 0x20 or ord(character) == 0x7F for character in text):  # noqa: PLR2004 - control characters
        return "stringValue must satisfy the regular expression ^$|[^\\u0000-\\u001F\\u007F]+"
    if "nullValue" in variant and quality == "GOOD":
        return "nullValue must have the quality BAD or UNCERTAIN, found GOOD"
    return None
