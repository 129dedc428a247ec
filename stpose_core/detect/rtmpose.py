"""RTMPose by name: the supported published files, and the folder in which they are searched. Nothing is downloaded."""

from __future__ import annotations

import os
from pathlib import Path

from stpose_core.detect.cache import cache_folder
from stpose_core.errors import DetectorError

FILES = {
    "balanced": "rtmpose-m_simcc-body7_pt-body7-halpe26_700e-256x192-4d3e73dd_20230605",
    "performance": "rtmpose-x_simcc-body7_pt-body7-halpe26_700e-384x288-7fb6e239_20230606",
    "lightweight": "rtmpose-s_simcc-body7_pt-body7-halpe26_700e-256x192-7f134165_20230605",
}
"""Names under which OpenMMLab publishes RTMPose with the 26 joints of Halpe; the first one present is used."""
HOME = "https://github.com/open-mmlab/mmpose/tree/main/projects/rtmpose"


def model_folder() -> Path:
    """The folder of third-party models: STPOSE_MODELS, or `models` in the user's cache of stpose.

    Raises DetectorError if there is no such folder on this system.
    """
    named = os.environ.get("STPOSE_MODELS")
    if named:
        return Path(named)
    try:
        return cache_folder().with_name("models")
    except (ImportError, RuntimeError) as error:
        raise DetectorError(f"there is no default folder for models ({error}); set STPOSE_MODELS to one") from error


def find_rtmpose(mode: str | None = None) -> Path:
    """The file of RTMPose. mode: balanced, performance or lightweight; by default the first one present.

    If there is none, raises DetectorError with the name and the folder of the required file.
    """
    if mode is not None and mode not in FILES:
        raise DetectorError(f"unknown rtmpose mode '{mode}'; choose one of {', '.join(FILES)}")
    folder = model_folder()
    names = list(FILES.values()) if mode is None else [FILES[mode]]
    for name in names:
        path = folder / f"{name}.onnx"
        if path.is_file():
            return path
    raise DetectorError(
        f"there is no RTMPose model in {folder}: put end2end.onnx of OpenMMLab's {names[0]}.zip ({HOME}) there as {names[0]}.onnx, "
        "set STPOSE_MODELS to another folder, or give any RTMPose .onnx by its path"
    )
