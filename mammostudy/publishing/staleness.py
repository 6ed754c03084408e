"""When a page is run again: its key against the one its executed copy was made with."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from mammostudy.publishing.needs import Needs, module_file
from mammostudy.publishing.notebooks import read_template
from mammostudy.publishing.pages import Page, read_claims_text
from mammostudy.study.recipes import cohort_title

CLAIMS = "claims"  # the chapter that judges the claims of study.yaml
RUNNER_VERSION = 1  # raise when execution changes what a copy holds


def page_key(root: Path, page: Page, needs: Needs) -> str:
    """Hash everything that can change a page's content.

    That is: the template's cells without outputs, the parameters, the manifest of its cohort, its
    runs (whose keys hold spec and recipe versions) and their records, the versions of the recipes
    its chapter lists, the further files that it names, and the chapter's own two modules; for the
    claims page also the claims.
    Package versions and commits do not count.
    """
    template = read_template(root, page)
    parts: dict[str, Any] = {
        "runner": RUNNER_VERSION,
        "page": page.name,
        "cells": [[cell.cell_type, cell.source, cell.metadata] for cell in template.cells],
        "parameters": sorted(page.parameters.items()),
        "manifests": sorted(needs.manifests.items()),
        "runs": [needs.key_of(spec) for spec in needs.specs],
        "records": needs.records_digest(),
        "recipes": sorted(needs.recipes.items()),
        "inputs": sorted(needs.inputs.items()),
        "modules": [_source(page.notebook, room) for room in ("study", "figures")],
        "claims": read_claims_text(root) if page.notebook == CLAIMS else None,
        "title": cohort_title(page.cohort) if page.cohort else None,
    }
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _source(stem: str, room: str) -> str:
    path = module_file(stem, room)
    return hashlib.sha256(path.read_bytes()).hexdigest() if path else "none"


def stored_key(root: Path, page: Page) -> str | None:
    """Return the key that the executed copy was made with, or None without a readable copy."""
    try:
        content = json.loads((root / page.executed).read_text(encoding="utf-8"))
        return str(content["metadata"]["study"]["key"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def is_fresh(root: Path, page: Page, key: str) -> bool:
    """Return True if the executed copy of a page was made with ``key``."""
    return stored_key(root, page) == key


def digest_of(keys: dict[str, str]) -> str:
    """Hash all page keys: pages quote each other's numbers, so all are written when one changes."""
    return hashlib.sha256(json.dumps(keys, sort_keys=True).encode()).hexdigest()
