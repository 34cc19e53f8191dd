"""The report as a document: every section is there, and every medium shows the numbers of the Report."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from motrace import analysis
from motrace.findings.model import Report
from motrace.findings.run_model import Pool
from motrace.report import html, markdown, terminal
from motrace.report.blocks import Column, Document, Section, Table, Text, Tone, numbers, section, table, words
from motrace.report.document import full, short
from motrace.report.figures import Bar, Bars, Columns, Figure, Slice, Stack
from motrace.report.sections.pools import nested, pools
from tests.conftest import ROOT

EVERY = ("benchmark", "warnings", "runs", "segments", "frames", "comparison", "recorder", "command",
         "environment")  # fmt: skip
OF_POOLS = ("buckets", "phases", "causes", "workers", "outside")
OF_PROFILED = ("episodes", "pool-record-transferred", "trace-05-record-nsys", "profiler-overhead", "clocks")
RECORDINGS = {"demo-llvmpipe": (), "nsys-llvmpipe": OF_PROFILED}


@pytest.fixture(scope="module", params=RECORDINGS)
def analysed(request: pytest.FixtureRequest) -> tuple[Report, Document]:
    one = analysis.load(ROOT / "traces" / request.param)
    return one.report, full(one.report, one.tables["frames"], one.tables["frame_phases"])


class Tags(HTMLParser):
    """Checks that tags are nested; collects the cells of tables."""

    VOID = ("meta", "rect", "line", "circle", "polyline")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.cells: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [value for name, value in attrs if name == "id" and value]
        if tag != "meta":
            self.open.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in self.VOID

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("td", "th"):
            self.cells[-1] += data

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def read(page: str) -> Tags:
    tags = Tags()
    tags.feed(page)
    assert not tags.open
    return tags


def test_every_section_is_there_once(analysed: tuple[Report, Document]) -> None:
    report, document = analysed
    ids = [one.id for one in document.sections]
    wanted = {*EVERY, *RECORDINGS[report.experiment]}
    for pool in report.pools:
        name = "-".join(("pool", pool.key.mode, *pool.key.profilers))
        wanted |= {name, *(f"{name}-{part}" for part in OF_POOLS)}
    assert set(ids) == wanted and len(ids) == len(wanted)
    assert read(html.render(document)).ids == ids
    headings = re.findall(r"^#{2,3} (.*)$", markdown.render(document), re.MULTILINE)
    assert headings == [one.title for one in document.sections]


def shown_numbers(pool: Pool) -> set[str]:
    """The buckets' and the phases' numbers, as a table shows them."""
    best = (*pool.buckets, *(pool.composed.buckets if pool.composed is not None else ()))
    buckets = [one for one in best if one.time.hi_ns]
    points = [one for one in buckets if not one.guess]
    times = [one.time.ns for one in points]
    shares = [*(one.share for one in points), *(share for one in buckets for share in (one.lo_share, one.hi_share))]
    frames = [getattr(one.time, name) for one in pool.phases
              for name in ("total_ns", "mean_ns", "p50_ns", "p95_ns", "p99_ns", "max_ns")]  # fmt: skip
    return {
        *(f"{ns / 1e9:,.2f}" for ns in times),
        *(f"{share * 100:.1f} %" for share in (*shares, *(one.share for one in pool.phases))),
        *(f"{ns / 1e6:,.3f}" for ns in frames),
    }


def test_every_medium_shows_the_numbers_of_the_report(analysed: tuple[Report, Document]) -> None:
    report, document = analysed
    for pool in report.pools:
        part = Document("", (), tuple(pools((pool,))))
        expected = shown_numbers(pool)
        cells = {cell for line in markdown.render(part).splitlines() for cell in line.strip("| ").split(" | ")}
        assert expected <= cells
        assert expected <= set(read(html.render(part)).cells)
        assert expected <= set(re.split(r"\s{2,}|\n", terminal.render(part, 200)))
    leading = report.verdict.leading
    assert leading is not None
    for shown in (html.render(document), markdown.render(document), terminal.render(short(report))):
        assert f"{leading.share * 100:.1f} %" in shown.split("Runner-up")[0]


def test_the_short_form_fits_a_terminal(analysed: tuple[Report, Document]) -> None:
    report, _ = analysed
    lines = terminal.render(short(report)).splitlines()
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("warning: Software adapter: this machine has no GPU") for line in lines)


def test_the_first_figure_is_wall_time_by_bucket_with_bounds(analysed: tuple[Report, Document]) -> None:
    report, document = analysed
    pool = report.pools[0]
    (figure,) = document.section(f"pool-{pool.key.mode}").blocks
    assert isinstance(figure, Figure) and isinstance(figure.marks, Bars)
    for bar, bucket in zip(figure.marks.bars, (one for one in pool.best.buckets if one.time.hi_ns)):
        assert (bar.value, bar.lo, bar.hi) == (bucket.share, bucket.lo_share, bucket.hi_share)


def test_frames_add_up_to_the_loop(analysed: tuple[Report, Document]) -> None:
    report, document = analysed
    for run, block in zip(report.runs, document.section("frames").blocks):
        assert isinstance(block, Figure) and isinstance(block.marks, Columns)
        assert len(block.marks.stacks) == run.frames + run.warmup_frames
        kept = sum(stack.total for stack in block.marks.stacks if not stack.pale)
        assert kept == pytest.approx(run.frame.total_ns, rel=1e-3)


HOSTILE = "<script>|\x1b[31m```[x](y)"


def test_text_is_escaped_in_every_block_and_medium() -> None:
    columns: list[Column[str]] = [words(HOSTILE, str), numbers(HOSTILE, str, str)]
    stack = Stack(HOSTILE, (Slice(HOSTILE, 1.0, HOSTILE),))
    figures = Bars((Bar(HOSTILE, 0.5, 0.1, 0.9),)), Columns((stack,), 1.0)
    blocks = [*(Text(HOSTILE, tone, HOSTILE) for tone in Tone), table(HOSTILE, columns, [HOSTILE], (HOSTILE,))]
    document = Document(HOSTILE, (), (Section("x", HOSTILE, (*blocks, *(Figure(HOSTILE, one) for one in figures))),))
    page, text, lines = html.render(document), markdown.render(document), terminal.render(document)
    read(page)
    assert "<script" not in page and "\x1b" not in page + text + lines
    cells = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in cells}) == 1
    before, code, after = text.split("\n```\n")
    assert "\n" not in code and not re.search(r"^(?! {4}).*<script", before + after, re.MULTILINE)


def test_a_table_gives_way_in_its_words_and_never_in_its_numbers() -> None:
    many = words("what", lambda _: "some words that are many " * 4)
    columns: list[Column[int]] = [many, numbers("of a long title", lambda one: one, lambda one: f"{one:,}.123 %")]
    shown = terminal.render(Document("", (table("", columns, [1_000_000]),), ()), 50)
    assert max(map(len, shown.splitlines())) <= 50 and "1,000,000.123 %" in shown


def test_what_is_empty_is_absent() -> None:
    columns: list[Column[int]] = [words("what", str)]
    note = Text("how to read it", Tone.NOTE)
    assert section("x", "x", Text(""), table("", columns, []), None, Figure("", Bars(())), note) == []
    assert isinstance(section("x", "x", table("", columns, [1]))[0].blocks[0], Table)


def test_phases_around_each_other_are_all_listed(analysed: tuple[Report, Document]) -> None:
    report, _ = analysed
    phases = report.pools[0].phases
    assert sorted(one.phase for _, one in nested(phases)) == sorted(one.phase for one in phases)
    depth = {one.phase: deep for deep, one in nested(phases)}
    assert all(depth[one.phase] == (0 if one.parent is None else depth[one.parent] + 1) for one in phases)


def test_the_page_stands_alone(analysed: tuple[Report, Document]) -> None:
    _, document = analysed
    page = html.render(document)
    assert "http" not in page and "<script" not in page and len(page) < 1_000_000
    assert page == html.render(document)
