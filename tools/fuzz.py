"""Coverage-guided fuzzing of the file readers: python tools/fuzz.py bvh --minutes 10

Needs Linux and atheris (pip install atheris). A finding is an input that causes an exception other than StposeError, or takes more
than 10 s of processor time or 500 MB of memory. Findings are written to --out; `--replay FILE` runs one again.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

MOST_SECONDS, MOST_MB = 10.0, 500.0
# Safety limits: address space in bytes, and seconds after which a run is stopped.
_ADDRESSES, _HANG = 6_000_000_000, 120
_MOST_FINDINGS = 20
_FAULT, _LAST = "fault: ", "last"


def reset_peak() -> float:
    """Restart the measurement of this process's peak memory; its memory now, in MB."""
    Path("/proc/self/clear_refs").write_text("5")
    return _memory("VmRSS")


def peak() -> float:
    """Peak memory of this process since `reset_peak`, in MB."""
    return _memory("VmHWM")


def _memory(what: str) -> float:
    found = re.search(rf"{what}:\s*(\d+)", Path("/proc/self/status").read_text())
    return int(found[1]) / 1000 if found else 0.0


def child(reader: str, arguments: list[str]) -> None:
    """Run libFuzzer in this process. Does not return."""
    import atheris

    with atheris.instrument_imports(
        include=["stpose_core", "stpose_training", "fuzz_kit", "fuzz_motion", "fuzz_readers", "json", "zipfile", "pickletools"]
    ):
        from fuzz_readers import READERS

        # Here, because many modules are imported at their first use, and only those imported here are seen.
        folder = Path(tempfile.mkdtemp(dir=arguments[0]))
        read = READERS[reader].read
        for seed in READERS[reader].seeds(folder):
            read(seed, folder)
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESSES, _ADDRESSES))

    last = Path(arguments[0], _LAST)

    def one(data: bytes) -> None:
        last.write_bytes(data)
        before, began = reset_peak(), time.process_time()
        try:
            read(data, folder)
            if (took := time.process_time() - began) > MOST_SECONDS:
                raise AssertionError(f"took {took:.1f} s")
            if (grown := peak() - before) > MOST_MB:
                raise AssertionError(f"took {grown:.0f} MB")
        except BaseException as error:
            places = traceback.extract_tb(error.__traceback__)
            own = [place for place in places if "stpose_" in place.filename] or places
            where = f"{Path(own[-1].filename).name}:{own[-1].lineno}"
            said = " ".join(re.sub(r"[0-9.]+ ", "", str(error)).split())[:100]
            print(f"\n{_FAULT}{type(error).__name__} at {where}: {said}", file=sys.stderr, flush=True)
            raise

    atheris.Setup([sys.argv[0], *arguments[1:]], one)
    atheris.Fuzz()


def run(reader: str, minutes: float, out: Path, most: float = float("inf")) -> int:
    """Fuzz for the given time, or up to so many executions. Goes on after a finding. Returns the number of different findings."""
    from fuzz_readers import READERS

    out.mkdir(parents=True, exist_ok=True)
    found: dict[str, Path] = {}
    executions, features, began = 0, 0, time.monotonic()
    # In memory, because every input is written to a file.
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as work:
        corpus, words = Path(work, "corpus"), Path(work, "words")
        corpus.mkdir()
        for seed in READERS[reader].seeds(Path(work)):
            (corpus / hashlib.sha1(seed).hexdigest()).write_bytes(seed)
        words.write_text("".join(_quoted(word) for word in READERS[reader].words))
        while (left := minutes * 60 - (time.monotonic() - began)) > 1 and executions < most and len(found) < _MOST_FINDINGS:
            runs = -1 if most == float("inf") else int(most - executions)
            options = [f"-max_total_time={int(left)}", f"-runs={runs}", f"-timeout={_HANG}", "-rss_limit_mb=0", "-max_len=200000",
                       f"-dict={words}", f"-artifact_prefix={work}/", "-print_final_stats=1", str(corpus)]  # fmt: skip
            command = [sys.executable, __file__, reader, "--child", work, *options]
            ran = subprocess.run(command, capture_output=True, text=True, errors="replace")
            executions += max(map(int, re.findall(r"^#(\d+)", ran.stderr, re.MULTILINE)), default=0)
            # What libFuzzer counts as covered: places in the code, each with the order of magnitude of how often it ran.
            features = max(map(int, re.findall(r"ft: (\d+)", ran.stderr)), default=features)
            if not ran.returncode:
                continue
            if not Path(work, _LAST).is_file():
                print(ran.stderr[-3000:], file=sys.stderr)
                raise SystemExit(f"the fuzzer itself failed with {ran.returncode}")
            what, content = _what(ran.stderr), Path(work, _LAST).read_bytes()
            if what not in found:
                found[what] = out / f"{reader}-{hashlib.sha1(content).hexdigest()[:10]}"
                found[what].write_bytes(content)
                print(f"{found[what]}: {what}", flush=True)
    spent = (time.monotonic() - began) / 60
    print(f"| {reader} | {executions} | {features} | {len(found)} | {spent:.1f} |", flush=True)
    return len(found)


def _quoted(word: bytes) -> str:
    """A line of a libFuzzer dictionary."""
    return '"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n'


def _what(log: str) -> str:
    """What failed, according to the child, or to libFuzzer if the input hung."""
    found = re.findall(rf"^{_FAULT}(.*)$|^==[0-9]+== ERROR: libFuzzer: (.*)$", log, re.MULTILINE)
    return (found[0][0] or found[0][1])[:200] if found else "the process ended"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("reader")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--executions", type=float, default=float("inf"), help="end earlier, after so many")
    parser.add_argument("--out", type=Path, default=Path("fuzz-findings"), help="folder for findings")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="run one input")
    options = parser.parse_args()
    from fuzz_readers import READERS

    if options.reader not in READERS:
        parser.error(f"no reader {options.reader}; there are {', '.join(READERS)}")
    if options.replay is not None:
        before, began = reset_peak(), time.process_time()
        READERS[options.reader].read(options.replay.read_bytes(), Path(tempfile.mkdtemp()))
        print(f"{time.process_time() - began:.2f} s, {peak() - before:.0f} MB")
        return
    sys.exit(1 if run(options.reader, options.minutes, options.out, options.executions) else 0)


if __name__ == "__main__":
    if sys.argv[2:3] == ["--child"]:
        child(sys.argv[1], sys.argv[3:])
    else:
        main()
