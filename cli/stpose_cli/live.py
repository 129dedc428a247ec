"""`stpose live`: a camera in, a moving skeleton out, for VRM programs, Blender and programs of your own."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from stpose_cli.capture_options import Number
from stpose_cli.commands import NAME, into
from stpose_core.errors import DetectorError, OptionError
from stpose_core.options import DEVICES, CaptureOptions

if TYPE_CHECKING:
    from stpose_core.live.senders import Sender

VMC_PORT, JSON_PORT = 39539, 39540


class Address(click.ParamType):
    """HOST:PORT, or PORT on this machine."""

    name = "address"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        if isinstance(value, tuple):
            return value
        host, _, port = str(value).rpartition(":")
        if not (port.isascii() and port.isdigit() and int(port) < 65536):
            self.fail(f"'{value}' is no address; write HOST:PORT or PORT", param, ctx)
        return host or "127.0.0.1", int(port)


@dataclass(frozen=True, kw_only=True)
class LiveOptions:
    """The options of the command."""

    source: str
    vmc: tuple[str, int] | None
    lines: tuple[str, int] | None
    window: bool
    detector: str
    smooth: float
    device: str
    weights: str | None
    focal: float | None
    fov: float | None
    seconds: float | None


@click.command()
@click.option(
    "--camera", "source", default="0", show_default=True, metavar="N|FILE", help="Number of a camera, or a video played as one."
)
@click.option("--vmc", type=Address(), metavar="[HOST:]PORT", help=f"Send VMC, for VRM programs; their usual port is {VMC_PORT}.")
@click.option(
    "--json",
    "lines",
    type=Address(),
    metavar="[HOST:]PORT",
    help=f"Serve lines of JSON by TCP.  [default: {JSON_PORT} without --vmc]",
)
@click.option("--window", is_flag=True, help="Show the picture with the joints drawn in.")
@click.option(
    "--detector", default=CaptureOptions.detector, show_default=True, help="auto, builtin, mediapipe, rtmpose, or a network."
)
@click.option("--smooth", type=Number(0, 1), default=CaptureOptions.smooth, show_default=True, help="0 none, 1 very strong.")
@click.option("--device", type=click.Choice(DEVICES), default="auto", show_default=True, help="Where the networks run.")
@click.option("--weights", type=NAME, help="Causal lifter, .safetensors.  [default: built-in]")
@click.option("--focal", type=Number(1, 1e6), help="Focal length in pixels.  [default: unknown]")
@click.option("--fov", type=Number(5, 170), help="Field of view in degrees over the longer side.  [default: unknown]")
@click.option("--seconds", type=Number(0, 1e9), help="Stop after this time.  [default: at Ctrl-C]")
@into(LiveOptions)
def live(options: LiveOptions) -> None:
    """Capture one person live.

    The skeleton is sent as VMC (over UDP) or as lines of JSON (a TCP server), with a delay of about a tenth of a second. Stop it
    with Ctrl-C; it then prints the rate and the delay.
    """
    from stpose_core.detect import KeypointFile
    from stpose_core.devices import choose_device
    from stpose_core.lift import load_lifter
    from stpose_core.live import LiveReport, NewestFrame, run_live
    from stpose_core.live.senders import JsonServer, VmcSender
    from stpose_core.pipeline import open_detector
    from stpose_core.threads import one_thread
    from stpose_core.weights import LIVE_LIFTER

    if options.focal is not None and options.fov is not None:
        raise OptionError("focal and fov both set the focal length; give only one of them")
    with contextlib.ExitStack() as stack:
        stack.enter_context(one_thread())
        senders: list[Sender] = []
        if options.vmc:
            senders.append(VmcSender(*options.vmc))
        if options.lines or not options.vmc:
            senders.append(JsonServer(*(options.lines or ("127.0.0.1", JSON_PORT))))
        for sender in senders:
            stack.callback(sender.close)
        frames = NewestFrame(options.source)
        click.echo(f"stpose: {options.source} is open; loading the networks", err=True)
        network = open_detector(options.detector, options.device)
        if isinstance(network, KeypointFile):
            raise DetectorError(f"{options.detector} contains the keypoints of a video; live capture needs a detector")
        lifter = load_lifter(options.weights or LIVE_LIFTER, device=choose_device(options.device))
        watch: Callable[..., bool] | None = None
        if options.window:
            from stpose_cli.live_window import Window

            watch = stack.enter_context(Window(f"stpose live: {options.source}", network.skeleton))
        places = ["VMC to {}:{}".format(*options.vmc)] if options.vmc else []
        places += [f"JSON on port {sender.port}" for sender in senders if isinstance(sender, JsonServer)]
        click.echo(
            f"stpose: {options.source} {frames.size[0]} x {frames.size[1]}, {network.name}; {', '.join(places)}. Ctrl-C stops.",
            err=True,
        )
        report = LiveReport()
        longest = math.inf if options.seconds is None else options.seconds
        stack.enter_context(frames)
        with contextlib.suppress(KeyboardInterrupt):
            run_live(
                frames,
                detector=network,
                lifter=lifter,
                senders=senders,
                camera=CaptureOptions(focal=options.focal, fov=options.fov).camera_of(frames.size),
                smooth=options.smooth,
                watch=lambda *shown: (watch is None or watch(*shown)) and report.seconds < longest,
                report=report,
            )
        click.echo(str(report))
