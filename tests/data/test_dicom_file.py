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
# reads every file of a folder; the peak of memory is set back before each, where the system can;
# seconds are the processor's, with decoders: other work on the machine does not count
READER = r"""
import contextlib, json, os, re, sys
from pathlib import Path
from mammostudy.data.dicom import read_dicom
from mammostudy.errors import DataError

for path in sorted(Path(sys.argv[1]).iterdir()):
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    start = sum(os.times()[:4])
    try:
        read_dicom(path)
        found = "read"
    except DataError as error:
        found = "DataError" if str(error).count(str(path)) == 1 else "a message without the file"
    except BaseException as error:
        found = repr(error)
    row = {"name": path.name, "found": found, "seconds": sum(os.times()[:4]) - start, "peak": 0}
    with contextlib.suppress(OSError, TypeError):
        status = Path("/proc/self/status").read_text()
        row["peak"] = 1024 * int(re.search(r"VmHWM:\s+(\d+)", status)[1])
    print(json.dumps(row), flush=True)
"""


def read_all(folder: Path) -> list[dict[str, object]]:
    done = subprocess.run(
        [sys.executable, "-c", READER, str(folder)], capture_output=True, text=True, check=False
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, f"the reader died after {found[-1:]}: {done.stderr}"
    assert len(found) == len(list(folder.iterdir()))
    assert max(row["seconds"] for row in found) < SECONDS
    assert max(row["peak"] for row in found) < MEMORY
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
            data[place : place + 4] = rng.choice((b"\xff" * 4, b"\xfe\xff\xff\x7f", bytes(4)))
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
    assert {row["found"] for row in found if row["name"].endswith("cut")} == {"DataError"}
    assert sum(row["found"] == "DataError" for row in found) > len(found) / 3


def element(group: int, number: int, value: bytes) -> bytes:
    """One element of a sequence, or of words, explicit and little-endian."""
    kind = b"SQ" if number == 0x3010 else b"OW"
    return struct.pack("<HH2s2xI", group, number, kind, len(value)) + value


def with_rows(content: bytes, rows: int, columns: int) -> bytes:
    for number, value in ((0x10, rows), (0x11, columns)):
        start = content.index(struct.pack("<HH", 0x28, number) + b"US")
        content = content[: start + 8] + struct.pack("<H", value) + content[start + 10 :]
    return content


def before_pixels(content: bytes, more: bytes) -> bytes:
    start = content.rindex(struct.pack("<HH", 0x7FE0, 0x10))
    return content[:start] + more + content[start:]


def hostile(folder: Path, write_dicom: Writer) -> dict[str, bytes]:
    """Files made to fill the memory or the day; none of them is a mammogram."""
    deflated, jpeg2000, lossless, words, plain = (
        write_dicom(folder / "source.dcm", pixels(), 12, syntax).read_bytes()
        for syntax in (
            DeflatedExplicitVRLittleEndian, JPEG2000Lossless, "JPEGLosslessProcess14_1",
            ImplicitVRLittleEndian, ExplicitVRLittleEndian,
        )
    )  # fmt: skip
    siz = jpeg2000.index(b"\xff\x4f\xff\x51") + 8
    frame = lossless.index(b"\xff\xc3")
    (group,) = struct.unpack_from("<I", deflated, 140)
    packer = zlib.compressobj(1, zlib.DEFLATED, -15)
    bomb = b"".join(packer.compress(bytes(1 << 24)) for _ in range(16)) + packer.flush()
    nested = element(0x28, 0x3010, b"")[:8] + b"\xff" * 4 + b"\xfe\xff\x00\xe0" + b"\xff" * 4
    lut = struct.pack("<HH2s4H", 0x28, 0x3002, b"US", 6, 16, 0, 16)
    lut += element(0x28, 0x3006, bytes(20_000_000))
    item = struct.pack("<HHI", 0xFFFE, 0xE000, len(lut)) + lut
    windows = b"1\\" * 5_000_000
    return {
        "rows": with_rows(plain, 65535, 65535),
        "rows-jpeg": with_rows(lossless, 60000, 60000),
        "jpeg2000-large": jpeg2000.replace(
            jpeg2000[siz : siz + 32], struct.pack(">8I", *[1 << 30, 1 << 30, 0, 0] * 2)
        ),
        "jpeg-large": lossless[: frame + 5] + b"\xff\xff\xff\xff" + lossless[frame + 9 :],
        "deflate-bomb": deflated[: 144 + group] + bomb,
        "nested": before_pixels(plain, nested * 20_000),
        "lut-long": before_pixels(plain, element(0x28, 0x3010, item)),
        "window-long": before_pixels(
            words, struct.pack("<HHI", 0x28, 0x1050, len(windows)) + windows
        ),
    }


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
