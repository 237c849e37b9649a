"""What AWS itself refuses (credentials, rights, regions) is said by ``twin check``, over HTTP and by a real client."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from twin_assets.check_historian import historian_findings
from twin_assets.home import Home
from twin_assets.spec_file import load_twin

SPEC = load_twin("web_line", Path(__file__).parents[2] / "twins").spec
# The service's status and code, as its documentation of common errors has them; what to do.
REFUSALS = {
    (403, "ExpiredTokenException"): "the credentials have expired. Sign in again",
    (403, "UnrecognizedClientException"): "AWS does not know these credentials, or not in this region.",
    (403, "AccessDeniedException"): "AWS denies access. Expected the rights that docs/sitewise.md lists",
    (403, "InvalidSignatureException"): "a clock that is off by more than 5 minutes",
    (403, "OptInRequired"): "has not enabled this region",
}


class Refusing(BaseHTTPRequestHandler):
    """Answers every request with one error, and counts them."""

    def __init__(self, status: int, code: str, asked: list[str], *arguments: object) -> None:
        self._status, self._code, self._asked = status, code, asked
        super().__init__(*arguments)  # type: ignore[arg-type] # the server's own

    def do_GET(self) -> None:
        """Refuse."""
        self._asked.append(self.path)
        body = json.dumps({"message": "no"}).encode()
        self.send_response(self._status)
        self.send_header("x-amzn-ErrorType", self._code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(handler: Callable[..., BaseHTTPRequestHandler]) -> Iterator[str]:
    """A server on a free port of this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=partial(server.serve_forever, poll_interval=0.01))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(("status", "code"), REFUSALS)
def test_what_aws_refuses_is_told_once_and_says_what_to_do(
    tmp_path: Path,
    s3_environment: None,  # noqa: ARG001 - credentials
    status: int,
    code: str,
) -> None:
    """One sentence with advice and AWS's own words; asked once, for another attempt would be refused as well."""
    asked: list[str] = []
    with serving(partial(Refusing, status, code, asked)) as url:
        (told,) = historian_findings(SPEC, Home(tmp_path, f"sitewise://eu-central-1?model=web_line&endpoint={url}"))
    assert REFUSALS[status, code] in told
    assert code in told
    assert len(asked) == 1


def test_credentials_that_are_not_there_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is asked without them."""
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    asked: list[str] = []
    with serving(partial(Refusing, 403, "AccessDeniedException", asked)) as url:
        (told,) = historian_findings(SPEC, Home(tmp_path, f"sitewise://eu-central-1?model=web_line&endpoint={url}"))
    assert "no AWS credentials were found. Set AWS_PROFILE" in told
    assert asked == []
