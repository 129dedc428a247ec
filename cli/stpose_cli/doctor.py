"""`stpose doctor`: what is installed here, and what is missing for a capture."""

from __future__ import annotations

import platform
from importlib import metadata, util
from pathlib import Path

import click

import stpose_core

PACKAGES = ("torch", "numpy", "scipy", "av", "safetensors")
DETECTORS = {
    "mediapipe": (("mediapipe",), "pip install 'stpose[mediapipe]' (Python up to 3.12)"),
    "rtmpose": (("rtmlib", "onnxruntime"), "pip install 'stpose[rtmpose]'"),
}
HEADLESS = "pip install --force-reinstall --no-deps opencv-python-headless=={}"
FAILED = 2


@click.command()
def doctor() -> int:
    """Say which versions, devices, detectors and weights are found. Exit status 2 if a capture cannot run here."""
    problems: list[str] = []
    _line("stpose", stpose_core.__version__)
    _line("python", f"{platform.python_version()} on {platform.platform()}")
    for name in PACKAGES:
        _line(name, _version(name) or "missing")
    _line("opencv", _opencv(problems))
    _line("devices", ", ".join(_devices(problems)))
    for name, (modules, remedy) in DETECTORS.items():
        _line(f"detector {name}", _detector(modules, remedy))
    _line("detector file", "keypoint files need nothing more")
    if not any(_installed(modules) for modules, _ in DETECTORS.values()):
        problems.append("no detector is installed")
    weights = sorted((Path(stpose_core.__file__).parent / "weights").glob("*.safetensors"))
    for path in weights:
        _line("weights", f"{path.name}, {path.stat().st_size / 1e6:.1f} MB")
    if not weights:
        problems.append("no weights are in the package; install it again")
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


def _installed(modules: tuple[str, ...]) -> bool:
    return all(util.find_spec(module) is not None for module in modules)


def _detector(modules: tuple[str, ...], remedy: str) -> str:
    if not _installed(modules):
        return f"not installed: {remedy}"
    return ", ".join(f"{module} {_version(module)}" for module in modules)


def _opencv(problems: list[str]) -> str:
    """The build of OpenCV that `import cv2` gets, which is that of the package installed last."""
    packages = [name for name in ("opencv-python-headless", "opencv-python", "opencv-contrib-python") if _version(name)]
    remedy = HEADLESS.format(_version("opencv-python-headless") or "4.11.0.86")
    try:
        import cv2
        from cv2 import version
    except ImportError as error:
        problems.append(f"OpenCV does not load ({error}); {remedy}")
        return f"does not load; packages: {', '.join(packages) or 'none'}"
    build = "headless" if getattr(version, "headless", False) else "with windows (needs display libraries)"
    return f"{cv2.__version__}, {build}; packages: {', '.join(packages)}"


def _devices(problems: list[str]) -> list[str]:
    try:
        import torch
    except (ImportError, OSError) as error:
        problems.append(f"torch does not load ({error})")
        return ["none"]
    names = [f"cpu ({torch.get_num_threads()} threads)"]
    if torch.cuda.is_available():
        names += [f"cuda ({torch.cuda.get_device_name(index)})" for index in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        names.append("mps")
    return names
