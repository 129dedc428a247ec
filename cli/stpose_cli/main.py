"""The `stpose` command: the group of commands, and their exit status."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from types import FrameType
from typing import Any

import click

from stpose_core import __version__
from stpose_core.errors import StposeError

# The commands in the order of the help, and the modules that hold them.
_COMMANDS = {
    "mocap": "mocap",
    "people": "people",
    "pose": "pose",
    "live": "live",
    "view": "view",
    "convert": "motions",
    "info": "motions",
    "trim": "motions",
    "render": "render",
    "train": "train",
    "calibrate": "calibrate",
    "evaluate": "evaluate",
    "doctor": "doctor",
}
FAILED, INTERRUPTED, TERMINATED = 2, 130, 143


class _ClosedPipeError(Exception):
    """The reader of the output has closed it. Unlike BrokenPipeError, click leaves it alone."""


@contextlib.contextmanager
def _told_apart() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as error:
        raise _ClosedPipeError from error


class _Commands(click.Group):
    """A group that imports a command when it is used, and ends with a status of our own for a closed output: click's is 1."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        found: click.Command = getattr(import_module(f"stpose_cli.{_COMMANDS[cmd_name]}"), cmd_name)
        return found

    def make_context(self, *arguments: Any, **options: Any) -> click.Context:
        with _told_apart():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: click.Context) -> Any:
        with _told_apart():
            return super().invoke(ctx)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="stpose")
def cli() -> None:
    """Video in, animated skeleton out: markerless 3D motion capture on your own machine."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0, 2 after an error (printed in one line), 130 when interrupted."""
    try:
        status = cli.main(args=None if arguments is None else list(arguments), prog_name="stpose", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return FAILED
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else "stpose"
        return _fail(f"{error.format_message()} (see {where} --help)")
    except (StposeError, click.ClickException) as error:
        return _fail(str(error))
    except ImportError as error:
        if error.name == "torch":
            from stpose_core.extras import how_to_install

            return _fail(f"this needs PyTorch; {how_to_install('train')}")
        return _fail(f"a package does not load: {error}; stpose doctor lists what to install")
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except _ClosedPipeError:
        # The interpreter must not write to it again at exit.
        with contextlib.suppress(OSError):
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        return FAILED
    except OSError as error:
        # Errors of the system that can occur anywhere: an invalid file name, a full disk behind standard output.
        try:
            sys.stdout.flush()
        except OSError:
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - the interpreter flushes it at exit
        reason = error.strerror or str(error)
        return _fail(f"{error.filename}: {reason}" if error.filename is not None else reason)
    return status if isinstance(status, int) else 0


def main() -> None:
    """The console script."""
    # If a stream is closed at start, the next opened file would take its descriptor and receive the logs of libraries.
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
    # SIGTERM ends the process as Ctrl-C does, so that unfinished files are removed.
    signal.signal(signal.SIGTERM, _terminate)
    sys.exit(run())


def _terminate(number: int, frame: FrameType | None) -> None:
    sys.exit(TERMINATED)


def _fail(message: str) -> int:
    print("stpose:", " ".join(message.split()), file=sys.stderr)
    return FAILED


if __name__ == "__main__":
    main()
