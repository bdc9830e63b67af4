"""What every page has to be in a real browser: labels, table heads, contrast, no sideways scrolling.

`CHROMIUM` is Debian's browser, "" without one; `QUIET` makes it ask nobody anything. The others are functions
for the browser: each gives what is wrong.
"""

from __future__ import annotations

import shutil

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
QUIET = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
LABELS = """() => [...document.querySelectorAll('input:not([type=hidden]), select, textarea')]
  .filter(field => !field.labels.length && !field.ariaLabel).map(field => field.outerHTML)"""
HEADS = (
    """() => [...document.querySelectorAll('th')].filter(cell => !cell.scope).map(cell => cell.outerHTML)"""
)
OVERFLOW = "() => document.documentElement.scrollWidth - window.innerWidth"
CONTRAST = """() => {
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, at) => sum + v * [.2126, .7152, .0722][at], 0);
  const parse = text => text.match(/[\\d.]+/g).map(Number);
  const bed = node => {
    for (; node; node = node.parentElement) {
      const color = parse(getComputedStyle(node).backgroundColor);
      if (color.length < 4 || color[3] === 1) return color;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const node of document.querySelectorAll('body *')) {
    const own = [...node.childNodes].some(child => child.nodeType === 3 && child.data.trim());
    if (!own || !node.offsetParent || node.closest('[hidden], svg, .hidden-number')) continue;
    const [a, b] = [light(parse(getComputedStyle(node).color)), light(bed(node))];
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < 4.5) found.push(node.outerHTML.slice(0, 80) + ' ' + ratio.toFixed(2));
  }
  return found;
}"""
