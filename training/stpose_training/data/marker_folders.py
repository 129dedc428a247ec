"""Folders of plain marker mocap: BVH files of any tool, and ASF/AMC files, as clips of 17 joints.

Joint names of rigs belong to a few families. Joints of Human3.6M's order are found by these names; pelvis, spine and head top are
placed the same way on every rig: between the hips, halfway up the trunk, and at the end of the head.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from stpose_core.animate import forward_kinematics
from stpose_core.data import Array, Motion
from stpose_core.errors import FormatError
from stpose_core.formats.asf import read_amc, read_asf
from stpose_core.formats.bvh import read_bvh
from stpose_core.skeletons import H36M17
from stpose_training.data.recording import Recording

_SIDES = ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")


def _family(neck: str, head: str, left: Iterable[str], right: Iterable[str]) -> dict[str, str]:
    sides = {f"{side}_{joint}": name for side, names in (("l", left), ("r", right)) for joint, name in zip(_SIDES, names)}
    return {"neck": neck, "head": head, **sides}


def _sided(neck: str, head: str, pattern: str, *names: str) -> dict[str, str]:
    """A family whose names differ only in the side: pattern holds it ("left{}" or "l{}")."""
    other = pattern.replace("left", "right").replace("l{", "r{")
    return _family(neck, head, [pattern.format(name) for name in names], [other.format(name) for name in names])


# Names as `plain` makes them: lower-case letters and digits, without a prefix before a colon.
FAMILIES: dict[str, dict[str, str]] = {
    # MotionBuilder, Mixamo, most conversions of CMU, LAFAN1, and what stpose writes.
    "motionbuilder": _sided("neck", "head", "left{}", "upleg", "leg", "foot", "arm", "forearm", "hand"),
    "acclaim": _sided("lowerneck", "head", "l{}", "femur", "tibia", "foot", "humerus", "radius", "wrist"),
    "classic": _sided("neck", "head", "left{}", "hip", "knee", "ankle", "shoulder", "elbow", "wrist"),
    "unity": _sided("neck", "head", "left{}", "upperleg", "lowerleg", "foot", "upperarm", "lowerarm", "hand"),
    "poser": _sided("neck", "head", "l{}", "thigh", "shin", "foot", "shldr", "forearm", "hand"),
    "biped": _sided("neck", "head", "l{}", "thigh", "calf", "foot", "upperarm", "forearm", "hand"),
}
# Shoulder to ankle in metres, from small children to very tall people.
_BODY = (0.5, 2.2)
_RATES = (1.0, 10_000.0)  # frames per second


def plain(name: str) -> str:
    """A joint's name without case, punctuation and the name of its rig ("mixamorig:LeftArm", "Bip01 L Thigh")."""
    name = re.sub(r"[^a-z0-9]", "", name.rsplit(":", 1)[-1].lower())
    return re.sub(r"^(mixamorig\d*|bip0*1)(?=.)", "", name)


def load_bvh_folder(
    folder: str | Path,
    names: dict[str, str] | None = None,
    metres: float | None = None,
    subject: Callable[[Path], str] | None = None,
) -> list[Recording]:
    """Every .bvh file below a folder, z up and in metres, sorted by path.

    names: the rig's joint for each of "neck", "head", "l_hip", "l_knee", "l_ankle", "l_shoulder", "l_elbow", "l_wrist" and the same
    with "r_"; by default one of the known families. metres: length of the files' unit; by default metres or centimetres, whichever
    gives human size. subject: the subject of a file; by default its folder, or its name up to the first "_".
    Raises FormatError if a file is not a BVH file, its joints are not known, or its people are not of human size.
    """
    folder = Path(folder)
    files = _files(folder, ".bvh")
    recordings = []
    for file in files:
        motion = read_bvh(file, "auto" if metres is None else "m")
        positions = h36m_positions(motion, str(file), names) * (1.0 if metres is None else metres)
        recordings.append(_recording(file, folder, motion.fps, positions, subject))
    return recordings


def load_amc_folder(
    folder: str | Path, fps: float = 120.0, names: dict[str, str] | None = None, subject: Callable[[Path], str] | None = None
) -> list[Recording]:
    """Every .amc file below a folder, z up and in metres, sorted by path.

    The skeleton of a file is the .asf beside it: the one of its own name, else of its name up to an "_" (01_02.amc: 01.asf;
    HDM_bd_01.amc: HDM_bd.asf), else the only one. fps: the frame rate, which the files do not contain (120 for most of CMU and
    HDM05; the lists of mocap.cs.cmu.edu say which are at 60). names, subject, errors: as for `load_bvh_folder`.
    """
    folder = Path(folder)
    skeletons = {}
    recordings = []
    for file in _files(folder, ".amc"):
        asf = _skeleton_of(file)
        if asf not in skeletons:
            skeletons[asf] = read_asf(asf)
        motion = read_amc(skeletons[asf], file, fps)
        recordings.append(_recording(file, folder, fps, h36m_positions(motion, str(file), names), subject))
    return recordings


