#!/usr/bin/env python3
"""The tunnels of bench/results.json as a picture: chart.py RESULTS.json CHART.svg

Bars are medians, whiskers go from the least to the most. One panel a question; ours stand first and are coloured.
"""

import html
import json
import sys

# title, one core?, measurement, field, factor, which way is good
PANELS = [
    ("TCP, 1 stream, Gbit/s", False, "tcp1_fwd", "gbit_s", 1, "more is better"),
    ("TCP, 4 streams, Gbit/s", False, "tcp4_fwd", "gbit_s", 1, "more is better"),
    ("UDP packets of 64 B, carried in a flood, 1000/s", False, "udp_flood", "carried_kpps", 1, "more is better"),
    ("UDP packets of 64 B, under 1 % lost, 1000/s", False, "udp_lossless", "carried_kpps", 1, "more is better"),
    ("One core for everything: TCP, Gbit/s", True, "tcp1_fwd", "gbit_s", 1, "more is better"),
    ("Handshakes a second, as responder", False, "handshakes", "per_second", 1, "more is better"),
    ("CPU of the machine, s a GB, 4 streams", False, "tcp4_fwd", "cpu_machine_s_gb", 1, "less is better"),
    ("Ping p99 under 4 TCP streams, ms", False, "ping_loaded", "p99_us", 1e-3, "less is better"),
]
OURS = ["aqmesh-wg", "aqmeshd"]
PEERS = ["wireguard-go-newest", "wireguard-go-debian", "boringtun", "gotatun", "nebula"]
COLUMN, LABEL, BAR, LINE, GAP = 440, 140, 226, 17, 26

STYLE = """
text { font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #24292f; }
.title { font-weight: 600; }
.small { font-size: 11px; fill: #57606a; }
.ours { fill: #0a7d5a; } .peer { fill: #9aa4ae; } .whisker { stroke: #24292f; stroke-width: 1; opacity: .65; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; } .small { fill: #9da7b1; }
  .ours { fill: #35c493; } .peer { fill: #66707b; } .whisker { stroke: #e6edf3; }
}
"""


def number(value):
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def text(x, y, words, kind="", anchor="start"):
    return f'<text x="{x:g}" y="{y:g}" class="{kind}" text-anchor="{anchor}">{html.escape(words)}</text>'


def bars(rows, panel):
    """[(name, least, median, most)] of those that have the figure."""
    _, one_core, what, field, factor, _ = panel
    found = {r["who"]: r[what][field] for r in rows if r["one_core"] == one_core and field in r.get(what, {})}
    return [(who, *(found[who][k] * factor for k in ("min", "median", "max"))) for who in OURS + PEERS if who in found]


def draw(panel, rows, x, y):
    """One panel's SVG and its height."""
    out = [text(x, y + 12, panel[0], "title"), text(x + COLUMN - 16, y + 12, panel[5], "small", "end")]
    top = max(most for _, _, _, most in rows)
    y += 22
    for who, least, median, most in rows:
        at = lambda v: x + LABEL + v / top * BAR  # noqa: E731
        out.append(text(x + LABEL - 6, y + 10, who, "", "end"))
        out.append(f'<rect x="{x + LABEL}" y="{y}" width="{max(median / top * BAR, 1):.1f}" height="12" '
                   f'class="{"ours" if who in OURS else "peer"}"/>')
        if most > least:
            out.append(f'<path d="M{at(least):.1f} {y + 6}H{at(most):.1f}" class="whisker"/>')
        out.append(text(at(max(median, most)) + 5, y + 10, number(median), "small"))
        y += LINE
    return out, 22 + LINE * len(rows)


def main(results, chart):
    e2e = json.load(open(results))["e2e"]
    panels = [(p, bars(e2e["rows"], p)) for p in PANELS]
    panels = [(p, rows) for p, rows in panels if rows]
    out, y = [], 8
    for i in range(0, len(panels), 2):
        height = 0
        for column, (panel, rows) in enumerate(panels[i:i + 2]):
            drawn, tall = draw(panel, rows, 12 + column * COLUMN, y)
            out += drawn
            height = max(height, tall)
        y += height + GAP
    about = e2e["about"]
    out.append(text(12, y, f'{about["cpu"]}, {about["cores"]} cores, {about["kernel"]}; both ends and the load share them, '
                    f'two namespaces over a veth; medians of {e2e["rounds"]} interleaved rounds, {about["when"][:10]}', "small"))
    y += 14
    width = 2 * COLUMN + 12
    with open(chart, "w") as f:
        f.write(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y}" width="{width}" height="{y}" role="img">\n'
                "<title>aqmesh beside its peers</title>\n"
                f"<style>{STYLE}</style>\n" + "\n".join(out) + "\n</svg>\n")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2])
