"""The IoT SiteWise historian: the Historian protocol over assets and their properties.

Belongs here: which points are asked for and written, and in which order. What they mean is in ``slots``, what SiteWise
cannot hold in ``sitewise_check``, how arrivals are noticed in ``ledger``; asking and writing themselves are ``aws``'s.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Self

import numpy as np
import pandas as pd

from twin_assets.aws.bulk_import import BulkImport
from twin_assets.aws.sitewise import SiteWise, Stretch
from twin_assets.aws.sitewise_errors import AwsError
from twin_assets.aws.tqv import NUMBERS, Points, Series
from twin_assets.historian.base import Arrivals, HistorianError, WriteReport
from twin_assets.historian.ledger import Ledger
from twin_assets.historian.looking import RECENT, look
from twin_assets.historian.rows import (
    Clock,
    empty_samples,
    refuse_outside,
    sift,
    storable_names,
    to_ns,
    utc_now,
)
from twin_assets.historian.sitewise_check import AGE, Known, Texts, refusals
from twin_assets.historian.sitewise_lacks import lacking
from twin_assets.historian.sitewise_names import Names
from twin_assets.historian.sitewise_samples import (
    Wanted,
    Writing,
    frame_of,
    not_taken,
    points_by_series,
    reported,
    why_impossible,
)
from twin_assets.historian.slots import BAD, UNCERTAIN, Plan, planned, samples_of

MARGIN = pd.Timedelta(minutes=10)  # what is nearly 7 days old may be older when its turn comes
IMPORT_FROM = 20_000  # so many values of the last 7 days are imported faster than written
WRITING = pd.Timedelta(hours=1)  # after that a write counts as dead
GONE = "ResourceNotFoundException"
LOOK_BACKS = tuple(
    pd.Timedelta(hours=hours) for hours in (1, 24, 24 * 30)
)  # for the newest sample below a withdrawn one


class SiteWiseHistorian:
    """A historian in IoT SiteWise. A context manager; call ``close`` otherwise.

    Safe to use from several threads and processes; of two that write the same sample at once the last one wins.
    """

    def __init__(
        self,
        sitewise: SiteWise,
        model: str | None,
        ledger: Callable[[], Ledger],
        *,
        imports: BulkImport | None = None,
        clock: Clock = utc_now,
    ) -> None:
        """Nothing is asked yet.

        Args:
            sitewise: the service.
            model: name or id of the asset model whose assets are the units; None: the only one that there is.
            ledger: opens the ledger of arrivals, when it is first needed.
            imports: takes what is older than 7 days; None: it is rejected.
            clock: decides which times lie in the future, and which are too old.
        """
        self._sitewise, self._imports, self._clock = sitewise, imports, clock
        self._names = Names(sitewise, model)
        self._open_ledger = ledger
        self._ledger: Ledger | None = None
        self._holding: set[Series] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def name(self) -> str:
        """Where it is, for people."""
        return self._sitewise.name

    def close(self) -> None:
        """Close the ledger."""
        if self._ledger is not None:
            self._ledger.close()
            self._ledger = None

    @property
    def ledger(self) -> Ledger:
        """The ledger of arrivals, opened."""
        if self._ledger is None:
            self._ledger = self._open_ledger()
        return self._ledger

    def units(self, properties: tuple[str, ...] | None = None) -> tuple[str, ...]:
        """See Historian."""
        with self._explained():
            units = self._names.units()
            names = self._names.properties() if properties is None else properties
            every = self._names.series(units, names)
            # One series that holds anything is enough of a unit: those that are known to are not asked for again.
            missing = {unit for unit, _ in every} - {unit for (unit, _), (each, _) in every.items() if self._held(each)}
            self._look_for({each for (unit, _), (each, _) in every.items() if unit in missing})
            return tuple(sorted({unit for (unit, _), (each, _) in every.items() if self._held(each)}))

    def properties(self, unit: str) -> tuple[str, ...]:
        """See Historian. A property that was asked for by its alias has that name, too."""
        with self._explained():
            names = self._names.of_unit(unit)
            every = self._names.series([unit], names)
            self._look_for({each for each, _ in every.values() if not self._held(each)})
            return tuple(sorted(name for (_, name), (each, _) in every.items() if self._held(each)))

    def read(
        self, units: tuple[str, ...], properties: tuple[str, ...], start: pd.Timestamp, end: pd.Timestamp
    ) -> pd.DataFrame:
        """See Historian. A property that holds no numbers is an error."""
        start_ns, end_ns = to_ns(start), to_ns(end)
        with self._explained():
            known = self._numbers(units, properties)
            found = self._sitewise.history([Stretch(each, start_ns, end_ns) for each in known.values()])
            pairs = zip(known, map(samples_of, found), strict=True)
            return frame_of(dict(sorted(pairs)))

    def latest(self, units: tuple[str, ...], properties: tuple[str, ...]) -> pd.DataFrame:
        """See Historian."""
        with self._explained():
            known = self._numbers(units, properties)
            newest = self._newest(list(known.values()))
            return frame_of({pair: newest[series] for pair, series in sorted(known.items()) if series in newest})

    def write(self, samples: pd.DataFrame) -> WriteReport:
        """See Historian. Not all at once: a reader, or a crash, may find a part of it; writing again completes it."""
        sifted = sift(samples, self._clock())
        with self._explained():
            known, reasons = self._judged(sifted.taken)
            fine = reasons == ""
            taken = sifted.taken[fine]
            points, impossible = self._without_marks(points_by_series(taken, known))
            reasons[fine] = not_taken(taken, known, self._put(points), impossible)
        return reported(sifted, reasons)

    def write_all(self, chunks: Iterable[pd.DataFrame]) -> WriteReport:
        """Write several frames as one; arguments as those of ``SqlHistorian.write_all``."""
        frames = [empty_samples(), *chunks]
        return self.write(pd.concat([frame for frame in frames if len(frame)] or frames[:1]))

    def replace(
        self,
        units: tuple[str, ...],
        properties: tuple[str, ...],
        start: pd.Timestamp,
        end: pd.Timestamp,
        samples: pd.DataFrame,
    ) -> WriteReport:
        """See Historian.

        First what is new is written, then what is to go is written over: a reader, or a crash, may find both. Calling
        it again completes it.
        """
        units, properties = storable_names(units), storable_names(properties)
        sifted = sift(samples, self._clock())
        refuse_outside(sifted.taken, units, properties, start, end)
        with self._explained():
            known, reasons = self._judged(sifted.taken)
            if len(sifted.rejected) or (reasons != "").any():
                return replace(reported(sifted, reasons), written=0)
            wanted = points_by_series(sifted.taken, known)
            every = {*self._numbers(units, properties).values(), *wanted}
            plans = self._plans(every, wanted, to_ns(start), to_ns(end))
            reasons = why_impossible(sifted.taken, known, {series: plan.impossible for series, plan in plans.items()})
            if (reasons != "").any():
                return replace(reported(sifted, reasons), written=0)
            points = {series: plan.points for series, plan in plans.items()}
            self._refuse_too_old(points)
            writing = self._put(points)
        self._refuse_unwithdrawn(writing)
        self._holding -= set(plans)
        report = reported(sifted, not_taken(sifted.taken, known, writing, {}))
        return replace(report, withdrawn=sum(plan.withdrawn for plan in plans.values()))

    def _plans(self, every: Iterable[Series], wanted: Wanted, start_ns: int, end_ns: int) -> dict[Series, Plan]:
        """What has to be written so that a stretch of each series holds some samples and no others."""
        series = list(every)
        there = self._sitewise.history([Stretch(each, start_ns, end_ns) for each in series])
        pairs = zip(series, there, strict=True)
        return {each: planned(points, wanted.get(each, Points.none()), keep=False) for each, points in pairs}

    def arrivals(self, units: tuple[str, ...], properties: tuple[str, ...], since: int = 0) -> Arrivals:
        """See Historian.

        SiteWise tells nobody what has changed: see ``looking`` for what is read again, and when.
        """
        with self._explained():
            series = list(self._numbers(units, properties).values())
            look(self._sitewise, self.ledger, series, self._clock())
            return self.ledger.arrivals(series, since)

    def check(self, units: Sequence[str] | None, read: Sequence[str], written: Sequence[str]) -> Iterator[str]:
        """What keeps a twin from being read and written, for people; arguments as those of ``lacking``."""
        with self._explained():
            yield from lacking(self.name, self._names, units, read, written)
        if self._imports is None:
            return
        try:
            self._imports.probe()
        except AwsError as error:
            yield str(error)

    def _numbers(self, units: Iterable[str], properties: Iterable[str]) -> dict[tuple[str, str], Series]:
        """Series of units and properties, each once.

        Raises:
            HistorianError: if one holds no numbers.
        """
        found = self._names.series(storable_names(units), storable_names(properties))
        for (unit, name), (series, _) in found.items():
            if series.data_type not in NUMBERS:
                raise HistorianError(
                    f"{self.name}: property '{name}' of '{unit}' holds {series.data_type}; expected DOUBLE, INTEGER or"
                    " BOOLEAN. Give the twin another property."
                )
        return {pair: series for pair, (series, _) in found.items()}

    def _judged(self, taken: pd.DataFrame) -> tuple[Known, Texts]:
        """Series of samples, and why rows cannot be taken."""
        if taken.empty:
            return {}, np.empty(0, dtype=object)
        known = self._names.series(set(taken["unit"]), set(taken["property"]))
        units = self._names.unit_ids()
        return known, refusals(taken, known, units, self._clock(), imports=self._imports is not None)

    def _without_marks(self, wanted: Wanted) -> tuple[Wanted, dict[Series, set[int]]]:
        """What has to be written so that samples are there where some were withdrawn; times where it cannot be done."""
        bad = self._marks(wanted, BAD)
        # Only where a BAD sample stands a mark is of quality UNCERTAIN.
        beside = {series: wanted[series] for series, there in bad.items() if not there.null.all()}
        marked = {series: there.time_ns[there.null] for series, there in bad.items()}
        for series, there in self._marks(beside, UNCERTAIN).items():
            marked[series] = np.concatenate([marked[series], there.time_ns[there.null]])
        points, impossible = dict(wanted), {}
        affected = {series: times for series, times in marked.items() if len(times)}
        stretches = [Stretch(each, int(times.min()), int(times.max()) + 1) for each, times in affected.items()]
        for (series, times), there in zip(affected.items(), self._sitewise.history(stretches), strict=True):
            here = np.isin(wanted[series].time_ns, times)
            plan = planned(there, wanted[series].take(here), keep=True)
            points[series] = Points.joined([wanted[series].take(~here), plan.points])
            impossible[series] = plan.impossible
        return points, impossible

    def _marks(self, wanted: Wanted, code: int) -> Wanted:
        """Points of a quality at times that are to be written, of those series that have any."""
        filled = {series: points for series, points in wanted.items() if len(points)}
        stretches = [
            Stretch(series, int(points.time_ns.min()), int(points.time_ns.max()) + 1, code)
            for series, points in filled.items()
        ]
        found = {}
        for (series, points), there in zip(filled.items(), self._sitewise.history(stretches), strict=True):
            here = there.take(np.isin(there.time_ns, points.time_ns) & (there.null | ~np.isnan(there.value)))
            if len(here):
                found[series] = here
        return found

    def _put(self, wanted: Wanted) -> Writing:
        """Write points, the old ones by import; their hours count as being written meanwhile.

        Not those that are RECENT: who writes live would have a stretch that grows, and is read again, without end.
        """
        filled = {series: points for series, points in wanted.items() if len(points)}
        series, points = list(filled), list(filled.values())
        writing = Writing(series, points, [{} for _ in series])
        if not filled:
            return writing
        spans = {one: (int(each.time_ns.min()), int(each.time_ns.max())) for one, each in filled.items()}
        recent_ns = to_ns(self._clock() - RECENT)
        spans = {one: span for one, span in spans.items() if span[0] < recent_ns}
        self.ledger.writing(spans, to_ns(self._clock() + WRITING))
        try:
            self._send(writing)
        finally:
            self.ledger.writing(spans, to_ns(self._clock()))
        return writing

    def _send(self, writing: Writing) -> None:
        now_ns = to_ns(self._clock())
        oldest_ns = now_ns - AGE.value
        direct: list[np.ndarray[tuple[int], np.dtype[np.intp]]] = []
        for points in writing.points:
            # Without imports SiteWise itself says what has become too old meanwhile.
            old = (points.time_ns < oldest_ns + MARGIN.value) & (self._imports is not None)
            direct.append(np.flatnonzero(~old))
        if self._imports and sum(map(len, direct)) >= IMPORT_FROM:
            direct = [positions[:0] for positions in direct]
        parts = [points.take(positions) for points, positions in zip(writing.points, direct, strict=True)]
        for number, refused in enumerate(self._sitewise.put(writing.series, parts)):
            writing.refused[number].update({int(direct[number][at]): why for at, why in refused.items()})
        if self._imports is None:
            return
        imported = [
            np.setdiff1d(np.arange(len(points)), positions)
            for points, positions in zip(writing.points, direct, strict=True)
        ]
        if any(map(len, imported)):
            parts = [points.take(positions) for points, positions in zip(writing.points, imported, strict=True)]
            recent = any(len(part) and int(part.time_ns.max()) >= oldest_ns for part in parts)
            for number, refused in enumerate(self._imports.run(writing.series, parts, recent=recent)):
                writing.refused[number].update({int(imported[number][at]): why for at, why in refused.items()})

    def _refuse_too_old(self, wanted: Wanted) -> None:
        oldest = to_ns(self._clock() - AGE)
        if self._imports is None and any(len(each) and int(each.time_ns.min()) < oldest for each in wanted.values()):
            raise HistorianError(
                f"{self.name}: samples older than 7 days are to be withdrawn, which takes a bulk import. Name a bucket"
                " and a role in the historian's URL: bucket=my-bucket/prefix&role=arn:aws:iam::…"
            )

    def _refuse_unwithdrawn(self, writing: Writing) -> None:
        """What was not written over is still there."""
        for points, refused in zip(writing.points, writing.refused, strict=True):
            for at, why in refused.items():
                if np.isnan(points.value[at]):
                    raise HistorianError(
                        f"{self.name}: a sample at {pd.Timestamp(points.time_ns[at], unit='ns', tz='UTC')} could not be"
                        f" withdrawn: {why.code}: {why.message}. Expected that the storage takes null and NaN values"
                        " (disallowIngestNullNaN is false); try again."
                    )

    def _held(self, series: Series) -> bool:
        return series in self._holding

    def _look_for(self, series: set[Series]) -> None:
        """Learn which of some series hold any sample."""
        self._holding |= self._newest(sorted(series, key=lambda each: (each.asset_id, each.property_id))).keys()

    def _newest(self, series: Sequence[Series]) -> Wanted:
        """The newest sample of each series, in its best quality; series without any are left out."""
        some = dict.fromkeys(each for each in series if each.data_type in NUMBERS)
        points = self._sitewise.latest(list(some))
        before = {one: int(each.time_ns[0]) + 1 for one, each in zip(some, points, strict=True) if len(each)}
        found: Wanted = {}
        for back in (pd.Timedelta(1, "ns"), *LOOK_BACKS, None):
            stretches = [
                Stretch(one, 0 if back is None else max(0, end_ns - back.value), end_ns)
                for one, end_ns in before.items()
                if one not in found
            ]
            for stretch, there in zip(stretches, self._sitewise.history(stretches), strict=True):
                samples = samples_of(there)
                if len(samples):
                    newest = samples.time_ns == samples.time_ns[-1]
                    found[stretch.series] = samples.take(np.flatnonzero(newest)[:1])
        return found

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """AWS's errors as a historian's; what was gone is looked up again the next time."""
        try:
            yield
        except AwsError as error:
            if error.code == GONE:
                self._names.forget()
                raise HistorianError(
                    f"{error} An asset or a property has been deleted; what is there is looked up again at the next"
                    " attempt. If it stays away: twin provision NAME --to sitewise."
                ) from error
            raise HistorianError(str(error)) from error
