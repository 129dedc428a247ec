"""`stpose doctor`: what is installed, and what is missing for a capture."""

from __future__ import annotations

import os
import platform
from importlib import import_module, metadata

import click

import stpose_core
from stpose_core.devices import may_accelerate
from stpose_core.errors import StposeError
from stpose_core.extras import how_to_install, install_command

PACKAGES = ("numpy", "scipy", "av", "onnxruntime", "safetensors")
EXTRAS = {
    "gpu": ("torch",),
    "train": ("torch", "lightning-fabric", "tensorboard"),
    "synth": ("anny", "pillow"),
    "datasets": ("h5py", "cdflib"),
    "fast": ("openvino",),
    "live": ("python-osc",),
    "c3d": ("ezc3d",),
    "usd": ("usd-core",),
    "ray": ("ray",),
}
FAILED = 2


@click.command()
def doctor() -> int:
    """List the versions, devices, detectors and weights that are found. Exit status 2 if a capture cannot run."""
    problems: list[str] = []
    _line("stpose", stpose_core.__version__)
    _line("python", f"{platform.python_version()} on {platform.platform()}")
    for name in PACKAGES:
        _line(name, _package(name, problems))
    _line("opencv", _opencv(problems))
    _line("devices", ", ".join(_devices()))
    detectors = {"builtin": _builtin(), "mediapipe": _mediapipe(), "rtmpose": _rtmpose()}
    for name, (_, text) in detectors.items():
        _line(f"detector {name}", text)
    _line("detector file", "keypoint files need no detector")
    if not any(ready for ready, _ in detectors.values()):
        problems.append("no detector is installed")
    _line("weights", _weights(problems))
    for name, packages in EXTRAS.items():
        _line(f"extra {name}", _extra(name, packages))
    click.echo("")
    click.echo("ready" if not problems else "not ready: " + "; ".join(problems))
    return FAILED if problems else 0


def _line(name: str, text: str) -> None:
    click.echo(f"{name:20} {text}")


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _fault(module: str) -> str | None:
    """Why a module fails to load; None if it loads."""
    try:
        import_module(module)
    except Exception as error:  # an incompatible package can fail with any kind of error
        return " ".join(str(error).split())[:200] or type(error).__name__
    return None


def _package(name: str, problems: list[str]) -> str:
    fault = _fault(name)
    if fault is None:
        return _version(name) or "of unknown version"
    problems.append(f"{name} does not load ({fault})")
    return "missing" if _version(name) is None else f"{_version(name)}, does not load"


def _builtin() -> tuple[bool, str]:
    """Whether the weights of the built-in detector load, and whether `auto` prefers it."""
    from stpose_core.detect import has_passed
    from stpose_core.detect.builtin import BuiltinDetector
    from stpose_core.detect.runtime import PACKAGES
    from stpose_core.devices import choose_device
    from stpose_core.weights import DETECTOR

    try:
        runtime = BuiltinDetector().runtime
    except StposeError as error:
        return False, str(error)
    choice = "the choice of auto" if has_passed(DETECTOR) else "the choice of auto if no other is installed"
    text = f"{choice}; runs in {runtime}"
    if choose_device("auto") == "cpu" and not any(map(_version, PACKAGES)):
        text += f"; OpenVINO and ONNX Runtime are faster; {how_to_install('fast')}"
    return True, text


def _mediapipe() -> tuple[bool, str]:
    """Whether MediaPipe can start, by its own check, and the line about it."""
    try:
        from stpose_core.detect.mediapipe import bundled_models

        bundled_models()
    except StposeError as error:
        return False, str(error)
    except Exception as error:  # as in _fault
        return False, f"does not load ({' '.join(str(error).split())[:200]})"
    return True, f"mediapipe {_version('mediapipe')}"


def _rtmpose() -> tuple[bool, str]:
    """Whether there is a model of RTMPose and a package that runs it."""
    from stpose_core.detect.rtmpose import find_rtmpose
    from stpose_core.detect.sessions import runtime

    package = runtime()
    if package is None:
        return False, f"no package that runs ONNX files; {how_to_install('onnx')}"
    try:
        model = find_rtmpose()
    except StposeError as error:
        return False, str(error)
    return True, f"{model}, run by {package} {_version(package)}"


def _extra(name: str, packages: tuple[str, ...]) -> str:
    """The packages of an extra. They are not imported, because some take seconds to load."""
    versions = {package: _version(package) for package in packages}
    missing = [package for package, version in versions.items() if version is None]
    if missing:
        return f"not installed ({', '.join(missing)} missing); {how_to_install(name)}"
    return ", ".join(f"{package} {version}" for package, version in versions.items())


def _weights(problems: list[str]) -> str:
    """The weights of both lifters, read as a capture reads them."""
    texts = []
    try:
        from stpose_core.weights import LIFTER, LIVE_LIFTER, read_arrays

        for path in (LIFTER, LIVE_LIFTER):
            tensors, _ = read_arrays(path, "temporal")
            texts.append(f"{path.name}, {path.stat().st_size / 1e6:.1f} MB, {len(tensors)} tensors")
    except (StposeError, ImportError) as error:
        problems.append(f"{error}; install stpose again")
        texts.append("cannot be read")
    return "; ".join(texts)


def _opencv(problems: list[str]) -> str:
    """The build of OpenCV that `import cv2` loads, which is the package installed last."""
    packages = [name for name in ("opencv-python-headless", "opencv-python", "opencv-contrib-python") if _version(name)]
    headless = f"opencv-python-headless=={_version('opencv-python-headless') or '4.11.0.86'}"
    remedy = install_command("--force-reinstall", "--no-deps", headless)
    try:
        import cv2
        from cv2 import version
    except ImportError as error:
        problems.append(f"OpenCV does not load ({error}); {remedy}")
        return f"does not load; packages: {', '.join(packages) or 'none'}"
    build = "headless" if getattr(version, "headless", False) else "with windows (needs display libraries)"
    return f"{cv2.__version__}, {build}; packages: {', '.join(packages)}"


def _devices() -> list[str]:
    names = [f"cpu ({os.cpu_count()} cores)"]
    try:
        import torch
    except (ImportError, OSError):
        if may_accelerate():
            names.append(f"a graphics card may be there, which the extra gpu uses; {how_to_install('gpu')}")
        return names
    if torch.cuda.is_available():
        names += [f"cuda ({torch.cuda.get_device_name(index)})" for index in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        names.append("mps")
    return names
