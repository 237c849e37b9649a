"""What is particular to IoT SiteWise: what it refuses, what goes wrong on its bad days, what others write to it."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sitewise_place import NOW, ROLE, ProvidedFor, SiteWisePlace, fast_limits
from twin_assets.aws import bulk_import
from twin_assets.aws.backoff import Backoff
from twin_assets.aws.sitewise import SiteWise
from twin_assets.aws.tqv import Series
from twin_assets.emulator import Emulator
from twin_assets.historian import HistorianError
from twin_assets.historian.ledger import Ledger
from twin_assets.historian.looking import NEAR, SWEEP
from twin_assets.historian.sitewise import WRITING, SiteWiseHistorian

Samples = Callable[..., pd.DataFrame]

UNITS, PROPERTIES = ("line_1",), ("Roller1_w",)
EVER = pd.Timestamp("1970-01-02", tz="UTC"), NOW + pd.Timedelta(days=1)
YESTERDAY = NOW - pd.Timedelta(days=1)
TYPES = {"whole": "INTEGER", "running": "BOOLEAN", "state": "STRING"}


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> pd.Timestamp:
        """What it shows."""
        return self.now


@pytest.fixture(name="place")
def _place(emulator: Emulator, tmp_path: Path, s3_bucket: str) -> SiteWisePlace:
    return SiteWisePlace(emulator.url, f"model {s3_bucket}", tmp_path, s3_bucket)


@pytest.fixture(name="line")
def _line(place: SiteWisePlace) -> Iterator[ProvidedFor]:
    """A historian whose line_1 has Roller1_w and b9."""
    with place() as historian:
        historian.make(UNITS, ("Roller1_w", "b9"))
        yield historian


@pytest.fixture(name="clock")
def _clock() -> Clock:
    return Clock()


def opened(line: ProvidedFor, folder: Path, clock: Clock, **options: Any) -> SiteWiseHistorian:  # noqa: ANN401 - SiteWise's
    """A plain historian of the same model: with nobody who provides, and without a bucket."""
    backoff = Backoff(attempts=20, base_s=1e-4, cap_s=1e-3)
    sitewise = SiteWise(line._sitewise.clients, line.name, fast_limits(), **{"backoff": backoff, **options})
    return SiteWiseHistorian(sitewise, line.model, lambda: Ledger(f"sqlite:///{folder}/own.sqlite", clock), clock=clock)


def hourly(samples: Samples, count: int, **columns: object) -> pd.DataFrame:
    """Samples of yesterday, a second apart."""
    times = pd.date_range(YESTERDAY.tz_localize(None), periods=count, freq="s")
    return samples(*map(str, times), **columns)


def test_what_sitewise_cannot_hold_comes_back_with_its_reason(
    line: ProvidedFor, samples: Samples, tmp_path: Path, clock: Clock
) -> None:
    """Times before 1970, huge numbers, unknown assets and properties, and what is old where no bucket is named."""
    historian = opened(line, tmp_path, clock)
    cases = {
        "no times before 1970": samples("1969-12-31T23:59:59"),
        "from -1e100 to 1e100": samples("2026-01-05", value=1e101),
        "there is no asset 'line_9'": samples("2026-01-05", unit="line_9"),
        "has no property 'b77'": samples("2026-01-05", property="b77"),
        "Name a bucket and a role": samples("2025-12-01"),
    }
    good = samples("2026-01-05T12:00")
    report = historian.write(pd.concat([good, *cases.values()], ignore_index=True))
    assert report.written == 1
    assert report.rejected.index.tolist() == [1, 2, 3, 4, 5]
    for reason, told in zip(cases, report.rejected["reason"], strict=True):
        assert reason in told
    assert len(historian.read(UNITS, PROPERTIES, *EVER)) == 1


def test_what_the_service_refuses_for_good_is_not_tried_again(
    line: ProvidedFor, samples: Samples, tmp_path: Path, clock: Clock
) -> None:
    """A number within the documented files' range but beyond the API's: its own words, one request, the rest taken."""
    historian = opened(line, tmp_path, clock)
    historian.units()
    report = historian.write(samples("2026-01-05T01:00", "2026-01-05T02:00", value=[1e50, 2.0]))
    assert report.written == 1
    assert "InvalidRequestException" in report.rejected["reason"].iloc[0]
    assert historian._sitewise.counted["batch_put_asset_property_value"] == 1
    assert historian.read(UNITS, PROPERTIES, *EVER)["value"].tolist() == [2.0]


def test_nothing_is_lost_when_much_goes_wrong(
    tmp_path: Path,
    samples: Samples,
    clock: Clock,
    s3_environment: None,  # noqa: ARG001 - credentials
) -> None:
    """10 % of entries throttled, 5 % of requests 500s, 5 % throttled, 2 % dropped: all is there, once, all is told."""
    place_folder = tmp_path / "place"
    place_folder.mkdir()
    with Emulator(tmp_path / "emulator", clock=clock) as emulator:
        with SiteWisePlace(emulator.url, "line", place_folder, "unused")() as line:
            line.make(UNITS, [f"p{number}" for number in range(12)])
        historian = opened(line, tmp_path, clock)
        frame = pd.concat([hourly(samples, 60, property=f"p{number}", value=float(number)) for number in range(12)])
        emulator.set_faults("partial=10%,error=5%,throttle=5%,drop=2%")
        report = historian.write(frame)
        assert (report.written, len(report.rejected)) == (720, 0)
        found = historian.read(UNITS, tuple(f"p{number}" for number in range(12)), *EVER)
        assert len(found) == 720
        assert historian.arrivals(UNITS, ("p3",)).buckets["samples"].tolist() == [60]


def test_who_gives_up_says_which_rows_were_not_taken(
    tmp_path: Path,
    samples: Samples,
    clock: Clock,
    s3_environment: None,  # noqa: ARG001 - credentials
) -> None:
    """A service that throttles for ever: every row comes back with that reason; a service in ruins is an error."""
    with Emulator(tmp_path / "emulator", clock=clock) as emulator:
        with SiteWisePlace(emulator.url, "line", tmp_path, "unused")() as line:
            line.make(UNITS, PROPERTIES)
        historian = opened(line, tmp_path, clock, backoff=Backoff(attempts=3, base_s=1e-4))
        historian.units()
        emulator.set_faults("partial=100%")
        report = historian.write(hourly(samples, 5))
        assert report.written == 0
        assert report.rejected["reason"].str.startswith("ThrottlingException").all()
        emulator.set_faults("error=100%")
        with pytest.raises(HistorianError, match="could not answer, also after several attempts"):
            historian.read(UNITS, PROPERTIES, *EVER)


def test_old_samples_are_imported_without_a_word(line: ProvidedFor, samples: Samples) -> None:
    """A recording that begins months ago and ends now: one write, all of it read back, in its hours."""
    frame = samples("2025-10-01T00:00:00.000000001", "2025-12-29T00:00", "2026-01-05T12:00", value=[1.0, 2.0, 3.0])
    assert line.write(frame).written == 3
    pd.testing.assert_frame_equal(line.read(UNITS, PROPERTIES, *EVER), frame)
    assert line._sitewise.counted["create_bulk_import_job"] == 1
    assert len(line.arrivals(UNITS, PROPERTIES).buckets) == 3


def test_old_samples_are_corrected_and_withdrawn(line: ProvidedFor, samples: Samples) -> None:
    """By import, too: of other quality, of another time, and gone; then written again."""
    old = samples("2025-10-01", "2025-10-02", "2025-10-03")
    line.write(old)
    new = samples("2025-10-02", value=5.0, quality="UNCERTAIN")
    span = pd.Timestamp("2025-10-01", tz="UTC"), pd.Timestamp("2025-11-01", tz="UTC")
    assert line.replace(UNITS, PROPERTIES, *span, new).withdrawn == 3
    pd.testing.assert_frame_equal(line.read(UNITS, PROPERTIES, *EVER), new)
    line.write(old.iloc[:1])
    assert line.read(UNITS, PROPERTIES, *EVER)["value"].tolist() == [1.0, 5.0]


def test_an_import_that_fails_is_told_with_its_report(line: ProvidedFor, samples: Samples, s3_bucket: str) -> None:
    """Files gone before the job reads them: an error that names role, bucket and what to look at."""
    imports = line._imports
    assert imports is not None
    upload = type(imports)._upload

    def lost(self: Any, name: str, body: str) -> str:  # noqa: ANN401 - the import
        key = upload(self, name, body)
        self.sitewise.clients.s3.delete_object(Bucket=self.bucket, Key=key)
        return key

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(imports), "_upload", lost)
        with pytest.raises(HistorianError) as caught:
            line.write(samples("2025-10-01"))
    assert "ended as FAILED" in str(caught.value)
    assert ROLE in str(caught.value)
    assert s3_bucket in str(caught.value)
    assert line.write(samples("2025-10-01")).written == 1


def test_withdrawing_old_samples_without_a_bucket_is_an_error(
    line: ProvidedFor, samples: Samples, tmp_path: Path, clock: Clock
) -> None:
    """Said before anything is changed, with the remedy."""
    line.write(samples("2025-10-01"))
    historian = opened(line, tmp_path, clock)
    with pytest.raises(HistorianError, match="Name a bucket and a role"):
        historian.replace(UNITS, PROPERTIES, *EVER, samples())
    assert len(historian.read(UNITS, PROPERTIES, *EVER)) == 1


def test_a_replace_that_was_interrupted_is_completed_by_the_next(
    line: ProvidedFor, samples: Samples, tmp_path: Path, clock: Clock
) -> None:
    """Killed after the first request: old and new stand there together; the same call again ends it."""
    historian = opened(line, tmp_path, clock)
    historian.write(hourly(samples, 30))
    new = hourly(samples, 30, value=2.0, quality="UNCERTAIN")
    sent = SiteWise._send

    def killed(self: SiteWise, operation: str, request: Any) -> dict[str, Any]:  # noqa: ANN401 - boto3's
        if operation.startswith("batch_put") and self.counted[operation] >= 5:
            raise KeyboardInterrupt
        return sent(self, operation, request)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SiteWise, "_send", killed)
        with pytest.raises(KeyboardInterrupt):
            historian.replace(UNITS, PROPERTIES, *EVER, new)
    assert historian.replace(UNITS, PROPERTIES, *EVER, new).written == 30
    pd.testing.assert_frame_equal(historian.read(UNITS, PROPERTIES, *EVER), new)


def test_a_good_sample_beside_two_others_cannot_be_withdrawn(line: ProvidedFor, samples: Samples) -> None:
    """The one thing that nulls cannot say: refused with its reason, and nothing is changed."""
    line.write(samples("2026-01-05"))
    new = samples("2026-01-05", "2026-01-05", quality=["UNCERTAIN", "BAD"])
    report = line.replace(UNITS, PROPERTIES, *EVER, new)
    assert (report.written, report.withdrawn) == (0, 0)
    assert report.rejected["reason"].str.contains("cannot withdraw a GOOD sample").all()
    assert line.read(UNITS, PROPERTIES, *EVER)["quality"].tolist() == ["GOOD"]


def test_data_types_other_than_double(line: ProvidedFor, samples: Samples, tmp_path: Path, clock: Clock) -> None:
    """Whole numbers and Booleans are numbers to a twin; what does not fit is refused; text is an error to read."""
    definitions = [{"name": name, "dataType": kind, "type": {"measurement": {}}} for name, kind in TYPES.items()]
    client = line._sitewise.clients.sitewise
    model = client.create_asset_model(assetModelName=f"{line.model} typed", assetModelProperties=definitions)
    client.create_asset(assetName=f"{line.model} 7", assetModelId=model["assetModelId"])
    line.model = str(model["assetModelId"])
    historian = opened(line, tmp_path, clock)
    unit = historian._names.units().popitem()[0]
    frame = samples("2026-01-05T01:00", "2026-01-05T02:00", unit=unit, property="whole", value=[3.0, 3.5])
    other = frame.assign(property="running", value=[1.0, 2.0])
    text = frame.iloc[:1].assign(property="state")
    report = historian.write(pd.concat([frame, other, text], ignore_index=True))
    assert report.written == 2
    told = report.rejected["reason"].tolist()
    assert ["INTEGER" in told[0], "BOOLEAN" in told[1], "STRING" in told[2]] == [True] * 3
    assert historian.read((unit,), ("whole", "running"), *EVER)["value"].tolist() == [1.0, 3.0]
    with pytest.raises(HistorianError, match=r"'state' of '.*' holds STRING; expected DOUBLE"):
        historian.read((unit,), ("state",), *EVER)


def test_a_property_is_found_by_its_alias(line: ProvidedFor, samples: Samples, tmp_path: Path, clock: Clock) -> None:
    """Read and written as if it were its name; the name itself works as well."""
    alias = f"/{line.model}/speed"
    client = line._sitewise.clients.sitewise
    series = line._names.series(UNITS, PROPERTIES)["line_1", "Roller1_w"][0]
    client.update_asset_property(assetId=series.asset_id, propertyId=series.property_id, propertyAlias=alias)
    historian = opened(line, tmp_path, clock)
    assert historian.write(samples("2026-01-05", property=alias)).written == 1
    assert historian.read(UNITS, (alias,), *EVER)["property"].tolist() == [alias]
    assert historian.read(UNITS, PROPERTIES, *EVER)["value"].tolist() == [1.0]
    assert historian.properties("line_1") == (alias, "Roller1_w")
    assert historian.units((alias,)) == ("line_1",)
    assert len(historian.arrivals(UNITS, (alias,)).buckets) == 1


def test_an_asset_that_was_deleted_and_made_anew_is_found_again(
    line: ProvidedFor, samples: Samples, tmp_path: Path, clock: Clock
) -> None:
    """Its old id is forgotten with the first error, which says so; the next call has the new one."""
    historian = opened(line, tmp_path, clock)
    historian.write(samples("2026-01-05"))
    client, ids = line._sitewise.clients.sitewise, historian._names.unit_ids()
    client.delete_asset(assetId=ids["line_1"])
    with pytest.raises(HistorianError, match="has been deleted; what is there is looked up again"):
        historian.read(UNITS, PROPERTIES, *EVER)
    client.create_asset(assetName="line_1", assetModelId=line._names.model_id)
    assert historian.read(UNITS, PROPERTIES, *EVER).empty
    assert historian.write(samples("2026-01-05")).written == 1
    assert historian._names.unit_ids() != ids


def test_two_assets_of_one_name_are_an_error(line: ProvidedFor, tmp_path: Path, clock: Clock) -> None:
    """Both ids are named; none is guessed."""
    client = line._sitewise.clients.sitewise
    other = client.create_asset(assetName="line_2", assetModelId=line._names.model_id)["assetId"]
    client.update_asset(assetId=other, assetName="line_1")
    with pytest.raises(HistorianError, match=f"two assets of the model are called 'line_1'.*{other}|{other}.*and"):
        opened(line, tmp_path, clock).units()


def test_what_others_write_is_noticed(line: ProvidedFor, samples: Samples, tmp_path: Path, clock: Clock) -> None:
    """Live values at the next look, late ones at the next sweep, each in its own hour; nothing twice."""
    historian, other = opened(line, tmp_path, clock), opened(line, tmp_path / "other", clock)
    (tmp_path / "other").mkdir()
    first = historian.arrivals(UNITS, PROPERTIES)
    other.write(samples("2026-01-05T23:30"))
    second = historian.arrivals(UNITS, PROPERTIES, first.cursor)
    assert second.buckets["start"].tolist() == [pd.Timestamp("2026-01-05T23:00Z")]
    late = NOW - NEAR - pd.Timedelta(hours=30)
    other.write(samples(str(late.tz_localize(None))))
    assert historian.arrivals(UNITS, PROPERTIES, second.cursor).buckets.empty
    clock.now = NOW + SWEEP
    third = historian.arrivals(UNITS, PROPERTIES, second.cursor)
    assert third.buckets["start"].tolist() == [late.floor("h")]
    assert historian.arrivals(UNITS, PROPERTIES, third.cursor).buckets.empty


def test_a_lost_ledger_is_a_longer_look(line: ProvidedFor, samples: Samples, tmp_path: Path, clock: Clock) -> None:
    """All looks new once, at a position above all that were given before: no old one is mistaken for a new one."""
    historian = opened(line, tmp_path, clock)
    historian.write(samples("2026-01-05T01:00", "2026-01-05T02:00"))
    before = historian.arrivals(UNITS, PROPERTIES)
    historian.close()
    for file in tmp_path.glob("own.sqlite*"):
        file.unlink()
    clock.now = NOW + pd.Timedelta(minutes=1)
    after = opened(line, tmp_path, clock).arrivals(UNITS, PROPERTIES)
    assert after.cursor > before.cursor
    pd.testing.assert_frame_equal(after.buckets.drop(columns="cursor"), before.buckets.drop(columns="cursor"))


def test_a_look_at_nothing_new_writes_nothing_and_asks_once(
    line: ProvidedFor, samples: Samples, tmp_path: Path, clock: Clock
) -> None:
    """An idle twin of up to 16 properties costs one request a look."""
    historian = opened(line, tmp_path, clock)
    historian.write(samples("2026-01-05T01:00"))
    clock.now = NOW + pd.Timedelta(minutes=5)
    historian.arrivals(UNITS, ("Roller1_w", "b9"))
    before = historian._sitewise.counted.copy()
    historian.arrivals(UNITS, ("Roller1_w", "b9"))
    assert historian._sitewise.counted - before == {"batch_get_asset_property_value_history": 1}


def test_a_write_that_died_is_noticed_later(line: ProvidedFor, samples: Samples, tmp_path: Path, clock: Clock) -> None:
    """Killed between writing and saying so: after an hour its hours are read again, also those long ago."""
    historian = opened(line, tmp_path, clock)
    historian.arrivals(UNITS, PROPERTIES)
    series = historian._names.series(UNITS, PROPERTIES)["line_1", "Roller1_w"][0]
    old = pd.Timestamp("2025-10-01T05:30Z")
    historian.ledger.writing({series: (old.value, old.value)}, (NOW + pd.Timedelta(hours=1)).value)
    line.write(samples("2025-10-01T05:30"))
    assert historian.arrivals(UNITS, PROPERTIES).buckets.empty
    clock.now = NOW + pd.Timedelta(hours=1)
    assert historian.arrivals(UNITS, PROPERTIES).buckets["start"].tolist() == [old.floor("h")]


def test_what_came_while_nobody_looked_is_noticed(
    line: ProvidedFor, samples: Samples, tmp_path: Path, clock: Clock
) -> None:
    """Ten days without a look: also what came at their beginning, and is older than 7 days since, is noticed."""
    (tmp_path / "other").mkdir()
    historian, other = opened(line, tmp_path, clock), opened(line, tmp_path / "other", clock)
    first = historian.arrivals(UNITS, PROPERTIES)
    came = pd.Timestamp("2026-01-05T12:30Z")
    assert other.write(samples(str(came.tz_localize(None)))).written == 1
    clock.now = NOW + pd.Timedelta(days=10)
    assert historian.arrivals(UNITS, PROPERTIES, first.cursor).buckets["start"].tolist() == [came.floor("h")]


def test_what_becomes_too_old_while_it_is_written_is_told(
    line: ProvidedFor, samples: Samples, tmp_path: Path, clock: Clock
) -> None:
    """Seven days old to the second when it is judged, older when it is sent: rejected by the service, not forgotten."""
    historian = opened(line, tmp_path, clock)
    edge = samples(str((NOW - pd.Timedelta(days=7)).tz_localize(None)))
    historian.units()
    ask = historian._sitewise.history
    line_clock = clock.now

    def slowly(stretches: Any) -> Any:  # noqa: ANN401 - SiteWise's
        clock.now = line_clock + pd.Timedelta(seconds=2)
        return ask(stretches)

    object.__setattr__(historian._sitewise, "history", slowly)
    report = historian.write(edge)
    held = len(ask_all(line, historian))
    assert report.written == held
    assert report.written + len(report.rejected) == 1


def ask_all(line: ProvidedFor, historian: SiteWiseHistorian) -> pd.DataFrame:
    """All that Roller1_w holds, by a historian with a clock of its own."""
    return line.read(UNITS, PROPERTIES, EVER[0], historian._clock() + pd.Timedelta(days=1))


def test_an_import_of_several_jobs_is_judged_at_its_end(
    line: ProvidedFor, samples: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first of two jobs has failures: what the second one brought is not reported as refused."""
    monkeypatch.setattr(bulk_import, "ROWS_A_FILE", 1)
    monkeypatch.setattr(bulk_import, "FILES_A_JOB", 1)
    job = bulk_import.BulkImport._job
    seen: list[str] = []

    def first_with_failures(self: bulk_import.BulkImport, name: str, keys: Any, *, recent: bool) -> tuple[str, str]:  # noqa: ANN401
        seen.append(name)
        told = job(self, name, keys, recent=recent)
        return ("COMPLETED_WITH_FAILURES", "a row") if len(seen) == 1 else told

    monkeypatch.setattr(bulk_import.BulkImport, "_job", first_with_failures)
    report = line.write(samples("2025-10-01T05:30", "2025-10-01T05:40"))
    assert len(seen) == 2
    assert (report.written, len(report.rejected)) == (2, 0)


