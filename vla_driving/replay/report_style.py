"""Style sheet of the report: one column on a phone, light and dark by the reader's choice."""

STYLE = """
:root { color-scheme: light dark;
  --page: #f5f6f8; --card: #ffffff; --ink: #16202c; --soft: #5c6877; --rule: #dfe4ea;
  --blue: #1f78d1; --green: #16935a; --amber: #b77900; --orange: #cf5f12; --red: #d0343d;
  --grey: #98a3b0; --cyan: #0d8ca6; }
@media (prefers-color-scheme: dark) { :root {
  --page: #0e1218; --card: #171d26; --ink: #e8ecf1; --soft: #98a4b3; --rule: #2a323d;
  --blue: #4ba3ff; --green: #34d17c; --amber: #ffb83d; --orange: #ff8f45; --red: #ff5a62;
  --grey: #667282; --cyan: #52d3ea; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 28px 20px 60px; }
h1 { font-size: 28px; line-height: 1.2; margin: 0 0 4px; }
h2 { font-size: 18px; margin: 0 0 12px; }
.sub { color: var(--soft); margin: 0 0 20px; overflow-wrap: anywhere; }
section { background: var(--card); border: 1px solid var(--rule); border-radius: 14px;
  padding: 18px 20px; margin: 0 0 16px; }
.verdict { display: flex; gap: 14px; align-items: baseline; flex-wrap: wrap; }
.badge { font-weight: 650; padding: 3px 12px; border-radius: 99px; color: #fff; }
.badge.good { background: var(--green); } .badge.bad { background: var(--red); }
@media (prefers-color-scheme: dark) { .badge { color: #0e1218; } }
.verdict ul { margin: 6px 0 0; padding-left: 20px; flex-basis: 100%; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(160px, 1fr)); gap: 12px; }
.figure { border: 1px solid var(--rule); border-radius: 10px; padding: 10px 14px; }
.figure b { display: block; white-space: nowrap; font-size: 24px; font-weight: 600;
  line-height: 1.25;
  font-variant-numeric: tabular-nums; }
.figure b small { font-size: 14px; font-weight: 400; color: var(--soft); }
.figure span { color: var(--soft); font-size: 13.5px; }
.target { display: flex; gap: 12px; padding: 7px 0; border-top: 1px solid var(--rule);
  align-items: baseline; flex-wrap: wrap; }
.target:first-of-type { border-top: 0; }
.target .mark { font-weight: 650; min-width: 82px; }
.target .mark.good { color: var(--green); } .target .mark.bad { color: var(--red); }
.target .value { margin-left: auto; font-variant-numeric: tabular-nums; }
.two { display: grid; gap: 16px;
  grid-template-columns: repeat(auto-fit, minmax(min(440px, 100%), 1fr)); }
.two > section { margin: 0; min-width: 0; } .two { margin-bottom: 16px; }
video, .stills img { width: 100%; display: block; border-radius: 10px; background: #000; }
.stills { display: grid; gap: 12px;
  grid-template-columns: repeat(auto-fit, minmax(min(330px, 100%), 1fr)); }
figure { margin: 0; } figcaption { color: var(--soft); font-size: 14px; padding: 4px 2px; }
svg { width: 100%; height: auto; display: block; }
svg text { font-size: 11.5px; fill: var(--soft); }
svg text.unit { fill: var(--ink); font-weight: 600; }
.axis { stroke: var(--grey); } .grid { stroke: var(--rule); }
.curve { fill: none; stroke-width: 1.8; stroke-linejoin: round; stroke: var(--ink); }
.blue { --tone: var(--blue); } .green { --tone: var(--green); } .amber { --tone: var(--amber); }
.orange { --tone: var(--orange); } .red { --tone: var(--red); } .grey { --tone: var(--grey); }
.cyan { --tone: var(--cyan); }
.curve[class], .way[class] { stroke: var(--tone); } .band { fill: var(--tone); rx: 3px; }
.word { color: var(--tone); }
.way { stroke-width: 4; stroke-linecap: round; }
.bar { fill: var(--blue); } .mark { stroke: var(--red); stroke-dasharray: 2 3; }
.limit { stroke: var(--red); stroke-width: 1.5; stroke-dasharray: 5 4; }
.start { fill: var(--card); stroke: var(--ink); stroke-width: 2; } .goal { fill: var(--ink); }
.scale { stroke: var(--ink); stroke-width: 3; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; font-size: 13.5px; color: var(--soft);
  padding-top: 6px; }
.swatch { display: inline-block; width: 14px; height: 8px; border-radius: 3px; margin-right: 6px;
  background: var(--tone); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 14.5px; }
th { text-align: left; font-weight: 600; color: var(--soft); }
th, td { padding: 6px 14px 6px 0; border-bottom: 1px solid var(--rule); vertical-align: top; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.bad { color: var(--red); font-weight: 600; }
.empty { color: var(--soft); margin: 0; }
code { font: 0.92em ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
"""
