"""The installed Nsight Systems: where it is, what it can do, import and export of its reports.

Versions differ in the options and export types that they have, so both are read from its own help.
The command line tool writes a ``.qdstrm`` stream and has ``QdstrmImporter`` make a ``.nsys-rep`` of
it; some packages put that program where it is not looked for (Debian's; Nsight Compute's), so it is
found and run here.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from ..errors import MotraceError

REPORT, STREAM = ".nsys-rep", ".qdstrm"
EXPORTED = {"parquetdir": "_pqtdir", "sqlite": ".sqlite", "arrow": ".arrow"}
"""Export types, the best first, and what their name ends with."""
INSTALLED = (
    "/opt/nvidia/nsight-systems*/*/bin",
    "/opt/nvidia/nsight-systems*/*/target-linux-*",
    "/opt/nvidia/nsight-systems*/bin",
    "/opt/nvidia/nsight-compute/*/host/target-linux-*",
    "/usr/local/cuda*/bin",
    "/usr/local/cuda*/nsight-compute*/host/target-linux-*",
)
ANSWER_TIMEOUT_S = 60.0
CONVERT_TIMEOUT_S = 3600.0
HELP = (
    "install Nsight Systems: `make nsys` on Debian (asks for no account), else NVIDIA's nsight-systems-cli package; "
    "then put `nsys` on PATH"
)


@dataclass(frozen=True)
class NsysOptions:
    """What one ``nsys COMMAND --help`` lists: the words of each option's description, by its long name."""

    words: dict[str, frozenset[str]]

    @classmethod
    def parse(cls, text: str) -> NsysOptions:
        """From the help text: an option starts a line, with or without its short name."""
        words: dict[str, frozenset[str]] = {}
        starts = list(re.finditer(r"^\s*(?:-\w,\s*)?(--[a-z][\w-]*)", text, re.MULTILINE))
        for start, after in zip(starts, [*starts[1:], None]):
            description = text[start.end() : after.start() if after else len(text)]
            words[start[1]] = frozenset(re.findall(r"[\w-]+", description))
        return cls(words)

    def __contains__(self, option: str) -> bool:
        return option in self.words

    def has(self, option: str, value: str) -> bool:
        """Whether an option is listed and its description names a value."""
        return value in self.words.get(option, ())


@dataclass(frozen=True)
class Nsys:
    """One installed ``nsys``."""

    path: Path
    version_text: str

    @property
    def version(self) -> tuple[int, ...]:
        """As numbers, to be compared: (2022, 4, 2, 1)."""
        return version_numbers(self.version_text)

    @cached_property
    def profile_options(self) -> NsysOptions:
        """The options of ``nsys profile``."""
        return self._options("profile")

    @cached_property
    def export_options(self) -> NsysOptions:
        """The options of ``nsys export``."""
        return self._options("export")

    def _options(self, command: str) -> NsysOptions:
        return NsysOptions.parse(_run([str(self.path), command, "--help"], ANSWER_TIMEOUT_S).stdout)

    @property
    def export_types(self) -> list[str]:
        """The types we can use that this version writes, the best first."""
        found = [name for name in EXPORTED if self.export_options.has("--type", name)]
        return [name for name in found if name != "arrow"] or found

    def export(self, report: Path, out_dir: Path) -> Path:
        """Export a ``.nsys-rep`` into ``out_dir`` in the best type that this version has; returns what it wrote.

        The name is the report's: ``x.sqlite``, a folder ``x_pqtdir`` of Parquet files, ``x.arrow``. It
        holds the whole environment of the process that nsys was started from. Raises MotraceError
        where nothing usable came out; what is broken is removed.
        """
        problems = []
        for kind in self.export_types:
            target = out_dir / (report.name.removesuffix(REPORT) + EXPORTED[kind])
            try:
                self._export(kind, report, target)
            except MotraceError as error:
                problems.append(str(error))
            else:
                return target
        why = "; ".join(dict.fromkeys(problems)) or "it lists no type that can be read here"
        raise MotraceError(f"{report.name} could not be exported by nsys {self.version_text}: {why}")

    def _export(self, kind: str, report: Path, target: Path) -> None:
        made = target.with_name(f".exporting-{target.name}")
        _remove(made)
        words = [str(self.path), "export", f"--type={kind}", f"--output={made}", "--force-overwrite=true"]
        if "--quiet" in self.export_options:
            words.append("--quiet=true")
        if kind == "parquetdir" and "--include-blobs" in self.export_options:  # payloads of NVTX events
            words.append("--include-blobs=true")
        try:
            done = _run([*words, str(report)], CONVERT_TIMEOUT_S)
            suffixed = made.with_name(made.name + EXPORTED[kind])
            if not made.exists() and suffixed.exists():  # versions differ in whether they add it themselves
                suffixed.rename(made)
            complaint = _why_broken(kind, made) if done.returncode == 0 else _complaint(done)
            if complaint:
                raise MotraceError(complaint)
            _remove(target)
            made.rename(target)
        finally:
            _remove(made)

    def importers(self) -> list[Path]:
        """``QdstrmImporter`` programs that belong to this installation, the nearest first."""
        found: dict[Path, None] = {}
        for home in dict.fromkeys((self.path.resolve().parent, *_link_parents(self.path))):
            for pattern in ("QdstrmImporter", "host-linux*/QdstrmImporter", "linux-desktop-*/QdstrmImporter"):
                for folder in (home, home.parent):
                    found |= dict.fromkeys(path.resolve() for path in sorted(folder.glob(pattern)))
        return list(found)

    def import_stream(self, stream: Path, report: Path, keep: bool = False) -> None:
        """Make a ``.nsys-rep`` of a ``.qdstrm`` and delete that unless ``keep``. Raises MotraceError."""
        importers = self.importers()
        if not importers:
            raise MotraceError(
                f"nsys {self.version_text} comes without QdstrmImporter, so {stream.name} stays as it is: open it in "
                "the Nsight Systems GUI of the same version, or install the full package (nsight-systems)"
            )
        for importer in importers:
            done = _run([str(importer), "-f", "-i", str(stream), "-o", str(report)], CONVERT_TIMEOUT_S)
            if done.returncode == 0 and report.exists():
                if not keep:
                    stream.unlink()
                return
        _remove(report)
        missing = missing_libraries(importers[0])
        if missing:
            package = " (`apt-get install libdw1`)" if any("libdw" in name for name in missing) else ""
            raise MotraceError(f"QdstrmImporter needs {', '.join(missing)}{package}; {stream.name} stays as it is")
        raise MotraceError(f"QdstrmImporter could not read {stream.name}: {_complaint(done)}")


