"""Real people without labels: that they are found, drawn evenly, and that what the averaged weights see of them is taught rightly.

The people are dots of 17 colours; the network that finds them is one that knows the colours.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from stpose_training.loop import make_fabric
from stpose_training.spatial import run as runs
from stpose_training.spatial.crops import Crops, find_boxes, people_in
from stpose_training.spatial.feed import Batch
from stpose_training.spatial.footage import follow, pairs, pseudo_labels
from stpose_training.spatial.recipe import SpatialPaths
from stpose_training.spatial.run import Run, Step, train
from stpose_training.synth.cache import decode
from stpose_training.synth.pictures import VISIBLE
from test_train_spatial import COLOURS, STANDING, TINY, short, write_dots
from torch import Tensor, nn

from stpose_core.errors import FormatError, TrainingError
from stpose_core.networks.spatial import SpatialOutput
from stpose_core.skeletons import H36M17
from stpose_core.video import read_frames

SIZE, CPU = (96, 128), torch.device("cpu")


class Knowing(nn.Module):
    """Finds the dots by their colours; is sure where they are, and unsure where there are none."""

    def __init__(self) -> None:
        super().__init__()
        self.colours = torch.tensor(COLOURS / 255 - 0.5, dtype=torch.float32)

    def forward(self, pictures: Tensor) -> SpatialOutput:
        small = nn.functional.avg_pool2d(pictures.float(), 4)
        far = (small[:, None] - self.colours[None, :, :, None, None]).square().sum(2)
        return SpatialOutput(-400 * far, torch.full((len(pictures), 17), -5.0))


LEGS = H36M17.index("l_knee", "l_ankle", "r_knee", "r_ankle")


class Consistent(Knowing):
    """Reads the second half of its pictures as mirror images of the first: sides exchanged."""

    def forward(self, pictures: Tensor) -> SpatialOutput:
        found = super().forward(pictures)
        plain, mirrored = found.maps.chunk(2)
        return SpatialOutput(torch.cat((plain, mirrored[:, list(H36M17.mirror)])), found.hidden)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def dots(width: int, height: int, people: list[tuple[float, float, float]]) -> np.ndarray:
    """A picture with people at (left, top), so many times as large as STANDING; the dots fill most of their bodies."""
    picture = np.full((height, width, 3), 20, np.uint8)
    for left, top, scale in people:
        for joint, (x, y) in enumerate(STANDING):
            cv2.circle(picture, (int(left + x * scale), int(top + y * scale)), int(8 * scale), COLOURS[joint].tolist(), -1)
    return picture


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    films = tmp_path / "films"
    (films / "photos").mkdir(parents=True)
    for name, left in (("park_1", 18), ("park_2", 58)):
        writer = cv2.VideoWriter(str(films / f"{name}.mp4"), cv2.VideoWriter_fourcc(*"mp4v"), 10, (480, 320))
        for frame in range(40):
            writer.write(dots(480, 320, [(left + 2 * frame, 10, 1.0)])[..., ::-1])
        writer.release()
        assert len(list(read_frames(films / f"{name}.mp4"))) == 40
    for name in ("a", "b", "c"):
        cv2.imwrite(str(films / "photos" / f"{name}.png"), dots(400, 300, [(40, 5, 1.0)])[..., ::-1])
    cv2.imwrite(str(films / "photos" / "empty.png"), dots(400, 300, []))
    (films / "photos" / "broken.jpg").write_bytes(b"no picture")
    return films


def test_people_are_found_where_they_are() -> None:
    picture = dots(700, 320, [(60, 10, 1.0), (380, 60, 0.8)])
    boxes = sorted(find_boxes(Knowing(), picture, SIZE, CPU), key=lambda box: box[0])
    assert len(boxes) == 2
    for box, (left, top, scale) in zip(boxes, ((60, 10, 1.0), (380, 60, 0.8))):
        places = np.array(STANDING) * scale + (left, top)
        low, high = places.min(0), places.max(0)
        shared = np.clip(np.minimum(box[2:], high) - np.maximum(box[:2], low), 0, None).prod()
        assert shared > 0.6 * max((high - low).prod(), (box[2:] - box[:2]).prod())
    assert find_boxes(Knowing(), dots(400, 300, []), SIZE, CPU) == []


def test_people_of_a_folder_are_kept_and_read_again(folder: Path, tmp_path: Path) -> None:
    said: list[str] = []
    crops = people_in(folder, kept=tmp_path / "kept.npz", network=Knowing(), size=SIZE, device=CPU, say=said.append)
    assert set(crops.source) == {"park", "a", "b", "c"}
    assert (crops.clip == (crops.source == "park")).all()
    assert 6 <= crops.clip.sum() <= 8  # three frames of each of two clips; a part of the figure may be taken for a second one
    for page, before, after, clip in zip(crops.jpeg, crops.before, crops.after, crops.clip):
        assert bool(len(before)) == bool(len(after)) == clip
        if clip:  # the figure moves by two pixels a frame, the piece of the picture stays
            earlier, now, later = (decode(picture).max(-1) > 90 for picture in (before, page, after))
            assert decode(before).shape == decode(page).shape == decode(after).shape
            for one, following in ((earlier, now), (now, later)):
                assert (one[:, :-2] == following[:, 2:]).mean() > max(0.97, (one == following).mean())
    assert any("broken.jpg" in line for line in said)
    for page, box in zip(crops.jpeg, crops.box):
        height, width = decode(page).shape[:2]
        assert ((box >= -14) & (box <= (width + 14, height + 14, width + 14, height + 14))).all()
        assert box[3] - box[1] > 0.5 * height
    again = people_in(
        folder, kept=tmp_path / "kept.npz", network=Knowing(), size=SIZE, device=CPU, say=lambda text: pytest.fail("searched again")
    )
    np.testing.assert_array_equal(again.box, crops.box)
    for one, other in ((again.jpeg, crops.jpeg), (again.before, crops.before), (again.after, crops.after)):
        assert all(np.array_equal(page, same) for page, same in zip(one, other, strict=True))
    (tmp_path / "kept.npz").write_bytes(b"nothing")
    with pytest.raises(FormatError, match="remove it"):
        people_in(folder, kept=tmp_path / "kept.npz", network=Knowing(), size=SIZE, device=CPU, say=said.append)
    (tmp_path / "none").mkdir()
    with pytest.raises(TrainingError, match="no clips"):
        people_in(tmp_path / "none", kept=tmp_path / "other.npz", network=Knowing(), size=SIZE, device=CPU, say=said.append)
    cv2.imwrite(str(tmp_path / "none" / "empty.png"), dots(400, 300, []))
    with pytest.raises(TrainingError, match="no person was found"):
        people_in(tmp_path / "none", kept=tmp_path / "other.npz", network=Knowing(), size=SIZE, device=CPU, say=said.append)


def crops_of(count: int, sources: list[str], clip: list[bool]) -> Crops:
    page = cv2.imencode(".png", dots(224, 288, [(0, 0, 1.0)])[..., ::-1])[1].reshape(-1)
    box = np.tile(np.concatenate([np.min(STANDING, 0), np.max(STANDING, 0)]).astype(float), (count, 1))
    none = [np.zeros(0, np.uint8)] * count
    return Crops([page] * count, box, np.array(sources), np.array(clip), none, none)


def test_sources_are_drawn_alike_however_many_people_they_hold() -> None:
    crops = crops_of(40, ["long"] * 30 + ["short"] + list("abcdefghi"), [True] * 31 + [False] * 9)
    for number, page in enumerate(crops.jpeg):  # each is known by its brightness
        picture = np.full((60, 40, 3), 5 * number + 20, np.uint8)
        crops.jpeg[number] = cv2.imencode(".png", picture)[1].reshape(-1) if len(page) else page
        crops.box[number] = (10, 10, 30, 50)
    drawn = next(pairs(crops, size=(32, 32), count=600, seed=0, device=CPU)).plain[:, 0, 16, 16]
    number = ((drawn + 0.5) * 255 - 20).div(5).round()
    assert 0.2 < (number == 30).float().mean() < 0.3  # the one of "short": half of the clips' half
    assert 0.44 < (number > 30).float().mean() < 0.56


def test_what_the_teacher_sees_is_taught_where_it_lies_in_the_changed_view(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stpose_training.vision.pixels.recoloured", lambda pictures, seed: pictures)
    seen = next(pairs(crops_of(1, ["a"], [False]), size=(192, 256), count=40, seed=1, device=CPU))
    lesson = pseudo_labels(Consistent(), seen, 0.55)
    known = lesson.state == VISIBLE
    assert known.float().mean() > 0.7
    # Where a picture and its mirror image are read differently, as by one who knows sides by colours, sides are not taught.
    paired = torch.arange(17) != torch.tensor(H36M17.mirror)
    assert not (pseudo_labels(Knowing(), seen, 0.55).state == VISIBLE)[:, paired].any()
    assert 8 < seen.mirrored.sum() < 32

    def right(places: Tensor, mirror: Tensor) -> float:
        """Share of the taught places at which the changed view has the colour of the joint, exchanged where mirrored."""
        x, y = places.long().unbind(-1)
        rows = torch.arange(len(places))[:, None]
        colour = seen.changed.permute(0, 2, 3, 1)[rows, y.clamp(0, 255), x.clamp(0, 191)]
        own = torch.arange(17).expand(len(places), 17)
        own = torch.where(mirror[:, None], torch.tensor(H36M17.mirror)[own], own)
        wanted = torch.tensor(COLOURS / 255 - 0.5, dtype=torch.float32)[own]
        return float(((colour - wanted).abs().sum(-1) < 0.35)[known].float().mean())

    assert right(lesson.joints, seen.mirrored) > 0.8  # some lie in holes
    # The controls: without the way from one view to the other, or without exchanged sides.
    assert right(lesson.joints, ~seen.mirrored) < 0.5
    still = seen.matrix.clone()
    seen.matrix[:] = torch.eye(2, 3)
    assert right(pseudo_labels(Consistent(), seen, 0.5).joints, seen.mirrored) < 0.5
    seen.matrix[:] = still
    assert not (pseudo_labels(Knowing(), seen, 1.01).state == VISIBLE).any()  # nothing is trusted

    class Legless(Consistent):
        """Knows places for legs, but that they cannot be seen, as where the picture ends above them."""

        def forward(self, pictures: Tensor) -> SpatialOutput:
            found = super().forward(pictures)
            found.hidden[:, LEGS] = 5.0
            return found

    without = pseudo_labels(Legless(), seen, 0.55).state == VISIBLE
    assert known[:, LEGS].any()
    assert not without[:, LEGS].any()
    others = [joint for joint in range(17) if joint not in LEGS]
    assert without[:, others].sum() > 0.9 * known[:, others].sum()


def test_joints_are_followed_through_time() -> None:
    sure, place = torch.tensor([[0.9]]), torch.tensor([[[50.0, 80.0]]])

    def followed(now: Tensor, step: Tensor, now_sure: float, ends: float = 0.9) -> tuple[Tensor, float]:
        found = follow(
            (now, torch.full_like(sure, now_sure)), (place - step, sure * ends / 0.9), (place + step, sure * ends / 0.9), 0.6, 256
        )
        return found[0], float(found[1])

    little, far = torch.tensor([3.0, 1.0]), torch.tensor([20.0, 0.0])
    # On its way: where it is, as sure as it is there or around.
    near = place + 4
    assert torch.equal(followed(near, little, 0.2)[0], near)
    assert followed(near, little, 0.2)[1] == pytest.approx(0.9)
    assert followed(near, little, 0.8, ends=0.3)[1] == pytest.approx(0.8)
    # For a moment at the other side of the body: back to where it was and will be.
    away = place + torch.tensor([60.0, 0.0])
    assert torch.equal(followed(away, little, 0.95)[0], place)
    assert followed(away, little, 0.95)[1] == pytest.approx(0.9)
    # If the ends are not trusted, or far apart, nobody knows.
    assert followed(away, little, 0.95, ends=0.5)[1] == 0
    assert followed(away, far, 0.95)[1] == 0
    # Something quick may be anywhere about its way.
    assert followed(place + 15, far, 0.7)[1] == pytest.approx(0.9)
    assert followed(place + 15, little, 0.7)[0].equal(place)


def wrists_exchanged(found: SpatialOutput, looks: tuple[int, ...]) -> SpatialOutput:
    """The left wrist on the right one in some of the four looks: now, before, after, wide; each is mirrored as well."""
    wrist, other = H36M17.index("l_wrist", "r_wrist")
    maps = [part.clone() for part in found.maps.chunk(8)]
    for look in looks:
        maps[look][:, wrist] = found.maps.chunk(8)[look][:, other]
        maps[4 + look][:, other] = found.maps.chunk(8)[4 + look][:, wrist]
    return SpatialOutput(torch.cat(maps), found.hidden)


class Near(Consistent):
    """Takes the left wrist for the right one, in all frames, but only from near by."""

    looks: tuple[int, ...] = (0, 1, 2)

    def forward(self, pictures: Tensor) -> SpatialOutput:
        return wrists_exchanged(super().forward(pictures), self.looks)


class Everywhere(Near):
    """The same in the wider look as well."""

    looks = (0, 1, 2, 3)


def test_what_a_wider_look_tells_otherwise_is_taught_as_it_tells() -> None:
    seen = next(pairs(crops_of(1, ["a"], [False]), size=(192, 256), count=40, seed=1, device=CPU))
    own = torch.where(seen.mirrored, *H36M17.index("r_wrist", "l_wrist"))
    rows = torch.arange(40)
    right, corrected, wrong = (pseudo_labels(network, seen, 0.4) for network in (Consistent(), Near(), Everywhere()))

    def apart(lesson: Batch) -> Tensor:
        both = (lesson.state == VISIBLE) & (right.state == VISIBLE)
        assert both[rows, own].sum() > 10
        return (lesson.joints - right.joints).norm(dim=-1)[rows, own][both[rows, own]]

    assert apart(corrected).max() < 12
    assert apart(wrong).min() > 20  # the control: what all looks tell is believed
    others = torch.ones_like(right.state, dtype=torch.bool)
    others[rows, own] = False
    assert torch.equal(corrected.state[others], right.state[others])


def test_what_a_wider_look_is_not_sure_of_is_not_taught_and_two_people_neither() -> None:
    seen = next(pairs(crops_of(1, ["a"], [False]), size=(192, 256), count=40, seed=1, device=CPU))
    wrist = H36M17.index("l_wrist")[0]

    class Doubting(Near):
        """In the wider look the wrist may be anywhere."""

        def forward(self, pictures: Tensor) -> SpatialOutput:
            found = super().forward(pictures)
            for part in (3, 7):
                found.maps.chunk(8)[part][:, [wrist, H36M17.mirror[wrist]]] = 0.0
            return found

    class Another(Consistent):
        """In the wider view another person is found: everything lies elsewhere, with confidence."""

        def forward(self, pictures: Tensor) -> SpatialOutput:
            found = super().forward(pictures)
            maps = [*found.maps.chunk(8)]
            maps[3], maps[7] = maps[3].roll(12, -1), maps[7].roll(-12, -1)
            return SpatialOutput(torch.cat(maps), found.hidden)

    own = torch.where(seen.mirrored, *H36M17.index("r_wrist", "l_wrist"))
    rows = torch.arange(40)
    assert (pseudo_labels(Near(), seen, 0.4).state == VISIBLE)[rows, own].any()
    assert not (pseudo_labels(Doubting(), seen, 0.4).state == VISIBLE)[rows, own].any()
    assert (pseudo_labels(Consistent(), seen, 0.4).state == VISIBLE).any()
    assert not (pseudo_labels(Another(), seen, 0.4).state == VISIBLE).any()


def test_a_joint_that_jumps_for_a_moment_is_taught_where_it_belongs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stpose_training.vision.pixels.recoloured", lambda pictures, seed: pictures)

    class Jumping(Consistent):
        """Takes the left wrist for the right one in the plain and wide views, but not in the frames around."""

        def forward(self, pictures: Tensor) -> SpatialOutput:
            return wrists_exchanged(super().forward(pictures), (0, 3))

    crops = crops_of(1, ["a"], [True])
    filmed = Crops(crops.jpeg, crops.box, crops.source, crops.clip, crops.jpeg, crops.jpeg)

    def apart(crops: Crops) -> float:
        seen = next(pairs(crops, size=(192, 256), count=40, seed=1, device=CPU))
        assert seen.filmed.all() == bool(len(crops.before[0]))
        right, wrong = (pseudo_labels(network, seen, 0.55) for network in (Consistent(), Jumping()))
        both = (right.state == VISIBLE) & (wrong.state == VISIBLE)
        far = torch.where(both, (right.joints - wrong.joints).norm(dim=-1), 0.0)
        own = torch.where(seen.mirrored, *H36M17.index("r_wrist", "l_wrist"))
        assert both[torch.arange(40), own].any()
        return float(far[torch.arange(40), own].max())

    # What lasts is not sure for that: sides that are read differently in the mirror image are not taught.
    paired = torch.arange(17) != torch.tensor(H36M17.mirror)
    seen = next(pairs(filmed, size=(192, 256), count=40, seed=1, device=CPU))
    assert not (pseudo_labels(Knowing(), seen, 0.55).state == VISIBLE)[:, paired].any()
    assert apart(filmed) < 4
    assert apart(crops) > 20  # the control: without the frames around, the wrong place is taught


def test_footage_joins_a_run_after_its_share(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    write_dots(cache, "train", 0)
    write_dots(cache, "validation", 0)
    found = runs.people_in

    def helped(place: Path, **options: Any) -> Crops:
        return found(place, **{**options, "network": Knowing()})

    monkeypatch.setattr(runs, "people_in", helped)
    joined, learn = [], Run.learn

    def noted(self: Run, batch: Step) -> dict[str, float]:
        joined.append(batch[1] is not None)
        return learn(self, batch)

    monkeypatch.setattr(Run, "learn", noted)
    recipe, state = short(samples=320, alone=0.5, trust=0.0, judge_every=320), tmp_path / "run"
    paths = SpatialPaths(cache=cache, output=tmp_path / "w.safetensors", state=state, footage=folder)
    train(paths, config=TINY, recipe=recipe, fabric=make_fabric("cpu"), say=lambda text: None)
    assert joined == [False] * 10 + [True] * 10
    row = json.loads((state / "log.jsonl").read_text().splitlines()[-1])["train"]
    assert row["pseudo_labels"] > 0
    assert row["footage"] > 0
    assert (state / "footage.npz").is_file()
