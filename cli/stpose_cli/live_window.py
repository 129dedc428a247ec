"""The window of `stpose live`: the picture with the joints drawn in. It needs Tk, which most Pythons carry."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from stpose_core.detect.types import Pose2D
from stpose_core.errors import StposeError
from stpose_core.live import LivePose
from stpose_core.live.source import LiveFrame
from stpose_core.preview import draw_skeleton
from stpose_core.skeletons import get_skeleton

_LONGER_SIDE = 720  # pixels


class Window:
    """Shows what is called with each frame; the call returns False once the user has closed the window. Raises StposeError without
    Tk or a display."""

    def __init__(self, title: str, skeleton: str) -> None:
        try:
            import tkinter
        except ImportError as error:
            raise StposeError("a window needs Python's tkinter (on Debian and Ubuntu the package python3-tk)") from error
        try:
            self._root = tkinter.Tk()
        except tkinter.TclError as error:
            raise StposeError(f"no window can be opened: {error}") from error
        self._picture: Any = None
        self._photo = tkinter.PhotoImage
        self._closed = False
        self._skeleton = get_skeleton(skeleton)
        self._root.title(title)
        self._root.protocol("WM_DELETE_WINDOW", self._close)
        self._label = tkinter.Label(self._root)
        self._label.pack()

    def __call__(self, frame: LiveFrame, seen: Pose2D | None, pose: LivePose | None) -> bool:
        if self._closed:
            return False
        height, width = frame.image.shape[:2]
        scale = min(1.0, _LONGER_SIDE / max(width, height))
        image = np.ascontiguousarray(cv2.resize(frame.image, (round(width * scale), round(height * scale))))
        if seen is not None:
            draw_skeleton(image, seen.xy * scale, seen.score, self._skeleton)
        coded = cv2.imencode(".ppm", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes()
        self._picture = self._photo(data=coded)  # kept: Tk does not
        self._label.configure(image=self._picture)
        self._root.update()
        return not self._closed

    def _close(self) -> None:
        self._closed = True

    def __enter__(self) -> Window:
        return self

    def __exit__(self, *_: object) -> None:
        self._root.destroy()
