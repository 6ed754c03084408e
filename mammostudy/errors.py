"""Errors that a user can cause, and mend: one message that names the place and the fix."""

from __future__ import annotations


class StudyError(Exception):
    """Base of every error with a message meant for the user; the command line prints it alone."""

    code = 2  # of the command's exit


class DataError(StudyError):
    """A file, manifest, cohort, mask or box that cannot be used as it is."""


class MissingDataError(DataError):
    """A cohort whose folder is not on this machine; its committed records can still be shown."""


class SpecError(StudyError):
    """A setting that is unknown, ill-typed or at odds with another one."""


class BookError(StudyError):
    """Settings of the book that cannot be used, or a page that could not be executed."""


class UnbuiltError(BookError):
    """A book that was started and not finished: the fault of a page."""

    code = 1
