"""How MediaPipe's face mesh answers to each facial action of rendered heads: writes `stpose_core/lift/face.json`.

    python benchmarks/face_responses.py --folder FOLDER

Renders every action alone, at full strength, of some people of `face_films.PEOPLE`, and their resting faces turned in many ways;
pictures that are in FOLDER already are used again. A response is the mean over people and over both sides of the face.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from face_films import Sitter, load_actions
from numpy.typing import NDArray

from stpose_core.data import Array
from stpose_core.detect.faces import Look, box_around
from stpose_core.detect.mediapipe_face import MediaPipeFace
from stpose_core.detect.types import Box
from stpose_core.files import written_whole
from stpose_core.lift import face
from stpose_core.retarget.curves import ARKIT

PEOPLE = (0, 1, 5)
#: Actions that the mesh does not show, or hardly apart from others (see `benchmarks/faces.py --alone`).
UNSEEN = (
    "cheekPuff", "cheekSquintLeft", "cheekSquintRight", "jawForward", "mouthDimpleLeft", "mouthDimpleRight", "mouthPressLeft",
    "mouthPressRight", "mouthShrugLower", "mouthShrugUpper", "noseSneerLeft", "noseSneerRight", "tongueOut",
)  # fmt: skip
TURNS = [(yaw, 0) for yaw in (-40, -30, -20, -10, 10, 20, 30, 40)] + [(0, pitch) for pitch in (-20, -10, 10, 20)]
TURNS += [(yaw, pitch) for yaw in (-20, 20) for pitch in (-15, 15)]
AJAR = 0.6  # of jawOpen, with which mouthClose is measured: its response is that of a jaw that is open behind closed lips
# Of the distance of the eyes' outer corners, by which the iris moves at full strength of eyeLookUp or eyeLookDown. Not measured:
# the network hardly moves the irises of rendered eyes up and down, other than those of real ones.
IRIS_UP = 0.03
# The actions move rendered brows by 6 mm and the network follows by half of that; lids likewise. In real clips it sees them move
# further.
FURTHER = {"brow": 1.6, "eyeWide": 1.5, "eyeSquint": 1.5}
JITTER = 0.008  # of the distance of the eyes' outer corners: what a distance varies by from frame to frame in real clips
_UPPER = [name.startswith(("lids", "lower_lid", "iris", "inner_brow", "outer_brow", "brow")) for name in face.DISTANCES]
Pose = tuple[str, int, int]


def pictures(number: int, folder: Path, size: int = 224) -> dict[Pose, NDArray[np.uint8]]:
    """The pictures of a person by action, yaw and pitch: rendered, or from a file in the folder."""
    path = folder / f"responses{number}.npz"
    if not path.is_file():
        sitter = Sitter(number, load_actions(folder / "actions.npz"), size, closeup=True)
        wanted: dict[Pose, dict[str, float]] = {("", yaw, pitch): {} for yaw, pitch in [(0, 0), *TURNS]}
        wanted.update({(name, 0, 0): {name: 1.0} for name in ARKIT if name != "mouthClose"})
        wanted["mouthClose", 0, 0] = {"jawOpen": AJAR, "mouthClose": AJAR}
        drawn = {key: sitter.picture(action, key[1], key[2]) for key, action in wanted.items()}
        names = ["|".join(map(str, key)) for key in drawn]
        np.savez_compressed(path, names=np.array(names), pictures=np.stack(list(drawn.values())))
    with np.load(path, allow_pickle=False) as data:
        keys = [str(name).split("|") for name in data["names"]]
        return {(key[0], int(key[1]), int(key[2])): picture for key, picture in zip(keys, data["pictures"])}


def landmarks(look: Look, picture: NDArray[np.uint8]) -> Array:
    """(N, 3) those of `lift.face.LANDMARKS` in a close-up."""
    height, width = picture.shape[:2]
    view = look(picture, Box(0.15 * width, 0.15 * height, 0.85 * width, 0.85 * height))
    for _ in range(2):
        view = look(picture, box_around(view.xyz[:468, :2]))
    return np.asarray(view.xyz[face.LANDMARKS], dtype=np.float64)


def mirrored(name: str) -> str:
    """The action of the other side."""
    for one, other in (("Left", "Right"), ("Right", "Left")):
        if name.endswith(one):
            return name.removesuffix(one) + other
    return name


def _swap() -> tuple[NDArray[np.intp], Array]:
    """The distances of the mirrored face: their order, and their signs."""
    names = list(face.DISTANCES)
    order, signs = [], []
    for name in names:
        stem, _, side = name.rpartition("_")
        other = f"{stem}_{'r' if side == 'l' else 'l'}" if side in ("l", "r") else name
        order.append(names.index(other))
        signs.append(-1.0 if name in ("jaw_left", "mouth_left") else 1.0)
    return np.array(order), np.array(signs)


def mean_face(rest: list[Array]) -> Array:
    """(R, 3) the rigid landmarks of the mean of resting faces, symmetric, the middle of the eyes at the origin."""
    rigid = [face.LANDMARKS.index(index) for index in face.RIGID]
    other = dict([*face.PAIRS, *((left, right) for right, left in face.PAIRS)])
    order = [face.RIGID.index(other.get(index, index)) for index in face.RIGID]
    outer = [face.RIGID.index(index) for index in (33, 263)]
    sized = []
    for points in rest:
        shape = points[rigid] * np.array([1.0, -1.0, -1.0])
        shape = shape - shape[face.RIGID.index(168)]
        sized.append(shape / np.linalg.norm(shape[outer[1]] - shape[outer[0]]))
    mean = np.asarray(np.mean(sized, axis=0))
    return np.asarray((mean + mean[order] * np.array([-1.0, 1.0, 1.0])) / 2)


def main() -> None:
    """Measure, and write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--people", type=int, nargs="+", default=PEOPLE)
    parser.add_argument("-o", "--out", type=Path, default=Path(face.__file__).with_suffix(".json"))
    parser.add_argument(
        "--landmarks", type=Path, help="write only the landmarks, of the first person, as tests/test_face.py reads them"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    look = MediaPipeFace()
    people = [{key: landmarks(look, picture) for key, picture in pictures(n, options.folder).items()} for n in options.people]
    if options.landmarks is not None:
        names = np.array(["|".join(map(str, key)) for key in people[0]])
        hundredths = np.round(100 * np.stack(list(people[0].values()))).astype(np.int16)
        np.savez_compressed(options.landmarks, names=names, hundredths=hundredths)
        return
    content = measured(people)
    with written_whole(options.out, overwrite=True) as partial:
        partial.write_text(_text(content), encoding="utf-8", newline="\n")


def measured(people: list[dict[Pose, Array]]) -> dict[str, object]:
    """The content of the file, from the landmarks of each person's pictures."""
    mean = mean_face([person["", 0, 0] for person in people])
    order, signs = _swap()

    def change(person: dict[Pose, Array], key: Pose) -> Array:
        shapes, _ = face.face_shapes(np.stack([person[key], person["", 0, 0]]), mean)
        found = face.distances(shapes)
        return np.asarray(found[0] - found[1])

    leaks, turns = [], []
    for person in people:
        for yaw, pitch in TURNS:
            off = change(person, ("", yaw, pitch))
            way = face.of_turn(face.face_shapes(person["", yaw, pitch][None], mean)[1])[0]
            leaks += [off, off[order] * signs]
            turns += [way, way * np.array([-1.0, 1.0, 1.0, 1.0])]
    turned = np.linalg.lstsq(np.array(turns), np.array(leaks), rcond=None)[0]
    left_over = np.array(leaks) - np.array(turns) @ turned
    near = np.abs(np.array(turns)[:, 0]) < np.radians(35)
    sigma = np.sqrt((left_over[near] ** 2).mean(axis=0) + JITTER**2)

    def response(name: str) -> Array:
        found = []
        for person in people:
            found += [change(person, (name, 0, 0)), change(person, (mirrored(name), 0, 0))[order] * signs]
        mean = np.asarray(np.mean(found, axis=0)) / (AJAR if name == "mouthClose" else 1.0)
        for side in "lr":
            out, up = face.DISTANCES.index(f"iris_out_{side}"), face.DISTANCES.index(f"iris_up_{side}")
            if name.startswith("eyeBlink"):
                mean[[out, up]] = 0.0  # `lift.face` leaves out the iris of a closed eye
            if name.startswith("eyeLook") and name.lower().endswith({"l": "left", "r": "right"}[side]):
                mean[up] = IRIS_UP * (("Up" in name) - 1.0 * ("Down" in name))
        mean[[upper != name.startswith(("brow", "eye")) for upper in _UPPER]] = 0.0
        return mean * next((factor for start, factor in FURTHER.items() if name.startswith(start)), 1.0)

    rest = np.stack([person["", 0, 0] for person in people])
    lids = face.distances(face.face_shapes(rest, mean)[0])[:, [face.DISTANCES.index("lids_l"), face.DISTANCES.index("lids_r")]]
    return {
        "about": "benchmarks/face_responses.py writes this file; thousandths",
        "distances": list(face.DISTANCES),
        "mean": _thousandths(mean),
        "lids": round(1000 * float(lids.mean())),
        "sigma": _thousandths(sigma),
        "turned": _thousandths(turned),
        "responses": {name: _thousandths(response(name)) for name in ARKIT if name not in UNSEEN},
    }


def _thousandths(values: Array) -> list[object]:
    return np.round(1000 * values).astype(int).tolist()


def _text(content: dict[str, object]) -> str:
    """JSON with one row of numbers a line."""
    lines = []
    for name, value in content.items():
        if isinstance(value, dict):
            rows = ",\n".join(f"  {json.dumps(key)}: {json.dumps(row)}" for key, row in value.items())
            lines.append(f" {json.dumps(name)}: {{\n{rows}\n }}")
        else:
            lines.append(f" {json.dumps(name)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    main()
