"""Decode one frame with ``python-gdcm``, in a process of its own.

Damaged data can make the library end the whole process (it throws where C++ allows none): here it
ends this one alone. Run by :mod:`mammostudy.data.dicom_decoders` as a script: the compressed frame
comes on the standard input, the pixels leave on the standard output. Imports nothing of ours.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

MEMORY = 1 << 30  # bytes of address space that decoding may take beyond what is loaded
_PIECE = 1 << 20


def limit(bytes_more: int) -> None:
    """Bound the memory of this process, and let it leave no core file; where the system can."""
    try:
        import resource
        from pathlib import Path

        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except (ImportError, OSError, ValueError):
        return
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (used + bytes_more, used + bytes_more))


def decode(
    data: bytes, syntax: str, rows: int, columns: int, bits: int, signed: int
) -> Iterator[bytes]:
    """Decode one grey frame; yields its pixels piece by piece.

    Args:
        data: the compressed frame.
        syntax: UID of its transfer syntax.
        rows: height in pixels.
        columns: width in pixels.
        bits: precision of the compressed data; up to 8 give a byte a pixel, more give two.
        signed: 1 for two's complement.

    Raises:
        Exception: any, where the data are damaged; the process may also end.
    """
    import gdcm  # type: ignore[import-untyped]

    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(data)
    del data
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((columns, rows, 1))
    image.SetDataElement(element)
    grey = gdcm.PhotometricInterpretation.GetPIType("MONOCHROME2")
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(grey))
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(syntax)))
    image.SetPixelFormat(gdcm.PixelFormat(1, 8 if bits <= 8 else 16, bits, bits - 1, signed))
    decoded: str = image.GetBuffer()  # the library gives bytes as text
    for start in range(0, len(decoded), _PIECE):
        yield decoded[start : start + _PIECE].encode("utf-8", "surrogateescape")


def main() -> None:
    """Decode the standard input to the standard output; the arguments are those of decode."""
    syntax, *numbers = sys.argv[1:]
    import gdcm  # noqa: F401  (loaded before the limit counts what is loaded)

    limit(MEMORY)
    rows, columns, bits, signed = (int(number) for number in numbers)
    for piece in decode(sys.stdin.buffer.read(), syntax, rows, columns, bits, signed):
        sys.stdout.buffer.write(piece)


if __name__ == "__main__":
    main()
