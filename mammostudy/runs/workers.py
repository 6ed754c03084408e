"""Work side by side, in processes that end with this one (what dask is to do one day)."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures.process import BrokenProcessPool, _ExceptionWithTraceback
from contextlib import suppress
from multiprocessing import connection, get_context, resource_tracker
from typing import Any

from mammostudy.processes import GRACE, SIGNALS, end_when_told


def _serve(pipe: Any, parent: int, work: Callable[..., Any]) -> None:
    try:
        end_when_told(parent)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        while item := pipe.recv():
            try:
                result = work(*item)
            except Exception as error:
                result = _ExceptionWithTraceback(error, error.__traceback__)  # type: ignore[arg-type]
            pipe.send(result)
    except (EOFError, OSError, SystemExit) as end:
        os._exit(getattr(end, "code", 0))  # libraries take seconds to be taken down


def side_by_side(
    work: Callable[..., Any], items: Sequence[tuple[Any, ...]], workers: int
) -> Generator[tuple[Any, Any], None, None]:
    """Do ``work(*item)`` in processes; yield each item when done, with its result or exception.

    A killed process costs its item alone (BrokenProcessPool). Closed early, no more is begun.
    """
    context, waiting = get_context("spawn"), list(items)
    idle, busy, processes = list[Any](), dict[Any, Any](), dict[Any, Any]()  # by pipe
    resource_tracker.ensure_running()  # which unblocks signals
    try:
        while waiting or busy:
            while waiting and len(busy) < workers:
                if not idle:
                    pipe, other = context.Pipe()
                    told = (other, os.getpid(), work)
                    process = context.Process(target=_serve, args=told, daemon=True)
                    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS[:1])  # until it is ready
                    process.start()
                    processes[pipe] = process
                    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
                    other.close()
                    idle.append(pipe)
                busy[pipe := idle.pop()] = waiting.pop(0)
                with suppress(OSError):  # it is dead, as is found below
                    pipe.send(busy[pipe])
            for pipe in list[Any](connection.wait(list(busy))):
                item = busy.pop(pipe)
                try:
                    result = pipe.recv()
                    idle.append(pipe)
                except (EOFError, OSError):
                    processes[pipe].join()
                    result = BrokenProcessPool(f"killed (exit code {processes[pipe].exitcode})")
                yield item, result
    finally:
        for each in processes.values():
            each.terminate()
        end = time.monotonic() + GRACE
        for each in processes.values():
            each.join(max(0.0, end - time.monotonic()))
            each.kill()
