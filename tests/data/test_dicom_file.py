"""Damaged and hostile DICOM files: one error of ours each, soon, in little memory, and no crash."""

from __future__ import annotations

import json
import random
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from mammostudy.data.dicom import read_dicom
from mammostudy.errors import DataError

Writer = Callable[..., Path]
SECONDS, MEMORY = 2.0, 1 << 30
SOURCES = {  # mutants of each; those of a JPEG cost a process
    ExplicitVRLittleEndian: 50, ImplicitVRLittleEndian: 25, ExplicitVRBigEndian: 25,
    DeflatedExplicitVRLittleEndian: 25, RLELossless: 25,
    JPEG2000Lossless: 10, "JPEGLosslessProcess14_1": 10, "JPEGLSLossless": 5,
}  # fmt: skip
# reads every file of a folder; the peak of memory is set back before each, where the system can
READER = r"""
import json, os, re, sys
from pathlib import Path
from mammostudy.data.dicom import read_dicom
from mammostudy.errors import DataError

def peak():
    try:
        status = Path("/proc/self/status").read_text()
        return 1024 * int(re.search(r"VmHWM:\s+(\d+)", status)[1])
    except (OSError, TypeError):
        return 0

def seconds():  # of the processor, with decoders: other work on the machine does not count
    return sum(os.times()[:4])

for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass
    start = seconds()
    try:
        read_dicom(path)
        found = "read"
    except DataError as error:
        found = "DataError" if str(error).count(str(path)) == 1 else "a message without the file"
    except BaseException as error:
        found = repr(error)
    row = {"name": path.name, "found": found, "seconds": seconds() - start, "peak": peak()}
    print(json.dumps(row), flush=True)
"""


def read_all(folder: Path) -> list[dict[str, object]]:
    done = subprocess.run(
        [sys.executable, "-c", READER, str(folder)], capture_output=True, text=True, check=False
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, f"the reader died after {found[-1:]}: {done.stderr}"
    assert len(found) == len(list(folder.iterdir()))
    return found


def pixels() -> np.ndarray:
    y, x = np.mgrid[:64, :48]
    noise = np.random.default_rng(1).integers(0, 60, (64, 48))
    return (2000 + 1500 * np.sin(y / 9) * np.cos(x / 13) + noise).astype(np.uint16)


def mutants(content: bytes, count: int, seed: str) -> Iterator[tuple[str, bytes]]:
    """Truncated, bit-flipped, overwritten, lengthened and shortened copies of a file."""
    rng = random.Random(seed)
    for number in range(count):
        data, kind = bytearray(content), ("cut", "flip", "length", "insert", "delete")[number % 5]
        place = rng.randrange(132, len(data))
        if kind == "cut":
            del data[place:]
        elif kind == "flip":
            for _ in range(rng.choice((1, 4, 32))):
                data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        elif kind == "length":
            place = rng.randrange(132, min(len(data), 900))
            data[place : place + 4] = rng.choice(
                (b"\xff\xff\xff\xff", b"\xfe\xff\xff\x7f", bytes(4))
            )
        elif kind == "insert":
            data[place:place] = rng.randbytes(rng.choice((1, 2, 8, 64)))
        else:
            del data[place : place + rng.choice((1, 2, 8, 64))]
        yield f"{number:03d}-{kind}", bytes(data)


@pytest.mark.slow  # a process for each damaged JPEG
def test_mutated_files_give_an_image_or_one_error(tmp_path: Path, write_dicom: Writer) -> None:
    folder, whole = tmp_path / "mutants", tmp_path / "whole.dcm"
    folder.mkdir()
    for syntax, count in SOURCES.items():
        write_dicom(whole, pixels(), 12, syntax, WindowCenter=2000, WindowWidth=3001)
        read_dicom(whole)  # control: unharmed, it reads
        for name, data in mutants(whole.read_bytes(), count, str(syntax)):
            (folder / f"{syntax}-{name}").write_bytes(data)
    found = read_all(folder)
    assert {row["found"] for row in found} == {"read", "DataError"}
    cut = [row for row in found if row["name"].endswith("cut")]
    assert {row["found"] for row in cut} == {"DataError"}
    assert sum(row["found"] == "DataError" for row in found) > len(found) / 3
    assert max(row["seconds"] for row in found) < SECONDS
    assert max(row["peak"] for row in found) < MEMORY


def element(group: int, number: int, vr: bytes, value: bytes) -> bytes:
    """One explicit little-endian element."""
    head = struct.pack("<HH", group, number) + vr
    if vr in (b"OB", b"OW", b"SQ", b"UN", b"UT"):
        return head + bytes(2) + struct.pack("<I", len(value)) + value
    return head + struct.pack("<H", len(value)) + value


def with_rows(content: bytes, rows: int, columns: int) -> bytes:
    for number, value in ((0x10, rows), (0x11, columns)):
        start = content.index(struct.pack("<HH", 0x28, number) + b"US")
        content = content[: start + 8] + struct.pack("<H", value) + content[start + 10 :]
    return content


def before_pixels(content: bytes, more: bytes) -> bytes:
    start = content.rindex(struct.pack("<HH", 0x7FE0, 0x10))
    return content[:start] + more + content[start:]


def lut(entries: int, data: bytes) -> bytes:
    item = element(0x28, 0x3002, b"US", struct.pack("<3H", entries, 0, 16))
    item += element(0x28, 0x3006, b"OW", data)
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(item)) + item


