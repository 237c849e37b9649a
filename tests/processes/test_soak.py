"""A twin that lives on a faulty SiteWise and is killed again and again: nothing is lost and nothing is there twice.

The short one; `make soak` runs 2,000 ticks and 20 kills.
"""

from pathlib import Path

import pytest

from soak import Plan, soak

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_killed_among_faults_every_sample_is_assimilated_once_and_every_result_published_once(tmp_path: Path) -> None:
    """Three kills in 90 ticks, over midnight.

    Every sample that the endpoint confirmed is in the tables once; the tables are those of one run that nobody
    disturbed; every result is in the historian once, of one quality, and nothing else is.
    """
    report = soak(Plan(ticks=90, kills=3, tick_s=0.4), tmp_path)
    assert not report.problems, "\n".join(report.lines())
    assert report.figures["kills"] == 3
    assert report.figures["windows"] == 2
    assert report.figures["observations assimilated"] == 90