def find_nsys() -> Nsys | None:
    """The ``nsys`` on PATH if it runs, else the newest one in the usual places (Nsight Compute brings one too)."""
    on_path = shutil.which("nsys")
    if on_path is not None and (nsys := _ask(Path(on_path))) is not None:
        return nsys
    places = [folder / "nsys" for pattern in INSTALLED for folder in Path("/").glob(pattern.removeprefix("/"))]
    return max(filter(None, map(_ask, places)), key=lambda nsys: nsys.version, default=None)


@cache
def _ask(path: Path) -> Nsys | None:
    """What an nsys says of its version; None if it does not run."""
    if not path.is_file():
        return None
    try:
        done = _run([str(path), "--version"], ANSWER_TIMEOUT_S)
    except MotraceError:
        return None
    found = re.search(r"\d{4}\.\d[\w.-]*", done.stdout)
    return Nsys(path, found[0]) if done.returncode == 0 and found else None


def version_numbers(text: str) -> tuple[int, ...]:
    """(2022, 4, 2, 1) of ``2022.4.2.1-df9881f`` or of ``2022@4@2@1-...``; empty if it holds none."""
    found = re.search(r"\d{4}(?:[.@]\d+)+", text)
    return tuple(int(number) for number in re.split("[.@]", found[0])) if found else ()


def missing_libraries(program: Path) -> list[str]:
    """Libraries that a program needs and the loader does not find."""
    try:
        listed = _run(["ldd", str(program)], ANSWER_TIMEOUT_S).stdout
    except MotraceError:
        return []  # no ldd: nothing can be said
    return re.findall(r"^\s*(\S+) => not found", listed, re.MULTILINE)


def _run(words: list[str], timeout_s: float) -> subprocess.CompletedProcess[str]:
    """Run a program of nsys in a session of its own: Ctrl-C in a terminal must not break it off half-way."""
    try:
        return subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired as error:
        raise MotraceError(f"{Path(words[0]).name} did not end within {timeout_s:.0f} s") from error
    except OSError as error:
        raise MotraceError(f"{Path(words[0]).name} can't be run ({error.strerror})") from error


def _complaint(done: subprocess.CompletedProcess[str]) -> str:
    """What a program of nsys said when it failed, in one line."""
    text = re.sub(r"\x1b\[[\d;]*m|[^\r\n]*\[[\d=% ]*\]", "", done.stderr + "\n" + done.stdout)
    newer = re.search(r"Version number is invalid: ([\d@.]+)", text)
    if newer:
        version = ".".join(map(str, version_numbers(newer[1])))
        return f"it was recorded with nsys {version}, which is newer than this one: use that one to export it"
    lines = [" ".join(line.split()) for line in re.split(r"[\r\n]+", text) if line.strip()]
    return lines[0][:200] if lines else f"status {done.returncode}"


def _why_broken(kind: str, path: Path) -> str | None:
    """None if an export holds the tables that every version writes, else what is wrong with it."""
    try:
        tables = set(_tables(kind, path))
    except (sqlite3.Error, OSError) as error:
        return f"the {kind} export can't be read ({error})"
    if kind != "arrow" and not {"StringIds", "TARGET_INFO_SESSION_START_TIME"} <= tables:
        return f"the {kind} export is incomplete ({len(tables)} tables)"
    return None


def _tables(kind: str, path: Path) -> Iterator[str]:
    if kind == "parquetdir":
        yield from (file.stem for file in path.glob("*.parquet"))
    elif kind == "sqlite":
        if not path.exists():
            raise FileNotFoundError("it is not there")
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            yield from (name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'"))
    elif not path.stat().st_size:
        raise OSError("it is empty")


def _link_parents(path: Path) -> Iterator[Path]:
    """The folders of a program's name and of each symbolic link on the way to the program itself."""
    for _ in range(20):
        yield path.parent
        if not path.is_symlink():
            return
        path = path.parent / path.readlink()


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
