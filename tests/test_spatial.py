"""The spatial network: its size, its scales, what it is shown, and how joints are read from its maps."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from stpose_training.loop import hold_norms
from stpose_training.spatial.heatmaps import decode

from stpose_core.detect.search import letterbox
from stpose_core.detect.views import EMPTY, cut, seen_at, seen_from, view_of
from stpose_core.networks.configs import PRESETS, STRIDE, SpatialConfig
from stpose_core.networks.spatial import Attention, SpatialNetwork, count_multiplications

TINY = SpatialConfig(size=(64, 96), stem=8, first=1, width=8, modules=(1, 1), blocks=1, head=16)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize(("preset", "most"), [("small", 1.2), ("base", 8.5)])
def test_presets_cost_what_they_may(preset: str, most: float, capsys: pytest.CaptureFixture[str]) -> None:
    network = SpatialNetwork(PRESETS[preset])
    billions = count_multiplications(network, PRESETS[preset].size) / 1e9
    with capsys.disabled():
        print(f"\n{preset}: {billions:.2f} GMAC, {sum(p.numel() for p in network.parameters()) / 1e6:.1f} M parameters")
    assert 0.3 * most < billions < most


def test_multiplications_are_counted_as_on_paper() -> None:
    plain = SpatialConfig(size=(32, 32), stem=4, first=1, width=4, modules=(), blocks=1, head=4, joints=2)
    # Stem 3->4 at 16x16 and 4->4 at 8x8, its block, the entry, two blocks, the reading, two maps, and the context of a vector of 4.
    conv = 4 * 4 * 9 * 64
    expected = 3 * 4 * 9 * 256 + conv + 2 * conv + conv + 4 * conv + 4 * 4 * 64 + 4 * 2 * 64 + 4 * 2
    assert count_multiplications(SpatialNetwork(plain), plain.size) == expected


def test_maps_have_a_quarter_of_the_picture_and_every_joint_a_flag() -> None:
    output = SpatialNetwork(TINY).eval()(torch.zeros(2, 3, 96, 64))
    assert output.maps.shape == (2, 17, 24, 16)
    assert output.hidden.shape == (2, 17)


@pytest.mark.parametrize(("modules", "reached"), [((1, 1), True), ((), False)])
def test_coarse_branches_see_farther_than_one_scale(modules: tuple[int, ...], reached: bool) -> None:
    torch.manual_seed(0)
    config = SpatialConfig(size=(256, 256), stem=8, first=1, width=8, modules=modules, blocks=1, head=16)
    network = SpatialNetwork(config).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.ones_(module.weight)
    picture = torch.randn(1, 3, 256, 256)
    other = picture.clone()
    other[..., :, 0:16] += 1.0
    change = (network(other).maps - network(picture).maps).detach().abs().amax((0, 1, 2))
    assert (change[15:20].amax() > 1e-6) == reached
    assert change[0] > 1e-4


def test_attention_lets_the_coarsest_branch_see_the_whole_picture() -> None:
    torch.manual_seed(0)
    attention = Attention(16, 4, (12, 8)).eval()
    features = torch.randn(2, 16, 8, 12)
    assert torch.equal(attention(features), features), "it starts as nothing but its input"
    torch.nn.init.normal_(attention.tell.weight)
    other = features.clone()
    other[..., 0, 0] = torch.randn(2, 16)  # the far corner, without moving the mean and spread that all places share
    for part in (features, other):
        part[..., 0, 0] -= part[..., 0, 0].mean(1, keepdim=True)
        part[..., 0, 0] /= part[..., 0, 0].norm(dim=1, keepdim=True)
    change = (attention(other) - attention(features)).detach().abs().amax((0, 1))
    assert (change > 1e-4).all()
    near = torch.nn.Conv2d(16, 16, 3, padding=1)  # the control: a convolution changes what is beside alone
    changed = (near(other) - near(features)).detach().abs().amax((0, 1))
    assert changed[2:].max() < 1e-6
    # Positions matter: the same features elsewhere are read differently.
    flat = torch.ones(1, 16, 8, 12) * torch.randn(1, 16, 1, 1)
    told = attention(flat) - flat
    assert told.std((2, 3)).max() < 1e-4, "all see all alike"
    torch.nn.init.normal_(attention.place)
    assert (attention(flat) - flat).std((2, 3)).max() > 1e-2
    assert attention(torch.randn(1, 16, 4, 6)).shape == (1, 16, 4, 6), "pictures of half the size"


def test_a_network_that_attends_goes_on_from_one_that_does_not() -> None:
    torch.manual_seed(0)
    plain, attending = SpatialNetwork(TINY), SpatialNetwork(replace(TINY, heads=4))
    left_out = attending.load_state_dict(plain.state_dict(), strict=False)
    assert not left_out.unexpected_keys
    assert {name.split(".")[0] for name in left_out.missing_keys} == {"attention"}
    picture = torch.randn(1, 3, 96, 64)
    torch.testing.assert_close(attending.eval()(picture).maps, plain.eval()(picture).maps)
    attending(picture).maps.square().mean().backward()
    assert all(attention.tell.weight.grad.abs().sum() > 0 for attention in attending.attention)


def test_held_norms_are_those_of_use_and_still_learn() -> None:
    torch.manual_seed(0)
    network, picture = SpatialNetwork(TINY), torch.randn(4, 3, 96, 64)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
    for _ in range(3):
        network.train()(picture)  # the statistics move away from where they begin
    moving = network.train()(picture).maps
    hold_norms(network)
    before = {name: value.clone() for name, value in network.named_buffers()}
    held = network(picture).maps
    used = network.eval()(picture).maps
    torch.testing.assert_close(held, used, rtol=1e-3, atol=1e-4)
    assert (held - moving).abs().max() > 0.01, "the control: statistics of the batch give something else"
    assert all(torch.equal(value, before[name]) for name, value in network.named_buffers())
    held.square().mean().backward()
    assert all(value.grad is not None and value.grad.abs().sum() > 0 for value in network.stem.parameters())


def test_what_a_weights_file_says_of_a_network_is_not_trusted() -> None:
    for preset in PRESETS.values():
        assert SpatialConfig.from_dict(preset.to_dict()) == preset
    for wrong in (
        {"width": 10**6}, {"size": [190, 256]}, {"size": [192]}, {"size": [64, 64, 64]}, {"size": 64}, {"size": [1 << 20, 32]},
        {"modules": [1, 1, 1, 1]}, {"modules": [0]}, {"modules": "abc"}, {"modules": [True]}, {"depth": 3}, {"blocks": 2.0},
        {"heads": 7}, {"heads": -1}, {"heads": True},
    ):  # fmt: skip
        with pytest.raises(ValueError):
            SpatialConfig.from_dict({**PRESETS["small"].to_dict(), **wrong})


def gaussian_logits(x: float, y: float, sigma: float = 1.5, size: tuple[int, int] = (16, 24)) -> torch.Tensor:
    """A map (1, 1, h, w) around a place in pixels of the picture, on a background as high as a network's."""
    columns, rows = torch.arange(size[0]) + 0.5, torch.arange(size[1]) + 0.5
    squared = (columns[None] - x / STRIDE) ** 2 + (rows[:, None] - y / STRIDE) ** 2
    return (torch.exp(-squared / (2 * sigma**2)) + 1e-5).log()[None, None]


