"""An archive on this machine that fails, cuts off, throttles and lies, as it is told to."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from mammostudy.data.fetching.connection import Connection, Patience
from mammostudy.data.fetching.wanted import Wanted

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
QUICK = Patience(attempts=4, wait_s=0.002, longest_wait_s=0.01, timeout_s=20, slowest=4000)


@dataclass
class Asked:
    """A request as it came in, and the bytes of a body that were sent for it."""

    path: str
    range: str
    version: str
    sent: int = 0


@dataclass
class Archive:
    """What the server holds, how it misbehaves, and what it was asked.

    ``faults[path]`` are spent one a request; ``"...!"`` is never spent.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    etags: dict[str, str] = field(default_factory=dict)
    faults: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    asked: list[Asked] = field(default_factory=list)
    most_keys: int = 1000
    address: str = ""

    def put(self, path: str, content: bytes, etag: str | None = None) -> None:
        self.files[path] = content
        self.etags[path] = hashlib.md5(content).hexdigest() if etag is None else etag

    def wanted(self, path: str, to: str | None = None, **fields: object) -> Wanted:
        """The file as a listing would name it."""
        etag = self.etags[path]
        told: dict[str, object] = {
            "path": to or path.rsplit("/", 1)[-1], "addresses": (f"{self.address}/{path}",),
            "size": len(self.files[path]), "etag": etag, "md5": "" if "-" in etag else etag,
        }  # fmt: skip
        return Wanted(**(told | fields))  # type: ignore[arg-type]

    def fault_of(self, path: str) -> str:
        told = self.faults[path]
        if not told:
            return ""
        return told[0][:-1] if told[0].endswith("!") else told.pop(0)

    def sent(self) -> int:
        return sum(one.sent for one in self.asked)


class _Handler(BaseHTTPRequestHandler):
    archive: Archive
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        path = urlsplit(self.path).path.lstrip("/")
        headers = (self.headers.get(name, "") for name in ("Range", "If-Range"))
        self.asked = Asked(path, *headers)
        self.archive.asked.append(self.asked)
        fault, _, value = self.archive.fault_of(path).partition(":")
        if fault.isdigit():
            self.reply(int(fault), b"no", {"Retry-After": value} if value else {})
        elif fault == "hang up":
            self.close_connection = True
        elif fault == "redirect":
            self.reply(302, b"", {"Location": value})
        elif path in self.archive.files:
            self.send_file(path, fault, value)
        elif "list-type" in parse_qs(urlsplit(self.path).query):
            self.reply(200, self.listing(path, fault, value))
        else:
            self.reply(404, b"no such file")

    def reply(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, text in ({"Content-Length": str(len(body))} | (headers or {})).items():
            self.send_header(name, text)
        self.end_headers()
        self.put(body)

    def put(self, body: bytes) -> None:
        try:
            self.wfile.write(body)
            self.wfile.flush()
            self.asked.sent += len(body)
        except OSError:
            self.close_connection = True

    def send_file(self, path: str, fault: str, value: str) -> None:
        content, etag = self.archive.files[path], self.archive.etags[path]
        if fault == "other bytes":
            content = bytes(byte ^ 255 for byte in content)
        if fault == "longer":
            content += b"x" * int(value)
        if fault == "other version":
            etag, content = "0" * 32, content[::-1]
        if fault == "part of other":
            etag, content = "0" * 32, self.archive.files[value]
        match = self.headers.get("If-Range") == f'"{etag}"' or fault == "part of other"
        found = re.fullmatch(r"bytes=(\d+)-", self.asked.range)
        start = int(found[1]) if found and match and fault != "no Range" else 0
        if fault == "other start":
            start = max(start - 1, 0)
        headers = {"ETag": f'"{etag}"', "Content-Length": str(len(content) - start)}
        if fault == "packed":
            headers["Content-Encoding"] = "gzip"
        if start:
            total = len(content) + 5 * (fault == "other total")
            headers["Content-Range"] = f"bytes {start}-{total - 1}/{total}"
        if fault in ("no length", "chunked", "cut chunked", "short chunked", "endless"):
            del headers["Content-Length"]
            extra = "Connection" if fault == "no length" else "Transfer-Encoding"
            headers[extra] = "close" if fault == "no length" else "chunked"
        self.send_response(206 if start else 200)
        for name, text in headers.items():
            self.send_header(name, text)
        self.end_headers()
        self.send_body(content[start:], fault, value)

    def send_body(self, body: bytes, fault: str, value: str) -> None:
        if fault in ("cut", "stall"):
            self.put(body[: int(value)])
            time.sleep(3 if fault == "stall" else 0)
            self.close_connection = True
        elif fault == "throttle":  # value: bytes every 10 ms
            for at in range(0, len(body), int(value)):
                self.put(body[at : at + int(value)])
                time.sleep(0.01)
                if self.close_connection:
                    return
        elif fault in ("chunked", "cut chunked", "short chunked", "endless"):
            self.send_chunks(body[:-9] if fault == "short chunked" else body, fault)
        else:
            self.put(body)
            self.close_connection = self.close_connection or fault == "no length"

    def send_chunks(self, body: bytes, fault: str) -> None:
        count = 1 if fault != "endless" else 1 << 20
        for _ in range(count):
            self.put(b"%x\r\n%b\r\n" % (len(body), body))
            if self.close_connection:
                return
        if fault == "cut chunked":
            self.close_connection = True
        else:
            self.put(b"0\r\n\r\n")

    def listing(self, bucket: str, fault: str, value: str) -> bytes:
        query = parse_qs(urlsplit(self.path).query)
        prefix = f"{bucket.rstrip('/')}/{query['prefix'][0]}"
        start = int(query.get("continuation-token", ["0"])[0])
        keys = sorted(path for path in self.archive.files if path.startswith(prefix))
        page = keys[start : start + self.archive.most_keys]
        entries = "".join(
            f"<Contents><Key>{key.split('/', 1)[1]}</Key><Size>{len(self.archive.files[key])}"
            f"</Size><ETag>&quot;{self.archive.etags[key]}&quot;</ETag></Contents>"
            for key in page
        )
        if fault == "entry":
            entries += value
        more = start + len(page) < len(keys) or fault == "endless listing"
        token = (
            f"<NextContinuationToken>{start + len(page)}</NextContinuationToken>" if more else ""
        )
        text = (
            f'<?xml version="1.0"?>{value if fault == "doctype" else ""}'
            f'<ListBucketResult xmlns="{NAMESPACE}">{entries}{token}'
            f"<IsTruncated>{str(more).lower()}</IsTruncated></ListBucketResult>"
        )
        return text.encode()[: -30 if fault == "cut listing" else None]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        pass


@pytest.fixture
def archive() -> Iterator[Archive]:
    """A server on 127.0.0.1, ended after the test."""
    held = Archive()
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"archive": held}))
    held.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield held
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def moved() -> list[int]:
    """What a progress bar would be told."""
    return []


