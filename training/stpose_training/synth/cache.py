"""A folder of rendered pictures, in shards of a few hundred.

A shard is an .npz file: the pictures as concatenated JPEG bytes, and the arrays of `pictures.Pictures`. It is written whole or
not at all. Its content depends on the seed, its number and its part, so rendering can stop and resume, and processes can share
the work.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from stpose_core.errors import FormatError, TrainingError
from stpose_training.data.bodies import Random
from stpose_training.synth.crowd import Wardrobe
from stpose_training.synth.kit import PARTS, Kit, bake_kit, load_kit
from stpose_training.synth.pictures import Framing, Pictures, take_pictures

KIT = "kit.npz"
"""Name, in the folder, of the file that pictures are rendered from."""
SHARD = 500
CROP = (224, 288)
"""Width and height of the pictures: the network's input with a margin for turning and scaling."""
FRAMES = "frames-"
"""Prefix of the parts with whole frames: frames-train, frames-validation."""
_WIDE, _TALL = (384, 288), (288, 384)
_FRAME_TAKEN = ((1.0, 0.55), (0.75, 0.25), (0.5, 0.2))
_DESERTED = 0.15  # share of whole frames without people
# Resolutions of the camera and their shares. Held-out pictures have people of all sizes. Training pictures are mostly sharp,
# because left and right follow from the direction of the face.
_TAKEN = {
    "train": ((CROP, 0.62), ((168, 216), 0.2), ((112, 144), 0.13), ((56, 72), 0.05)),
    "validation": ((CROP, 0.25), ((168, 216), 0.3), ((112, 144), 0.32), ((56, 72), 0.13)),
}
_QUALITY = 92
_BATCH = {"cpu": 16, "cuda": 250}


@dataclass(frozen=True)
class Shard:
    """Pictures of a shard as they are stored: jpeg, N byte arrays; joints (N, P, 17, 2), state (N, P, 17), box (N, P, 4), xyz
    (N, P, 17, 3), mask (N, h, w) of any resolution (0 x 0 for none), pixels (N,) and tilt (N,) of `pictures.Pictures`."""

    jpeg: list[NDArray[np.uint8]]
    joints: NDArray[np.float32]
    state: NDArray[np.uint8]
    box: NDArray[np.float32]
    xyz: NDArray[np.float32]
    mask: NDArray[np.uint8]
    pixels: NDArray[np.float32]
    tilt: NDArray[np.float32]


def open_kit(folder: Path, assets: Path | None, mocap: Path | None) -> Kit:
    """What pictures are rendered from, made first if the folder has none. Raises TrainingError if that needs what is not given."""
    path = folder / KIT
    if not path.exists():
        if assets is None or mocap is None:
            raise TrainingError(f"there is no {path}: give --assets and --mocap, and it is made from them")
        folder.mkdir(parents=True, exist_ok=True)
        bake_kit(assets, mocap, path)
    return load_kit(path)


def shard_path(folder: Path, part: str, number: int) -> Path:
    """The path of a shard."""
    return folder / f"{part}-{number:05d}.npz"


def shards(folder: Path, part: str) -> list[Path]:
    """The existing shards of a part, in order."""
    return sorted(folder.glob(f"{part}-[0-9][0-9][0-9][0-9][0-9].npz"))


def read_shard(path: Path) -> Shard:
    """A shard from its file. Raises FormatError if the file is not a shard."""
    try:
        with np.load(path, allow_pickle=False) as data:
            arrays = {key: data[key] for key in data.files}
        jpeg = pages_of(arrays["bytes"], arrays["lengths"])
        floats = {key: arrays[key].astype(np.float32) for key in ("joints", "box", "xyz", "pixels", "tilt")}
        return Shard(jpeg=jpeg, state=arrays["state"], mask=arrays["mask"], **floats)
    except (KeyError, ValueError, OSError) as error:
        raise FormatError(f"{path} is not a shard of rendered pictures: {error}") from error


def pages_of(content: NDArray[np.uint8], lengths: NDArray[np.int64]) -> list[NDArray[np.uint8]]:
    """Encoded pictures from their concatenated bytes."""
    return [content[end - length : end] for end, length in zip(np.cumsum(lengths), lengths)]


