"""Nearest names, for what was misspelt."""

from collections.abc import Iterable
from difflib import get_close_matches


def nearest_names(wrong: str, names: Iterable[str], count: int = 3) -> tuple[str, ...]:
    """At most ``count`` of ``names`` that look like ``wrong``, the nearest first; capitals do not matter."""
    by_lower: dict[str, list[str]] = {}
    for name in names:
        by_lower.setdefault(name.lower(), []).append(name)
    # Short names (b9) differ much by one letter: the cutoff is lower than difflib's 0.6.
    matches = get_close_matches(wrong.lower(), by_lower, n=count, cutoff=0.5)
    return tuple(name for match in matches for name in by_lower[match])[:count]


def nearest_hint(wrong: str, names: Iterable[str]) -> str:
    """`` Nearest: 'a', 'b'.`` with a space before it, or nothing where nothing is near."""
    near = nearest_names(wrong, names)
    return f" Nearest: {', '.join(repr(name) for name in near)}." if near else ""
