"""The rasteriser against closed forms, the room and its camera, the body and its poses, and the example clip."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from stpose_training.synth.body import Body, Posed, load_body
from stpose_training.synth.looks import Look, dress, sample_look
from stpose_training.synth.points import detector_points, h36m17_points
from stpose_training.synth.poses import Clip, axis_turn, half_twist, quat_to_matrix, retarget
from stpose_training.synth.raster import Fragments, project, rasterize, vertex_normals
from stpose_training.synth.scene import Light, Room, View, develop, empty_room, floor_shadow, render

from stpose_core.errors import TrainingError
from stpose_core.skeletons import H36M17

EXAMPLES = Path(__file__).parents[1] / "examples"
ONE_FACE = torch.tensor([[0, 1, 2]])


def draw(corners: list[list[float]], faces: list[list[int]], height: int = 60, width: int = 80) -> Fragments:
    """Corners as (x, y, depth) in the image."""
    return rasterize(torch.tensor([corners]), torch.tensor(faces), height, width)


@pytest.mark.parametrize("size", [1.5, 6.0, 25.0, 300.0])
@pytest.mark.parametrize("turned", [False, True])
def test_a_triangle_covers_the_pixels_whose_centres_it_holds(size: float, turned: bool) -> None:
    corners = np.array([[40.3, 30.2 - size], [40.3 + size, 30.2 + 0.8 * size], [40.3 - 0.7 * size, 30.2 + size]])
    order = [0, 2, 1] if turned else [0, 1, 2]
    shown = draw([[*c, 2.0] for c in corners.tolist()], [order]).face[0].numpy() == 0
    rows, columns = np.mgrid[0:60, 0:80] + 0.5
    inside = np.ones((60, 80), bool)
    for a, b in zip(corners, np.roll(corners, -1, axis=0)):
        inside &= (b[0] - a[0]) * (rows - a[1]) - (b[1] - a[1]) * (columns - a[0]) >= 0
    np.testing.assert_array_equal(shown, inside)
    if size == 25.0:
        assert shown.sum() == pytest.approx(0.5 * abs(np.linalg.det(corners[1:] - corners[0])), rel=0.03)


def test_two_triangles_share_an_edge_without_a_crack() -> None:
    shown = draw([[5.5, 5.5, 1], [70.2, 8.1, 1], [66.7, 50.9, 1], [9.3, 52.4, 1]], [[0, 1, 2], [0, 2, 3]])
    covered = shown.face[0] >= 0
    for row in covered[covered.any(dim=1)].numpy():
        columns = np.flatnonzero(row)
        assert len(columns) == columns[-1] - columns[0] + 1
    assert set(shown.face.unique().tolist()) == {-1, 0, 1}


def test_depth_and_interpolation_follow_the_plane_in_perspective() -> None:
    focal, centre = 70.0, (40.0, 30.0)
    corners = torch.tensor([[[-1.0, -0.8, 2.0], [1.4, -0.6, 4.0], [0.1, 1.5, 3.0]]])
    shown = rasterize(project(corners, focal, centre), ONE_FACE, 60, 80)
    hit = shown.face[0] >= 0
    rows, columns = torch.where(hit)
    rays = torch.stack([(columns + 0.5 - 40) / focal, (rows + 0.5 - 30) / focal, torch.ones(len(rows))], dim=1)
    normal = torch.linalg.cross(corners[0, 1] - corners[0, 0], corners[0, 2] - corners[0, 0])
    depth = (corners[0, 0] @ normal) / (rays @ normal)
    assert len(rows) > 800
    torch.testing.assert_close(shown.depth[0][hit], depth, rtol=1e-5, atol=1e-5)
    places = shown.interpolate(corners, ONE_FACE)[0][hit]
    torch.testing.assert_close(places, rays * depth[:, None], rtol=1e-4, atol=1e-5)
    # The same corners at one depth give the weights in the image, which would be wrong on the slanted plane.
    flat = project(corners, focal, centre)
    flat[..., 2] = 3.0
    in_image = rasterize(flat, ONE_FACE, 60, 80).interpolate(corners, ONE_FACE)[0][hit]
    assert (in_image - rays * depth[:, None]).norm(dim=-1).max() > 0.1
    assert not shown.interpolate(corners, ONE_FACE)[0][~hit].any()
    assert torch.isinf(shown.depth[0][~hit]).all()


@pytest.mark.parametrize("near_first", [True, False])
def test_the_nearer_face_hides_the_farther(near_first: bool) -> None:
    near = [[10.0, 10.0, 2.0], [60.0, 10.0, 2.0], [10.0, 50.0, 2.0]]
    far = [[10.0, 10.0, 2.001], [60.0, 10.0, 2.001], [60.0, 50.0, 2.001]]
    corners = near + far if near_first else far + near
    shown = draw(corners, [[0, 1, 2], [3, 4, 5]])
    wins = shown.face[0, 15, 20].item()
    assert wins == (0 if near_first else 1)
    assert shown.depth[0, 15, 20].item() == pytest.approx(2.0)
    assert shown.face[0, 40, 57].item() == 1 - wins


def test_faces_that_cross_change_places_at_the_line_where_they_cross() -> None:
    # In 1 / depth, which is linear in the image, they meet half-way, at x = 40.
    up = [[0.0, 0.0, 1.0], [80.0, 0.0, 4.0], [0.0, 200.0, 1.0]]
    down = [[0.0, 0.0, 4.0], [80.0, 0.0, 1.0], [80.0, 200.0, 1.0], [0.0, 200.0, 4.0]]
    shown = draw(up + down, [[0, 1, 2], [3, 4, 5], [3, 5, 6]]).face[0, 2]
    first = (shown == 0).numpy()
    assert first[:39].all()
    assert not first[41:79].any()


def test_what_is_behind_the_camera_or_outside_is_not_drawn() -> None:
    behind = draw([[10, 10, -2.0], [60, 10, -2.0], [10, 50, -2.0]], [[0, 1, 2]])
    across = draw([[10, 10, 2.0], [60, 10, 2.0], [10, 50, 0.01]], [[0, 1, 2]])
    outside = draw([[-50, 10, 2.0], [-10, 10, 2.0], [-30, 50, 2.0]], [[0, 1, 2]])
    thin = draw([[10, 10, 2.0], [20, 20, 2.0], [30, 30, 2.0]], [[0, 1, 2]])
    broken = draw([[10, 10, 2.0], [math.nan, 20, 2.0], [30, 5, 2.0]], [[0, 1, 2]])
    for shown in (behind, across, outside, thin, broken):
        assert (shown.face == -1).all()


def test_a_batch_is_drawn_as_each_alone() -> None:
    generator = torch.Generator().manual_seed(3)
    corners = torch.rand(3, 90, 3, generator=generator) * torch.tensor([100.0, 80.0, 3.0]) + torch.tensor([-10.0, -10.0, 0.5])
    faces = torch.arange(90).view(30, 3)
    together = rasterize(corners, faces, 60, 80)
    for index in range(3):
        alone = rasterize(corners[index, None], faces, 60, 80)
        assert torch.equal(together.face[index], alone.face[0])
        torch.testing.assert_close(together.depth[index], alone.depth[0])
    # The order of faces does not matter either.
    shuffled = rasterize(corners, faces.flip(0), 60, 80)
    assert torch.equal(torch.where(shuffled.face >= 0, 29 - shuffled.face, -1), together.face)


def test_normals_point_out_of_a_closed_mesh() -> None:
    corners = torch.tensor([[[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]])
    faces = torch.tensor([[0, 1, 2], [0, 3, 1], [0, 2, 3], [1, 3, 2]])
    torch.testing.assert_close(vertex_normals(corners, faces), corners / math.sqrt(3))


def test_the_camera_shows_the_left_hand_of_who_faces_it_on_the_right() -> None:
    view = View((0.0, -4.0, 1.2), (0.0, 0.0, 1.0), 500.0, (320, 400))
    torch.testing.assert_close(view.project(torch.tensor([0.0, 0.0, 1.0])), torch.tensor([160.0, 200.0]))
    left, top = view.project(torch.tensor([0.5, 0.0, 1.0])), view.project(torch.tensor([0.0, 0.0, 1.5]))
    assert left[0] > 200
    assert top[1] < 150
    assert torch.linalg.det(view.rotation).item() == pytest.approx(1.0)
    place = torch.tensor([0.3, 0.4, 1.7])
    row, column = 120, 250
    along = view.rays()[row, column]
    shown = view.project(torch.tensor(view.eye) + 2.5 * along)
    torch.testing.assert_close(shown, torch.tensor([column + 0.5, row + 0.5]), rtol=0, atol=1e-2)
    torch.testing.assert_close(view.enlarged(2).project(place), 2 * view.project(place))


def test_developing_follows_the_srgb_curve_and_averages() -> None:
    levels = torch.tensor([0.0, 0.2158605, 1.0, 2.0]).view(1, 1, 4, 1).expand(1, 1, 4, 3)
    assert develop(levels)[0, 0, :, 0].tolist() == [0, 128, 255, 255]
    stripes = torch.zeros(1, 2, 2, 3)
    stripes[:, :, 1] = 2 * 0.2158605
    assert develop(stripes, 2).flatten().tolist() == [128] * 3


def test_a_shadow_lies_under_a_body_and_nowhere_else() -> None:
    view, light = View((0.0, -4.0, 2.0), (0.0, 0.0, 0.3), 150.0, (160, 120)), Light(direction=(0.0, 0.0, 1.0))
    floor = empty_room(view, Room(), light).floor
    cube = torch.rand(1, 5000, 3, generator=torch.Generator().manual_seed(0))
    box = cube * torch.tensor([0.4, 0.4, 1.0]) + torch.tensor([0.5, 0.0, 0.0])
    dark = floor_shadow(box, floor, light)[0]
    distance = (floor - torch.tensor([0.7, 0.2])).norm(dim=-1)
    assert dark[distance < 0.1].min() > 0.3
    assert dark[distance > 1.2].max() < 0.01
    assert not dark[floor.isnan().any(dim=-1)].any()


@pytest.fixture(scope="module")
def body() -> Body:
    torch.set_num_threads(1)
    try:
        return load_body()
    except TrainingError as error:
        pytest.skip(f"no body: {error}")


def standing(body: Body, *phenotypes: tuple[float, ...]) -> Posed:
    rest = body.rest(torch.tensor(phenotypes))
    turns = torch.eye(3).expand(len(phenotypes), len(body.bones), 3, 3)
    return body.pose(rest, turns, rest.heads[:, 0])


AVERAGE = (0.5, 0.7, 0.5, 0.5, 0.5, 0.5)


def test_bodies_have_human_sizes_and_grow(body: Body) -> None:
    ages = [(0.5, age, 0.5, 0.5, 0.5, 0.5) for age in (0.7, 1 / 3, 0.0)]
    posed = standing(body, *ages, (0.5, 0.7, 0.5, 0.5, 1.0, 0.5))
    adult, child, baby, tall = (posed.vertices[..., 2].amax(1) - posed.vertices[..., 2].amin(1)).tolist()
    assert 1.6 < adult < 1.9
    assert baby < child < adult < tall
    assert tall < 2.6


def test_the_rest_pose_is_the_rest_shape_and_a_turn_of_all_bones_is_a_turn(body: Body) -> None:
    rest = body.rest(torch.tensor([AVERAGE]))
    posed = standing(body, AVERAGE)
    torch.testing.assert_close(posed.vertices, rest.vertices, atol=1e-5, rtol=0)
    turn = axis_turn(torch.tensor([0.2, -0.5, 1.0]), 2.0)
    turned = body.pose(rest, turn.expand(1, len(body.bones), 3, 3), torch.zeros(1, 3))
    torch.testing.assert_close(turned.vertices, (rest.vertices - rest.heads[:, :1]) @ turn.T, atol=1e-5, rtol=0)


def test_joints_lie_where_the_mocap_has_them(body: Body) -> None:
    posed = standing(body, AVERAGE, (1.0, 0.7, 0.5, 0.5, 0.5, 0.5), (0.0, 0.7, 0.5, 0.5, 0.5, 0.5))
    joints = h36m17_points(body, posed)

    def length(a: str, b: str) -> torch.Tensor:
        return (joints[:, H36M17.joints.index(a)] - joints[:, H36M17.joints.index(b)]).norm(dim=-1)

    leg = length("l_hip", "l_knee") + length("l_knee", "l_ankle")
    for (a, b), share in {
        ("l_hip", "r_hip"): 0.214, ("pelvis", "neck"): 0.532, ("neck", "head"): 0.233, ("head", "head_top"): 0.120,
    }.items():  # fmt: skip
        np.testing.assert_allclose((length(a, b) / leg).numpy(), share, rtol=0.06, err_msg=f"{a} {b}")
    # Left is +x, the nose points to -y, and the two sides mirror each other.
    assert (joints[:, H36M17.joints.index("l_hip"), 0] > 0.05).all()
    mirrored = joints[:, list(H36M17.mirror)] * torch.tensor([-1.0, 1.0, 1.0])
    torch.testing.assert_close(mirrored, joints, atol=4e-3, rtol=0)
    face = detector_points(body, posed, "coco17")
    assert (face[:, 0, 1] < face[:, 3, 1] - 0.05).all()
    assert (face[:, 1, 0] > 0.02).all()
    assert torch.isfinite(detector_points(body, posed, "openpose25")).all()


def mocap_figure(bends: dict[str, torch.Tensor]) -> Clip:
    """One frame of a figure in a T-pose with joints as in ASF files (y up at rest), some of them turned."""
    tree = {
        "root": (None, (0.0, 0.0, 0.0)), "lowerback": ("root", (0.0, 0.0, 0.0)), "upperback": ("lowerback", (0.0, 0.12, 0.0)),
        "thorax": ("upperback", (0.0, 0.12, 0.0)), "lowerneck": ("thorax", (0.0, 0.12, 0.0)),
        "upperneck": ("lowerneck", (0.0, 0.09, 0.0)), "head": ("upperneck", (0.0, 0.09, 0.0)),
    }  # fmt: skip
    for side, sign in (("l", 1.0), ("r", -1.0)):
        tree |= {
            f"{side}femur": ("root", (0.09 * sign, -0.1, 0.0)), f"{side}tibia": (f"{side}femur", (0.0, -0.4, 0.0)),
            f"{side}foot": (f"{side}tibia", (0.0, -0.4, 0.0)), f"{side}toes": (f"{side}foot", (0.0, -0.03, 0.12)),
            f"{side}clavicle": ("thorax", (0.0, 0.12, 0.0)), f"{side}humerus": (f"{side}clavicle", (0.2 * sign, 0.05, 0.0)),
            f"{side}radius": (f"{side}humerus", (0.28 * sign, 0.0, 0.0)), f"{side}wrist": (f"{side}radius", (0.2 * sign, 0.0, 0.0)),
            f"{side}hand": (f"{side}wrist", (0.09 * sign, 0.0, 0.0)), f"{side}fingers": (f"{side}hand", (0.04 * sign, 0.0, 0.0)),
        }  # fmt: skip
    names = list(tree)
    quats = torch.zeros(1, len(names), 4)
    quats[..., 0] = 1
    quats[0, 0] = torch.tensor([math.sqrt(0.5), math.sqrt(0.5), 0.0, 0.0])  # y up -> z up
    for name, quat in bends.items():
        quats[0, names.index(name)] = quat
    parents = tuple(names.index(parent) if parent else -1 for parent, _ in tree.values())
    offsets = torch.tensor([offset for _, offset in tree.values()])
    return Clip(tuple(names), parents, offsets, quats, torch.tensor([[0.0, 0.0, 0.95]]))


def test_mocap_poses_carry_over_limb_by_limb(body: Body) -> None:
    right_angle = math.sqrt(0.5)
    # The left forearm bends forward about the vertical, the right thigh lifts forward about the sideways axis.
    clip = mocap_figure({
        "lradius": torch.tensor([right_angle, 0.0, -right_angle, 0.0]),
        "rfemur": torch.tensor([right_angle, -right_angle, 0.0, 0.0]),
    })  # fmt: skip
    rest = body.rest(torch.tensor([AVERAGE]))
    posed = body.pose(rest, *retarget(clip, body, rest))

    def along(a: str, b: str) -> list[float]:
        way = posed.heads[0, body.bone(b)] - posed.heads[0, body.bone(a)]
        return [round(value, 3) + 0.0 for value in (way / way.norm()).tolist()]

    assert along("upperarm01.L", "lowerarm01.L") == [1, 0, 0]
    assert along("lowerarm01.L", "wrist.L") == [0, -1, 0]
    assert along("lowerarm01.R", "wrist.R") == [-1, 0, 0]
    assert along("upperleg01.L", "lowerleg01.L") == [0, 0, -1]
    assert along("upperleg01.R", "lowerleg01.R") == [0, -1, 0]
    lengths = (posed.heads[:, 1:] - posed.heads[:, list(body.parents[1:])]).norm(dim=-1)
    torch.testing.assert_close(lengths, (rest.heads[:, 1:] - rest.heads[:, list(body.parents[1:])]).norm(dim=-1))


def test_half_a_twist() -> None:
    axis, swing = torch.tensor([0.3, 0.2, -0.9]), axis_turn(torch.tensor([1.0, 0.0, 0.0]), 0.7)
    torch.testing.assert_close(half_twist(swing, swing @ axis_turn(axis, 1.2), axis), swing @ axis_turn(axis, 0.6))
    bend = axis_turn(torch.linalg.cross(axis, torch.tensor([1.0, 0.0, 0.0])), 1.0)
    torch.testing.assert_close(half_twist(swing, swing @ bend, axis), swing, atol=1e-5, rtol=0)
    quarter = quat_to_matrix(torch.tensor([math.sqrt(0.5), 0.0, 0.0, math.sqrt(0.5)]))
    torch.testing.assert_close(quarter @ torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.0, 1.0, 0.0]))


def test_a_person_is_rendered_dressed_and_where_the_joints_are(body: Body) -> None:
    rest = body.rest(torch.tensor([AVERAGE]))
    look, light = Look(shirt=(0.0, 0.0, 0.8), trousers=(0.0, 0.6, 0.0)), Light()
    dressed = dress(body, rest, look)
    posed = body.pose(dressed, torch.eye(3).expand(1, len(body.bones), 3, 3), rest.heads[:, 0])
    lift = torch.tensor([0.0, 0.0, -posed.vertices[..., 2].min().item()])
    posed = Posed(posed.vertices + lift, posed.heads + lift, posed.turns)
    view = View((0.0, -4.0, 1.2), (0.0, 0.0, 0.95), 420.0, (160, 240))
    picture = render(body, posed, look, view, empty_room(view, Room(), light), light)
    assert torch.equal(picture, render(body, posed, look, view, empty_room(view, Room(), light), light))
    joints = view.project(h36m17_points(body, posed))[0]

    def colour(name: str) -> int:
        x, y = joints[H36M17.joints.index(name)].floor().long().tolist()
        return int(picture[0, y, x].argmax())

    assert [colour(name) for name in ("spine", "l_shoulder", "l_knee", "r_knee", "l_wrist", "r_wrist")] == [
        2,
        2,
        1,
        1,
        0,
        0,
    ]


def test_looks_follow_their_seed_and_stay_in_range() -> None:
    looks = [sample_look(torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert looks[0] == looks[1] != looks[2]
    for look in (sample_look(torch.Generator().manual_seed(seed)) for seed in range(50)):
        red, green, blue = look.skin
        assert 1 > red > green > blue > 0
        assert all(0 <= value <= 1 for value in (*look.hair, *look.shirt, *look.trousers, *look.shoes, look.sleeve, look.trouser))


def test_the_example_clip_shows_the_person_where_its_reference_says() -> None:
    import av

    with np.load(EXAMPLES / "walk.reference.npz", allow_pickle=False) as data:
        reference = {name: data[name] for name in data.files}
    assert tuple(reference["names"]) == H36M17.joints
    joints, fps = reference["joints"], float(reference["fps"])
    pixels = joints[..., :2] / joints[..., 2:] * reference["focal"] + reference["centre"]
    assert ((pixels > 0) & (pixels < reference["image_size"])).all()
    with av.open(str(EXAMPLES / "walk.mp4")) as clip:
        stream = clip.streams.video[0]
        assert float(stream.average_rate) == fps
        frames = [frame.to_ndarray(format="rgb24").astype(int) for frame in clip.decode(stream)]
    assert len(frames) == len(joints)
    assert (EXAMPLES / "walk.mp4").stat().st_size <= 1.5e6

    def on_person(where: np.ndarray) -> float:
        """The share of knees on the grey trousers and of spines on the blue shirt: the room is brown and light."""
        knees = H36M17.index("l_knee", "r_knee")
        hits = []
        for picture, places in zip(frames, where.astype(int)):
            hits += [np.ptp(picture[y, x]) < 20 and picture[y, x].max() < 125 for x, y in places[knees]]
            x, y = places[H36M17.joints.index("spine")]
            hits.append(picture[y, x, 2] > picture[y, x, 0] + 40)
        return float(np.mean(hits))

    assert on_person(pixels) > 0.97
    assert on_person(pixels[::-1]) < 0.9
    assert on_person(np.clip(pixels + [100, 0], 0, reference["image_size"] - 1)) < 0.2