@pytest.fixture
def connection(moved: list[int], monkeypatch: pytest.MonkeyPatch) -> Connection:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    return Connection(QUICK, moved=moved.append)


@pytest.fixture(scope="session")
def dicom_bytes(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., bytes]:
    """Return ``make(patient="D1-0001", side="R", view="CC", seed=0)``: a small mammogram's file."""
    import numpy as np
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    path = tmp_path_factory.mktemp("dicom") / "image.dcm"

    def make(
        patient: str = "D1-0001", side: str = "R", view: str = "399162004", seed: int = 0
    ) -> bytes:
        data = Dataset()
        data.file_meta = FileMetaDataset()
        data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1.2"
        data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{seed}"
        data.PatientID, data.Modality, data.ImageLaterality = patient, "MG", side
        code = Dataset()
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = view, "SCT", "view"
        data.ViewCodeSequence = [code]
        data.Rows, data.Columns, data.BitsAllocated, data.BitsStored = 48, 40, 8, 8
        data.HighBit, data.PixelRepresentation, data.SamplesPerPixel = 7, 0, 1
        data.PhotometricInterpretation = "MONOCHROME2"
        noise = np.random.default_rng(seed)
        data.PixelData = noise.integers(0, 255, (48, 40), dtype=np.uint8).tobytes()
        data.save_as(Path(path), enforce_file_format=True)
        return path.read_bytes()

    return make


@pytest.fixture
def write_index(tmp_path: Path) -> Callable[..., Path]:
    """Return ``write(rows)``: an index as the archive publishes it, a Parquet file."""
    duckdb = pytest.importorskip("duckdb", reason="the extra `download` is not installed")

    def write(rows: list[dict[str, object]]) -> Path:
        path = tmp_path / "index.parquet"
        kinds = {"instanceCount": "BIGINT", "series_size_MB": "DOUBLE"}
        columns = ", ".join(f'"{name}" {kinds.get(name, "VARCHAR")}' for name in rows[0])
        with duckdb.connect() as base:
            base.execute(f"CREATE TABLE rows ({columns})")
            marks = ", ".join("?" * len(rows[0]))
            base.executemany(f"INSERT INTO rows VALUES ({marks})", [[*r.values()] for r in rows])
            base.execute(f"COPY rows TO '{path}' (FORMAT parquet)")
        return path

    return write
