"""sweep.md and sweep.html show what sweep.json holds, and stand alone."""

from __future__ import annotations

import re
from typing import Any

import pytest
from motrace.report.scaling import chart, findings, render_sweep_html, render_sweep_markdown

from motrace.findings.sweep import summarise_sweep
from tests.statistics.sweeps import ENVS, SIZES, TRUTH, law, measured, observed


def swept(envs: tuple[int, ...] = ENVS, sizes: tuple[tuple[int, int], ...] = SIZES, repeat: int = 3) -> dict[str, Any]:
    """What sweep.json holds after a sweep."""
    rows = measured(observed(law(TRUTH), 0.03, repeat, envs=envs, sizes=sizes))
    return {
        "sweep": "nasty",
        "created_utc": "2026-01-01T00:00:00Z",
        "command": {"argv": ["python", "-m", "tools.sweep", "--", "</pre><script>alert(1)</script>|x"]},
        "environment": {"os": "<b>Debian</b>", "unknown": {}},
        "results": summarise_sweep(rows),
    }


def test_the_page_stands_alone_and_is_small() -> None:
    sweep = swept()
    page = render_sweep_html(sweep)
    assert "<script" not in page and "http" not in page and "<b>Debian" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert len(page) < 200_000
    assert page.count("<circle") == 2 * 27 and page.count("<polyline") == 2 * 3
    assert page == render_sweep_html(swept())


def test_numbers_in_the_text_are_those_of_the_file() -> None:
    sweep = swept()
    text = render_sweep_markdown(sweep)
    for entry in sweep["results"]["fits"]:
        for point in entry["points"]:
            assert f"| {point['mean_ns'] / 1e6:,.3f} |" in text
        for term, factor in zip(entry["fit"]["terms"], (1e-6, 1, 1e-6, 1)):
            assert "| {:,.10g} |".format(float(f"{term['value'] * factor:.3g}")) in text
        assert f"R² {entry['fit']['r_squared']:,.4f}" in text
        for slope in entry["slopes"]:
            assert f"| {slope['at']} | {slope['value']:,.2f} |" in text
    assert "At 16 x 1280x720 the largest term is pixels x environments: " in text
    assert "\\|x" not in text.split("```")[1]  # a command is not a table's cell


def test_every_run_is_drawn_inside_the_frame() -> None:
    sweep = swept()
    results = sweep["results"]
    drawn = chart(results["fits"][0], results["runs"])
    assert [line.label for line in drawn.lines] == ["320x180", "640x360", "1280x720"]
    for line in drawn.lines:
        assert len(line.dots) == 9
        places = [tuple(map(float, pair.split(","))) for pair in line.curve.split()]
        for x, y in [*places, *((dot.x, dot.y) for dot in line.dots)]:
            assert 62 <= x <= 508 and 12 <= y <= 260
    slow, fast = drawn.lines[2].dots[-1], drawn.lines[0].dots[0]
    assert slow.y < fast.y and slow.x > fast.x  # up is slower, right is more


@pytest.mark.parametrize(("envs", "sizes"), [(ENVS[:1], SIZES), (ENVS, SIZES[:1]), (ENVS[:1], SIZES[:1])])
def test_small_grids_are_shown_too(envs: tuple[int, ...], sizes: tuple[tuple[int, int], ...]) -> None:
    sweep = swept(envs, sizes)
    page, text = render_sweep_html(sweep), render_sweep_markdown(sweep)
    assert page.count("<circle") == 2 * 3 * len(envs) * len(sizes)
    single = len(envs) * len(sizes) == 1
    assert ("No fit: 3 completed runs at 1 point" in text) == single == bool(re.search("No fit", page))
    assert findings(sweep["results"]["fits"][0])[0].startswith("No fit" if single else "At ")


def test_without_a_manifest_it_says_so() -> None:
    sweep = {**swept(repeat=1), "command": {}, "created_utc": None, "environment": {}}
    text = render_sweep_markdown(sweep)
    assert "Not known: no sweep.json was there." in text and "no repeats" in text
    assert "<pre>" not in render_sweep_html(sweep)
