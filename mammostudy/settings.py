"""What a user sets beside the command line: processes, the cache, and ``study.yaml``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from mammostudy.errors import BookError, SpecError


def read_yaml(path: Path) -> Any:
    """Read a file of settings."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        fault = "missing; run the command in the project's folder"
    except UnicodeDecodeError:
        fault = "not text in UTF-8; save it in that encoding"
    except RecursionError:
        fault = "nested too deep to be read; it takes three levels"
    except OSError as error:
        fault = f"cannot be read ({error.strerror}); check the file and its rights"
    except (yaml.YAMLError, ValueError) as error:
        fault = f"not readable as YAML: {' '.join(str(error).split())}"
    raise BookError(f"{path}: {fault}")


def workers(alone: bool = False) -> int:
    """Return how many processes work at once: ``MAMMOSTUDY_WORKERS``, else one if ``alone``.

    Else one for each processor that this process may use, at most four: each takes about 1 GiB.
    """
    return _whole("MAMMOSTUDY_WORKERS", 1024) or (1 if alone else min(4, processors()))


def cache_bytes() -> int:
    """Return what the store's cache holds at most: ``MAMMOSTUDY_CACHE`` in GiB, else 32."""
    return (_whole("MAMMOSTUDY_CACHE", 1 << 20) or 32) << 30


def _whole(variable: str, most: int) -> int | None:
    """Return the whole number above 0 that a variable names, None where it is not set."""
    if not (named := os.environ.get(variable)):
        return None
    if not named.isdecimal() or not 1 <= int(named) <= most:
        raise SpecError(f"{variable}={named}: give a whole number from 1 to {most}")
    return int(named)


def processors() -> int:
    """Return how many processors this process may use: a scheduler may have given it a share."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
