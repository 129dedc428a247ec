"""Labelled photographs: their format, their conversion, and what the networks learn from them."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from small_photos import NAMES, annotation, figure, picture_of, rewrite, write_photos
from stpose_cli.main import run as stpose
from stpose_training.data import coco
from stpose_training.data.coco import as_h36m, read_photos
from stpose_training.finder.feed import FOUND, NO_PERSON, UNCLEAR, drawn_frame, feed_frames
from stpose_training.finder.measure import photo_frames
from stpose_training.finder.recipe import Recipe as FinderRecipe
from stpose_training.loop import make_fabric
from stpose_training.spatial.feed import Batch, Source, Stock, drawn_view, feed
from stpose_training.spatial.losses import spatial_loss
from stpose_training.spatial.measure import LIMBS
from stpose_training.spatial.oks import average_recall, judge_photos, oks, photo_truth
from stpose_training.spatial.recipe import Recipe, SpatialPaths
from stpose_training.spatial.run import train
from stpose_training.synth.cache import decode, read_shard, shards
from stpose_training.synth.pictures import HIDDEN, OUTSIDE, UNKNOWN, VISIBLE
from stpose_training.vision.labelled import CROWD, joined, people_of, pictures_of, prepare
from test_finder import write_frames
from test_train_spatial import COLOURS, SIZE, TINY, short, write_cache, write_dots

from stpose_core.detect.networks import load_spatial
from stpose_core.errors import FormatError, TrainingError
from stpose_core.networks import configs
from stpose_core.networks.spatial import SpatialNetwork, SpatialOutput
from stpose_core.skeletons import COCO17, H36M17

CPU = torch.device("cpu")
MIRROR = np.array(H36M17.mirror)


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    monkeypatch.setitem(configs.PRESETS, "small", TINY)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    write_photos(tmp_path / "photos")
    return tmp_path / "photos"


def labels_of(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "labels.json").read_text())
    return content


def test_photographs_are_read_with_their_people(photos: Path) -> None:
    content = labels_of(photos)
    joints = np.array(content["annotations"][0]["keypoints"]).reshape(17, 3)[:, :2]
    content["annotations"][0]["keypoints"][0:3] = [0, 0, 0]
    content["annotations"][0]["keypoints"][5] = 1
    content["annotations"] += [
        {"id": 900, **annotation(100, joints + 3, iscrowd=1)},
        {"id": 901, "image_id": 100, "category_id": 7, "bbox": [0, 0, 10, 10]},  # a dog
        {"id": 902, "image_id": 101, "category_id": 1, "bbox": [5, 6, 70, 80]},
    ]
    content["categories"].append({"id": 7, "name": "dog"})
    content["images"].append({"id": 7, "file_name": "empty.png", "width": 40, "height": 30})
    cv2.imwrite(str(photos / "empty.png"), np.zeros((30, 40, 3), np.uint8))
    read = read_photos(rewrite(photos, content))
    assert [len(photo.box) for photo in read] == [2, 2, *[1] * 22, 0]
    first, second = read[0], read[1]
    assert first.crowd.tolist() == [False, True]
    assert first.labels[0, :3].tolist() == [coco.UNLABELLED, coco.HIDDEN, coco.VISIBLE]
    assert np.isnan(first.joints[0, 0]).all()
    np.testing.assert_allclose(first.joints[0, 1:], joints[1:])
    assert second.box[1].tolist() == [5, 6, 75, 86]
    assert (second.labels[1] == coco.UNLABELLED).all()
    assert second.area[1] == pytest.approx(0.5 * 70 * 80), "without an outline's area, half of the box"
    assert read_photos(photos / "labels.json")[0].path == first.path, "the file may be given as well as its folder"


def test_damaged_labels_are_an_error_in_one_line(photos: Path) -> None:
    whole = labels_of(photos)

    def damaged(change: Callable[[dict[str, Any]], object]) -> Path:
        content = copy.deepcopy(whole)
        change(content)
        return rewrite(photos, content)

    person: Callable[[dict[str, Any]], dict[str, Any]] = lambda content: content["annotations"][3]  # noqa: E731
    outside = photos.parent / "secret.png"
    outside.write_bytes((photos / "images" / "000.png").read_bytes())
    for change, message in (
        (lambda c: c.pop("images"), "'images' is no list"),
        (lambda c: c.update(images=[]), "names picture 100, which is not in the file"),
        (lambda c: c.update(images=[], annotations=[]), "names no pictures"),
        (lambda c: person(c).update(keypoints=[1, 2, 2]), "must be 51 finite numbers"),
        (lambda c: person(c)["keypoints"].__setitem__(0, float("nan")), "must be 51 finite numbers"),
        (lambda c: person(c)["keypoints"].__setitem__(2, 3), "not all 0, 1 or 2"),
        (lambda c: person(c).update(bbox=["a", 1, 2, 3]), "'bbox' of an annotation must be 4"),
        (lambda c: person(c).update(image_id=5), "picture 5, which is not in the file"),
        (lambda c: c["images"][0].update(file_name="../secret.png"), "which is not in"),
        (lambda c: c["images"][0].update(file_name="none.png"), "which is not in"),
        (lambda c: c["images"][0].update(width="wide"), "'width' must be a whole number"),
        (lambda c: c["categories"][0].update(keypoints=NAMES[::-1]), "not the 17 of COCO"),
    ):
        with pytest.raises(FormatError) as error:
            read_photos(damaged(change))
        assert message in str(error.value)
        assert "\n" not in str(error.value)
    for text in ("[]", "{", "[" * 100_000):
        (photos / "labels.json").write_text(text)
        with pytest.raises(FormatError, match=r"labels\.json is not"):
            read_photos(photos)
    (photos / "more.json").write_text("{}")
    with pytest.raises(FormatError, match=r"several \.json files"):
        read_photos(photos)
    rewrite(photos, whole)
    (photos / "images" / "002.png").write_bytes((photos / "images" / "001.png").read_bytes()[:200])
    with pytest.raises(FormatError, match=r"002\.png is not a picture"):
        list(people_of(read_photos(photos / "labels.json")))
    cv2.imwrite(str(photos / "images" / "002.png"), np.zeros((30, 40, 3), np.uint8))
    with pytest.raises(FormatError, match="40 x 30 pixels, its labels are for 560 x 640"):
        list(people_of(read_photos(photos / "labels.json")))


def test_coco_joints_become_ours_as_fitted() -> None:
    joints = figure(np.random.default_rng(0))[None]
    labels = np.full((1, 17), 2, np.uint8)
    own = {name: joints[0, number] for number, name in enumerate(COCO17.joints)}
    found, state = as_h36m(joints, labels)
    place = dict(zip(H36M17.joints, found[0]))
    assert (state == coco.VISIBLE).all()
    for name in ("l_shoulder", "r_elbow", "l_wrist", "r_knee"):
        np.testing.assert_allclose(place[name], own[name])
    hip = 0.96 * own["r_hip"] + 0.014 * own["l_hip"] + 0.013 * (own["l_shoulder"] + own["r_shoulder"])
    np.testing.assert_allclose(place["r_hip"], hip)
    np.testing.assert_allclose(place["l_ankle"], 1.046 * own["l_ankle"] - 0.046 * own["l_knee"])
    assert place["head_top"][1] < place["head"][1] < place["neck"][1] < place["pelvis"][1]

    def states(**changed: int) -> dict[str, int]:
        other = labels.copy()
        for name, label in changed.items():
            other[0, COCO17.joints.index(name)] = label
        return dict(zip(H36M17.joints, as_h36m(joints, other)[1][0].tolist()))

    assert states(l_wrist=0)["l_wrist"] == coco.UNLABELLED
    assert states(l_wrist=1)["l_wrist"] == coco.HIDDEN
    assert states(l_ankle=1)["l_ankle"] == coco.HIDDEN
    assert states(l_ankle=1)["r_ankle"] == coco.VISIBLE
    faceless = states(nose=0, l_eye=0, r_eye=0, l_ear=0, r_ear=0)
    assert [faceless[name] for name in ("head", "head_top", "neck")] == [coco.UNLABELLED, coco.UNLABELLED, coco.VISIBLE]
    half = states(r_hip=0)
    assert half["pelvis"] == half["spine"] == half["r_hip"] == coco.UNLABELLED
    assert half["l_hip"] == coco.VISIBLE


def test_people_are_cut_out_and_every_twentieth_picture_is_kept_apart(photos: Path, tmp_path: Path) -> None:
    content = labels_of(photos)
    joints = figure(np.random.default_rng(1))
    content["annotations"] += [
        {"id": 900, **annotation(100, joints, [2] * 3 + [0] * 14)},  # hardly labelled
        {"id": 901, **annotation(101, 0.05 * joints)},  # tiny
        {"id": 902, **annotation(102, joints, iscrowd=1)},
        {"id": 903, **annotation(103, joints + 2000)},  # not in the picture
    ]
    said: list[str] = []
    folder = prepare(rewrite(photos, content), tmp_path / "shards", said.append)
    people = [read_shard(path) for path in shards(folder, "people-train")]
    assert sum(len(shard.jpeg) for shard in people) == 23
    (apart,) = (read_shard(path) for path in shards(folder, "people-validation"))
    assert len(apart.jpeg) == 1
    assert len(read_shard(shards(folder, "pictures-train")[0]).jpeg) == 23
    assert "23 labelled people" in said[0]
    right = 0
    for row in range(23):
        picture = decode(people[0].jpeg[row]).astype(int)
        assert picture.shape[0] <= 448
        for joint in range(17):
            x, y = people[0].joints[row, 0, joint].astype(int)
            right += bool(np.abs(picture[y, x] - COLOURS[joint]).sum() < 90)
    assert right > 0.9 * 23 * 17
    before = (folder / "source.json").stat().st_mtime_ns
    prepare(photos, folder, lambda text: pytest.fail("made again"))
    assert (folder / "source.json").stat().st_mtime_ns == before
    content["annotations"] = content["annotations"][:5]
    prepare(rewrite(photos, content), folder, said.append)
    assert "5 labelled people" in said[-1]
    content["annotations"] = []
    with pytest.raises(TrainingError, match="no person has 4 labelled joints"):
        prepare(rewrite(photos, content), folder, said.append)


def right_and_mirrored(stock: Stock, count: int = 60) -> tuple[float, float]:
    """Share of visible joints at which a view has the colour of the joint or of its mirror image, and of these, that of the
    joint."""
    right = wrong = there = 0
    for seed in range(count):
        view = drawn_view(stock, np.random.default_rng(seed), (192, 256))
        for joint in np.flatnonzero(view.state == VISIBLE):
            x, y = view.joints[joint].astype(int)
            near = view.picture[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3].reshape(-1, 3).astype(int)
            own, other = (np.abs(near - COLOURS[which]).sum(1).min() < 60 for which in (joint, MIRROR[joint]))
            there += 1
            right += bool(own)
            wrong += bool(other and not own)
    assert there > 5 * count
    return (right + wrong) / there, right / max(1, right + wrong)


def test_labels_follow_photographs_however_they_are_seen(photos: Path) -> None:
    shard = joined(people_of(read_photos(photos)))
    found, plain = right_and_mirrored(Stock((), photos=(shard,), labelled=1.0))
    assert found > 0.85
    assert 0.3 < plain < 0.8, "half of the views are mirrored, and sides exchanged with them"
    # The control: labels elsewhere, or of the other side, are not where the dots are.
    moved = replace(shard, joints=shard.joints + 15)
    assert right_and_mirrored(Stock((), photos=(moved,), labelled=1.0))[0] < 0.4


def test_unknown_joints_stay_unknown_in_every_view(photos: Path) -> None:
    content = labels_of(photos)
    elbow, wrists = 7, (9, 10)  # of COCO: the left elbow, both wrists
    for person in content["annotations"]:
        for joint in (elbow, *wrists):
            person["keypoints"][3 * joint : 3 * joint + 3] = [0, 0, 0]
    shard = joined(people_of(read_photos(rewrite(photos, content))))
    stock = Stock((), photos=(shard,), labelled=1.0, recomposed=1.0)
    states = np.array([drawn_view(stock, np.random.default_rng(seed), SIZE).state for seed in range(120)])
    left, right, *hands = H36M17.index("l_elbow", "r_elbow", "l_wrist", "r_wrist")
    assert (states[:, hands] == UNKNOWN).all()
    unknown = states == UNKNOWN
    assert (unknown[:, left] ^ unknown[:, right]).all(), "one elbow, the right one in a mirrored view"
    assert 0.3 < unknown[:, left].mean() < 0.7
    others = [joint for joint in range(17) if joint not in (left, right, *hands)]
    assert not unknown[:, others].any()
    assert (states[:, others] == OUTSIDE).any()
    assert (states[:, others] == HIDDEN).any(), "holes and edges as in rendered pictures"


def test_unknown_joints_have_no_part_in_any_loss() -> None:
    def gradients(state: int) -> torch.Tensor:
        torch.manual_seed(0)
        maps = torch.randn(2, 17, 24, 16, requires_grad=True)
        hidden = torch.randn(2, 17, requires_grad=True)
        states = torch.full((2, 17), VISIBLE)
        states[:, 5] = state
        batch = Batch(torch.zeros(2, 3, 96, 64), torch.full((2, 17, 2), 30.0), states)
        spatial_loss(SpatialOutput(maps, hidden), batch, Recipe())[0].backward()
        assert maps.grad is not None
        assert hidden.grad is not None
        return torch.stack([maps.grad.abs().sum((2, 3))[:, 5], hidden.grad.abs()[:, 5]])

    assert (gradients(UNKNOWN) == 0).all()
    for known in (OUTSIDE, HIDDEN, VISIBLE):  # the controls
        assert (gradients(known) > 0).all()


def test_a_rendered_person_may_stand_in_front_of_a_photographed_one(photos: Path, tmp_path: Path) -> None:
    write_dots(tmp_path, "train", 0)
    rendered = read_shard(tmp_path / "train-00000.npz")
    mask = np.zeros_like(rendered.mask)
    mask[:, 9:62, 7:49] = 1
    cover = replace(rendered, mask=mask, jpeg=[cv2.imencode(".png", np.full((288, 224, 3), 255, np.uint8))[1].reshape(-1)] * 12)
    shard = joined(people_of(read_photos(photos)))

    def hidden(**changes: Any) -> float:
        stock = replace(Stock((cover,), photos=(shard,), labelled=1.0, recomposed=1.0), **changes)
        return float(np.mean([(drawn_view(stock, np.random.default_rng(seed), SIZE).state == HIDDEN).mean() for seed in range(80)]))

    assert hidden() > 2 * hidden(others=False) + 0.03
    assert hidden(recomposed=0.0) == pytest.approx(hidden(others=False), abs=0.05)


def test_a_batch_has_the_recipe_s_share_of_photographs(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos", ground=230)  # rendered people stand in the dark
    cache = write_cache(tmp_path / "cache")
    folder = prepare(tmp_path / "photos", tmp_path / "shards", print)
    for share in (0.0, 0.3, 1.0):
        recipe = Recipe(labelled=share, recomposed=0.0, deserted=0.0)
        source = Source(cache, SIZE, folder)
        batches = feed(source, batch=200, seed=0, device=CPU, recipe=recipe, hardness=lambda: 0.0)
        bright = next(batches).pictures.mean((1, 2, 3)) > 0
        batches.close()
        assert float(bright.float().mean()) == pytest.approx(share, abs=0.12)


def test_oks_is_as_coco_defines_it() -> None:
    true = np.random.default_rng(0).uniform(0, 100, (3, 12, 2))
    labelled = np.ones((3, 12), bool)
    labelled[1, 4:], labelled[2] = False, False
    size = np.array([50.0, 100.0, 80.0])
    assert oks(true, true, labelled, size)[:2].tolist() == [1.0, 1.0]
    assert np.isnan(oks(true, true, labelled, size)[2])
    wrist = LIMBS.index("l_wrist")
    moved = true.copy()
    moved[0, wrist] += (3.0, 4.0)
    part = np.exp(-25 / (2 * 50**2 * (2 * 0.062) ** 2))
    assert oks(moved, true, labelled, size)[0] == pytest.approx((11 + part) / 12)
    moved[1, 6:] += 500  # not labelled
    assert oks(moved, true, labelled, size)[1] == 1
    assert average_recall(np.array([1.0, 0.74, 0.49])) == pytest.approx((10 + 5 + 0) / 30)


def test_photographs_teach_and_exchanged_labels_do_not(tmp_path: Path) -> None:
    """The rendered people are dots of other colours, so what is found in photographs was learned there."""
    write_photos(tmp_path / "photos", 60)
    wrong = write_photos(tmp_path / "wrong", 60)
    for person in wrong["annotations"]:  # left and right exchanged
        joints = np.array(person["keypoints"]).reshape(17, 3)[list(COCO17.mirror)]
        person["keypoints"] = joints.ravel().tolist()
    rewrite(tmp_path / "wrong", wrong)
    write_photos(tmp_path / "held", 30, seed=5)
    truth = photo_truth(tmp_path / "held", SIZE)
    cache = write_cache(tmp_path / "cache")
    for path in cache.glob("*.npz"):  # grey pictures
        with np.load(path) as data:
            arrays = dict(data)
        page = cv2.imencode(".png", np.full((288, 224, 3), 90, np.uint8))[1].reshape(-1)
        arrays["bytes"], arrays["lengths"] = np.tile(page, len(arrays["lengths"])), np.full_like(arrays["lengths"], len(page))
        np.savez(path, **arrays)
    reached, logs = {}, {}
    for name, folder in (("labelled", tmp_path / "photos"), ("exchanged", tmp_path / "wrong")):
        paths = SpatialPaths(cache=cache, output=tmp_path / f"{name}.safetensors", state=tmp_path / name, labelled=folder)
        recipe = short(samples=720, labelled=0.9, judge_every=720)
        train(paths, config=TINY, recipe=recipe, fabric=make_fabric("cpu"), say=lambda text: None)
        reached[name] = judge_photos(load_spatial(paths.output)[0], truth, CPU)
        logs[name] = json.loads((paths.state / "log.jsonl").read_text().splitlines()[-1])
    untrained = judge_photos(SpatialNetwork(TINY), truth, CPU)

    assert reached["labelled"]["oks"] > untrained["oks"] + 0.2
    assert reached["labelled"]["oks"] > reached["exchanged"]["oks"] + 0.15
    assert set(logs["labelled"]["photos"]) == set(reached["labelled"])


def test_the_finder_learns_from_boxes_and_ignores_who_is_not_labelled(photos: Path, tmp_path: Path) -> None:
    content = labels_of(photos)
    joints = figure(np.random.default_rng(1))
    content["annotations"] += [
        {"id": 900, "image_id": 100, "category_id": 1, "bbox": [2, 3, 60, 90]},
        {"id": 901, **annotation(101, joints, iscrowd=1)},
        *({"id": 1000 + number, **annotation(102, joints)} for number in range(CROWD)),
    ]
    photos = rewrite(photos, content)
    frames = photo_frames(photos)
    assert len(frames) == 23, "a picture with more people than places is left out"
    assert [(len(frame.people), len(frame.unclear)) for frame in frames[:3]] == [(1, 1), (1, 1), (1, 0)]
    box = frames[0].people[0]
    true = np.array(content["annotations"][0]["bbox"])
    np.testing.assert_allclose((box.x0, box.y0, box.x1 - box.x0, box.y1 - box.y0), true, atol=1.0)
    shard = joined(pictures_of(read_photos(photos)))
    assert shard.box.shape == (23, CROWD, 4)
    who = np.concatenate([drawn_frame(shard, np.random.default_rng(seed), (320, 192)).who for seed in range(30)])
    assert {FOUND, NO_PERSON} < set(who.tolist()) <= {FOUND, NO_PERSON, UNCLEAR}

    cache = tmp_path / "cache"
    cache.mkdir()
    write_frames(cache, "frames-train", 0)
    write_frames(cache, "train", 0)
    folder = prepare(photos, tmp_path / "shards", print)
    recipe = FinderRecipe(labelled=0.5, mosaics=0.2)
    batches = feed_frames(cache, batch=2, seed=0, recipe=recipe, device=CPU, photos=folder)
    places = [next(batches).boxes.shape[1] for _ in range(40)]
    batches.close()
    counted = {kind: places.count(kind) for kind in (3, 27, CROWD)}
    assert counted == {3: 12, 27: 8, CROWD: 20}


def test_commands_take_labelled_photographs(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cache = write_cache(tmp_path / "cache")
    out = tmp_path / "w.safetensors"
    arguments = ["--cache", str(cache), "--labelled", str(photos), "--samples", "64", "--device", "cpu", "-o", str(out)]
    assert stpose(["train", "spatial", *arguments, "--state", str(tmp_path / "run")]) == 0
    capsys.readouterr()
    assert stpose(["evaluate", "spatial", "--weights", str(out), "--labelled", str(photos), "--device", "cpu"]) == 0
    table = capsys.readouterr().out
    assert "| 24 people in photographs, boxes given |" in table
    assert "| AR, OKS 0.50 to 0.95 |" in table
    assert stpose(["evaluate", "finder", "--labelled", str(photos), "--device", "cpu"]) == 0
    assert "photographs" in capsys.readouterr().out
    assert stpose(["evaluate", "spatial", "--labelled", str(tmp_path / "none"), "--device", "cpu"]) == 2
    assert "there is no folder" in capsys.readouterr().err


def test_pictures_are_drawn_as_labelled() -> None:
    """The made-up photographs: every joint's dot is where the converted labels say."""
    joints = figure(np.random.default_rng(0))
    picture = picture_of([joints], (224, 288)).astype(int)
    place, state = as_h36m(joints[None], np.full((1, 17), 2, np.uint8))
    assert (state == coco.VISIBLE).all()
    x, y = place[0].astype(int).T
    assert (np.abs(picture[y, x] - COLOURS).sum(1) < 30).mean() > 0.9
