"""Programs that encode with a real ffmpeg."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from collections.abc import Generator

import motrace

from .oracle import TICK_NS, Oracle, process_threads, since
from .work import calibrated, python_loop

WIDTH, HEIGHT = 640, 360


def ffmpeg_path() -> str | None:
    """ffmpeg on PATH, else the one of imageio-ffmpeg; None where there is neither."""
    found = shutil.which("ffmpeg")
    if found is not None:
        return found
    try:
        from imageio_ffmpeg import get_ffmpeg_exe

        return str(get_ffmpeg_exe())
    except (ImportError, RuntimeError):
        return None


def _command() -> list[str]:
    path = ffmpeg_path()
    assert path is not None
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{WIDTH}x{HEIGHT}", "-r", "30", "-i", "-"]
    return [path, "-v", "error", *raw, "-c:v", "libx264", "-preset", "medium", "-threads", "1", "-f", "null", "-"]


def _pictures() -> list[bytes]:
    """Pictures that take an encoder some time: noise that moves over a gradient."""
    one = bytes(value % 251 for value in range(WIDTH * 3)) * HEIGHT
    noise = os.urandom(len(one) // 4)
    return [one[:at] + noise + one[at + len(noise) :] for at in range(0, len(one) // 2, len(one) // 16)]


def ffmpeg_pipe(oracle: Oracle) -> Generator[None, None, None]:
    """Pictures go into a pipe as fast as ffmpeg takes them; closed, it drops what is left."""
    pictures, own = _pictures(), calibrated(python_loop, 1)
    process = subprocess.Popen(_command(), stdin=subprocess.PIPE, bufsize=0)
    assert process.stdin is not None
    for picture in pictures[:4]:  # ffmpeg starts its threads
        process.stdin.write(picture)
    begin = process_threads(process.pid)

    def account() -> None:
        used = since(begin, process_threads(process.pid))
        oracle.worked_in_all("encode", "encoder", used, TICK_NS)

    oracle.at_end = account
    try:
        while True:
            yield
            with motrace.span("prepare"), oracle.section("prepare"):
                own()
            with motrace.span("encode"), oracle.section("encode", "native"):
                left = memoryview(pictures[oracle.frames % len(pictures)])
                while left:
                    left = left[os.write(process.stdin.fileno(), left) :]
    finally:
        process.stdin.close()
        process.wait()


def ffmpeg_short(oracle: Oracle) -> Generator[None, None, None]:
    """An ffmpeg of its own for each chunk of pictures: it starts and ends inside one span."""
    chunk, own, command = b"".join(_pictures()[:3]), calibrated(python_loop, 2), _command()
    while True:
        yield
        with motrace.span("prepare"), oracle.section("prepare"):
            own()
        with motrace.span("encode"), oracle.section("encode", "native") as section:
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run(command, input=chunk, check=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            least = int(used * 1e9) // (os.cpu_count() or 1)
            section.worked("encoder", least - TICK_NS, int(used * 1e9) + TICK_NS)
