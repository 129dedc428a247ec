"""Lifting: 2D joints of a clip -> 3D joints, with the temporal network over a whole clip, or frame by frame with a buffer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from stpose_core.data import Camera, Keypoints, Pose3D
from stpose_core.devices import choose_device
from stpose_core.errors import WeightsError
from stpose_core.extras import how_to_install
from stpose_core.lift.normalise import BOX_REACH, VISIBLE_SCORE, PersonView, network_inputs, person_view
from stpose_core.networks.lifting_configs import MULTI_STRIDE, LiftingConfig, TemporalConfig, config_of, reads_maps
from stpose_core.networks.outputs import TemporalOutput
from stpose_core.networks.plain import PlainNetwork
from stpose_core.reading import one_line
from stpose_core.skeletons import H36M17, convert
from stpose_core.threads import one_thread
from stpose_core.weights import LIFTER, read_arrays

if TYPE_CHECKING:
    from stpose_core.lift.heatmaps import HeatMaps

TRAINING_FPS = 30.0
"""Frame rate of the marker mocap in training; tempo was varied from half to double."""

BRIDGED = 15
"""Longest gap between two detections that is filled with poses, in frames at the training rate."""

_BLOCK = 1024  # outputs per pass: limits memory for clips of any length
_HIDDEN_LOGIT = 0.0
_OTHER_FOOT = [2, 3, 0, 1]  # left heel, left toe, right heel, right toe


def phases(fps: float) -> tuple[int, int]:
    """(every, between): conversion of a clip to about the training rate without changing its time stamps.

    A fast clip is lifted as `every` interleaved clips. A slow one gets `between` - 1 interpolated frames after each frame, which
    are not part of the output. Rates from 20 to 45 fps are used unchanged, because tempo was varied in training.
    """
    if fps >= 45:
        return max(1, round(fps / TRAINING_FPS)), 1
    if fps <= 20:
        return 1, max(1, round(TRAINING_FPS / fps))
    return 1, 1


@dataclass
class _Frames:
    """Outputs of the network for consecutive frames, in camera axes (numpy)."""

    xyz: NDArray[np.float64]
    root: NDArray[np.float64]
    sigma: NDArray[np.float64]
    hidden: NDArray[np.bool_]
    up: NDArray[np.float64]
    contacts: NDArray[np.float64]


_OUTPUTS = tuple(entry.name for entry in fields(_Frames))


@dataclass(frozen=True)
class Strand:
    """One of the clips near the training rate that a clip is converted to, see `phases`.

    chosen: frames of the clip that it contains. rays: (N, 17, 2) x / z and y / z, NaN for joints that were not detected; score:
    (N, 17). between: number of its frames from one frame of the clip to the next; those in between are interpolated.
    """

    chosen: slice
    rays: NDArray[np.float64]
    score: NDArray[np.float64]
    between: int


def strands(points: Keypoints, camera: Camera) -> list[Strand]:
    """The clips that h36m17 joints are converted to, see `phases`. Training on footage uses them, too."""
    every, between = phases(points.fps)
    result = []
    for phase in range(min(every, len(points))):
        chosen = slice(phase, len(points), every)
        rays, score = _rays(np.asarray(points.xy)[chosen], camera), np.asarray(points.score)[chosen]
        if between > 1:
            rays, score = _upsample(rays, score, between)
        result.append(Strand(chosen, rays, score, between))
    return result


def _rays(xy: NDArray[np.float64], camera: Camera) -> NDArray[np.float64]:
    return (xy - np.asarray(camera.centre)) / camera.focal


class Network(Protocol):
    """A lifting network of arrays: `stpose_core.networks.plain.PlainNetwork` or `stpose_core.lift.torch_network.TorchNetwork`."""

    @property
    def config(self) -> LiftingConfig: ...

    def __call__(self, inputs: NDArray[np.float32], context: NDArray[np.float32]) -> TemporalOutput:
        """joints (B, T, J, 4) and context (B, T, 4) -> outputs of the frames T - 2 * config.context in the middle."""


class Lifter:
    """Lifts Keypoints of one person to Pose3D. Created by `load_lifter`.

    reads_maps: whether its network reads heat maps. If none are given, they are drawn from the keypoints: one Gaussian for each
    visible joint, whose height is the score and whose width grows with falling score. They contain no additional information.
    """

    def __init__(self, network: Network) -> None:
        self.network: Any = network
        self.reads_maps = reads_maps(network.config)

    @property
    def delay(self) -> int:
        """Delay of a streamed output, in frames at the training rate."""
        config = self.network.config
        return config.look_ahead if isinstance(config, TemporalConfig) and config.causal else self.margin

    @property
    def margin(self) -> int:
        """Frames on each side of its outputs that `lift_window` requires."""
        return self.network.config.context + BOX_REACH

    @one_thread()
    def __call__(
        self, keypoints: Keypoints, camera: Camera | None = None, flip: bool = True, maps: HeatMaps | None = None
    ) -> Pose3D:
        """One pose for each frame of `keypoints`, at the same fps; its skeleton is converted to h36m17 first.

        Frames without a detection get a pose, with all joints hidden, in gaps of up to half a second; else NaN.
        camera: the true camera if known; by default the assumed one. flip: average with the lifted mirror image (twice the work).
        maps: heat maps of the h36m17 joints, whose peaks are the keypoints, for a network that reads maps. Clips of 20 fps or less
        are lifted without them, because joints are interpolated between frames. Raises ValueError if the shapes do not match.
        """
        points = keypoints if keypoints.skeleton == H36M17.name else convert(keypoints, H36M17.name)
        if maps is not None and not self.reads_maps:
            raise ValueError("heat maps were given to a network that reads keypoints")
        if maps is not None and maps.values.shape[:2] != points.score.shape:
            raise ValueError(f"heat maps {maps.values.shape} do not fit keypoints {points.score.shape}")
        camera = camera or Camera.assumed(points.image_size)
        # Block by block: the outputs of a long clip exist once.
        blocks = (block for strand in strands(points, camera) for block in self._lift(strand, flip, maps, camera))
        return _assemble(blocks, len(points), points, camera)

    def stream(self, fps: float, image_size: tuple[int, int], camera: Camera | None = None) -> LifterStream:
        """A stream that takes one frame at a time and returns its pose `delay` frames later, equal to that of the whole clip."""
        return LifterStream(self, fps, image_size, camera or Camera.assumed(image_size))

    def _lift(self, strand: Strand, flip: bool, maps: HeatMaps | None, camera: Camera) -> Iterator[tuple[slice, _Frames]]:
        """The outputs for some of the clip's frames at a time, and which these are; both ends are padded with missing frames."""
        margin, rays, between = self.margin, strand.rays, strand.between
        own = maps[strand.chosen] if maps is not None and between == 1 else None
        padded = np.zeros((len(rays) + 2 * margin, *rays.shape[1:]))
        padded[margin : margin + len(rays)] = np.nan_to_num(rays)
        scores = np.zeros(padded.shape[:2])
        scores[margin : margin + len(rays)] = strand.score
        length = _BLOCK - _BLOCK % between
        for start in range(0, max(len(rays), 1), length):
            stop = min(start + length + 2 * margin, len(padded))
            seen = None if own is None else (own.window(start - margin, stop - margin), camera)
            block = self.lift_window(padded[start:stop], scores[start:stop], flip, seen)
            chosen = range(strand.chosen.stop)[strand.chosen]
            places = chosen[start // between : start // between + len(block.xyz[::between])]
            yield slice(places.start, places.stop, places.step), _take(block, slice(None, None, between))

    def lift_window(
        self,
        rays: NDArray[np.float64],
        score: NDArray[np.float64],
        flip: bool,
        maps: tuple[HeatMaps, Camera] | None = None,
    ) -> _Frames:
        """(T + 2 * margin, 17, 2) -> the T frames in the middle. The only place where the network is called.

        maps: the heat maps of all these frames, and the camera of the rays."""
        ray, seen = np.asarray(rays, np.float32)[None], np.asarray(score, np.float32)[None]
        pose, root, sigma, hidden, up, contacts = self._views(ray, seen, maps, mirrored=False)
        if flip:
            mirror, side = list(H36M17.mirror), np.array([-1, 1, 1], np.float32)
            other = self._views(ray[:, :, mirror] * side[:2], seen[:, :, mirror], maps, mirrored=True)
            pose = (pose + other[0][:, :, mirror] * side) / 2
            root = (root + other[1] * side) / 2
            sigma, hidden = (sigma + other[2][:, :, mirror]) / 2, (hidden + other[3][:, :, mirror]) / 2
            up = up + other[4] * side
            if contacts.shape[-1]:
                contacts = (contacts + other[5][..., _OTHER_FOOT]) / 2
        outputs = [value[0].astype(np.float64) for value in (pose, root, sigma, hidden, up, expit(contacts))]
        core = slice(self.margin, len(score) - self.margin)
        missing = np.asarray(score < VISIBLE_SCORE)
        absent = ~_bridged(~missing.all(axis=1), self.network.config.causal)[core]
        unseen = missing[core] | (outputs[3] > _HIDDEN_LOGIT)
        frames = _Frames(outputs[0], outputs[1], outputs[2], unseen, outputs[4], outputs[5])
        for part in (frames.xyz, frames.root):
            part[absent] = np.nan
        frames.up[absent] = 0.0
        frames.contacts[absent] = 0.0
        return frames

    def _views(
        self, rays: NDArray[np.float32], score: NDArray[np.float32], maps: tuple[HeatMaps, Camera] | None, mirrored: bool
    ) -> tuple[NDArray[np.float32], ...]:
        view = person_view(rays, score, self.network.config.causal)
        inputs, context = network_inputs(rays, score, view)
        # The box of a frame requires all its neighbours; the outer frames are used only for that.
        inner = slice(BOX_REACH, rays.shape[1] - BOX_REACH)
        if maps is None:
            out = self.network(inputs[:, inner], context[:, inner])
        else:
            frames = (inputs[:, inner], context[:, inner])
            out = self.network.read_maps(maps[0], view, maps[1], *frames, inner=inner, mirrored=mirrored)
        core = slice(self.margin, rays.shape[1] - self.margin)
        near = PersonView(view.rotation[:, core], view.size[:, core], view.known[:, core])
        unknown = np.where(near.known, np.float32(0), np.float32(np.nan))[..., None]
        pose = near.to_camera(out.pose) + unknown[..., None]
        root = near.root_to_camera(out.root) + unknown
        length = np.linalg.norm(out.up, axis=-1, keepdims=True)
        up = near.to_camera(out.up / np.maximum(length, 1e-12)) * near.known[..., None]
        return pose, root, np.exp(out.log_sigma.clip(-7, 1)), out.hidden, up, out.contacts


@dataclass
class LifterStream:
    """One frame in, one pose out, `lifter.delay` frames later; the same values as for the whole clip.

    push() takes h36m17 joints. Only rates that need no interpolation (above 20 fps) can be streamed.
    """

    lifter: Lifter
    fps: float
    image_size: tuple[int, int]
    camera: Camera
    flip: bool = True
    _phases: list[list[tuple[NDArray[np.float64], NDArray[np.float64]]]] = field(default_factory=list)
    _count: int = 0

    def __post_init__(self) -> None:
        every, between = phases(self.fps)
        if between > 1:
            raise ValueError(f"a clip of {self.fps:g} fps cannot be streamed: lift it whole, or feed it at 20 fps or more")
        blank = (np.zeros((17, 2)), np.zeros(17))
        self._phases = [[blank] * self.lifter.margin for _ in range(every)]

    def push(self, xy: NDArray[np.float64], score: NDArray[np.float64]) -> Pose3D | None:
        """xy: (17, 2) pixels, score: (17,). The pose of the frame `delay` * every frames ago, or None if there is none yet."""
        buffer = self._phases[self._count % len(self._phases)]
        self._count += 1
        seen = np.where(np.isfinite(xy).all(-1), score, 0.0)
        buffer.append((np.nan_to_num(_rays(np.asarray(xy, np.float64), self.camera)), seen))
        if len(buffer) < self.lifter.margin + 1 + self.lifter.delay:
            return None
        # A causal network ignores later frames.
        later = [(np.zeros((17, 2)), np.zeros(17))] * (self.lifter.margin - self.lifter.delay)
        rays, scores = (np.stack([item[part] for item in buffer + later]) for part in (0, 1))
        buffer.pop(0)
        lifted = self.lifter.lift_window(rays, scores, self.flip)
        points = Keypoints(np.zeros((1, 17, 2)), np.zeros((1, 17)), self.fps, self.image_size, H36M17.name)
        return _assemble([(slice(0, 1), lifted)], 1, points, self.camera)

    def finish(self) -> list[Pose3D]:
        """The poses still in the buffer, in order."""
        missing, hidden = np.full((17, 2), np.nan), np.zeros(17)
        left = min(self._count, self.lifter.delay * len(self._phases))
        # If the clip ended before the first output, the empty phases before it are skipped first.
        poses = [self.push(missing, hidden) for _ in range(self.lifter.delay * len(self._phases))]
        return [pose for pose in poses if pose is not None][-left:] if left else []


def _bridged(seen: NDArray[np.bool_], causal: bool = False) -> NDArray[np.bool_]:
    """(T,) frames with a detection, and those in a gap of at most BRIDGED frames between two of them; if causal, the BRIDGED frames
    after one."""
    order = np.arange(len(seen))
    before = np.maximum.accumulate(np.where(seen, order, -len(seen) - BRIDGED))
    if causal:
        return np.asarray(order - before <= BRIDGED)
    after = np.minimum.accumulate(np.where(seen, order, 2 * len(seen) + BRIDGED)[::-1])[::-1]
    return np.asarray(after - before - 1 <= BRIDGED)


def _upsample(rays: NDArray[np.float64], score: NDArray[np.float64], times: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """`times` frames for each frame but the last, interpolated linearly if both have the joint, with the lower score."""
    count = (len(rays) - 1) * times + 1
    when = np.arange(count) / times
    before = np.floor(when).astype(int)
    after = np.minimum(before + 1, len(rays) - 1)
    part = (when - before)[:, None]
    both = np.where(part > 0, np.minimum(score[before], score[after]), score[before])
    filled = np.nan_to_num(rays)
    return filled[before] * (1 - part[..., None]) + filled[after] * part[..., None], both


def _take(frames: _Frames, chosen: slice) -> _Frames:
    return _Frames(*(getattr(frames, name)[chosen] for name in _OUTPUTS))


def _assemble(parts: Iterable[tuple[slice, _Frames]], total: int, points: Keypoints, camera: Camera) -> Pose3D:
    xyz, root = np.full((total, 17, 3), np.nan), np.full((total, 3), np.nan)
    sigma, hidden, up = np.full((total, 17), np.nan), np.ones((total, 17), bool), np.zeros((total, 3))
    contacts: NDArray[np.float64] | None = None
    for chosen, frames in parts:
        xyz[chosen], root[chosen], sigma[chosen] = frames.xyz, frames.root, frames.sigma
        hidden[chosen], up[chosen] = frames.hidden, frames.up
        if frames.contacts.shape[-1]:
            contacts = np.zeros((total, 4)) if contacts is None else contacts
            contacts[chosen] = frames.contacts
    # One direction of gravity for the whole clip: cameras tilt less than the estimates of single frames vary.
    direction = np.median(up[np.abs(up).sum(-1) > 0], axis=0) if np.abs(up).sum() > 0 else np.array([0.0, -1.0, 0.0])
    length = np.linalg.norm(direction)
    direction = direction / length if length > 1e-6 else np.array([0.0, -1.0, 0.0])
    return Pose3D(xyz, root, hidden, sigma, direction, points.fps, H36M17.name, camera, contacts)


Made = TypeVar("Made")


def read_lifter(path: str | Path | None, make: Callable[[LiftingConfig, dict[str, NDArray[Any]]], Made]) -> Made:
    """What `make` makes of the dimensions and the tensors of a weights file, by default of the bundled one.

    Raises WeightsError if the file is missing, damaged, or belongs to another network.
    """
    path = Path(path) if path else LIFTER
    tensors, config = read_arrays(path, "temporal")
    try:
        name = str(config.get("architecture", MULTI_STRIDE))
        dimensions = config_of(name, dict(config["network"]))  # type: ignore[call-overload]
        if dimensions.joints != len(H36M17.joints):
            raise WeightsError(f"{path} contains a network of {dimensions.joints} joints; the lifter needs {len(H36M17.joints)}")
        return make(dimensions, tensors)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise WeightsError(f"{path} does not match the temporal network: {one_line(error)}") from error


def load_lifter(path: str | Path | None = None, device: str = "cpu") -> Lifter:
    """The lifter with the bundled weights, or with those of a .safetensors file.

    device: as for `stpose_core.devices.choose_device`. The network may read keypoints or heat maps, see `Lifter`; heat maps, and
    other devices than the processor, need torch. Raises WeightsError if the file is missing, damaged, or belongs to another
    network, or if torch is needed and missing; StposeError if there is no such device.
    """

    place = choose_device(device)

    def made(config: LiftingConfig, tensors: dict[str, NDArray[Any]]) -> Network:
        if place == "cpu" and not reads_maps(config):
            return PlainNetwork(config, tensors)
        try:
            from stpose_core.lift.torch_network import made_of
        except ModuleNotFoundError as error:
            raise WeightsError(f"a lifter that reads heat maps needs PyTorch; {how_to_install('gpu')}") from error
        return made_of(config, tensors, place)

    return Lifter(read_lifter(path, made))
