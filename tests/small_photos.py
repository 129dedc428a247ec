"""A small set of labelled photographs in COCO's format: pictures in which people are dots of 17 colours, as in
test_train_spatial."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from test_train_spatial import COLOURS, STANDING

from stpose_core.skeletons import COCO17, H36M17, convert_points

# Places of the face, in the picture of STANDING: nose, eyes and ears, the person's left being on the right.
FACE = ((112, 66), (117, 61), (107, 61), (124, 65), (100, 65))
NAMES = ["nose", *(f"{side}_{part}" for part in ("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")
                   for side in ("left", "right"))]  # fmt: skip


def figure(random: np.random.Generator) -> np.ndarray:
    """COCO's joints (17, 2) of a standing person in a picture of 224 x 288."""
    own = dict(zip(H36M17.joints, STANDING))
    places = [*FACE, *(own[name] for name in COCO17.joints[5:])]
    return np.array(places, float) + random.uniform(-8, 8, (17, 2))


def picture_of(people: list[np.ndarray], size: tuple[int, int], radius: int = 5, ground: int = 20) -> np.ndarray:
    """RGB picture with the 17 joints of H36M17 of each person as dots."""
    picture = np.full((size[1], size[0], 3), ground, np.uint8)
    for person in people:
        for joint, (x, y) in enumerate(convert_points(person, "coco17")):
            cv2.circle(picture, (int(x), int(y)), radius, COLOURS[joint].tolist(), -1)
    return picture


def annotation(image: int, joints: np.ndarray, labels: list[int] | None = None, **more: Any) -> dict[str, Any]:
    """A person's labels; joints without a label are (0, 0, 0), as COCO writes them."""
    labels = labels or [2] * 17
    low, high = joints.min(0) - 8, joints.max(0) + 8
    flat = [value for (x, y), v in zip(joints, labels) for value in ((float(x), float(y), v) if v else (0, 0, 0))]
    box = [*low.tolist(), *(high - low).tolist()]
    return {"image_id": image, "category_id": 1, "bbox": box, "area": float(0.5 * np.prod(high - low)), "iscrowd": 0,
            "keypoints": flat, "num_keypoints": sum(v > 0 for v in labels), **more}  # fmt: skip


SIZE = (560, 640)


def write_photos(folder: Path, count: int = 24, seed: int = 0, ground: int = 20) -> dict[str, Any]:
    """A folder with so many pictures of one person each, all joints visible, and labels.json; its content."""
    (folder / "images").mkdir(parents=True)
    random = np.random.default_rng(seed)
    images, annotations = [], []
    for number in range(count):
        joints = figure(random) + random.uniform(0, 320, 2)
        name = f"{number:03d}.png"
        cv2.imwrite(str(folder / "images" / name), picture_of([joints], SIZE, ground=ground)[..., ::-1])
        images.append({"id": 100 + number, "file_name": name, "width": SIZE[0], "height": SIZE[1]})
        annotations.append({"id": number, **annotation(100 + number, joints)})
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "person", "keypoints": NAMES}]}
    (folder / "labels.json").write_text(json.dumps(content))
    return content


def rewrite(folder: Path, content: dict[str, Any]) -> Path:
    """Writes changed labels; the folder."""
    (folder / "labels.json").write_text(json.dumps(content))
    return folder
