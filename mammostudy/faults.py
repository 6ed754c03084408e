"""What ends a command: one line for the user and, of what is foreign, a log without names.

A log may be sent to strangers. Of an error's message it keeps the words that stand in the code that
raised it, or that the system has for its faults; all else may be of a patient and becomes a dot.
"""

from __future__ import annotations

import errno
import os
import platform
import re
import shutil
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from mammostudy.errors import StudyError
from mammostudy.paths import data_root, keep_newest, project_root, store_root

CODES: Final = (
    "Exit codes: 0 well; 1 a page failed, or something unexpected; 2 something that you can mend; "
    "130 interrupted."
)
_ROOM: Final = "free some space, or let MAMMOSTUDY_STORE name a folder with room"
_RIGHTS: Final = "let it be written, or let MAMMOSTUDY_STORE name a folder that can be"
_KIND: Final = "a file stands where a folder belongs, or the other way round; move it away"
_MENDS: Final = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), _ROOM),
    **dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM), _RIGHTS),
    **dict.fromkeys((errno.ENOTDIR, errno.EISDIR, errno.EEXIST), _KIND),
    errno.ENAMETOOLONG: "choose a shorter path",
}
_LOGS: Final = 1 << 24  # bytes that are kept, of the newest
_SYSTEM: Final = {word for code in errno.errorcode for word in os.strerror(code).split()}
_FRAME: Final = re.compile(r'File "[^"]*?([^"/\\]+[/\\][^"/\\]+\.py)", (line \d+, in [\w<>]+)')


def told(error: BaseException) -> tuple[str, int]:
    """Return the line that tells of an error, and the exit code; log what is foreign."""
    if os.environ.get("MAMMOSTUDY_DEBUG"):
        traceback.print_exception(error)
    if isinstance(error, StudyError):
        return _short(str(error)), error.code
    if isinstance(error, KeyboardInterrupt):
        return "interrupted; what was finished is kept, and the same command goes on from it", 130
    what, mend, code = _of_foreign(error)
    return f"{_short(what)}; {mend} (log: {_logged(error)}; --debug shows the traceback)", code


def _of_foreign(error: BaseException) -> tuple[str, str, int]:
    """Say what happened and what to do, with the exit code."""
    if isinstance(error, MemoryError) or "OutOfMemory" in type(error).__name__:
        return "the memory is full", "close other programs, or set MAMMOSTUDY_WORKERS=1", 2
    while isinstance(error, OSError) and error.errno is None and error.__cause__:
        error = error.__cause__  # pydicom wraps it in one that says nothing
    if isinstance(error, OSError) and error.errno is not None:
        mend = _MENDS.get(error.errno, "check the path and its rights")
        return f"{_shown(error)}: {os.strerror(error.errno).lower()}", mend, 2
    with suppress(OSError, StopIteration):  # libraries have errors of their own for a full disk
        there = next(path for path in (store_root(), *store_root().parents) if path.exists())
        if shutil.disk_usage(there).free < 1 << 20:
            return f"{store_root()}: {os.strerror(errno.ENOSPC).lower()}", _ROOM, 2
    last = traceback.extract_tb(error.__traceback__)[-1:]
    where = "".join(f" in {_tail(frame.filename)}, line {frame.lineno}" for frame in last)
    return f"unexpected {type(error).__name__}{where}", "please report it with the log", 1


def _short(text: str) -> str:
    """Cut the middle out of what no terminal shows, such as a path of 5,000 letters."""
    return re.sub(r"\S{400,}", lambda found: f"{found[0][:120]}…{found[0][-60:]}", text)


def _shown(error: OSError) -> str:
    """Return the file of an error where it is of the store or the project, whose names are ours."""
    if not error.filename:
        return f"a file, perhaps of {store_root()}"
    with suppress(OSError):  # without a working folder there is no absolute path
        path, data = Path(os.fsdecode(error.filename)).absolute(), data_root()
        ours = (path.is_relative_to(root.absolute()) for root in (store_root(), project_root()))
        if any(ours) and not (data and path.is_relative_to(data.absolute())):
            return str(path)
    return "a file"


def _tail(filename: str) -> str:
    """Return the end of a path of code; what stands before it may name a person."""
    return "/".join(Path(filename).parts[-2:])


def _logged(error: BaseException) -> str:
    """Write the log into the store, or into a temporary folder; return its path."""
    text = f"Python {platform.python_version()}, {platform.platform()}\n"
    text += "\n".join(_scrubbed(error)) + "\n"
    for folder in (store_root() / "logs", Path(tempfile.gettempdir(), "mammostudy-logs")):
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"
            path.write_text(text, encoding="utf-8", errors="replace")
            keep_newest(folder, _LOGS)
            return str(path)
    return "could not be written"


def _scrubbed(error: BaseException) -> Iterator[str]:
    """Yield the lines of a traceback, causes first."""
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None:
        yield from _scrubbed(before)
    known = set(_SYSTEM)
    for frame, number in traceback.walk_tb(error.__traceback__):
        code = frame.f_code
        words = " ".join(text for text in code.co_consts if isinstance(text, str))
        known.update(re.findall(r"\w+", words))
        yield f"  {_tail(code.co_filename)}, line {number}, in {code.co_name}"
    for line in str(error).splitlines() or [""]:
        if found := _FRAME.search(line):  # of a worker, whose traceback comes as text
            yield "  " + ", ".join(found.groups())
        else:
            said = re.sub(r"\w+", lambda word: word[0] if word[0] in known else "·", line)
            yield f"{type(error).__name__}: {said}"
