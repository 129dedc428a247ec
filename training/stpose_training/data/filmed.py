"""Cameras with known motion around marker mocap, and what a detector reports of it through them.

Four kinds: a static one, one that stands and follows the person by panning, one that is held in the hand and shakes, and one that
walks beside the person. World axes: metres, y up. Camera axes: x right, y down, z forward.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from stpose_core.data import Array, Camera, CameraPath, Keypoints, Mask
from stpose_core.skeletons import H36M17
from stpose_training.data.bodies import Random
from stpose_training.data.contacts import foot_contacts, foot_points, is_level
from stpose_training.data.mocap import MOCAP_FPS, Clip
from stpose_training.data.noise import detect
from stpose_training.data.samples import size_of

KINDS = ("static", "panning", "hand-held", "walking")
IMAGE = (1920, 1080)
_FIELDS = (50.0, 58.0, 66.0)  # degrees over the width, in turn
_DISTANCE = 4.0
_DRIFT, _TREMBLE = np.radians(0.3) / 10.0, np.radians(0.02)  # error of the camera's path: rad/s, and rad of each frame


@dataclass(frozen=True)
class Scene:
    """A piece of mocap in the world. joints: (T, 17, 3) h36m17; balls: (T, 2, 3) ball of the left and the right foot.
    contacts: (T, 4) left heel, left toe, right heel, right toe. level: the floor is the plane y = 0. standing: the person stays."""

    name: str
    joints: Array
    balls: Array
    contacts: Mask
    level: bool
    standing: bool = False

    def __len__(self) -> int:
        return len(self.joints)


@dataclass(frozen=True)
class Shot:
    """A scene through a camera. camera: its true focal length. path: its motion, with the error of an estimate; true_path: without.
    turn: (3, 3) from world axes to those of the camera in the first frame."""

    scene: Scene
    kind: str
    keypoints: Keypoints
    camera: Camera
    path: CameraPath
    turn: Array


def scene(folder: Path, clip: Clip, frames: slice, swings: int = 1) -> Scene:
    """Some frames of a clip. swings: they are played forwards and backwards in turn, so often."""
    points, contacts = foot_points(folder, clip.name), foot_contacts(folder, clip.name)
    if points is None or contacts is None:
        raise ValueError(f"{clip.name} has no toes")
    flip = np.array([[1.0, 0, 0], [0, 0, 1.0], [0, -1.0, 0]])
    order = np.arange(len(clip.positions))[frames]
    order = np.concatenate([order if swing % 2 == 0 else order[::-1] for swing in range(swings)])
    joints, balls = clip.positions[order] @ flip.T, points[order][:, [1, 3]] @ flip.T
    return Scene(clip.name, joints, balls, contacts[order], is_level(folder, clip.name), swings > 1)


def shoot(scene: Scene, kind: str, number: int) -> Shot:
    """The scene through one camera; all chance comes from `number`."""
    rng = np.random.default_rng(number)
    field = np.radians(_FIELDS[number % len(_FIELDS)])
    camera = Camera(0.5 * IMAGE[0] / np.tan(field / 2), (IMAGE[0] / 2, IMAGE[1] / 2))
    place, rotation = _motion(scene.joints[:, 0], kind, field, rng)
    points = np.einsum("tij,tkj->tki", rotation, scene.joints - place[:, None])
    points[..., 2] = np.maximum(points[..., 2], 0.3)
    rays = torch.from_numpy(points[..., :2] / points[..., 2:]).float()[None]
    noisy, score = detect(rays, size_of(rays), Random(number))
    xy = noisy[0].double().numpy() * camera.focal + np.asarray(camera.centre)
    inside = ((xy >= 0) & (xy < np.array(IMAGE))).all(-1)
    seen = np.where(inside, score[0].double().numpy(), 0.0)
    keypoints = Keypoints(np.where(seen[..., None] > 0, xy, np.nan), seen, MOCAP_FPS, IMAGE, H36M17.name)
    return Shot(scene, kind, keypoints, camera, _estimated(camera, rotation, kind == "static", rng), rotation[0])


def _motion(pelvis: Array, kind: str, field: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """Places (T, 3) and rotations (T, 3, 3), world to camera, of a camera that films a pelvis (T, 3)."""
    frames, time = len(pelvis), np.arange(len(pelvis)) / MOCAP_FPS
    path = gaussian_filter1d(pelvis, 0.4 * MOCAP_FPS, axis=0, mode="nearest")
    middle = (pelvis.max(0) + pelvis.min(0)) / 2
    around, height = rng.uniform(-np.pi, np.pi), rng.uniform(1.1, 1.7)
    away = np.array([np.cos(around), 0.0, np.sin(around)])
    sway = np.stack([_wave(time, rng) for _ in range(3)], axis=1)
    if kind == "walking":
        place = gaussian_filter1d(path, 0.8 * MOCAP_FPS, axis=0, mode="nearest") + _DISTANCE * away
        place = place + 0.02 * sway
        place[:, 1] = height + 0.02 * np.sin(2 * np.pi * 1.9 * time)
    else:
        aside = np.array([-away[2], 0.0, away[0]])
        off = pelvis - middle
        needed = (np.abs(off @ aside) + 0.8) / np.tan(0.8 * field / 2) + off @ away
        distance = max(_DISTANCE, needed.max()) if kind == "static" else _DISTANCE + (off @ away).max()
        place = np.tile(middle + distance * away, (frames, 1))
        place[:, 1] = height
        if kind == "hand-held":
            place = place + 0.02 * sway
    aim = np.tile(middle, (frames, 1)) if kind == "static" else path.copy()
    if kind == "panning":
        # An operator sweeps, even about a person who stands.
        aim = aim + 0.12 * _DISTANCE * np.sin(2 * np.pi * time / 7.0)[:, None] * np.array([-away[2], 0.0, away[0]])
    forward = aim - place
    forward = forward / np.linalg.norm(forward, axis=1, keepdims=True)
    right = np.cross(forward, [0.0, 1.0, 0.0])
    right = right / np.linalg.norm(right, axis=1, keepdims=True)
    rotation = np.stack([right, np.cross(forward, right), forward], axis=1)
    if kind in ("hand-held", "walking"):
        shake = np.radians(1.5) * np.stack([_wave(time, rng) for _ in range(3)], axis=1)
        rotation = Rotation.from_rotvec(shake).as_matrix() @ rotation
    return place, rotation


def _wave(time: Array, rng: np.random.Generator) -> Array:
    """(T,) slow waves of random frequency and phase, variance about 1."""
    parts = [np.sin(2 * np.pi * (rng.uniform(0.1, 1.5) * time + rng.uniform())) for _ in range(3)]
    return np.asarray(0.8 * np.sum(parts, axis=0))


def _estimated(camera: Camera, rotation: Array, static: bool, rng: np.random.Generator) -> CameraPath:
    """What an estimate from the background says of a camera: its rotation with drift and tremble, nothing of its place."""
    frames = len(rotation)
    turned = rotation[0] @ np.swapaxes(rotation, -1, -2)
    if not static:
        axis = rng.normal(size=3)
        error = np.arange(frames)[:, None] / MOCAP_FPS * _DRIFT * axis / np.linalg.norm(axis)
        error = error + _TREMBLE * rng.normal(size=(frames, 3))
        turned = Rotation.from_rotvec(error).as_matrix() @ turned
    none, sure = np.zeros((frames, 3)), np.ones(frames)
    return CameraPath(np.full(frames, camera.focal), camera.centre, turned, none, sure, np.zeros(frames, np.int64), static)
