"""The errors that a user can cause. Each message says what was wrong, where, and what to do."""

from __future__ import annotations

_LONGEST = 1000  # characters of a message: files can be quoted in it


class StposeError(Exception):
    """Base of all errors a user can cause: the command prints it as one line and exits with 2."""

    def __init__(self, message: object = "") -> None:
        super().__init__(" ".join(str(message).split())[:_LONGEST])


class OptionError(StposeError, ValueError):
    """An option is unknown, out of range, of a wrong type, or does not fit another one."""


class VideoError(StposeError):
    """A video is missing, is not a video, or holds no frame in the asked range."""


class DetectorError(StposeError):
    """A detector is unknown, not installed, or cannot load its model."""


class NoPersonError(StposeError):
    """Nobody was found in the video, or not the person that was asked for."""


class FormatError(StposeError):
    """A file is not in the format that its suffix or its reader says."""


class WeightsError(StposeError):
    """A weights file is missing, damaged, or made for another network."""


class OutputError(StposeError):
    """An output cannot be written, or exists and may not be overwritten."""


class TrainingError(StposeError):
    """A preset or an option of training does not fit, or a stopped run cannot be gone on with."""
