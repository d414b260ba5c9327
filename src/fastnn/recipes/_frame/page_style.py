"""How a run's page looks: in one column, on screens of any width, and on paper."""

STYLE = """
:root {
  color-scheme: light dark;
  --page: #ffffff; --card: #ffffff; --text: #1c2127; --quiet: #59636e; --line: #d9dee3; --ours: #00568a;
}
@media screen and (prefers-color-scheme: dark) {
  :root { --page: #14181c; --card: #ebebeb; --text: #e4e8ec; --quiet: #9aa5b1; --line: #333b43; --ours: #7cc4f0; }
  img { filter: brightness(0.92); }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0 auto; padding: 1.5rem 1rem 3rem; max-width: 62rem; background: var(--page); color: var(--text);
  font: 1rem/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; overflow-wrap: break-word;
}
h1 { margin: 0; font-size: 1.6rem; line-height: 1.25; }
h2 { margin: 2.2rem 0 0.6rem; font-size: 1.1rem; }
p { margin: 0.5rem 0 0; }
.recipe { margin: 0 0 0.3rem; color: var(--quiet); font: 0.9rem ui-monospace, Menlo, Consolas, monospace; }
figure { margin: 0; }
figcaption { margin-top: 0.4rem; color: var(--quiet); font-size: 0.9rem; }
.card {
  display: block; padding: 0.5rem; background: var(--card); border: 1px solid var(--line); border-radius: 0.5rem;
  text-align: center;
}
img { display: inline-block; max-width: 100%; height: auto; vertical-align: middle; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.95rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.3rem 0.8rem 0.3rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
th { color: var(--quiet); font-weight: 500; }
th:not(:first-child), td:not(:first-child) { padding-left: 0.8rem; }
.number { text-align: right; }
.short { white-space: nowrap; }
.strong { font-weight: 700; color: var(--ours); }
.columns { display: flex; flex-wrap: wrap; gap: 0 3.5rem; }
.columns section { min-width: 0; max-width: 100%; }
td:first-child { color: var(--quiet); }
@media (max-width: 640px) {
  body { padding: 1rem 0.8rem 2rem; }
  h1 { font-size: 1.35rem; }
  .card { padding: 0.25rem; }
  .card.scroll img { max-width: 56rem; }
  table { font-size: 0.85rem; }
  th, td { padding-right: 0.3rem; }
  th:not(:first-child), td:not(:first-child) { padding-left: 0.3rem; }
}
@page { margin: 15mm; }
@media print {
  body { max-width: none; padding: 0; font-size: 10.5pt; }
  h2 { margin-top: 1.4rem; break-after: avoid; }
  figure, tr { break-inside: avoid; }
  section:has(figure), .columns section { break-inside: avoid; }
  .card { border: 0; padding: 0; text-align: left; }
  img { max-height: 22cm; }
  .scroll { overflow: visible; }
  .columns { gap: 0 2.5rem; }
  table { font-size: 9.5pt; }
  th, td { padding: 0.1rem 0.5rem 0.1rem 0; }
  th:not(:first-child), td:not(:first-child) { padding-left: 0.5rem; }
}
"""
