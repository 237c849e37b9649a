"""``twin emulator``: a process of its own, ended by Ctrl-C; and other people's clients against it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from emulator_clients import connect
from twin_assets.cli import main

SCRIPT = """
import * as sitewise from "@aws-sdk/client-iotsitewise";
import * as twinmaker from "@aws-sdk/client-iottwinmaker";
const common = {
  endpoint: process.argv[2], region: "eu-central-1", disableHostPrefix: true,
  credentials: { accessKeyId: "none", secretAccessKey: "none" },
};
const client = new sitewise.IoTSiteWiseClient(common), views = new twinmaker.IoTTwinMakerClient(common);
const now = Math.floor(Date.now() / 1000), found = {};
const at = (ago) => ({ timeInSeconds: now - ago });
const value = (doubleValue, ago, quality) => ({ value: { doubleValue }, timestamp: at(ago), quality });
const entry = { entryId: "a", propertyAlias: "/js", propertyValues: [value(1.25, 5), value(NaN, 4, "UNCERTAIN")] };
const put = await client.send(new sitewise.BatchPutAssetPropertyValueCommand({ entries: [entry] }));
found.errors = put.errorEntries;
const asked = { propertyAlias: "/js", startDate: new Date((now - 60) * 1000) };
const history = await client.send(new sitewise.GetAssetPropertyValueHistoryCommand(asked));
found.values = history.assetPropertyValueHistory.map((each) => String(each.value.doubleValue));
try {
  await client.send(new sitewise.GetAssetPropertyValueCommand({ propertyAlias: "/nothing" }));
} catch (error) {
  found.refused = [error.name, error instanceof sitewise.ResourceNotFoundException, error.$metadata.httpStatusCode];
}
await views.send(new twinmaker.CreateWorkspaceCommand({ workspaceId: "js" }));
const spaces = await views.send(new twinmaker.ListWorkspacesCommand({}));
found.created = spaces.workspaceSummaries[0].creationDateTime instanceof Date;
console.log(JSON.stringify(found));
"""


def started(home: Path, *options: str) -> subprocess.Popen[str]:
    """The command as a process."""
    command = [sys.executable, "-m", "twin_assets", "--home", str(home), "emulator", "--port", "0", *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture(name="url")
def _url(tmp_path: Path) -> Iterator[str]:
    process = started(tmp_path, "--json")
    assert process.stdout is not None
    try:
        yield str(json.loads(process.stdout.readline())["url"])
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


def test_it_says_where_it_is_and_ctrl_c_ends_it(tmp_path: Path) -> None:
    """One URL, what to set for boto3, and after Ctrl-C nothing but a word: no traceback, exit code 0."""
    process = started(tmp_path)
    assert process.stdout is not None
    told = "".join(process.stdout.readline() for _ in range(6))
    url = told.partition(" at ")[2].partition(",")[0]
    assert connect("iotsitewise", url).list_asset_models()["assetModelSummaries"] == []
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 0
    assert f"AWS_ENDPOINT_URL_IOTSITEWISE={url}" in told
    assert "AWS_DISABLE_HOST_PREFIX_INJECTION=true" in told
    assert errors == "Stopped.\n"
    assert (tmp_path / "emulator" / "sitewise.sqlite").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--faults", "throttle=10"), "'throttle=10' is no fault; expected throttle, error, partial or drop"),
        (("--quotas", "many"), "'many' is no quota; expected documented, off"),
        (("--s3-endpoint", "127.0.0.1"), "is no URL; expected one like http://127.0.0.1:5000"),
        (("--data", "mysql://db.example.com/twin"), "names no PostgreSQL database"),
    ],
)
def test_options_that_cannot_be_are_refused_plainly(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], said: str
) -> None:
    """One message, exit code 1, and nothing listens."""
    with pytest.raises(SystemExit) as end:
        main(["--home", str(tmp_path), "emulator", "--port", "0", *options])
    assert end.value.code == 1
    assert said in capsys.readouterr().err


def lacks(what: str) -> NoReturn:
    """This machine has not what a test needs: where CI runs that is a failure."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)


@pytest.mark.slow
def test_the_aws_cli_reads_what_it_has_put(url: str) -> None:
    """The real one, told by the environment alone; an error has its exit code and its words."""
    if shutil.which("aws") is None:
        lacks("the AWS CLI is not installed")
    told = {
        "ENDPOINT_URL_IOTSITEWISE": url,
        "DISABLE_HOST_PREFIX_INJECTION": "true",
        "DEFAULT_REGION": "eu-central-1",
        "ACCESS_KEY_ID": "none",
        "SECRET_ACCESS_KEY": "none",
        "PAGER": "",
    }
    environment = os.environ | {f"AWS_{name}": value for name, value in told.items()}

    def aws(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["aws", "iotsitewise", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    value = {"value": {"integerValue": 38}, "timestamp": {"timeInSeconds": int(time.time()) - 5}}
    entry = {"entryId": "temperature", "propertyAlias": "/company/temperature", "propertyValues": [value]}
    put = aws("batch-put-asset-property-value", "--entries", json.dumps([entry]))
    assert json.loads(put.stdout) == {"errorEntries": []}, put.stderr
    read = aws("get-asset-property-value", "--property-alias", "/company/temperature")
    assert json.loads(read.stdout)["propertyValue"]["value"] == {"integerValue": 38}
    refused = aws("get-asset-property-value", "--property-alias", "/nothing")
    assert refused.returncode != 0
    assert "(ResourceNotFoundException) when calling the GetAssetPropertyValue operation" in refused.stderr


@pytest.mark.slow
def test_the_javascript_sdk_reads_what_it_has_put(url: str, tmp_path: Path) -> None:
    """The browsers' clients of both services: values, NaN, dates, and errors as their own classes."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        lacks("node and npm are not installed")
    (tmp_path / "try.mjs").write_text(SCRIPT)
    (tmp_path / "package.json").write_text("{}")
    packages = ["@aws-sdk/client-iotsitewise@3", "@aws-sdk/client-iottwinmaker@3"]
    install = [npm, "install", "--silent", "--no-audit", "--no-fund", *packages]
    if subprocess.run(install, cwd=tmp_path, capture_output=True, check=False).returncode != 0:
        lacks("the packages of the JavaScript SDK cannot be had")
    run = subprocess.run([node, "try.mjs", url], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    found: dict[str, Any] = json.loads(run.stdout)
    assert found == {
        "errors": [],
        "values": ["1.25", "NaN"],
        "refused": ["ResourceNotFoundException", True, 404],
        "created": True,
    }
