"""Which historian a deployment has makes no difference to what it calibrates, and is told in Dagster."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from postgres_server import PASSWORD
from twin_assets.automation import range_tags
from twin_assets.definitions import build_definitions
from twin_assets.home import home_from
from twin_assets.running import RunError, instance_of, run_windows

Line = Any  # conftest's, which cannot be imported
Record = Callable[[str, str], pd.DataFrame]


def told(line: Line) -> str:
    """All that Dagster has recorded of the home's runs, as text."""
    with instance_of(line.home) as instance:
        return "\n".join(str(entry) for run in instance.get_runs() for entry in instance.all_logs(run.run_id))


def run(line: Line) -> None:
    """Calibrate a day as the command line does."""
    run_windows(
        line.twin,
        line.home,
        [line.grid.parse("2026-01-01")],
        clock=lambda: line.now,
        opener=line.opener,
        pictures=False,
    )


def test_tables_are_the_same_with_either(make_line: Callable[[], Line], record: Record, postgresql_url: str) -> None:
    """Four days calibrated with the embedded historian and with one in PostgreSQL, then late data and corrections.

    Every table of every stage is the same byte for byte, and so is what was published.
    """
    embedded, served = make_line(), make_line()
    served.home = replace(served.home, historian_url=postgresql_url)
    late = record("2026-01-02", "2026-01-03").head(6)
    for line in (embedded, served):
        line.write(record("2026-01-01", "2026-01-05"))
        assert line.materialize("2026-01-01", "2026-01-04").success
        line.write(late.assign(value=late["value"] + 1e-4))
        assert line.pending()
        assert line.materialize(line.pending()[0], "2026-01-04").success
    assert served.tables() == embedded.tables()
    assert len(served.tables()) > 20
    pd.testing.assert_frame_equal(served.published(), embedded.published(), check_exact=True)
    assert not served.home.historian_path.exists()


def test_a_run_tells_its_historian_without_the_password(line: Line, record: Record, postgresql_url: str) -> None:
    """In the run's log, where the UI shows it; what Dagster keeps of the run holds no password."""
    line.home = replace(line.home, historian_url=postgresql_url)
    line.write(record("2026-01-01", "2026-01-02"))
    run(line)
    log = told(line)
    assert "The historian is postgresql://postgres@127.0.0.1:" in log
    assert PASSWORD not in log


def test_the_embedded_historian_is_told_by_its_file(line: Line) -> None:
    """So that nobody wonders which one it was."""
    run(line)
    assert f"The historian is {line.home.historian_path}" in told(line)


def test_a_historian_that_cannot_be_reached_ends_the_run_in_one_message(line: Line) -> None:
    """Where, why and what to do; the password is neither in it nor in what Dagster keeps."""
    line.home = replace(line.home, historian_url="postgresql://twin:s3cret@127.0.0.1:1/plant")
    with pytest.raises(RunError, match=r"^postgresql://twin@127\.0\.0\.1:1/plant: no server answers there"):
        run(line)
    assert "s3cret" not in told(line)


def test_the_environment_chooses() -> None:
    """One line of a deployment; blank or absent means the embedded one; a home that is shown tells no password."""
    url = "postgresql://twin:s3cret@db.example.com/plant"
    assert home_from({"TWIN_HISTORIAN": f" {url} "}).historian_url == url
    assert home_from({"TWIN_HISTORIAN": " "}).historian_url is None
    assert home_from({}).historian_url is None
    assert "s3cret" not in repr(home_from({"TWIN_HISTORIAN": url}))


def test_the_environment_is_read_when_a_run_starts(
    make_line: Callable[[], Line], record: Record, postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A code location is loaded once; what the deployment sets then counts for each of its runs."""
    line = make_line()
    line.home = replace(line.home, historian_url=postgresql_url)
    line.write(record("2026-01-01", "2026-01-02"))
    definitions = build_definitions([line.twin], clock=lambda: line.now, opener=line.opener, pictures=False)
    monkeypatch.setenv("TWIN_HOME", str(line.home.root))
    monkeypatch.setenv("TWIN_HISTORIAN", postgresql_url)
    job = definitions.resolve_job_def("line_live")
    result = job.execute_in_process(tags=range_tags([line.grid.parse("2026-01-01")]), raise_on_error=False)
    assert result.success
    assert not line.home.historian_path.exists()