def _files(folder: Path, suffix: str) -> list[Path]:
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() == suffix and path.is_file())
    if not files:
        raise FormatError(f"no {suffix} files in {folder}")
    return files


def _skeleton_of(file: Path) -> Path:
    beside = {path.stem.lower(): path for path in sorted(file.parent.iterdir()) if path.suffix.lower() == ".asf"}
    name = file.stem.lower()
    while name not in beside and "_" in name:
        name = name.rsplit("_", 1)[0]
    if name in beside:
        return beside[name]
    if len(beside) != 1:
        raise FormatError(f"{file}: no .asf file beside it that belongs to it ({', '.join(beside) or 'none there'})")
    return next(iter(beside.values()))


def _recording(file: Path, folder: Path, fps: float, positions: Array, subject: Callable[[Path], str] | None) -> Recording:
    if not len(positions) or not _RATES[0] <= fps <= _RATES[1]:
        raise FormatError(f"{file}: {len(positions)} frames at {fps:g} frames per second are not a usable take")
    trunk_and_leg = np.linalg.norm(np.diff(positions[0, [8, 7, 0, 1, 2, 3]], axis=0), axis=-1).sum()
    if not _BODY[0] < trunk_and_leg < _BODY[1]:
        size = f"{trunk_and_leg:.2f} m"
        raise FormatError(f"{file}: neck to ankle is {size}, which is not human; give the length of its unit in metres")
    own = file.parent.name if file.parent != folder else file.stem.split("_")[0]
    name = file.relative_to(folder).with_suffix("").as_posix()
    return Recording(name, subject(file) if subject else own, file.stem, fps, positions)


def h36m_positions(motion: Motion, what: str, names: dict[str, str] | None = None) -> Array:
    """(T, 17, 3) in the motion's unit, z up, of a motion whose joints are known. Raises FormatError, which begins with `what`."""
    have: dict[str, int] = {}
    for joint, name in enumerate(motion.names):
        have.setdefault(plain(name), joint)
    wanted = {joint: plain(name) for joint, name in names.items()} if names else _best_family(have)
    missing = [joint for joint in FAMILIES["classic"] if wanted.get(joint) not in have]
    if missing:
        asked = ", ".join(f"{joint} ({wanted.get(joint, 'no name given')})" for joint in missing)
        raise FormatError(f"{what}: no joint for {asked}; it has {', '.join(motion.names)[:300]}")
    index = {joint: have[name] for joint, name in wanted.items()}
    places = forward_kinematics(motion)
    positions = np.empty((len(places), 17, 3))
    for place, name in enumerate(H36M17.joints):
        if name in index:
            positions[:, place] = places[:, index[name]]
    positions[:, 0] = (positions[:, 1] + positions[:, 4]) / 2
    positions[:, 7] = _half_way(motion, places, positions[:, 0], index["neck"])
    positions[:, 10] = _head_top(motion, places, index["head"], index["neck"])
    # y up to z up.
    return positions[..., [0, 2, 1]] * (1, -1, 1)


def _best_family(have: dict[str, int]) -> dict[str, str]:
    return max(FAMILIES.values(), key=lambda family: sum(name in have for name in family.values()))


def _half_way(motion: Motion, places: Array, pelvis: Array, neck: int) -> Array:
    """(T, 3) the middle of the chain from the pelvis to the neck, by length along the bones."""
    chain = [neck]
    while motion.parents[chain[0]] > 0:
        chain.insert(0, int(motion.parents[chain[0]]))
    way = np.concatenate([pelvis[:, None], places[:, chain]], axis=1)
    steps = np.linalg.norm(np.diff(way, axis=1), axis=-1)
    travelled = np.concatenate([np.zeros((len(way), 1)), np.cumsum(steps, axis=1)], axis=1)
    half = travelled[:, -1:] / 2
    last = np.minimum((travelled[:, 1:-1] <= half).sum(1), len(chain) - 1)
    rows = np.arange(len(way))
    part = (half[:, 0] - travelled[rows, last]) / np.maximum(steps[rows, last], 1e-9)
    return way[rows, last] + part[:, None] * (way[rows, last + 1] - way[rows, last])


def _head_top(motion: Motion, places: Array, head: int, neck: int) -> Array:
    """(T, 3) the end of the head; on a rig without one, as far beyond the head as the head is from the neck."""
    ends = [joint for joint, parent in enumerate(motion.parents) if parent == head and "eye" not in motion.names[joint].lower()]
    if ends:
        return places[:, max(ends, key=lambda joint: float(motion.offsets[joint, 1]))]
    return 2 * places[:, head] - places[:, neck]