def test_writing_live_is_not_read_again_without_end(
    line: ProvidedFor, samples: Samples, tmp_path: Path, clock: Clock
) -> None:
    """A day of values of now, a look after each: all noticed, and no stretch of written hours grows meanwhile."""
    historian = opened(line, tmp_path, clock)
    clock.now = YESTERDAY
    cursor = historian.arrivals(UNITS, PROPERTIES).cursor
    noticed = 0
    for hours in range(24):
        clock.now = YESTERDAY + pd.Timedelta(hours=hours)
        historian.write(samples(str(clock.now.tz_localize(None))))
        clock.now += pd.Timedelta(minutes=1)
        found = historian.arrivals(UNITS, PROPERTIES, cursor)
        noticed, cursor = noticed + len(found.buckets), found.cursor
        series = historian._names.series(UNITS, PROPERTIES)["line_1", "Roller1_w"][0]
        assert historian.ledger.watches([series])[series].write is None
    assert noticed == 24


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_two_who_begin_to_write_at_once_keep_the_hours_of_both(
    database: str, request: pytest.FixtureRequest, tmp_path: Path, clock: Clock
) -> None:
    """Twenty threads note one hour each of the same new property: none is lost, no two collide."""
    series = Series("an asset", "a property")
    until, start = (NOW + WRITING).value, pd.Timestamp("2025-10-01T00:30Z").value
    hour = pd.Timedelta(hours=1).value
    postgresql = database == "postgresql"
    url = str(request.getfixturevalue("postgresql_url")) if postgresql else f"sqlite:///{tmp_path}/own.sqlite"
    ledgers = [Ledger(url, clock) for _ in range(4)]

    def note(number: int) -> None:
        ledgers[number % 4].writing({series: (start + number * hour, start + number * hour)}, until)

    with ThreadPoolExecutor(10) as pool:
        list(pool.map(note, range(20)))
    write = ledgers[0].watches([series])[series].write
    assert write is not None
    assert write.end_ns - write.start_ns == 20 * hour
    for ledger in ledgers:
        ledger.close()