def test_joints_are_read_between_the_pixels_of_maps_without_bias() -> None:
    random = np.random.default_rng(0)
    places = random.uniform((12, 12), (52, 84), (200, 2))
    maps = torch.cat([gaussian_logits(*place) for place in places], 1)
    found, mass = decode(maps, STRIDE)
    error = found[0].numpy() - places
    assert np.abs(error).max() < 0.12
    assert np.abs(error.mean(0)).max() < 0.02
    assert 0.9 < mass.min() <= mass.max() <= 1
    # The highest pixel alone is a pixel or two off: the test would notice.
    index = maps[0].flatten(1).argmax(1).numpy()
    coarse = (np.stack([index % 16, index // 16], 1) + 0.5) * STRIDE
    assert np.abs(coarse - places).max() > 1.0


def test_reading_a_mirrored_map_gives_the_mirrored_place() -> None:
    maps = gaussian_logits(21.7, 40.2) + 0.3 * torch.randn(1, 1, 24, 16, generator=torch.Generator().manual_seed(1))
    one, other = decode(maps, STRIDE)[0][0, 0], decode(maps.flip(-1), STRIDE)[0][0, 0]
    torch.testing.assert_close(other, torch.tensor([64 - one[0], one[1]]), rtol=0, atol=1e-3)


def test_a_map_without_a_peak_gives_a_pixel_inside_of_it() -> None:
    for maps in (torch.zeros(1, 1, 24, 16), torch.arange(24.0)[:, None].expand(1, 1, 24, 16), torch.full((1, 1, 24, 16), 1e4)):
        found, mass = decode(maps, STRIDE)
        assert torch.isfinite(found).all()
        assert (found >= 0).all()
        assert (found <= torch.tensor([64, 96])).all()
        assert torch.isfinite(mass).all()


def dotted(height: int, width: int, x: float, y: float, radius: float) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width] + 0.5
    inside = np.clip(radius + 0.5 - np.hypot(columns - x, rows - y), 0, 1)
    return np.repeat((255 * inside)[..., None], 3, 2).astype(np.uint8)


@pytest.mark.parametrize("scale", [0.3, 1.0, 2.6, 7.0])
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_view_shows_things_where_its_matrix_says(scale: float, mirrored: bool) -> None:
    place = np.array([210.3, 157.8])
    picture = dotted(400, 500, *place, radius=max(4.0, 3 * scale))
    box = np.array([place[0] - 40 * scale, place[1] - 60 * scale, place[0] + 20 * scale, place[1] + 50 * scale])
    matrix = view_of(box, (96, 128), angle=0.4, mirrored=mirrored)
    seen = cut(picture, matrix, (96, 128))[..., 0].astype(float)
    # What lies outside of the picture is grey and far from the dot.
    seen[np.abs(seen - EMPTY) < 2] = 0
    rows, columns = np.mgrid[:128, :96] + 0.5
    near = np.hypot(columns - seen_at(matrix, place)[0], rows - seen_at(matrix, place)[1]) < 15
    weight = seen * near
    middle = np.array([(columns * weight).sum(), (rows * weight).sum()]) / weight.sum()
    np.testing.assert_allclose(middle, seen_at(matrix, place), atol=0.25)
    np.testing.assert_allclose(seen_from(matrix, seen_at(matrix, place)), place, atol=1e-9)


def test_a_view_holds_its_box_with_room_around_it() -> None:
    box = np.array([100.0, 50.0, 160.0, 250.0])
    corners = seen_at(view_of(box, (192, 256)), np.array([[100.0, 50.0], [160.0, 250.0]]))
    np.testing.assert_allclose(corners.mean(0), (96, 128))
    assert corners[1, 1] - corners[0, 1] == pytest.approx(256 / 1.25)
    turned = seen_at(view_of(box, (192, 256), angle=np.pi / 2), np.array([[130.0, 250.0]]))[0]
    assert turned[0] > 96 + 90  # what was below is now to the right: the view was turned, clockwise in the picture


def test_large_pictures_are_averaged_not_sampled() -> None:
    stripes = np.zeros((1600, 1600, 3), np.uint8)
    stripes[::2] = 255
    seen = cut(stripes, view_of(np.array([0.0, 0.0, 1600.0, 1600.0]), (96, 128), margin=0.7), (96, 128))
    assert np.abs(seen.astype(int) - 127).max() <= 15


@pytest.mark.parametrize("factor", [3, 5, 6])
def test_an_exact_view_is_the_mean_of_the_pixels_and_a_halved_one_near_it(factor: int) -> None:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (40, 30, 3)).astype(np.uint8)
    picture = cv2.resize(coarse, (96 * factor, 128 * factor), interpolation=cv2.INTER_CUBIC)
    true = picture.reshape(128, factor, 96, factor, 3).mean((1, 3))
    matrix = np.array([[1 / factor, 0, 0], [0, 1 / factor, 0]])
    inner = (slice(1, -1), slice(1, -1))  # at the border the grey outside is mixed in

    def error(exact: bool) -> float:
        return float(np.abs(cut(picture, matrix, (96, 128), exact)[inner] - true[inner]).mean())

    assert error(exact=True) < 0.5 < error(exact=False) < 4
    # Whole pictures, in which people are small, are shown exactly.
    shown = letterbox(picture, 128)[0][:, :96]
    assert float(np.abs(shown[inner] - true[inner]).mean()) < 0.5
