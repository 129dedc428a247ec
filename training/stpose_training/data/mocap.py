"""Marker mocap as positions of 17 joints: reading a folder, and drawing windows from it.

The folder holds `index.csv` (one row per clip: clip, subject, action, split, part, file, and rig if it needs a correction) and npz
files with a (T, 17, 3) array for each clip: metres, z up, right-handed, Human3.6M order.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from stpose_core.arrays import read_arrays
from stpose_core.errors import FormatError
from stpose_core.reading import read_text
from stpose_training.data.bodies import PROPORTIONS, Proportions, put_together, take_apart

MOCAP_FPS = 30.0
_COLUMNS = ("clip", "subject", "action", "split", "part", "file")
_FAR = 1000.0  # metres from the origin; larger values are errors


@dataclass(frozen=True)
class Clip:
    """One take. positions: (T, 17, 3) metres, z up, 30 fps. contacts: (T, 4) whether the left heel, left toe, right heel and right
    toe are on the ground, where that is known."""

    name: str
    subject: str
    action: str
    positions: np.ndarray
    contacts: np.ndarray | None = None


def load_mocap(folder: str | Path, part: str = "free", split: str = "train") -> list[Clip]:
    """All clips of one part and split. Raises FormatError if the folder does not hold what its index lists."""
    folder = Path(folder)
    index = folder / "index.csv"
    if not index.is_file():
        raise FormatError(f"no mocap at {folder}: expected an index.csv there")
    opened: dict[str, dict[str, np.ndarray]] = {}
    clips = []
    for row in _rows(index):
        if row["part"] != part or row["split"] != split:
            continue
        file = folder / row["file"]
        if row["file"] not in opened:
            opened[row["file"]] = read_arrays(file)
        positions = opened[row["file"]].get(row["clip"])
        if positions is None or positions.shape[1:] != (17, 3) or not len(positions) or positions.dtype.kind != "f":
            raise FormatError(f"{file}: no (T, 17, 3) array '{row['clip'][:60]}'")
        positions = np.array(positions, np.float32)
        if row.get("rig") == "mb":
            positions += _lost_thorax(folder / "rotations" / file.name, row["clip"])
        if row.get("rig") == "daz":
            positions = _common_shoulders(positions)
        if not (np.abs(positions) < _FAR).all():
            raise FormatError(f"{file}: '{row['clip'][:60]}' has joints that are not within {_FAR:g} m of the origin")
        clips.append(Clip(row["clip"], row["subject"], row["action"], positions))
    if not clips:
        raise FormatError(f"{index}: no clip with part '{part}' and split '{split}'")
    return clips


def by_person(clips: Sequence[Clip]) -> list[list[int]]:
    """The numbers of the clips of each person on each skeleton. Skeletons of a subject are distinguished by shin over thigh."""
    people: dict[tuple[str, int], list[int]] = defaultdict(list)
    for number, clip in enumerate(clips):
        thigh, shin = (np.linalg.norm(clip.positions[:, end] - clip.positions[:, end - 1], axis=1) for end in (2, 3))
        people[clip.subject, round(20 * float(np.median(shin) / np.median(thigh)))].append(number)
    return list(people.values())


def _rows(index: Path) -> list[dict[str, str]]:
    """The rows of an index. Raises FormatError if one is incomplete."""
    try:
        rows = list(csv.DictReader(io.StringIO(read_text(index), newline="")))
    except csv.Error as error:
        raise FormatError(f"{index} is not a CSV file ({error})") from error
    for number, row in enumerate(rows, 2):
        missing = [name for name in _COLUMNS if row.get(name) is None]
        if missing:
            raise FormatError(f"{index}, line {number}: no {', '.join(missing)}")
    return rows


def _lost_thorax(file: Path, clip: str) -> np.ndarray:
    """(T, 17, 3) correction to add to clips of the "mb" rig, whose skeleton has no thorax bone.

    Neck and shoulders are attached at the lower end of the thorax, 0.11 m too low: with the same limbs, pelvis to neck measures
    0.33 m instead of the 0.45 m of the subject's own skeleton. The missing bone continues the one below it, in the direction of the
    chest; the spine joint moves to the middle again.
    """
    arrays = read_arrays(file)
    try:
        quats, offsets, parents, names = (arrays[f"{clip}__{part}"] for part in ("quats", "offsets", "parents", "names"))
        chest = [str(name) for name in names].index("Spine1")
        above = [int(parent) for parent in parents]
    except (KeyError, ValueError, TypeError) as error:
        raise FormatError(f"{file} has no rig with a joint Spine1 for '{clip[:60]}' ({error})") from error
    joints = len(above)
    fits = quats.shape[1:] == (joints, 4) and offsets.shape == (joints, 3) and {quats.dtype.kind, offsets.dtype.kind} == {"f"}
    if not fits or any(not -1 <= parent < joint for joint, parent in enumerate(above)) or chest >= joints:
        raise FormatError(f"{file}: the arrays of the rig of '{clip[:60]}' do not match")
    if not (np.linalg.norm(quats, axis=-1) > 0.5).all():
        raise FormatError(f"{file}: '{clip[:60]}' has quaternions that are not rotations")
    chain = [chest]
    while above[chain[0]] >= 0:
        chain.insert(0, above[chain[0]])
    turn = Rotation.identity(len(quats))
    for joint in chain:
        turn = turn * Rotation.from_quat(quats[:, joint][:, [1, 2, 3, 0]])
    moved = np.zeros((len(quats), 17, 3), np.float32)
    moved[:, 8:] = turn.apply(offsets[chest])[:, None]
    moved[:, 7] = moved[:, 8] / 2
    return moved


CHEST_DIRECTIONS = {9: (0.0, -0.06, -1.0), 10: (0.0, 0.0, -1.0), 11: (0.95, -0.08, -0.29), 14: (-0.95, -0.08, -0.29)}
"""Mean directions of bones in the chest's axes (left, forward, down) on the subjects' own skeletons of CMU, by child joint."""


def turn_to_common(directions: Tensor, joint: int) -> Tensor:
    """(3, 3) rotation of the mean of a bone's directions (T, 3) in the chest's axes to that in CHEST_DIRECTIONS."""
    turn, _ = Rotation.align_vectors([CHEST_DIRECTIONS[joint]], [directions.mean(0).numpy()])
    return torch.from_numpy(turn.as_matrix().astype(np.float32))


def _common_shoulders(positions: np.ndarray) -> np.ndarray:
    """(T, 17, 3) of the "daz" figure with its neck and shoulders set as on the subjects' own skeletons.

    Its shoulder joints lie 0.11 m beside the neck and below it, those of all other rigs 0.19 m beside and above: a different joint
    with the same name, in three fifths of the training frames. Each of these bones is turned by one fixed rotation.
    """
    posture = take_apart(torch.from_numpy(positions)[None])
    for joint in CHEST_DIRECTIONS:
        bones = posture.bones[:, :, joint]
        posture.bones[:, :, joint] = bones @ turn_to_common(bones[0], joint).T
    # Neck base 0.09 of the legs lower, shoulders wider; the head's height stays about the same.
    factor = torch.ones(17)
    factor[[7, 8]], factor[[9]], factor[[11, 14]] = 0.87, 1.3, 1.55
    posture.lengths = posture.lengths * factor
    return put_together(posture)[0].numpy()


class MotionBank:
    """All frames of many clips in one tensor, for drawing batches of windows.

    Clips are drawn with the square root of their length as weight, because long takes of one subject would dominate otherwise.
    proportions: of the bodies that their motions get in training.
    """

    def __init__(self, clips: list[Clip], device: torch.device | str = "cpu", proportions: Proportions = PROPORTIONS) -> None:
        self.proportions = proportions
        self.frames = torch.from_numpy(np.concatenate([clip.positions for clip in clips])).to(device)
        unknown = [np.full((len(clip.positions), 4), np.nan) if clip.contacts is None else clip.contacts for clip in clips]
        self.contacts = torch.from_numpy(np.concatenate(unknown).astype(np.float32)).to(device)
        lengths = torch.tensor([len(clip.positions) for clip in clips], device=device)
        self.lengths = lengths
        self.starts = torch.cumsum(lengths, 0) - lengths
        self.weights = lengths.float().sqrt()

    def windows(self, batch: int, frames: int, generator: torch.Generator, tempo: tuple[float, float] = (0.5, 2.0)) -> Tensor:
        """(B, T, 17, 3) windows at random positions and tempos (log-uniform). Beyond a clip's ends its motion runs backwards."""
        return self.labelled_windows(batch, frames, generator, tempo)[0]

    def labelled_windows(
        self, batch: int, frames: int, generator: torch.Generator, tempo: tuple[float, float] = (0.5, 2.0)
    ) -> tuple[Tensor, Tensor]:
        """`windows`, and their contacts (B, T, 4): those of the nearest frame, NaN where unknown."""
        device = self.frames.device
        clip = torch.multinomial(self.weights, batch, replacement=True, generator=generator)
        draw = torch.rand(batch, 2, generator=generator, device=device)
        low, high = float(np.log(tempo[0])), float(np.log(tempo[1]))
        # Slightly more weight on the true tempo: the sum of two uniform draws peaks in the middle.
        speed = torch.exp(low + (high - low) * (draw[:, 0] + torch.rand(batch, generator=generator, device=device)) / 2)
        length = self.lengths[clip]
        centre = draw[:, 1] * (length - 1)
        when = centre[:, None] + speed[:, None] * (torch.arange(frames, device=device) - frames / 2)
        period = 2 * (length[:, None] - 1).clamp_min(1)
        when = when.remainder(period)
        when = torch.minimum(when, period - when)
        before = when.floor().long().clamp_max((length - 1)[:, None])
        after = torch.minimum(before + 1, (length - 1)[:, None])
        part = (when - before).clamp(0, 1)[..., None, None]
        first = self.starts[clip][:, None]
        positions = self.frames[first + before] * (1 - part) + self.frames[first + after] * part
        return positions, self.contacts[first + when.round().long()]
