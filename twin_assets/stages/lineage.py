"""Which table was made from which: how a crash between two stages, or late data in an earlier window, is noticed.

Every table carries, as metadata ``made_from``, the versions of the tables that it was computed from. A table whose
sources have other versions now is stale.
"""

from collections.abc import Mapping

from twin_assets.spec import TwinSpec
from twin_assets.store import Store
from twin_assets.windows import Window


def made_from(store: Store, spec: TwinSpec, stage: str, window: Window) -> Mapping[str, str]:
    """Metadata to write beside a table of ``stage``: ``{"made_from": versions of its sources as they are now}``.

    Usage: ``store.write(twin, stage, key, frame, {**metadata, **made_from(store, spec, stage, window)})``.
    """
    raise NotImplementedError


def is_current(store: Store, spec: TwinSpec, stage: str, window: Window) -> bool:
    """Whether the table is there and was made from its sources as they are now."""
    raise NotImplementedError
