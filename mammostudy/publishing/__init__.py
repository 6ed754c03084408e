"""The book: pages executed by papermill when they are stale, then rendered by Jupyter Book."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mammostudy._lazy import attach

if TYPE_CHECKING:
    from mammostudy.publishing.banner import banner
    from mammostudy.publishing.build import build_book
    from mammostudy.publishing.pages import Page, read_pages

__all__ = ["Page", "banner", "build_book", "read_pages"]
__getattr__, __dir__ = attach(
    __name__,
    {"Page": ".pages", "banner": ".banner", "build_book": ".build", "read_pages": ".pages"},
)
