"""sweep.md, sweep.html and the terminal show what Sweep holds, and stand alone."""

from __future__ import annotations

import re

import pytest

from motrace.dataset.facts import Environment
from motrace.findings.sweep import summarise_sweep
from motrace.findings.sweep_model import Sweep, SweepCommand, SweepResults
from motrace.report import html, markdown, terminal
from motrace.report.sweep_document import chart, findings, full, short
from tests.statistics.sweeps import ENVS, SIZES, TRUTH, law, measured, observed

COMMAND = SweepCommand(argv=["python", "-m", "tools.sweep", "--", "</pre><script>alert(1)</script>|x"])


def swept(envs: tuple[int, ...] = ENVS, sizes: tuple[tuple[int, int], ...] = SIZES, repeat: int = 3) -> Sweep:
    """What sweep.json holds after a sweep."""
    rows = measured(observed(law(TRUTH), 0.03, repeat, envs=envs, sizes=sizes))
    return Sweep(
        sweep="nasty",
        created_utc="2026-01-01T00:00:00Z",
        status="completed",
        command=COMMAND,
        environment=Environment(os="<b>Debian</b>"),
        results=summarise_sweep(rows),
    )


def results(sweep: Sweep) -> SweepResults:
    assert sweep.results is not None
    return sweep.results


def test_the_page_stands_alone_and_is_small() -> None:
    page = html.render(full(swept()))
    assert "<script" not in page and "http" not in page and "<b>Debian" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert len(page) < 200_000
    assert page.count("<circle") == 2 * 27 and page.count("<polyline") == 2 * 3
    assert page == html.render(full(swept()))


def test_numbers_in_the_text_are_those_of_the_file() -> None:
    sweep = swept()
    text, shown = markdown.render(full(sweep)), terminal.render(short(sweep))
    for entry in results(sweep).fits:
        for point in entry.points:
            assert f"| {point.mean_ns / 1e6:,.3f} |" in text
        assert entry.fit is not None
        for term, factor in zip(entry.fit.terms, (1e-6, 1, 1e-6, 1)):
            value = "{:,.10g}".format(float(f"{term.value * factor:.3g}"))
            assert f"| {value} |" in text and f" {value} " in shown
        assert f"R² {entry.fit.r_squared:,.4f}" in text and f"R2 {entry.fit.r_squared:,.4f}" in shown
        for along in entry.slopes:
            held = f"{along.width}x{along.height}" if along.along_envs else f"{along.num_envs} environment"
            assert re.search(rf"\| {held}s? \| {along.slope.value:,.2f} \|", text)
    assert "At 16 x 1280x720 the largest term is pixels x environments: " in text
    assert "\\|x" not in text.split("```")[1]  # a command is not a table's cell
    assert max(map(len, shown.splitlines())) <= 80


def test_every_run_is_drawn_inside_the_frame() -> None:
    sweep = swept()
    drawn = chart(results(sweep).fits[0], results(sweep).runs)
    assert [curve.label for curve in drawn.curves] == ["320x180", "640x360", "1280x720"]
    assert all(len(curve.points) == 9 for curve in drawn.curves)
    page = html.render(full(sweep))
    circles = [tuple(map(float, found)) for found in re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', page)]
    lines = [tuple(map(float, pair.split(","))) for found in re.findall(r'points="([^"]+)"', page)
             for pair in found.split()]  # fmt: skip
    assert circles and lines and all(62 <= x <= 508 and 12 <= y <= 260 for x, y in [*circles, *lines])
    (fast_x, fast_y), (slow_x, slow_y) = circles[0], circles[26]
    assert slow_y < fast_y and slow_x > fast_x  # up is slower, right is more


@pytest.mark.parametrize(("envs", "sizes"), [(ENVS[:1], SIZES), (ENVS, SIZES[:1]), (ENVS[:1], SIZES[:1])])
def test_small_grids_are_shown_too(envs: tuple[int, ...], sizes: tuple[tuple[int, int], ...]) -> None:
    sweep = swept(envs, sizes)
    page, text = html.render(full(sweep)), markdown.render(full(sweep))
    assert page.count("<circle") == 2 * 3 * len(envs) * len(sizes)
    single = len(envs) * len(sizes) == 1
    assert ("No fit: 3 completed runs at 1 point" in text) == single == bool(re.search("No fit", page))
    assert next(findings(results(sweep).fits[0])).startswith("No fit" if single else "At ")


def test_without_a_manifest_it_says_so() -> None:
    sweep = Sweep(sweep="x", status="completed", environment=Environment(), results=results(swept(repeat=1)))
    text = markdown.render(full(sweep))
    assert "**Not known.** There is no sweep.json." in text and "ran only once" in text
    assert "<pre>" not in html.render(full(sweep))
