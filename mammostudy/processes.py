"""Processes end within seconds when they are told to, or when their parent is gone."""

from __future__ import annotations

import atexit
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from tqdm import tqdm

GRACE: Final = 3.5  # seconds to keep what there is, and end; parents wait a little longer
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
STOPPED: Final = tuple(128 + each for each in SIGNALS)  # exit codes of those who were told to end


def end_when_told(parent: int | None = None, grace: float = GRACE) -> None:
    """Raise SystemExit at a signal, or when the parent is gone; just end ``grace`` later."""
    tqdm.set_lock(threading.RLock())  # its usual one is a semaphore, which os._exit leaves behind
    reader, writer = socket.socketpair()
    writer.setblocking(False)

    def told(number: int, _: object) -> None:
        for each in SIGNALS:
            signal.signal(each, lambda *_: None)  # once is enough
        atexit.register(leave, 128 + number)
        raise SystemExit(128 + number)

    def leave(code: int) -> None:  # libraries take seconds to be taken down
        with suppress(OSError):
            sys.stdout.flush()
        os._exit(code)

    def watch() -> None:  # a handler waits for the end of a long call, a thread does not
        while not select.select([reader], [], [], parent and 0.3)[0]:
            if os.getppid() != parent:
                os.kill(os.getpid(), signal.SIGTERM)
                break
        time.sleep(grace)
        os._exit(128 + signal.SIGTERM)

    for each in SIGNALS:
        signal.signal(each, told)
    signal.set_wakeup_fd(writer.detach())
    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def held() -> Iterator[None]:
    """Hold the signals to end back until a block is done; only the main thread gets any."""
    noted: list[int] = []
    heard = SIGNALS if threading.current_thread() is threading.main_thread() else ()
    usual = {each: signal.signal(each, lambda number, _: noted.append(number)) for each in heard}
    try:
        yield
    finally:
        for each, handler in usual.items():
            signal.signal(each, handler)
        for number in noted[:1]:
            signal.raise_signal(number)
