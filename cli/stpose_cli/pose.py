"""`stpose pose`: still pictures in, 2D joints of all people out."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from stpose_cli.commands import ANY, NAME
from stpose_cli.inputs import check_pictures
from stpose_cli.outputs import check_not_input
from stpose_core.errors import DetectorError, OutputError
from stpose_core.files import check_output, written_whole


@click.command()
@click.argument("pictures", nargs=-1, required=True, metavar="IMAGE|FOLDER|@LIST...", type=NAME)
@click.option("-o", "--out", required=True, metavar="FILE.json", type=ANY, help="Output file.")
@click.option(
    "--detector", default="auto", show_default=True, metavar="NAME", help="auto, builtin, mediapipe, rtmpose, a folder of weights."
)
@click.option("--device", default="auto", show_default=True, type=click.Choice(["auto", "cpu", "cuda", "mps"]))
@click.option("--overwrite", is_flag=True, help="Replace FILE if it exists.")
def pose(pictures: tuple[str, ...], out: Path, detector: str, device: str, overwrite: bool) -> None:
    """Detect the 2D joints of all people in pictures.

    FOLDER is a folder of pictures, read in the order of their names. @LIST is a text file with one file or folder per line. A
    picture that is given twice is processed once. If a picture cannot be read, nothing is written.
    """
    from tqdm import tqdm

    from stpose_core import load_detector
    from stpose_core.detect import KeypointFile
    from stpose_core.stills import list_pictures, people_in, read_picture

    if out.suffix.lower() != ".json":
        raise OutputError(f"{out}: the name of the output must end in .json")
    check_output(out, overwrite)
    files = list_pictures(pictures)
    check_pictures(files)
    check_not_input([out], [*files, *(Path(name[1:]) for name in pictures if name.startswith("@"))])
    source = load_detector(detector, device)
    if isinstance(source, KeypointFile):
        raise DetectorError(f"{detector} is a keypoint file; stpose pose needs a detector that processes pictures")
    rows: list[dict[str, Any]] = []
    for file in tqdm(files, unit=" pictures", disable=not sys.stderr.isatty(), file=sys.stderr):
        image = read_picture(file)
        people = [
            {
                "box": [round(value, 2) for value in person.box],
                "score": round(person.score, 4),
                # As in COCO: joints that were not detected are at (0, 0) with score 0. JSON has no NaN.
                "keypoints": [
                    [round(float(x), 2), round(float(y), 2), round(float(score), 4)] if score > 0 else [0, 0, 0]
                    for (x, y), score in zip(person.xy, person.joint_score)
                ],
            }
            for person in people_in(image, source)
        ]
        rows.append({"file": str(file), "width": image.shape[1], "height": image.shape[0], "people": people})
    with written_whole(out, overwrite) as part:
        part.write_text(json.dumps({"skeleton": "h36m17", "images": rows}) + "\n", encoding="utf-8")
    count = sum(len(row["people"]) for row in rows)
    what = f"{len(rows)} {'picture' if len(rows) == 1 else 'pictures'}, {count} {'person' if count == 1 else 'people'}"
    click.echo(f"{what}, detected by {source.name} -> {out}")