def decode(jpeg: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 3) RGB bytes."""
    return np.asarray(cv2.cvtColor(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB))


def batches(kit: Kit, part: str, number: int, seed: int, size: int = SHARD) -> Iterator[Pictures]:
    """The pictures of a shard, batch by batch. All pictures of a batch have the same resolution.

    Shards of whole frames alternate between wide and tall.
    """
    wardrobe = Wardrobe(kit)
    whole, part = part.startswith(FRAMES), part.removeprefix(FRAMES)
    random = Random(((seed * len(PARTS) + PARTS.index(part)) * 1_000_003 + number + 500_000 * whole) % (1 << 62))
    framings = [(Framing(CROP, taken), share) for taken, share in _TAKEN[part]]
    if whole:
        frame = (_WIDE, _TALL)[number % 2]
        framings = [
            (Framing(frame, (int(frame[0] * scale), int(frame[1] * scale)), True, deserted=_DESERTED), share)
            for scale, share in _FRAME_TAKEN
        ]
    shares = torch.tensor([share for _, share in framings])
    left = size
    while left > 0:
        count = min(left, _BATCH.get(kit.share.device.type, _BATCH["cpu"]))
        framing = framings[int(torch.multinomial(shares, 1, generator=random.generator))][0]
        yield take_pictures(kit, wardrobe, count=count, framing=framing, part=part, random=random)
        left -= count


def render_shard(kit: Kit, path: Path, *, part: str, number: int, seed: int, size: int = SHARD) -> None:
    """Renders one shard and writes it, whole or not at all."""
    kept: dict[str, list[NDArray[Any]]] = {}
    pages: list[NDArray[np.uint8]] = []
    with ThreadPoolExecutor(1 if kit.share.device.type == "cpu" else os.cpu_count()) as pool:
        for pictures in batches(kit, part, number, seed, size):
            rgb = pictures.rgb.permute(0, 2, 3, 1).cpu().numpy()
            pages.extend(pool.map(_encoded, rgb))
            for name, value in vars(pictures).items():
                if name != "rgb":
                    kept.setdefault(name, []).append(value.cpu().numpy())
    arrays = {name: np.concatenate(values) for name, values in kept.items()}
    # People behind the camera may be projected anywhere.
    arrays["joints"] = arrays["joints"].clip(-9999, 9999)
    write_shard(path, Shard(jpeg=pages, **arrays))


def write_shard(path: Path, shard: Shard) -> None:
    """Writes a shard whole or not at all; places in single precision, other measures in half."""
    kinds = {"joints": np.float32, "state": np.uint8, "mask": np.uint8}
    arrays = {name: values for name, values in vars(shard).items() if name != "jpeg"}
    small = {name: values.astype(kinds.get(name, np.float16)) for name, values in arrays.items()}
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with partial.open("wb") as handle:
        lengths = np.array([len(page) for page in shard.jpeg], np.int64)
        np.savez_compressed(handle, bytes=np.concatenate(shard.jpeg), lengths=lengths, **small)
    os.replace(partial, path)


def fill_cache(
    kit: Kit, *, folder: Path, count: int, held_out: int, seed: int, say: Callable[[str], None], size: int = SHARD, kind: str = ""
) -> None:
    """Renders until the folder holds `count` pictures for training and `held_out` for validation, in shards; existing shards stay.

    Several processes of one machine may share the work: each shard has a lock file while it is rendered, and the lock of a killed
    process is taken over. kind: FRAMES for whole frames, else crops.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for part, wanted in ((f"{kind}validation", held_out), (f"{kind}train", count)):
        for number in range(-(-wanted // size)):
            path = shard_path(folder, part, number)
            if path.exists() or not _taken(path):
                continue
            began = time.monotonic()
            try:
                render_shard(kit, path, part=part, number=number, seed=seed, size=size)
            finally:
                _lock(path).unlink(missing_ok=True)
            say(f"{path.name}: {size} pictures, {size / (time.monotonic() - began):.1f} a second")


def _lock(path: Path) -> Path:
    return path.with_name(f".{path.name}.lock")


def _taken(path: Path) -> bool:
    """Makes the shard's lock, which holds the number of this process; false if another living process has it."""
    lock, own = _lock(path), path.with_name(f".{path.name}.{os.getpid()}.lock")
    own.write_text(str(os.getpid()))
    try:
        try:
            os.link(own, lock)  # with its content, or not at all
            return True
        except FileExistsError:
            pass
        try:
            os.kill(int(lock.read_text()), 0)
            return False
        except (FileNotFoundError, PermissionError):
            return False
        except (ValueError, ProcessLookupError):
            os.replace(own, lock)  # the process that held it was killed
            return True
    finally:
        own.unlink(missing_ok=True)


def _encoded(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    return np.asarray(cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1]).reshape(-1)
