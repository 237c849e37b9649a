"""Where a store keeps its bytes: a folder, or a prefix of an S3 bucket, behind one Protocol.

Belongs here: the question, the answer for folders, and which of the two a place's name means. S3's answer is
``aws.s3``, on boto3's own client: s3fs (behind universal-pathlib) pins a botocore older than the one that boto3 needs,
and pyarrow's S3 file system brings a second AWS SDK, with credentials and errors of its own.
"""

import os
import re
import time
import uuid
from pathlib import Path
from typing import Protocol

from twin_assets.errors import TwinError

ASIDE = ".aside"
# Writing aside takes milliseconds; a file that old was left by a process that was killed.
ABANDONED_AFTER_S = 600.0
S3 = "s3://"
EXPECTED = "expected a folder, or an S3 prefix like s3://bucket/prefix"
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


class Blobs(Protocol):
    """Named bytes, each whole or absent whatever is killed and whoever else writes. Names have slashes: ``a/b/c``.

    Every method raises TwinError where the place cannot be used.
    """

    def where(self, name: str) -> str:
        """What people call it, in errors."""
        ...

    def put(self, name: str, data: bytes) -> None:
        """All of the bytes in the name's place, or none; kept for good when this returns. The last writer wins."""
        ...

    def get(self, name: str) -> bytes | None:
        """The bytes, of one write; None where there are none."""
        ...

    def tail(self, name: str, size: int) -> bytes | None:
        """The last ``size`` bytes, or all if there are fewer, of one write; None where there are none."""
        ...

    def delete(self, name: str) -> None:
        """Take it away for good; none is no error."""
        ...

    def names(self, folder: str) -> list[str]:
        """Names right in a folder, without it, in any order; none where there is no such folder."""
        ...

    def probe(self) -> None:
        """See whether one may list, write, read and delete here, as far as that leaves no trace."""
        ...


def blobs_at(place: Path | str) -> Blobs:
    """The bytes at a place; nothing is opened yet.

    Raises:
        TwinError: if the place names neither a folder nor an S3 prefix.
    """
    if not is_s3(place):
        return FolderBlobs(Path(place))
    from twin_assets.aws.s3 import S3Blobs  # noqa: PLC0415 - boto3 is slow to import, and a folder needs none

    bucket, _, prefix = str(place).removeprefix(S3).partition("/")
    return S3Blobs(bucket, prefix.strip("/"))


def is_s3(place: Path | str) -> bool:
    """Whether the place is an S3 prefix."""
    return isinstance(place, str) and place.startswith(S3)


def store_place(text: str) -> Path | str:
    """A place as people write it: a folder (made absolute), or ``s3://bucket/prefix``.

    Raises:
        TwinError: if it is neither.
    """
    if not is_s3(text):
        if "://" in text:
            raise TwinError(f"the store '{text}' is of a kind that is not known; {EXPECTED}.")
        return Path(text).absolute()
    bucket, _, prefix = text.removeprefix(S3).partition("/")
    if not BUCKET.fullmatch(bucket):
        raise TwinError(
            f"the store '{text}' names no bucket: found '{bucket}'; {EXPECTED}. Buckets have 3 to 63 small letters,"
            " digits, dots and hyphens."
        )
    if any(part in {"", ".", ".."} for part in prefix.rstrip("/").split("/") if prefix):
        raise TwinError(f"the store '{text}' has an empty part, '.' or '..' in its prefix; {EXPECTED}.")
    return text.rstrip("/")


class FolderBlobs:
    """Blobs in the files of a folder: written aside, flushed to disk and renamed."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def path(self, name: str) -> Path:
        """The file, there or not."""
        return self._root / name

    def where(self, name: str) -> str:
        """See Blobs."""
        return str(self.path(name))

    def put(self, name: str, data: bytes) -> None:
        """See Blobs."""
        path = self.path(name)
        try:
            _replace(path, data)
        except OSError as error:
            raise TwinError(
                f"{path}: the table cannot be written ({error.strerror or error})."
                " Expected a folder that you may write to, with space left; mend it and run again."
            ) from error

    def get(self, name: str) -> bytes | None:
        """See Blobs."""
        try:
            return self.path(name).read_bytes()
        except FileNotFoundError:
            return None

    def tail(self, name: str, size: int) -> bytes | None:
        """See Blobs."""
        try:
            with self.path(name).open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - size))
                return file.read()
        except FileNotFoundError:
            return None

    def delete(self, name: str) -> None:
        """See Blobs."""
        path = self.path(name)
        try:
            path.unlink(missing_ok=True)
            if path.parent.is_dir():
                _flush_folder(path.parent)
        except OSError as error:
            raise TwinError(
                f"{path}: the table cannot be removed ({error.strerror or error})."
                " Expected a folder that you may write to; mend it and run again."
            ) from error

    def names(self, folder: str) -> list[str]:
        """See Blobs."""
        return [path.name for path in self.path(folder).glob("*") if path.name != ASIDE]

    def probe(self) -> None:
        """See Blobs. A folder is made by what fills it, not by a look: one that is not there yet is not tried."""
        nearest = next(path for path in (self._root, *self._root.parents) if path.exists())
        if not nearest.is_dir() or not os.access(nearest, os.R_OK | os.W_OK | os.X_OK):
            raise TwinError(f"{self._root}: the store cannot be written. Expected a folder that you may write to.")


def _replace(path: Path, data: bytes) -> None:
    """Put bytes in a file's place: all of them, or none; on disk when this returns."""
    aside = path.parent / ASIDE
    aside.mkdir(parents=True, exist_ok=True)
    _sweep(aside)
    temporary = aside / f"{path.stem}.{os.getpid()}.{uuid.uuid4().hex}"
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    _flush_folder(path.parent)


def _sweep(aside: Path) -> None:
    """Remove what killed processes left; their files are never looked at, this only gives the space back."""
    oldest = time.time() - ABANDONED_AFTER_S
    for leftover in aside.iterdir():
        try:
            if leftover.stat().st_mtime < oldest:
                leftover.unlink()
        except FileNotFoundError:  # another writer swept it, or finished
            continue


def _flush_folder(folder: Path) -> None:
    """Make a rename survive a power failure; Windows has no such call and does it by itself."""
    if os.name != "posix":  # pragma: no cover - POSIX here
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
