"""A patient connection: what a server may do wrong, and how often it is asked again."""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from mammostudy import __version__
from mammostudy.data.fetching.index import EXTRA
from mammostudy.errors import DataError

T = TypeVar("T")
STEP: Final = 1 << 20  # bytes of progress after which failures are counted from none again
_AGAIN: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_WORDS: Final = (
    ("NameResolution", "its name is not known here"),
    ("NewConnection", "nobody listens or there is no way there"),
    ("Proxy", "the proxy refuses"),
    ("Timeout", "no answer in time"),
)


class UnreachableError(DataError):
    """The archive cannot be reached at all; other files would fail as well."""


class StoppedError(Exception):
    """Another thread has ended the fetch; what is there stays."""


class RefusedError(Exception):
    """An address does not give what is wanted, and asking again would not help."""


class AgainError(Exception):
    """Something went wrong that may go well the next time."""

    def __init__(self, reason: str, wait_s: float = 0.0, *, unreachable: bool = False) -> None:
        super().__init__(reason)
        self.wait_s = wait_s
        self.unreachable = unreachable


@dataclass(frozen=True)
class Patience:
    """How long the other side may take.

    Attributes:
        attempts: failures in a row, without :data:`STEP` bytes of progress, that end it.
        wait_s: before the second attempt; doubled after each further one.
        longest_wait_s: between two attempts, also where the server asks for more.
        timeout_s: for an answer, and between two pieces of it.
        slowest: bytes a second below which a transfer is begun again, after ``timeout_s``.
    """

    attempts: int = 6
    wait_s: float = 1.0
    longest_wait_s: float = 60.0
    timeout_s: float = 60.0
    slowest: float = 1000.0


@dataclass
class Connection:
    """What asks the servers; one for all threads, with a session for each.

    Attributes:
        patience: how long the other side may take.
        stop: set to end all transfers; parts stay.
        moved: is told of bytes that came, or, below 0, of bytes that were thrown away.
    """

    patience: Patience = field(default_factory=Patience)
    stop: threading.Event = field(default_factory=threading.Event)
    moved: Callable[[int], object] = lambda count: None
    _answered: threading.Event = field(default_factory=threading.Event)
    _local: threading.local = field(default_factory=threading.local)

    def check(self) -> None:
        """Raise :class:`StoppedError` where another thread has ended the fetch."""
        if self.stop.is_set():
            raise StoppedError

    def persist(self, action: Callable[[], T], reached: Callable[[], int] = lambda: 0) -> T:
        """Do something until it goes well, with growing waits between.

        Args:
            action: raises :class:`AgainError` where it may go well the next time.
            reached: bytes that are kept between attempts.

        Raises:
            RefusedError: it failed too often in a row.
            UnreachableError: so it did, and there was no connection the last time; where there
                never was one, two attempts are enough.
        """
        best, failures = reached(), 0
        while True:
            self.check()
            try:
                return action()
            except AgainError as error:
                failures += 1
                if reached() >= best + STEP:
                    best, failures = reached(), 1
                if failures >= self._attempts(error) and error.unreachable:
                    raise UnreachableError(_unreachable(str(error))) from None
                if failures >= self._attempts(error):
                    raise RefusedError(f"{error}, {failures} times in a row") from None
                self.stop.wait(self._wait(failures, error.wait_s))

    def _attempts(self, error: AgainError) -> int:
        never = error.unreachable and not self._answered.is_set()
        return min(2, self.patience.attempts) if never else self.patience.attempts

    def _wait(self, failures: int, asked_s: float) -> float:
        grown = self.patience.wait_s * 2 ** (failures - 1) * random.uniform(0.5, 1)
        return float(min(max(grown, asked_s), self.patience.longest_wait_s))

    @contextmanager
    def open(self, address: str, headers: dict[str, str] | None = None) -> Iterator[Any]:
        """Ask for an address.

        Yields:
            The response (``requests``), its body not yet read; of status 200, 206 or 416.

        Raises:
            AgainError: there was no answer, or one that may become another.
            RefusedError: the answer is final.
            UnreachableError: the other side's certificate is not trusted.
        """
        response = self._get(address, {"Accept-Encoding": "identity"} | (headers or {}))
        with response:
            self._answered.set()
            status = int(response.status_code)
            if status in _AGAIN:
                raise AgainError(f"the server answers {status}", _asked(response.headers))
            if status not in (200, 206, 416):
                raise RefusedError(f"the server answers {status}")
            if address.startswith("https:") and not str(response.url).startswith("https:"):
                raise RefusedError("the server leads to an address that is not encrypted")
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise RefusedError("the server packs what it sends")
            yield response

    def _get(self, address: str, headers: dict[str, str]) -> Any:
        requests = library()
        try:
            return self._session().get(
                address, headers=headers, stream=True, timeout=self.patience.timeout_s
            )
        except requests.exceptions.SSLError:
            raise UnreachableError(_unreachable("its certificate is not trusted here")) from None
        except (requests.ConnectionError, requests.Timeout) as error:
            raise AgainError(_reason(error), unreachable=True) from None
        except requests.RequestException as error:
            raise RefusedError(f"the address cannot be asked ({type(error).__name__})") from None

    def _session(self) -> Any:
        if not hasattr(self._local, "session"):
            session = library().Session()
            session.max_redirects = 5
            session.headers["User-Agent"] = f"mammostudy/{__version__}"
            self._local.session = session
        return self._local.session


def library() -> Any:
    """Return ``requests``.

    Raises:
        DataError: it is not installed.
    """
    try:
        import requests
    except ImportError:
        msg = f"fetching needs the package requests; run: {EXTRA}"
        raise DataError(msg) from None
    return requests


def _asked(headers: Any) -> float:
    """Return the seconds that a server asks to be left alone for, 0 where it does not."""
    value = str(headers.get("Retry-After", ""))
    return float(value) if re.fullmatch(r"\d{1,6}", value, re.ASCII) else 0.0


def _reason(error: Exception) -> str:
    """Say why there is no connection, without the name of any host."""
    text = f"{type(error).__name__} {error!r}"
    return next((words for mark, words in _WORDS if mark in text), "the connection broke")


def _unreachable(reason: str) -> str:
    return (
        f"the archive cannot be reached ({reason}); check the network, and the proxy if there is "
        "one, then run the same command again: what is already there is kept"
    )
