"""How well a spatial network finds joints: on rendered pictures it was not trained on, and on real footage with a 3D reference.

PCK at 0.2 torso (Yang and Ramanan 2013, with the torso as the measure): the share of joints found within a fifth of the torso's
length of the truth. The torso is the line from the middle of the shoulders to the middle of the hips, with its length in space (not
foreshortened) at the person's scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stpose_core.detect.views import cut, seen_at, view_of
from stpose_core.errors import FormatError
from stpose_core.networks.configs import STRIDE
from stpose_core.networks.spatial import SpatialNetwork
from stpose_core.skeletons import H36M17
from stpose_core.video import read_frames
from stpose_training.precision import pays_in_bfloat16
from stpose_training.spatial.feed import View, plain_view
from stpose_training.spatial.heatmaps import decode, with_mirrored
from stpose_training.synth.cache import decode as decode_picture
from stpose_training.synth.cache import read_shard, shards
from stpose_training.synth.pictures import HIDDEN, OUTSIDE, VISIBLE

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

LIMBS = tuple(f"{side}_{part}" for side in "lr" for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle"))
NEAR = 0.2
_LIMB_INDEX = H36M17.index(*LIMBS)
_CLIPS = ("balance/cam01.mp4", "balance/cam03.mp4")
_FOOTAGE_ROOM = 1.5  # the reference has neither head nor feet: a box of its joints is smaller than the person
_BATCH = 32


@dataclass(frozen=True)
class Truth:
    """Views of a network's size with the truth. pictures: (N, H, W, 3) bytes. joints: (N, 12, 2) of LIMBS, pixels of the view.
    torso: (N,) its length there. counted: (N, 12) joints to measure. groups: further masks (N, 12) to measure separately, by
    name."""

    pictures: NDArray[np.uint8]
    joints: Floats
    torso: Floats
    counted: Mask
    groups: dict[str, Mask]


@dataclass(frozen=True)
class HeldOut:
    """A held-out picture (H, W, 3) bytes and its subject: box (4,) left, top, right, bottom; joints (12, 2) of LIMBS, pixels; state
    (12,) OUTSIDE, HIDDEN or VISIBLE in `view`, the plain view around the box; torso: its length in pixels."""

    picture: NDArray[np.uint8]
    box: Floats
    joints: Floats
    state: NDArray[np.uint8]
    view: View
    torso: float


def held_out(cache: Path, size: tuple[int, int], most: int = 1000) -> tuple[list[HeldOut], dict[str, Mask]]:
    """The first held-out rendered people with at least four joints in the picture, and masks (N, 12) of groups of their joints.

    size: of the network that plain views are for. Raises FormatError if the cache has none.
    """
    people: list[HeldOut] = []
    pixels, tilts, crowded = [], [], []
    for path in shards(cache, "validation"):
        shard = read_shard(path)
        for row in range(len(shard.jpeg)):
            joints, xyz = shard.joints[row, 0].astype(np.float64), shard.xyz[row, 0].astype(np.float64)
            if len(people) >= most or (shard.state[row, 0] != OUTSIDE).sum() < 4:
                continue
            scale = np.sqrt(joints.var(0).sum() / xyz[:, :2].var(0).sum())
            view, box = plain_view(shard, row, size), shard.box[row, 0].astype(np.float64)
            limbs = (joints[_LIMB_INDEX], view.state[_LIMB_INDEX])
            people.append(HeldOut(decode_picture(shard.jpeg[row]), box, *limbs, view, float(scale * _torso(xyz[_LIMB_INDEX]))))
            pixels.append(shard.pixels[row])
            tilts.append(shard.tilt[row])
            crowded.append(bool((shard.state[row, 1:] != OUTSIDE).any()))
    if not people:
        raise FormatError(f"{cache} holds no held-out pictures: make some with stpose render --held-out")
    state = np.stack([person.state for person in people])
    height, tilt = np.array(pixels)[:, None], np.array(tilts)[:, None]
    groups = {"visible": state == VISIBLE, "hidden": state == HIDDEN}
    for name, chosen in (
        ("below_80_px", height < 80), ("80_to_200_px", (height >= 80) & (height < 200)), ("above_200_px", height >= 200),
        ("with_others", np.array(crowded)[:, None]), ("upright", tilt < 45),
        ("lying", (tilt >= 45) & (tilt < 135)), ("inverted", tilt >= 135),
    ):  # fmt: skip
        groups[name] = (state == VISIBLE) & chosen
    groups["goal"] = (state == VISIBLE) & (height > 80)
    return people, groups


def rendered_truth(cache: Path, size: tuple[int, int], most: int = 1000) -> Truth:
    """Held-out rendered pictures. Raises FormatError if the cache has none."""
    people, groups = held_out(cache, size, most)
    scales = [np.sqrt(abs(np.linalg.det(view_of(person.box, size)[:, :2]))) for person in people]
    torsos = np.array([person.torso for person in people]) * scales
    joints = np.stack([person.view.joints[_LIMB_INDEX] for person in people])
    counted = np.stack([person.state for person in people]) != OUTSIDE
    return Truth(np.stack([person.view.picture for person in people]), joints, torsos, counted, groups)


def footage_truth(videos: Path, size: tuple[int, int], every: int = 4) -> dict[str, Truth]:
    """Every fourth frame (`every`) of the two clips of videos/balance with their reference; boxes are made from the reference's
    joints.

    Raises FormatError where the folder has no balance/reference.npz.
    """
    found = {}
    for clip in _CLIPS:
        places, valid, lengths = reference_in(videos, clip)
        pictures, joints, torsos, rows = [], [], [], []
        for number, frame in enumerate(read_frames(videos / clip)):
            if number % every or number >= len(places) or valid[number].sum() < 6:
                continue
            there = places[number, valid[number]]
            matrix = view_of(np.concatenate([there.min(0), there.max(0)]), size, _FOOTAGE_ROOM)
            pictures.append(cut(frame.image, matrix, size))
            joints.append(seen_at(matrix, places[number]))
            torsos.append(np.sqrt(abs(np.linalg.det(matrix[:, :2]))) * lengths[number])
            rows.append(valid[number])
        found[Path(clip).stem] = Truth(np.stack(pictures), np.stack(joints), np.array(torsos), np.stack(rows), {})
    return found


def reference_in(videos: Path, clip: str) -> tuple[Floats, Mask, Floats]:
    """The reference of a clip of videos/balance in its camera: positions (T, 12, 2) of LIMBS in pixels, which of them are known
    (T, 12), and the torso's length (T,) in pixels.

    Raises FormatError where the folder has no balance/reference.npz.
    """
    path = videos / "balance" / "reference.npz"
    if not path.is_file():
        raise FormatError(f"{videos} has no balance/reference.npz")
    with np.load(path, allow_pickle=False) as data:
        reference = {key: data[key] for key in data.files}
    names = [f"{str(name)[0].lower()}_{str(name)[1:].lower()}" for name in reference["joints"]]
    order = [names.index(name) for name in LIMBS]
    xyz, valid = reference["xyz_m"][:, order].astype(np.float64), reference["valid"][:, order]
    camera = _CLIPS.index(clip)
    rotation, shift, focal = reference["R"][camera], reference["t"][camera], reference["K"][camera][0, 0]
    lens = reference["K"][camera], reference["dist"][camera]
    turn = cv2.Rodrigues(rotation)[0]
    places = np.stack([cv2.projectPoints(np.ascontiguousarray(frame), turn, shift, *lens)[0][:, 0] for frame in xyz])
    seen = xyz @ rotation.T + shift
    torsos = np.array([focal / frame[:, 2].mean() * _torso(frame) for frame in seen])
    return places, valid, torsos


def _torso(limbs: Floats) -> float:
    """Length of the torso of joints (12, 3) in the order of LIMBS."""
    part = {name: limbs[index] for index, name in enumerate(LIMBS)}
    return float(np.linalg.norm(part["l_shoulder"] + part["r_shoulder"] - part["l_hip"] - part["r_hip"]) / 2)


@torch.no_grad()
def find(network: SpatialNetwork, pictures: Tensor, mirrored: bool = False) -> tuple[Tensor, Tensor]:
    """Positions (B, 17, 2) in pixels and hidden logits (B, 17) of pictures (B, 3, H, W). mirrored: from the mean of the maps of the
    pictures and of their mirror images."""
    output = network(pictures)
    maps, hidden = output.maps, output.hidden
    if mirrored:
        other = network(pictures.flip(-1))
        maps, hidden = with_mirrored(maps, hidden, other.maps, other.hidden)
    return decode(maps, STRIDE)[0], hidden


def judge(network: SpatialNetwork, truth: Truth, device: torch.device, mirrored: bool = False) -> dict[str, float]:
    """PCK at 0.2 torso over the 12 limb joints, of all counted ones and of each group that is not empty. flag: share of joints
    whose visibility is classified correctly, where it is known."""
    training = network.training
    network.eval()
    places, flags = [], []
    for at in range(0, len(truth.pictures), _BATCH):
        pictures = torch.from_numpy(truth.pictures[at : at + _BATCH]).to(device).permute(0, 3, 1, 2).float() / 255 - 0.5
        with torch.autocast(device.type, torch.bfloat16, enabled=pays_in_bfloat16(device.type)):
            found, hidden = find(network, pictures.contiguous(memory_format=torch.channels_last), mirrored)
        places.append(found[:, _LIMB_INDEX].cpu().double().numpy())
        flags.append(hidden[:, _LIMB_INDEX].cpu().numpy() > 0)
    network.train(training)
    near = np.linalg.norm(np.concatenate(places) - truth.joints, axis=-1) < NEAR * truth.torso[:, None]
    measured = {"pck": float(near[truth.counted].mean())}
    measured |= {name: float(near[group].mean()) for name, group in truth.groups.items() if group.any()}
    if "visible" in truth.groups:
        right = np.concatenate(flags) == ~truth.groups["visible"]
        measured["flag"] = float(right[truth.counted].mean())
    return {name: round(value, 4) for name, value in measured.items()}


def called(group: str) -> str:
    """The name of a group of joints, or of a measure, in tables."""
    known = {"pck": "all", "flag": "visibility correct", "goal": "visible, above 80 px"}
    return known.get(group, group).replace("_", " ")