def table(items: bytes) -> bytes:
    return element(0x28, 0x3010, b"SQ", items)


def hostile(folder: Path, write_dicom: Writer) -> dict[str, bytes]:
    """Files made to fill the memory or the day; none of them is a mammogram."""
    source = folder / "source.dcm"

    def made(syntax: str) -> bytes:
        return write_dicom(source, pixels(), 12, syntax).read_bytes()

    deflated = made(DeflatedExplicitVRLittleEndian)
    jpeg2000, lossless = (made(s) for s in (JPEG2000Lossless, "JPEGLosslessProcess14_1"))
    words, plain = made(ImplicitVRLittleEndian), made(ExplicitVRLittleEndian)
    siz = jpeg2000.index(b"\xff\x4f\xff\x51") + 8
    size = jpeg2000[siz : siz + 32]
    frame = lossless.index(b"\xff\xc3")
    (group,) = struct.unpack_from("<I", deflated, 140)
    packer = zlib.compressobj(1, zlib.DEFLATED, -15)
    bomb = b"".join(packer.compress(bytes(1 << 24)) for _ in range(16)) + packer.flush()
    nested = element(0x28, 0x3010, b"SQ", b"")[:8] + b"\xff" * 4 + b"\xfe\xff\x00\xe0" + b"\xff" * 4
    windows = b"1\\" * 5_000_000
    return {
        "rows": with_rows(plain, 65535, 65535),
        "rows-jpeg": with_rows(lossless, 60000, 60000),
        "jpeg2000-large": jpeg2000.replace(size, struct.pack(">8I", *[1 << 30, 1 << 30, 0, 0] * 2)),
        "jpeg-large": lossless[: frame + 5] + b"\xff\xff\xff\xff" + lossless[frame + 9 :],
        "deflate-bomb": deflated[: 144 + group] + bomb,
        "nested": before_pixels(plain, nested * 20_000),
        "lut-long": before_pixels(plain, table(lut(16, bytes(20_000_000)))),
        "window-long": before_pixels(
            words, struct.pack("<HHI", 0x28, 0x1050, len(windows)) + windows
        ),
    }  # fmt: skip


def test_hostile_files_are_refused_soon(tmp_path: Path, write_dicom: Writer) -> None:
    folder = tmp_path / "hostile"
    folder.mkdir()
    for name, content in hostile(tmp_path, write_dicom).items():
        (folder / name).write_bytes(content)
    with (folder / "endless").open("wb") as file:
        file.write((tmp_path / "source.dcm").read_bytes())
        file.truncate(3 << 30)  # sparse
    for row in read_all(folder):
        assert row["found"] == "DataError", row
        assert row["seconds"] < SECONDS, row
        assert row["peak"] < MEMORY, row


def test_a_decoder_that_ends_its_process_ends_only_its_own(
    tmp_path: Path, write_dicom: Writer
) -> None:
    path = write_dicom(tmp_path / "a.dcm", pixels(), 12, "JPEGLosslessProcess14_1")
    content = path.read_bytes()
    scan = content.index(b"\xff\xda")  # a byte too many before it: gdcm throws, which ends C++
    data = bytearray(content[: scan - 6] + b"\x9e" + content[scan - 6 :])
    item = content.rindex(b"\xfe\xff\x00\xe0", 0, content.index(b"\xff\xd8"))
    (length,) = struct.unpack_from("<I", data, item + 4)
    struct.pack_into("<I", data, item + 4, length + 1)
    path.write_bytes(bytes(data))
    with pytest.raises(DataError, match="PixelData"):
        read_dicom(path)
    inside = f"import pydicom; pydicom.dcmread({str(path)!r}).pixel_array"
    control = subprocess.run([sys.executable, "-c", inside], capture_output=True, check=False)
    assert control.returncode  # in this process it would have ended it, or raised
