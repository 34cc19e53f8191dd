"""The end of ``tools/hopper.sh``: one report over its experiments, and one archive to take away.

``python -m tools.hopper_report FOLDER`` writes FOLDER/hopper.md, hopper.html and FOLDER.tar.xz, of at most 16 MB. The
archive holds no video, no profiler's own report and no path of the user: exports of Nsight Systems go into it scrubbed.
``--adapter`` prints the Vulkan adapter that Motrix chooses instead, and fails where there is none.
"""

from __future__ import annotations

import argparse
import csv
import io
import lzma
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

from motrace import redaction
from motrace.errors import MotraceError
from motrace.findings.model import Report
from motrace.output import write_text
from motrace.own_paths import shortened
from motrace.report import html, markdown
from motrace.report.blocks import Column, Table, Text, Tone, table, words
from motrace.report.schema import decode
from motrace.report.side_by_side import side_by_side
from motrace.vulkan_adapter import is_software
from motrace.workloads.probe import probe_adapter

LIMIT_BYTES = 16_000_000
TEXTS = (".json", ".md", ".html", ".log", ".txt", ".tsv")
ORDER = (
    "hopper.md", "hopper.html", "*.tsv", "*.log", "*/analysis/report.*", "*/experiment.json", "*/*/run.json",
    "*/*/log.txt", "*/*/*.bin", "*/*/episodes.json", "*/*/py-spy.*", "*/*/*.sqlite", "*/analysis/*.parquet",
)  # fmt: skip
"""What the archive holds, the most needed first: what would pass the limit is left out."""


def adapter() -> int:
    """Print the adapter; the exit status is 1 where Motrix finds none."""
    try:
        one = probe_adapter()
    except MotraceError as error:
        print(error, file=sys.stderr)
        return 1
    kind = "software: it draws on the CPU, and its times say nothing about a GPU" if is_software(one) else "hardware"
    print(f"Vulkan adapter: {one['name']} ({one['device_type']}, {kind})")
    return 0


def steps(folder: Path) -> Table:
    """How each step of the script ended."""
    with (folder / "steps.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    ended = {"0": "done"}
    columns: tuple[Column[dict[str, str]], ...] = (
        words("step", lambda row: row["step"]),
        words("how it ended", lambda row: ended.get(row["status"]) or _failure(folder, row["status"], row["log"])),
        words("seconds", lambda row: row["seconds"]),
    )
    return table("Steps", columns, rows)


def _failure(folder: Path, status: str, log: str | None) -> str:
    if not log or not (folder / log).exists():
        return status
    lines = (folder / log).read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return f"status {status}: {lines[-1] if lines else 'no output'}"


def reports(folder: Path) -> dict[str, Report]:
    """The reports of the experiments in a folder, by name."""
    files = sorted(folder.glob("*/analysis/report.json"))
    return {file.parent.parent.name: decode(file.read_bytes(), str(file), Report) for file in files}


def write_report(folder: Path) -> bool:
    """hopper.md and hopper.html; False where no experiment was analysed."""
    found = reports(folder)
    lead = (Text("UniLab's G1 dance eval on Motrix: each column is one experiment.", Tone.NOTE), steps(folder))
    document = side_by_side("Why is recording slow?", found, lead)
    for name, render in (("hopper.md", markdown.render), ("hopper.html", html.render)):
        write_text(folder / name, _anonymous(render(document), folder))
    return bool(found)


def _anonymous(text: str, folder: Path) -> str:
    """A text without credentials, with no absolute path of the results, the project or a home."""
    return redaction.text(shortened(shortened(text, folder), Path.cwd()))


def _contents(folder: Path, scratch: Path) -> Iterator[tuple[str, bytes]]:
    """Names and contents of what goes into the archive, in their order."""
    for pattern in ORDER:
        for file in sorted(folder.glob(pattern)):
            if file.suffix == ".sqlite":
                copy = scratch / f"{file.parent.name}.sqlite"
                command = [sys.executable, "-m", "tools.analyze", str(file), "--scrub", str(copy)]
                if subprocess.run(command, capture_output=True).returncode != 0:
                    continue
                content = copy.read_bytes()
            elif file.suffix in TEXTS:
                text = file.read_text(encoding="utf-8", errors="replace")
                content = _anonymous(text, folder).encode()
            else:
                content = file.read_bytes()
            yield str(file.relative_to(folder)), content


def pack(folder: Path, archive: Path) -> list[str]:
    """The archive; returns the names that the limit left out."""
    left, dropped = LIMIT_BYTES - 100_000, []  # a tar's own headers compress to far less
    with tempfile.TemporaryDirectory() as scratch, tarfile.open(archive, "w:xz") as tar:
        for name, content in _contents(folder, Path(scratch)):
            size = len(lzma.compress(content, preset=1)) if len(content) > left // 20 else len(content)
            if size > left:
                dropped.append(name)
                continue
            left -= size
            member = tarfile.TarInfo(f"{folder.name}/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return dropped


def main() -> int:
    """Parse, write, print."""
    parser = argparse.ArgumentParser(prog="hopper_report", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--adapter", action="store_true")
    args = parser.parse_args()
    if args.adapter:
        return adapter()
    if args.folder is None or not (args.folder / "steps.tsv").exists():
        parser.error("name the folder that tools/hopper.sh wrote")
    folder = args.folder.resolve()
    found = write_report(folder)
    archive = folder.with_name(f"{folder.name}.tar.xz")
    for name in pack(folder, archive):
        print(f"left out of the archive, which would pass {LIMIT_BYTES // 1_000_000} MB: {name}")
    print(f"report: {args.folder / 'hopper.html'}\nto take away: {archive} ({archive.stat().st_size / 1e6:.1f} MB)")
    if not found:
        print("no experiment could be analysed: the steps' logs say why", file=sys.stderr)
    return 0 if found else 1


if __name__ == "__main__":
    sys.exit(main())
