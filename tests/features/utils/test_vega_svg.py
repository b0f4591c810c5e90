"""Charts fill their place, say what they show, and share no id with another chart."""

from __future__ import annotations

import re

from features.utils.vega_svg import chart_config, draw_svg

CONFIG = chart_config("currentColor", "var(--soft)", "var(--line)", font_size=12)


def _chart(label: str, value: float) -> str:
    spec = {
        "data": {"values": [{"x": 1, "y": 2}, {"x": 3, "y": value}]},
        "mark": {"type": "line", "clip": True},
        "encoding": {"x": {"field": "x", "type": "quantitative"}, "y": {"field": "y", "type": "quantitative"}},
    }
    return draw_svg(spec, label, CONFIG)


def test_a_chart_fills_its_place_and_says_what_it_shows() -> None:
    svg = _chart('ARR of "a" & <b>, \\1 and \\g<0>', 4)
    opening = svg[: svg.index(">")]
    assert 'role="img" aria-label="ARR of &#34;a&#34; &amp; &lt;b&gt;, \\1 and \\g&lt;0&gt;"' in opening
    assert "viewBox=" in opening
    assert not re.search(r' (width|height)="', opening)
    assert svg.count("aria-") == 1
    assert "var(--soft)" in svg


def test_two_charts_share_no_id_and_each_refers_to_its_own() -> None:
    values = [set(re.findall(r'\bid="([^"]+)"', svg)) for svg in (_chart("one", 4), _chart("two", 4), _chart("two", 5))]
    assert all(values)
    assert not set.intersection(*values)
    svg = _chart("one", 4)
    assert set(re.findall(r"url\(#([^)]+)\)", svg)) <= values[0]
    assert svg == _chart("one", 4)
