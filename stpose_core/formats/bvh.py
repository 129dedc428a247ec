"""BVH (Biovision hierarchy): writes a Motion as other tools expect it, and reads BVH files of any tool.

A file has a HIERARCHY of joints, each with its OFFSET from its parent and its CHANNELS, and a MOTION with one row of channel
values a frame. Rotation channels are intrinsic turns in the order in which they are listed, in degrees: `Zrotation Xrotation
Yrotation` is R = Rz Rx Ry. A position channel replaces the offset along its axis. Source: M. Meredith, S. Maddock,
"Motion capture file formats explained", University of Sheffield, 2001; and the importer of Blender for what it leaves open.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import numpy as np

from stpose_core.data import Array, Capture, Motion
from stpose_core.errors import FormatError, OutputError
from stpose_core.formats import motion_of
from stpose_core.formats.euler import quaternions_from_euler, smooth_zxy
from stpose_core.formats.names import unique
from stpose_core.reading import check_table, numbers, read_text

METRES = {"cm": 0.01, "m": 1.0}
_ROOT_CHANNELS = "Xposition Yposition Zposition Zrotation Xrotation Yrotation"
_JOINT_CHANNELS = "Zrotation Xrotation Yrotation"
_CHANNEL = re.compile(r"([XYZ])(position|rotation)", re.IGNORECASE)
# People are less than 8 m tall, and more than 8 cm: a skeleton that spans more is in centimetres.
_WIDEST_IN_METRES = 8.0
_FRAME_TIMES = (1e-5, 1e3)  # seconds; other values are errors


def write(thing: Motion | Capture, path: str | Path, units: str = "cm") -> None:
    """Write the motion of a capture, or a motion, as a `Format` does."""
    write_bvh(motion_of(thing), path, units)


def write_bvh(motion: Motion, path: str | Path, units: str = "cm") -> None:
    """Write a motion as BVH with lengths in `units` ("cm" or "m"); y up, the rest pose as it is (a T-pose).

    Joints without children whose names end in "End" become End Sites. A child follows its parent at once in the file, so
    joints may come back in another order. Overwrites.
    Raises OutputError if the motion cannot be put into a BVH, ValueError for other units.
    """
    scale = 1 / METRES[check_units(units)]
    if not all(np.isfinite(values).all() for values in (motion.offsets, motion.rotations, motion.root)):
        raise OutputError(f"cannot write {path}: the motion has missing values")
    if list(motion.parents).count(-1) != 1:
        raise OutputError(f"cannot write {path}: a BVH file needs exactly one root")
    children: list[list[int]] = [[] for _ in motion.names]
    for joint, parent in enumerate(motion.parents[1:], 1):
        children[parent].append(joint)
    lines, order = ["HIERARCHY"], []

    # Not by recursion: a chain may be longer than the interpreter's stack.
    waiting: list[tuple[int | None, int]] = [(0, 0)]
    while waiting:
        below, depth = waiting.pop()
        if below is None:
            lines.append("\t" * depth + "}")
            continue
        waiting.append((None, depth))
        joint, name, tab = below, motion.names[below], "\t" * depth
        end = joint > 0 and name.endswith("End") and not children[joint]
        kind = "End Site" if end else f"{'JOINT' if joint else 'ROOT'} {'_'.join(name.split())}"
        offset = " ".join(_number(value * scale) for value in motion.offsets[joint])
        lines.extend([f"{tab}{kind}", f"{tab}{{", f"{tab}\tOFFSET {offset}"])
        if not end:
            order.append(joint)
            channels = _JOINT_CHANNELS if joint else _ROOT_CHANNELS
            lines.append(f"{tab}\tCHANNELS {len(channels.split())} {channels}")
            waiting.extend((child, depth + 1) for child in reversed(children[joint]))
            if not children[joint]:
                # The format wants an End Site below every last joint; one without length says nothing more.
                lines.extend([f"{tab}\tEnd Site", f"{tab}\t{{", f"{tab}\t\tOFFSET 0 0 0", f"{tab}\t}}"])
    lines.extend(["MOTION", f"Frames: {len(motion)}", f"Frame Time: {1 / motion.fps:.10f}"])
    angles = smooth_zxy(motion.rotations[:, order]).reshape(len(motion), -1)
    rows = np.concatenate([motion.root * scale, angles], axis=1)
    lines.extend(" ".join(map(_number, row)) for row in rows)
    Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def _number(value: float) -> str:
    text = f"{value:.6f}"
    return "0.000000" if text == "-0.000000" else text


def check_units(units: str) -> str:
    """The units, if they are known. Raises ValueError if not."""
    if units not in METRES:
        raise ValueError(f"unknown units '{units}'; known: {', '.join(METRES)}")
    return units


@dataclass
class _Joint:
    """A joint as the file describes it. channels: (axis, "position" or "rotation", column in a row of the motion)."""

    name: str
    parent: int
    offset: Array
    channels: list[tuple[int, str, int]] = field(default_factory=list)
    end: bool = False


def read(path: str | Path) -> Motion:
    """The motion in a file, as a `Format` reads it."""
    return read_bvh(path)


def read_bvh(path: str | Path, units: str = "auto") -> Motion:
    """Read a BVH file of any tool: any order of channels, names, end sites, white space.

    units: "cm", "m", or "auto", which takes a skeleton that spans more than 8 for centimetres.
    End sites get their parent's name with "End"; end sites without length are left out. Positions of joints other than the
    root become offsets: their median where they move. There are no contacts, and no frame counts as filled.
    Raises FormatError with the number of the line at fault.
    """
    if units != "auto":
        check_units(units)
    reader = _Reader(Path(path), read_text(path))
    joints = reader.hierarchy()
    rows, fps = reader.motion()
    check_table(path, len(rows), len(joints), rows.size)
    return _motion(joints, rows, fps, units)


def _motion(joints: list[_Joint], rows: Array, fps: float, units: str) -> Motion:
    offsets = np.stack([joint.offset for joint in joints])
    rotations = np.zeros((len(rows), len(joints), 4))
    rotations[..., 0] = 1.0
    root = np.repeat(offsets[:1], len(rows), axis=0)
    for index, joint in enumerate(joints):
        turns = [(axis, column) for axis, kind, column in joint.channels if kind == "rotation"]
        order = "".join("xyz"[axis] for axis, _ in turns)
        rotations[:, index] = quaternions_from_euler(order, rows[:, [column for _, column in turns]])
        shifts = {axis: rows[:, column] for axis, kind, column in joint.channels if kind == "position"}
        if index == 0:
            for axis, values in shifts.items():
                root[:, axis] = values
        elif len(rows) and any(values.any() for values in shifts.values()):
            # All zero: a tool that means shifts from the offset.
            for axis, values in shifts.items():
                offsets[index, axis] = np.median(values)
    offsets[0] = 0.0
    if units == "auto":
        units = "cm" if _span(joints, offsets) > _WIDEST_IN_METRES else "m"
    return Motion(
        names=unique([joint.name for joint in joints]),
        parents=np.array([joint.parent for joint in joints]),
        offsets=offsets * METRES[units],
        rotations=rotations,
        root=root * METRES[units],
        contacts=np.zeros((len(rows), 4)),
        filled=np.zeros(len(rows), dtype=bool),
        fps=fps,
    )


def _span(joints: list[_Joint], offsets: Array) -> float:
    """The largest side of the box around the rest pose."""
    places = offsets.copy()
    for index, joint in enumerate(joints[1:], 1):
        places[index] += places[joint.parent]
    return float(np.ptp(places, axis=0).max())


class _Reader:
    """Goes through a file and knows in which line it is."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.lines = text.splitlines()
        upper = (number for number, line in enumerate(self.lines, 1) if line.strip().upper() == "MOTION")
        self.motion_line = next(upper, len(self.lines) + 1)
        self.words = [
            (word, number)
            for number, line in enumerate(self.lines[: self.motion_line - 1], 1)
            for word in re.findall(r"[{}]|[^\s{}]+", line)
        ]
        self.at = 0
        self.columns = 0

    def fail(self, what: str, line: int | None = None) -> FormatError:
        """The error to raise, by default about the word read last."""
        if line is None:
            line = self.words[self.at - 1][1] if self.words and self.at else 1
        return FormatError(f"{self.path}, line {line}: {what}")

    def next(self, what: str) -> str:
        if self.at >= len(self.words):
            raise self.fail(f"the hierarchy ends where {what} should follow", max(1, min(self.motion_line, len(self.lines))))
        self.at += 1
        return self.words[self.at - 1][0]

    def number(self, what: str) -> float:
        word = self.next(what)
        try:
            value = float(word)
        except ValueError:
            raise self.fail(f"'{word[:40]}' is no number; {what} was expected") from None
        if not np.isfinite(value):
            raise self.fail(f"'{word[:40]}' cannot be {what}")
        return value

    def hierarchy(self) -> list[_Joint]:
        """The joints in the order of the file, each after its parent."""
        if not self.words or self.next("HIERARCHY").upper() != "HIERARCHY":
            raise self.fail("not a BVH file: it does not begin with HIERARCHY")
        joints: list[_Joint] = []
        above: list[int] = []  # the joints whose braces are open
        while above or not joints:
            word = self.next("a joint, an end site or }").upper()
            joint = joints[above[-1]] if above else None
            if joint is None:
                if word != "ROOT":
                    raise self.fail(f"ROOT expected, not '{word[:40]}'")
                above.append(self._open(joints, above, self._name()))
            elif word == "JOINT" and not joint.end:
                above.append(self._open(joints, above, self._name()))
            elif word == "END" and not joint.end:
                # LeftToeBase ends in LeftToeEnd, as is the custom.
                base = joint.name[:-4] if joint.name.endswith("Base") else joint.name
                self._name()
                above.append(self._open(joints, above, f"{base}End", end=True))
            elif word == "OFFSET":
                joint.offset = np.array([self.number("an offset") for _ in range(3)])
            elif word == "CHANNELS":
                self._channels(joint)
            elif word == "}":
                if joint.offset.size != 3:
                    raise self.fail(f"joint {joint.name[:40]} has no OFFSET")
                if joint.end and not joint.offset.any():
                    joints.pop()
                above.pop()
            else:
                raise self.fail(f"unexpected '{word[:40]}'")
        if self.at < len(self.words):
            more = self.next("MOTION").upper()
            raise self.fail("more than one ROOT" if more == "ROOT" else f"unexpected '{more[:40]}' after the hierarchy")
        return joints

    def _name(self) -> str:
        """The words up to the brace: names may have spaces."""
        words = []
        while (word := self.next("{")) != "{":
            words.append(word)
        if not words or "}" in words:
            raise self.fail("a joint needs a name, then {")
        return " ".join(words)

    def _open(self, joints: list[_Joint], above: list[int], name: str, end: bool = False) -> int:
        joints.append(_Joint(name, above[-1] if above else -1, np.empty(0), end=end))
        return len(joints) - 1

    def _channels(self, joint: _Joint) -> None:
        count = self.number("the number of channels")
        if count < 0 or count % 1:
            raise self.fail(f"the number of channels cannot be {count:g}")
        for _ in range(int(count)):
            word = self.next("a channel")
            found = _CHANNEL.fullmatch(word)
            if found is None:
                raise self.fail(f"unknown channel '{word[:40]}'")
            joint.channels.append(("XYZ".index(found[1].upper()), found[2].lower(), self.columns))
            self.columns += 1

    def motion(self) -> tuple[Array, float]:
        """The rows (T, columns), and the frame rate."""
        if self.motion_line > len(self.lines):
            raise self.fail("the file has no MOTION", max(1, len(self.lines)))
        rest = [(number, line) for number, line in enumerate(self.lines, 1) if number > self.motion_line and line.strip()]
        frames = self._header(rest[:1], "frames", "Frames: and their number")
        step = self._header(rest[1:2], "frame time", "Frame Time: and seconds")
        try:
            fps = _rate(step)
        except (ValueError, ArithmeticError):
            raise self.fail(f"'{step[:40]}' is no frame time", rest[1][0]) from None
        if not self.columns:
            raise self.fail("no joint has channels, so that there is no motion", self.motion_line)
        if not re.fullmatch(r"[0-9]+", frames):
            raise self.fail(f"Frames: must be followed by a whole number, not '{frames[:40]}'", rest[0][0])
        # More than any file has lines; int() refuses thousands of digits.
        if len(frames.lstrip("0")) > 12:
            raise self.fail(f"{frames[:12]}... frames are announced, but {len(rest) - 2} follow", rest[0][0])
        words = [word for _, line in rest[2:] for word in line.split()]
        try:
            values = numbers(words)
        except ValueError:
            raise self._fault(rest[2:], int(frames), rest[0][0]) from None
        if values.size != int(frames) * self.columns:
            raise self._fault(rest[2:], int(frames), rest[0][0])
        return values.reshape(int(frames), self.columns), fps

    def _header(self, line: list[tuple[int, str]], name: str, what: str) -> str:
        """The word after the name, with or without a colon between them."""
        words = line[0][1].replace(":", " ", 1).split() if line else []
        if " ".join(words[:-1]).lower() != name:
            raise self.fail(f"{what} expected", line[0][0] if line else len(self.lines))
        return words[-1]

    def _fault(self, rows: list[tuple[int, str]], frames: int, header: int) -> FormatError:
        """What is wrong with the rows, and where first."""
        for number, line in rows:
            words = line.split()
            for word in words:
                try:
                    good = np.isfinite(float(word))
                except ValueError:
                    good = False
                if not good:
                    return self.fail(f"'{word[:40]}' is no number", number)
            if len(words) != self.columns:
                return self.fail(f"{len(words)} numbers, but there are {self.columns} channels", number)
        return self.fail(f"{frames} frames are announced, but {len(rows)} follow", header)


def _rate(step: str) -> float:
    """Frames per second of a frame time as written: the whole or the NTSC rate that would be written so, or its inverse."""
    seconds = float(step)
    if not _FRAME_TIMES[0] <= seconds <= _FRAME_TIMES[1]:
        raise ValueError(step)
    exponent = Decimal(step).as_tuple().exponent
    rounding = 10.0 ** int(exponent)
    whole = max(1, round(1 / seconds))
    rate = min((float(whole), whole * 1000 / 1001), key=lambda rate: abs(1 / rate - seconds))
    return rate if abs(1 / rate - seconds) <= rounding else 1 / seconds
