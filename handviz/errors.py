"""Errors a user can cause or fix. Each message says what was read, what is wrong and what to do."""

from __future__ import annotations


class HandvizError(Exception):
    """A user-facing problem. The command line prints its message alone and exits non-zero.

    Raise it with one sentence that names the file or setting, one that says what is wrong, and one
    that says what to do. Programming errors stay ordinary exceptions.
    """


class SourceError(HandvizError):
    """A camera, video, picture or folder that cannot be read."""


class ModelFileError(HandvizError):
    """Weights, a hand model or another model file that is missing, damaged or of the wrong kind."""


class OutputError(HandvizError):
    """A result that could not be written; what was written before it stays readable."""
