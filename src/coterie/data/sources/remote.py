"""Files behind URLs, by the library fsspec: buckets, repositories of the hub, servers.

Credentials and further settings of a file system are those of its own package (`AWS_PROFILE`, `gcloud auth`, `hf auth
login`), or of fsspec's configuration, such as the environment variable `FSSPEC_S3_ENDPOINT_URL`.
"""

from __future__ import annotations

import contextlib
import io
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, TypeVar, cast

from coterie.data.base import Unreadable
from coterie.data.sources.storage import Entry
from coterie.errors import CoterieError, UsageError, causes, unknown
from coterie.extras import require

T = TypeVar("T")
# What each scheme needs besides fsspec. Others fsspec knows are left out: some render templates or run commands.
SCHEMES = {
    "s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "hf": "huggingface_hub", "az": "adlfs",
    "abfs": "adlfs", "abfss": "adlfs", "oss": "ossfs", "http": "aiohttp", "https": "aiohttp", "ftp": "",
    "sftp": "paramiko", "ssh": "paramiko", "smb": "smbprotocol", "webdav": "webdav4", "file": "", "memory": "",
}  # fmt: skip
# Answers take long and cost the processor nothing.
_IN_FLIGHT = 32
# Bytes that are asked for at a time of a file that is read from its beginning.
_BLOCK = 4_000_000
# Larger files are fetched one at a time, so that memory stays bounded.
_LARGE = 16_000_000
_PAUSES = (0.5, 2.0)
_REFUSED = {
    "PermissionError", "NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "RefreshError",
    "DefaultCredentialsError", "ClientAuthenticationError", "GatedRepoError",
}  # fmt: skip
_ABSENT = {"FileNotFoundError", "RepositoryNotFoundError", "EntryNotFoundError", "NoSuchBucket"}
_UNREACHABLE = {
    "ConnectionError", "ConnectError", "ClientConnectionError", "EndpointConnectionError", "TimeoutError", "Timeout",
    "HTTPClientError", "gaierror", "OfflineModeIsEnabled", "LocalEntryNotFoundError",
}  # fmt: skip


class Remote:
    """The file system that a URL's scheme names; paths are as it has them."""

    in_flight = _IN_FLIGHT

    def __init__(self, files: Any, url: str) -> None:
        self._files, self._url = files, url
        self._large = threading.Lock()

    def entry(self, path: str) -> Entry | None:
        with contextlib.suppress(FileNotFoundError), _explained(self._url):
            about = self._files.info(path)
            return _entry(path, about) if about["type"] == "file" else None
        return None

    def matching(self, pattern: str) -> list[Entry]:
        with _explained(self._url):
            found = self._files.glob(pattern, detail=True)
        return [_entry(path, about) for path, about in sorted(found.items()) if about["type"] == "file"]

    def below(self, folder: str) -> list[Entry]:
        """Every file below a folder, at any depth, sorted."""
        with contextlib.suppress(FileNotFoundError), _explained(self._url):
            found = self._files.find(folder, detail=True)
            return [_entry(path, about) for path, about in sorted(found.items())]
        return []

    def open(self, path: str) -> BinaryIO:
        with _explained(self._url):
            return cast(BinaryIO, _Patient(self._files.open(path, "rb", block_size=_BLOCK), self._patiently, path))

    def read(self, path: str, start: int, stop: int | None) -> bytes:
        large = stop is not None and stop - start > _LARGE
        with self._large if large else contextlib.nullcontext():
            content: bytes = self._patiently(path, lambda: self._files.cat_file(path, start=start, end=stop))
        # Some servers know no ranges, and give all.
        return content[start:stop] if stop is not None and len(content) > stop - start else content

    def _patiently(self, path: str, ask: Callable[[], T]) -> T:
        """An answer for one file. A network that fails for good ends the reading: the files are not at fault."""
        for pause in (*_PAUSES, None):
            try:
                return ask()
            except (FileNotFoundError, IsADirectoryError):
                raise Unreadable("the file is gone") from None
            except PermissionError:
                raise Unreadable("no permission to read it") from None
            except Exception as error:
                if pause is None:
                    raise CoterieError(
                        f"{self._url}: {path} could not be fetched: {reason(error)}; repeat the command, with --resume "
                        "if it had begun"
                    ) from None
                time.sleep(pause)
        raise AssertionError


class _Patient(io.RawIOBase):
    """A file whose reads are repeated where the network fails."""

    def __init__(self, file: Any, patiently: Callable[[str, Callable[[], bytes]], bytes], path: str) -> None:
        self._file, self._patiently, self._path = file, patiently, path

    def read(self, size: int = -1) -> bytes:
        start = self._file.tell()

        def ask() -> bytes:
            self._file.seek(start)
            return bytes(self._file.read(size))

        try:
            return self._patiently(self._path, ask)
        except Unreadable as reason:
            raise OSError(str(reason)) from None

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        return int(self._file.tell())

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._file.close()
        super().close()


def open_remote(url: str) -> tuple[Remote, str]:
    """The file system of a URL, and the path in it.

    Raises:
        UsageError: an unknown scheme, or a package is missing. CoterieError: the file system cannot be reached.
    """
    scheme = url.partition("://")[0].lower()
    if "::" in scheme:
        raise UsageError(f"{url}: chains of schemes are not followed; give a URL with one, such as s3://bucket/photos")
    if scheme not in SCHEMES:
        raise unknown("scheme", scheme, SCHEMES)
    core = require("fsspec.core", extra="remote", what=url)
    try:
        with _explained(url):
            files, path = core.url_to_fs(url)
    except ImportError:
        raise UsageError(f"{url} needs {SCHEMES[scheme]}: pip install {SCHEMES[scheme]}") from None
    return Remote(files, url), str(path)


def reason(error: BaseException) -> str:
    """Why something could not be had, and what to do, as the end of a sentence."""
    kinds = {kind.__name__ for cause in causes(error) for kind in type(cause).__mro__}
    words = " ".join(str(error).split())[:200] or type(error).__name__
    if kinds & _ABSENT:
        return "there is nothing: check the name, or the credentials if it is private"
    if kinds & _REFUSED:
        return f"access was refused ({words}): check the credentials"
    if kinds & _UNREACHABLE:
        return f"it cannot be reached ({words}): check the address and the network"
    return words


@contextlib.contextmanager
def _explained(url: str) -> Iterator[None]:
    """Turn whatever a file system raises into one line; that a package or a file is missing is left to the caller."""
    try:
        yield
    except (CoterieError, FileNotFoundError, ImportError):
        raise
    except Exception as error:
        raise CoterieError(f"{url} cannot be read: {reason(error)}") from None


def _entry(path: str, about: dict[str, Any]) -> Entry:
    """Whatever the file system tells of a file that changes when the file does."""
    names = ("ETag", "etag", "md5Hash", "content_md5", "blob_id", "oid", "LastModified", "last_modified", "updated")
    marks = [str(about[name]) for name in (*names, "mtime", "modified", "created", "ino") if about.get(name)]
    size = int(about.get("size") or 0)
    return Entry(path, size, " ".join([str(size), *marks]) if marks else None)
