"""Damaged and hostile DICOM files: one error of ours each, soon, in little memory, and no crash."""

import json
import random
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from pydicom import uid
from writers import item

from mammostudy.data.dicom import read_dicom
from mammostudy.errors import DataError

PIXELS = (np.arange(64 * 48, dtype=np.uint16) * 7 % 4096).reshape(64, 48)
SECONDS, MEMORY = 2.0, 1 << 30
LOSSLESS = "JPEGLosslessProcess14_1"
SOURCES = {  # mutants of each; those of a JPEG cost a process
    uid.ExplicitVRLittleEndian: 50, uid.ImplicitVRLittleEndian: 25, uid.ExplicitVRBigEndian: 25,
    uid.DeflatedExplicitVRLittleEndian: 25, uid.RLELossless: 25,
    uid.JPEG2000Lossless: 10, LOSSLESS: 10, "JPEGLSLossless": 5,
}  # fmt: skip
# reads every file of a folder; seconds are the processor's, with decoders, not those of others
READER = r"""
import json, os, sys
from pathlib import Path
from mammostudy.data.dicom import read_dicom
from mammostudy.errors import DataError

for path in sorted(Path(sys.argv[1]).iterdir()):
    start = sum(os.times()[:4])
    try:
        read_dicom(path)
        found = "read"
    except DataError as error:
        found = "DataError" if str(error).count(str(path)) == 1 else "a message without the file"
    except BaseException as error:
        found = repr(error)
    status = Path("/proc/self/status")  # where there is one: the most memory so far
    peak = 1024 * int(status.read_text().split("VmHWM:")[1].split()[0]) if status.exists() else 0
    print(json.dumps([path.name, found, sum(os.times()[:4]) - start, peak]), flush=True)
"""


def read_all(folder):
    command = [sys.executable, "-c", READER, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, f"the reader died after {rows[-1:]}: {done.stderr}"
    assert len(rows) == len(list(folder.iterdir()))
    assert [row for row in rows if row[2] > SECONDS or row[3] > MEMORY] == []
    return {name: found for name, found, *_ in rows}


def mutants(content, count, seed):
    rng = random.Random(seed)
    for number in range(count):
        data, kind = bytearray(content), ("cut", "flip", "length", "insert", "delete")[number % 5]
        place, some = rng.randrange(132, len(data)), rng.choice((1, 2, 8, 64))
        if kind == "flip":
            for _ in range(some):
                data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        elif kind == "length":
            place = rng.randrange(132, min(len(data), 900))
            data[place : place + 4] = rng.choice((b"\xff" * 4, b"\xfe\xff\xff\x7f", bytes(4)))
        else:
            end = {"cut": len(data), "insert": place, "delete": place + some}[kind]
            data[place:end] = rng.randbytes(some) if kind == "insert" else b""
        yield f"{number:03d}-{kind}", bytes(data)


@pytest.mark.slow  # a process for each damaged JPEG
def test_mutated_files_give_an_image_or_one_error(tmp_path, written):
    folder = tmp_path / "mutants"
    folder.mkdir()
    for syntax, count in SOURCES.items():
        whole = written(PIXELS, 12, syntax, WindowCenter=2000, WindowWidth=3001)
        read_dicom(whole)  # control: unharmed, it reads
        for name, data in mutants(whole.read_bytes(), count, str(syntax)):
            (folder / f"{syntax}-{name}").write_bytes(data)
    found = read_all(folder)
    assert set(found.values()) == {"read", "DataError"}
    assert {said for name, said in found.items() if name.endswith("cut")} == {"DataError"}
    assert list(found.values()).count("DataError") > len(found) / 3


def test_files_made_to_fill_the_memory_or_the_day_are_refused_soon(tmp_path, written):
    plain, _, _, deflated, _, jpeg2000, jpeg, _ = (
        written(PIXELS, 12, syntax).read_bytes() for syntax in SOURCES
    )
    (group,) = struct.unpack_from("<I", deflated, 140)
    packer = zlib.compressobj(1, zlib.DEFLATED, -15)
    bomb = b"".join(packer.compress(bytes(1 << 24)) for _ in range(16)) + packer.flush()
    start = plain.rindex(struct.pack("<HH", 0x7FE0, 0x10))
    nested = struct.pack("<HH2s2xIHHI", 0x28, 0x3010, b"SQ", 0xFFFFFFFF, 0xFFFE, 0xE000, 0xFFFFFFFF)
    siz, size = jpeg2000.index(b"\xff\x4f\xff\x51") + 8, struct.pack(">4I", 1 << 30, 1 << 30, 0, 0)
    frame, table = jpeg.index(b"\xff\xc3") + 5, item(LUTDescriptor=[16, 0, 16])
    table[0].add_new("LUTData", "OW", bytes(20_000_000))
    windows = written(PIXELS, 12, uid.ImplicitVRLittleEndian, WindowCenter=b"1\\" * 5_000_000)
    files = {
        "window-long": windows.read_bytes(),
        "table-long": written(PIXELS, VOILUTSequence=table).read_bytes(),
        "jpeg2000-large": jpeg2000[:siz] + 2 * size + jpeg2000[siz + 32 :],
        "jpeg-large": jpeg[:frame] + b"\xff\xff\xff\xff" + jpeg[frame + 4 :],
        "deflate-bomb": deflated[: 144 + group] + bomb,
        "nested": plain[:start] + nested * 20_000 + plain[start:],
    }
    folder = tmp_path / "hostile"
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    with (folder / "endless").open("wb") as file:
        file.write(written(PIXELS).read_bytes())
        file.truncate(3 << 30)  # sparse
    assert set(read_all(folder).values()) == {"DataError"}


def test_a_decoder_that_ends_its_process_ends_only_its_own(written):
    path = written(PIXELS, 12, LOSSLESS)
    content = path.read_bytes()
    scan = content.index(b"\xff\xda")  # a byte too many before it: gdcm throws, which ends C++
    data = bytearray(content[: scan - 6] + b"\x9e" + content[scan - 6 :])
    place = content.rindex(b"\xfe\xff\x00\xe0", 0, content.index(b"\xff\xd8"))
    (length,) = struct.unpack_from("<I", data, place + 4)
    struct.pack_into("<I", data, place + 4, length + 1)
    path.write_bytes(bytes(data))
    with pytest.raises(DataError, match="PixelData"):
        read_dicom(path)
    inside = f"import pydicom; pydicom.dcmread({str(path)!r}).pixel_array"
    control = subprocess.run([sys.executable, "-c", inside], capture_output=True, check=False)
    assert control.returncode  # in this process it would have ended it, or raised
