"""Errors that a user can cause. Each message states the problem, the file, and the remedy."""

from __future__ import annotations

_LONGEST = 1000  # characters of a message, which may quote a file


class StposeError(Exception):
    """Base of all errors that a user can cause. The command prints it as one line and exits with status 2."""

    def __init__(self, message: object = "") -> None:
        super().__init__(" ".join(str(message).split())[:_LONGEST])


class OptionError(StposeError, ValueError):
    """An option is unknown, out of range, of a wrong type, or conflicts with another one."""


class VideoError(StposeError):
    """A video is missing, is not a video, or has no frame in the requested range."""


class DetectorError(StposeError):
    """A detector is unknown, not installed, or cannot load its model."""


class NoPersonError(StposeError):
    """No person was found in the video, or not the requested one."""


class FormatError(StposeError):
    """A file is not in the format that its suffix states or its reader expects."""


class WeightsError(StposeError):
    """A weights file is missing, damaged, or belongs to another network."""


class OutputError(StposeError):
    """An output cannot be written, or exists and may not be overwritten."""


class TrainingError(StposeError):
    """A preset or an option of training is invalid, or a stopped run cannot be resumed."""
