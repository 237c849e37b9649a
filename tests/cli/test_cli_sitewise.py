"""IoT SiteWise from the command line: what is missing is made, and what is wrong is said before a run fails."""

import re
from pathlib import Path

import pandas as pd
import pytest

from sitewise_place import ROLE, clients_of
from twin_assets.check_historian import historian_findings
from twin_assets.cli import main
from twin_assets.emulator import Emulator
from twin_assets.historian import open_historian
from twin_assets.home import Home
from twin_assets.spec_file import load_twin

ROOT = Path(__file__).parents[2]
EVER = pd.Timestamp("2020-01-01", tz="UTC"), pd.Timestamp("2100-01-01", tz="UTC")
SPEC = load_twin("web_line", ROOT / "twins").spec


@pytest.fixture(name="emulator")
def _emulator(tmp_path: Path, s3_environment: None) -> "Emulator":  # noqa: ARG001 - credentials
    return Emulator(tmp_path / "emulator")


def found(folder: Path, url: str) -> tuple[str, ...]:
    """What twin check says of the demonstration twin with this historian."""
    return historian_findings(SPEC, Home(folder, url))


def test_a_twin_is_provisioned_once_and_then_fits(
    emulator: Emulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Model, 136 properties and asset are made; again nothing is; the check has nothing to say, before it has."""
    with emulator:
        url = f"sitewise://eu-central-1?model=web_line&endpoint={emulator.url}"
        assert "there is not an asset model 'web_line' in this region; found none" in found(tmp_path, url)[0]
        command = ["--historian", url, "--twins", str(ROOT / "twins"), "provision", "web_line"]
        with pytest.MonkeyPatch.context() as patch:
            for variable in ("TWIN_HISTORIAN", "TWINS_PATH"):
                patch.setenv(variable, "")  # put back afterwards
            main(command)
            main(command)
        first, second = capsys.readouterr().out.splitlines()
        assert first.endswith("created; 136 properties added; assets created: line_1.")
        assert second.endswith("found; all properties there; all assets there.")
        assert found(tmp_path, url) == ()


def test_what_is_missing_in_the_model_is_named(emulator: Emulator, tmp_path: Path) -> None:
    """Properties, assets, properties that hold text, and a bucket that is not there: each in a sentence of its own."""
    with emulator:
        url = f"sitewise://eu-central-1?model=line&endpoint={emulator.url}&bucket=nowhere-1&role={ROLE}"
        typed = [{"name": "Roller1_w", "dataType": "STRING", "type": {"measurement": {}}}]
        client = clients_of(emulator.url).sitewise
        model = client.create_asset_model(assetModelName="line", assetModelProperties=typed)["assetModelId"]
        assert any("there is no asset 'line_1' of the model; found none" in each for each in found(tmp_path, url))
        client.create_asset(assetName="line_1", assetModelId=model)
        told = found(tmp_path, url)
    assert any("no property 'line_speed'" in each for each in told)
    assert any("property 'Roller1_w' holds STRING; expected DOUBLE" in each for each in told)
    assert any("s3://nowhere-1: there is no such bucket" in each for each in told)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("sitewise://eu-central-1?modle=x", r"found modle= \(did you mean model\?\)"),
        ("sitewise://eu-central-1?role=twin", "expected a role's ARN"),
        ("sitewise://eu-central-1?bucket=b", "no role with which IoT SiteWise reads it"),
        ("sitewise://eu central", "no AWS region"),
    ],
)
def test_a_wrong_url_is_told(tmp_path: Path, s3_environment: None, url: str, reason: str) -> None:  # noqa: ARG001
    """What was found, and what was expected."""
    (told,) = found(tmp_path, url)
    assert re.search(reason, told), told


def test_without_credentials_it_says_where_they_belong(
    emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No key in the environment, no profile, no role."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with emulator:
        (told,) = found(tmp_path, f"sitewise://eu-central-1?endpoint={emulator.url}")
    assert "no AWS credentials were found. Set AWS_PROFILE" in told


@pytest.mark.slow
def test_the_demonstration_is_the_same_with_sitewise(
    emulator: Emulator, tmp_path: Path, s3_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plant, faults, late data by bulk import, publishing: rows of every stage and what is published are the same."""
    with emulator:
        url = f"sitewise://eu-central-1?model=web_line&bucket={s3_bucket}&role={ROLE}&endpoint={emulator.url}"
        for variable in ("TWIN_HISTORIAN", "TWINS_PATH", "TWIN_HOME"):
            monkeypatch.setenv(variable, "")  # put back afterwards
        twins = ["--twins", str(ROOT / "twins")]
        main(["--historian", url, *twins, "provision", "web_line"])
        play = ["demo", "--days", "0.2", "--start", "2026-01-05", "--quiet"]
        main([*twins, "--home", str(tmp_path / "sitewise"), "--historian", url, *play])
        monkeypatch.setenv("TWIN_HISTORIAN", "")
        main([*twins, "--home", str(tmp_path / "sqlite"), *play])
        tables = {
            name: {
                str(path.relative_to(tmp_path / name)): pd.read_parquet(path)
                for path in sorted((tmp_path / name / "store").rglob("*.parquet"))
            }
            for name in ("sitewise", "sqlite")
        }
        assert len(tables["sqlite"]) > 3
        assert tables["sitewise"].keys() == tables["sqlite"].keys()
        for path, table in tables["sqlite"].items():
            pd.testing.assert_frame_equal(tables["sitewise"][path], table, check_exact=True)
        published = []
        for home in (Home(tmp_path / "sitewise", url), Home(tmp_path / "sqlite")):
            with open_historian(home) as historian:
                every = historian.properties("line_1")
                published.append(historian.read(("line_1",), every, *EVER))
        pd.testing.assert_frame_equal(published[0], published[1], check_exact=True)
