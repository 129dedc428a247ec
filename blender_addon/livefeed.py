"""Poses from `stpose live`: lines of JSON over a socket, read without waiting, and the take that is recorded of them."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .retarget.keys import resampled
from .retarget.motion import Motion, TrackError
from .retarget.rotation import Array, unit

PORT = 39540
"""Where `stpose live` serves its poses."""

LONGEST_TAKE = 60 * 60 * 30
"""Poses of the longest take that is recorded: an hour."""

_LONGEST_LINE, _MOST_JOINTS = 100_000, 200


@dataclass(frozen=True)
class LivePose:
    """One line: time in seconds, rotations (J, 4) w, x, y, z relative to the parents, root (3,) in metres, y up; present: whether
    a person is seen. names, parents (J,) and offsets (J, 3) are the skeleton's."""

    time: float
    present: bool
    names: tuple[str, ...]
    parents: NDArray[np.int64]
    offsets: Array
    rotations: Array
    root: Array

    def motion(self, fps: float) -> Motion:
        """A motion of this pose alone."""
        contacts = np.zeros((1, 4))
        return Motion(self.names, self.parents, self.offsets, self.rotations[None], self.root[None], contacts, fps)


class LiveFeed:
    """A connection to `stpose live` on a host and port. Raises TrackError if the server does not answer."""

    def __init__(self, host: str = "127.0.0.1", port: int = PORT) -> None:
        try:
            self._socket = socket.create_connection((host, port), timeout=2.0)
        except OSError as error:
            raise TrackError(f"no 'stpose live' answers on {host}:{port}; start it with: stpose live --json {port}") from error
        self._socket.setblocking(False)
        self._rest = b""

    def poll(self) -> list[LivePose]:
        """The poses that arrived since the call before. Raises TrackError once the connection has ended or sends something else."""
        ended = False
        while True:
            try:
                part = self._socket.recv(65536)
            except BlockingIOError:
                break
            except OSError:
                ended = True
                break
            if not part:
                ended = True
                break
            self._rest += part
            if len(self._rest) > 64 * _LONGEST_LINE:
                break  # more comes than is read: the next call goes on
        *lines, self._rest = self._rest.split(b"\n")
        if len(self._rest) > _LONGEST_LINE:
            raise TrackError("the live connection sends something else than poses")
        poses = [read_line(line) for line in lines]
        if ended and not poses:
            raise TrackError("'stpose live' has ended")
        return poses

    def close(self) -> None:
        """Ends the connection."""
        self._socket.close()


def read_line(line: bytes) -> LivePose:
    """A pose from its line. Raises TrackError for any other text."""
    try:
        values = json.loads(line)
        names = tuple(values["parents"])
        order = {name: index for index, name in enumerate(names)}
        parents = np.array([-1 if values["parents"][name] is None else order[values["parents"][name]] for name in names], np.int64)
        offsets = np.array([values["offsets"][name] for name in names], dtype=np.float64)
        rotations = np.array([values["rotations"][name] for name in names], dtype=np.float64)
        root, time = np.array(values["root"], dtype=np.float64), float(values["time"])
        present = bool(values["present"])
    except (ValueError, KeyError, TypeError, RecursionError, AttributeError) as error:
        raise TrackError("the live connection sends something else than poses") from error
    joints = len(names)
    shaped = offsets.shape == (joints, 3) and rotations.shape == (joints, 4) and root.shape == (3,) and 0 < joints <= _MOST_JOINTS
    if not shaped or parents[0] != -1 or (parents[1:] >= np.arange(1, joints)).any() or (parents[1:] < 0).any():
        raise TrackError("the live connection sends a skeleton that is none")
    if not all(np.isfinite(value).all() for value in (offsets, rotations, root, time)) or np.abs(rotations).sum(1).min() < 1e-6:
        raise TrackError("the live connection sends numbers that are none")
    return LivePose(time, present, names, parents, offsets, unit(rotations), root)


@dataclass
class Take:
    """What is recorded of a session: the poses in which a person is seen."""

    poses: list[LivePose] = field(default_factory=list)

    def add(self, pose: LivePose) -> None:
        """Keeps a pose, if it is later than the one before and the take is not too long."""
        if pose.present and len(self.poses) < LONGEST_TAKE and (not self.poses or pose.time > self.poses[-1].time):
            self.poses.append(pose)

    def motion(self, fps: float) -> Motion | None:
        """The take at an even frame rate, with the bones of its last pose; None for less than two poses."""
        if len(self.poses) < 2:
            return None
        times = np.array([pose.time for pose in self.poses])
        times = times - times[0]
        at = np.arange(int(np.floor(times[-1] * fps + 1e-6)) + 1) / fps
        rotations = np.stack([pose.rotations for pose in self.poses])
        rotations, root = resampled(rotations, np.stack([pose.root for pose in self.poses]), times, at)
        last = self.poses[-1]
        return Motion(last.names, last.parents, last.offsets, rotations, root, np.zeros((len(at), 4)), fps)
