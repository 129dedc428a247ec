"""The data types that the packages exchange: Keypoints -> Pose3D -> Motion, with shapes, units and axes.

Every object owns its arrays: the constructor copies them, so objects never share memory. The arrays are plain, contiguous and
writable, as scipy, torch and Cython extensions expect. Fields cannot be reassigned; use `dataclasses.replace` to make a changed
object. No stage changes its input.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from stpose_core.video import VideoInfo

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

MOST_CURVES, _LONGEST_NAME = 200, 64


def _own(value: object, dtype: type, shape: tuple[int | None, ...], what: str) -> np.ndarray:
    """A contiguous copy of the value. Raises ValueError if it has another shape; None stands for any size."""
    array: np.ndarray = np.array(value, dtype=dtype, order="C")
    if array.ndim != len(shape) or any(want is not None and want != have for want, have in zip(shape, array.shape)):
        wanted = tuple("any" if size is None else size for size in shape)
        raise ValueError(f"{what} has shape {array.shape}, expected {wanted}")
    return array


def _check_fps(fps: float) -> float:
    if not (np.isfinite(fps) and fps > 0):
        raise ValueError(f"fps must be a positive number, got {fps}")
    return float(fps)


def _own_parts(parts: Mapping[str, Any], whole: Keypoints | Pose3D) -> dict[str, Any]:
    """Copies of the parts of a body. Raises ValueError unless they have its frames and none has parts itself."""
    for name, part in parts.items():
        if type(part) is not type(whole) or len(part) != len(whole) or part.fps != whole.fps or part.parts:
            kind = type(whole).__name__
            raise ValueError(f"part '{name:.40}' is not {kind} of the same {len(whole)} frames, or has parts of its own")
    return {name: replace(part) for name, part in parts.items()}


def check_count(curves: Mapping[str, Any]) -> None:
    """Raise ValueError if there are too many curves."""
    if len(curves) > MOST_CURVES:
        raise ValueError(f"{len(curves)} curves are more than {MOST_CURVES}")


def _own_curves(curves: Mapping[str, Any], frames: int) -> dict[str, Array]:
    """Copies of curves. Raises ValueError unless they have this many frames, values in 0..1 or NaN, and identifiers as names."""
    check_count(curves)
    owned = {}
    for name, values in curves.items():
        if not (isinstance(name, str) and name.isidentifier() and len(name) <= _LONGEST_NAME):
            raise ValueError(
                f"a curve has the name {str(name)[:40]!r}, which is no identifier of {_LONGEST_NAME} characters at most"
            )
        owned[name] = _own(values, np.float64, (frames,), f"curve {name}")
        if not (np.isnan(owned[name]) | ((owned[name] >= 0) & (owned[name] <= 1))).all():
            raise ValueError(f"curve {name} has values outside 0..1")
    return owned


@dataclass(frozen=True)
class Camera:
    """A pinhole camera: pixel = focal * (x, y) / z + centre.

    focal: in pixels, the same for both axes. centre: (x, y) of the principal point in pixels.
    """

    focal: float
    centre: tuple[float, float]

    @staticmethod
    def assumed(image_size: tuple[int, int]) -> Camera:
        """The default if the camera is unknown: 55 degrees along the longer side of the image, typical of phones."""
        width, height = image_size
        focal = 0.5 * max(width, height) / np.tan(np.radians(55.0) / 2)
        return Camera(float(focal), (width / 2, height / 2))


@dataclass(frozen=True)
class CameraPath:
    """The motion of a clip's camera, frame by frame. Pixels are focal * (x, y) / z + centre, as with `Camera`.

    The axes of a path are the camera axes (x right, y down, z forward) of its first frame. A cut starts a new path.

    focal: (T,) pixels. centre: (x, y) of the principal point in pixels.
    rotation: (T, 3, 3) from the camera axes of a frame to the axes of its path; identity if the camera is static.
    position: (T, 3) metres, of the camera in the axes of its path; zeros if unknown.
    confidence: (T,) 0..1, how well the background determines the motion; 0 where it is unknown and a static camera is assumed.
    shot: (T,) number of the path, from 0, non-decreasing.
    static: whether the camera neither turns, moves nor zooms in any path.
    """

    focal: Array
    centre: tuple[float, float]
    rotation: Array
    position: Array
    confidence: Array
    shot: NDArray[np.int64]
    static: bool

    def __post_init__(self) -> None:
        frames = len(self.rotation)
        object.__setattr__(self, "focal", _own(self.focal, np.float64, (frames,), "focal"))
        object.__setattr__(self, "rotation", _own(self.rotation, np.float64, (frames, 3, 3), "rotation"))
        object.__setattr__(self, "position", _own(self.position, np.float64, (frames, 3), "position"))
        object.__setattr__(self, "confidence", _own(self.confidence, np.float64, (frames,), "confidence"))
        object.__setattr__(self, "shot", _own(self.shot, np.int64, (frames,), "shot"))

    def __len__(self) -> int:
        return len(self.rotation)

    @staticmethod
    def still(camera: Camera, frames: int, confidence: float = 1.0) -> CameraPath:
        """The path of a static camera."""
        none = np.zeros((frames, 3))
        turns = np.tile(np.eye(3), (frames, 1, 1))
        sure, shot = np.full(frames, confidence), np.zeros(frames, np.int64)
        return CameraPath(np.full(frames, camera.focal), camera.centre, turns, none, sure, shot, True)


@dataclass(frozen=True)
class Keypoints:
    """2D joints of one person over time, at a constant frame rate.

    xy: (T, J, 2) pixels, origin top left, x right, y down; NaN for joints that were not detected.
    score: (T, J) in 0..1, calibrated per detector: about the share of such joints within 0.1 torso of the truth; 0 where xy is NaN.
    fps: frames per second. image_size: (width, height) in pixels. skeleton: a name of `stpose_core.skeletons`.
    parts: more joints of the same person, by part of the body: "l_hand" and "r_hand" with the skeleton "hand21".
    lifted: (T, J, 3) metres from joint 0, if the detector itself estimates the joints in 3D: x right, y down, z along the ray to
    them; NaN for joints that were not detected. None otherwise.
    """

    xy: Array
    score: Array
    fps: float
    image_size: tuple[int, int]
    skeleton: str
    parts: Mapping[str, Keypoints] = field(default_factory=dict)
    lifted: Array | None = None

    def __post_init__(self) -> None:
        from stpose_core.skeletons import get_skeleton

        joints = len(get_skeleton(self.skeleton).joints)
        xy = _own(self.xy, np.float64, (None, joints, 2), "xy")
        score = _own(self.score, np.float64, (len(xy), joints), "score")
        unseen = ~np.isfinite(xy).all(-1)
        xy[unseen], score[unseen] = np.nan, 0.0
        if not ((score >= 0) & (score <= 1)).all():
            raise ValueError("score must lie in 0..1")
        object.__setattr__(self, "xy", xy)
        object.__setattr__(self, "score", score)
        object.__setattr__(self, "fps", _check_fps(self.fps))
        object.__setattr__(self, "image_size", (int(self.image_size[0]), int(self.image_size[1])))
        if self.lifted is not None:
            object.__setattr__(self, "lifted", _own(self.lifted, np.float64, (len(xy), joints, 3), "lifted"))
        object.__setattr__(self, "parts", _own_parts(self.parts, self))

    def __len__(self) -> int:
        return len(self.xy)

    @property
    def seen(self) -> Mask:
        """(T,) whether any joint was detected in a frame."""
        return (self.score > 0).any(axis=1)


@dataclass(frozen=True)
class Pose3D:
    """3D joints of one person over time, in camera axes: x right, y down, z forward (away from the camera).

    xyz: (T, J, 3) metres, relative to joint 0 (the pelvis); NaN in frames without a pose.
    root: (T, 3) metres, position of joint 0 from the camera; NaN in frames without a pose.
    hidden: (T, J) joints that were not visible and are the network's estimate; all joints in frames that were bridged.
    sigma: (T, J) metres, expected error of each joint.
    up: (3,) estimated unit vector against gravity in camera axes; (0, -1, 0) for a level camera.
    camera: the pinhole camera that `root` was computed with.
    contacts: (T, 4) probabilities that the left heel, left toe, right heel and right toe are on the ground, from the network; None
    if the network has no such output.
    parts: more joints of the same person, each part relative to its own joint 0: "face" ("face5"), "l_hand" and "r_hand" ("hand21",
    or "palm4" if only the body's detector shows them), "l_foot" and "r_foot" ("foot3").
    """

    xyz: Array
    root: Array
    hidden: Mask
    sigma: Array
    up: Array
    fps: float
    skeleton: str
    camera: Camera
    contacts: Array | None = None
    parts: Mapping[str, Pose3D] = field(default_factory=dict)

    def __post_init__(self) -> None:
        from stpose_core.skeletons import get_skeleton

        joints, frames = len(get_skeleton(self.skeleton).joints), len(self.xyz)
        object.__setattr__(self, "xyz", _own(self.xyz, np.float64, (frames, joints, 3), "xyz"))
        object.__setattr__(self, "root", _own(self.root, np.float64, (frames, 3), "root"))
        object.__setattr__(self, "hidden", _own(self.hidden, np.bool_, (frames, joints), "hidden"))
        object.__setattr__(self, "sigma", _own(self.sigma, np.float64, (frames, joints), "sigma"))
        object.__setattr__(self, "up", _own(self.up, np.float64, (3,), "up"))
        if self.contacts is not None:
            object.__setattr__(self, "contacts", _own(self.contacts, np.float64, (frames, 4), "contacts"))
        object.__setattr__(self, "fps", _check_fps(self.fps))
        object.__setattr__(self, "parts", _own_parts(self.parts, self))

    def __len__(self) -> int:
        return len(self.xyz)

    @property
    def posed(self) -> Mask:
        """(T,) whether a frame has a pose."""
        return np.isfinite(self.xyz).all(axis=(1, 2)) & np.isfinite(self.root).all(axis=1)


@dataclass(frozen=True)
class Motion:
    """An animated skeleton: y up, facing +z at rest (its left is +x), metres; the rest pose is a T-pose.

    names: J joint names; names[0] is the root, and a name ending in "End" is an end site without rotation.
    parents: (J,) index of each joint's parent, which comes before it; -1 for the root.
    offsets: (J, 3) metres, each joint in its parent's frame at rest; offsets[0] is (0, 0, 0).
    rotations: (T, J, 4) unit quaternions (w, x, y, z), each joint relative to its parent; identity at rest.
    root: (T, 3) metres, position of joint 0.
    contacts: (T, 4) in 0..1: left heel, left toe, right heel, right toe on the ground.
    filled: (T,) frames without a detection, interpolated from their neighbours.
    curves: (T,) in 0..1 by name, such as ARKit's "jawOpen": how far the face is from rest; NaN in frames in which it is not seen.
    Names are identifiers; 200 at most.
    """

    names: tuple[str, ...]
    parents: NDArray[np.int64]
    offsets: Array
    rotations: Array
    root: Array
    contacts: Array
    filled: Mask
    fps: float
    curves: Mapping[str, Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        frames, joints = len(self.rotations), len(self.names)
        object.__setattr__(self, "names", tuple(self.names))
        object.__setattr__(self, "parents", _own(self.parents, np.int64, (joints,), "parents"))
        object.__setattr__(self, "offsets", _own(self.offsets, np.float64, (joints, 3), "offsets"))
        object.__setattr__(self, "rotations", _own(self.rotations, np.float64, (frames, joints, 4), "rotations"))
        object.__setattr__(self, "root", _own(self.root, np.float64, (frames, 3), "root"))
        object.__setattr__(self, "contacts", _own(self.contacts, np.float64, (frames, 4), "contacts"))
        object.__setattr__(self, "filled", _own(self.filled, np.bool_, (frames,), "filled"))
        object.__setattr__(self, "fps", _check_fps(self.fps))
        object.__setattr__(self, "curves", _own_curves(self.curves, frames))
        if joints and (self.parents[0] != -1 or (self.parents < -1).any() or (self.parents >= np.arange(joints)).any()):
            raise ValueError("parents[0] must be -1 and every other parent must come before its child")

    def __len__(self) -> int:
        return len(self.rotations)


@dataclass(frozen=True)
class Capture:
    """One person captured from a video: all stages, with the same frame rate and number of frames T.

    video: the source. detector: the name of the detector.
    keypoints: T frames in the detector's own skeleton. pose3d: T frames in camera axes. motion: T frames, animated.
    start: seconds from the video's first frame to the first frame of the capture.
    """

    video: VideoInfo
    detector: str
    keypoints: Keypoints
    pose3d: Pose3D
    motion: Motion
    start: float = 0.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.start) and self.start >= 0):
            raise ValueError(f"start must be a time in the video, 0 s or later, got {self.start}")
        lengths = {len(self.keypoints), len(self.pose3d), len(self.motion)}
        if len(lengths) != 1:
            raise ValueError(f"keypoints, pose3d and motion differ in length: {sorted(lengths)}")

    def __len__(self) -> int:
        return len(self.motion)
