"""Fetch a whole set: tables first, then its series, several at once; what is there is kept."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from filelock import FileLock, Timeout
from tqdm.auto import tqdm

from mammostudy.data.fetching import checks
from mammostudy.data.fetching.bucket import list_files
from mammostudy.data.fetching.connection import Connection, Patience, RefusedError, StoppedError
from mammostudy.data.fetching.index import Series
from mammostudy.data.fetching.journal import Journal
from mammostudy.data.fetching.plan import Plan, estimate
from mammostudy.data.fetching.transfer import NotFetchedError, fetch_file
from mammostudy.data.fetching.wanted import HIDDEN, Wanted, place
from mammostudy.errors import DataError

MOST_FAILURES: Final = 20  # files or series that may fail before the rest is left alone
SHOWN: Final = 5  # of them in the message


@dataclass
class Outcome:
    """What a fetch did.

    Attributes:
        fetched: files that were fetched and verified now.
        kept: files that were there, whole.
        failures: why each other file is not there.
    """

    fetched: int = 0
    kept: int = 0
    failures: list[str] = field(default_factory=list)


def run(
    plan: Plan, *, jobs: int = 4, rehash: bool = False, patience: Patience | None = None
) -> Outcome:
    """Fetch what a plan says, and verify it.

    Files that the journal knows as verified and that were not touched since are passed over; files
    of another downloader in the same places are verified and kept where they are whole.

    Args:
        plan: what to fetch.
        jobs: transfers at once.
        rehash: verify files anew that the journal knows.
        patience: how long servers may take.

    Returns:
        What was done; all files are there and whole.

    Raises:
        DataError: a file could not be fetched, the archive cannot be reached, the disk is full,
            or another fetch is at work in the folder. What was fetched stays.
    """
    with _alone(plan), Journal(plan.folder) as journal:
        job = _Job(plan, journal, Connection(patience or Patience()), rehash)
        job.tables()
        job.images(jobs)
    if job.outcome.failures:
        raise DataError(_told(job.outcome))
    return job.outcome


@contextmanager
def _alone(plan: Plan) -> Iterator[None]:
    """Keep other fetches out of the folder; a killed one leaves no lock behind."""
    hidden = plan.folder / HIDDEN
    try:
        hidden.mkdir(parents=True, exist_ok=True)
        lock = FileLock(hidden / "lock")
        lock.acquire(timeout=0)
    except Timeout:
        msg = f"{plan.folder}: another fetch is at work in it; wait for it or end it"
        raise DataError(msg) from None
    except OSError as error:
        msg = f"{plan.folder}: cannot be written ({error.strerror}); choose another --root"
        raise DataError(msg) from None
    try:
        if not hidden.resolve().is_relative_to(plan.folder.resolve()):
            msg = f"{hidden}: is a link that leads out of the folder; remove it"
            raise DataError(msg)
        yield
    finally:
        lock.release()


class _Job:
    """One fetch at work."""

    def __init__(self, plan: Plan, journal: Journal, connection: Connection, rehash: bool) -> None:
        self.plan = plan
        self.journal = journal
        self.connection = connection
        self.rehash = rehash
        self.outcome = Outcome()
        self._lock = threading.Lock()

    def tables(self) -> None:
        """Fetch the tables, one after the other."""
        for wanted in self.plan.tables:
            self._try(wanted)

    def images(self, jobs: int) -> None:
        """Fetch the series, several at once, with a bar that tells bytes and the time to come."""
        if not self.plan.series:
            return
        expected = estimate(self.plan, self.journal)
        start = 0 if self.rehash else min(expected.there_size, expected.size)
        with (
            tqdm(total=expected.size, initial=start, unit="B", unit_scale=True, disable=None,
                 desc=self.plan.cohort) as bar,
            ThreadPoolExecutor(jobs) as pool,
        ):  # fmt: skip
            self.connection.moved = self._mover(bar)
            tasks = [pool.submit(self._fetch_series, one) for one in self.plan.series]
            self._wait(tasks, pool)

    def _wait(self, tasks: list[Future[None]], pool: ThreadPoolExecutor) -> None:
        """Wait for all; the first error that others would meet too ends all."""
        try:
            for task in as_completed(tasks):
                task.result()
        except StoppedError:
            pass  # by a failure too many
        finally:
            self.connection.stop.set()
            pool.shutdown(wait=True, cancel_futures=True)

    def _mover(self, bar: Any) -> Callable[[int], object]:
        def move(count: int) -> None:
            with self._lock:
                bar.update(count)

        return move

    def _fetch_series(self, one: Series) -> None:
        self.connection.check()
        files = self.plan.images(one, self.journal)
        if files is None and self.plan.recipe.images is not None:
            try:
                found = list_files(self.connection, self.plan.recipe.images.endpoint, one)
            except RefusedError as error:
                self._fail(f"{self.plan.folder / one.folder}: not listed ({error})")
                return
            self.journal.list_series(one.key, found)
            files = self.plan.images(one, self.journal)
        for wanted in files or []:
            self.connection.check()
            self._try(wanted)

    def _try(self, wanted: Wanted) -> None:
        try:
            self._bring(wanted)
        except NotFetchedError as error:
            self._fail(str(error))

    def _bring(self, wanted: Wanted) -> None:
        """See to it that a file is there and whole."""
        target = place(self.plan.folder, wanted.path)
        known = not self.rehash and self.journal.holds(wanted, target)
        whole = known or self._is_whole(wanted)
        if not whole:
            fetch_file(self.connection, wanted, self.plan.folder)
        elif not known:
            self.connection.moved(wanted.size or 0)
        if not known:
            self.journal.verified(wanted, target)
        with self._lock:
            self.outcome.fetched += not whole
            self.outcome.kept += whole

    def _is_whole(self, wanted: Wanted) -> bool:
        """Tell whether a file that nobody vouches for is there and whole.

        Raises:
            NotFetchedError: it is a table of another content, which may be the user's work.
        """
        target = place(self.plan.folder, wanted.path)
        if not target.is_file():
            return False
        reason = checks.fault(target, wanted)
        if reason is not None and wanted.size is None:
            msg = f"{target}: is there, but {reason}; move it away and run the same command again"
            raise NotFetchedError(msg)
        return reason is None

    def _fail(self, reason: str) -> None:
        with self._lock:
            self.outcome.failures.append(reason)
            if len(self.outcome.failures) >= MOST_FAILURES:
                self.connection.stop.set()


def _told(outcome: Outcome) -> str:
    shown = "\n  ".join(outcome.failures[:SHOWN])
    count = len(outcome.failures)
    more = f"\n  and {count - SHOWN} more" if count > SHOWN else ""
    gave_up = "; the rest was left alone" if count >= MOST_FAILURES else ""
    return (
        f"{count} could not be fetched{gave_up}; {outcome.fetched + outcome.kept} files are there "
        f"and whole; the same command tries the others again:\n  {shown}{more}"
    )
