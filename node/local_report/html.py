"""The report as one page: nothing outside of it is loaded, nothing in it runs; it prints on A4 as it is."""

from __future__ import annotations

from gettext import gettext as _
from html import escape
from typing import Final

from node.local_report.document import Cell, Document, Section, Share, Table, cell_text, is_word

_STYLE: Final = """
:root{--ink:#1d2733;--soft:#5b6b7c;--line:#d5dce4;--head:#eef2f6;--accent:#1f5f8b;--bar:#cfe2f0;--red:#a02b2b}
*{box-sizing:border-box}
body{margin:0;background:#f4f6f8;color:var(--ink);
font:15px/1.55 "Source Han Sans SC","Noto Sans CJK SC","Microsoft YaHei","PingFang SC",
"WenQuanYi Micro Hei",sans-serif}
.sheet{position:relative;max-width:64rem;margin:1.5rem auto;padding:2.2rem 2.6rem;background:#fff;
border:1px solid var(--line)}
header{display:flex;justify-content:space-between;gap:1rem;border-bottom:3px solid var(--accent);
padding-bottom:.9rem}
h1{font-size:1.65rem;line-height:1.25;margin:0 0 .2rem}
h2{font-size:1.15rem;margin:2rem 0 .5rem;padding-left:.6rem;border-left:4px solid var(--accent);
break-after:avoid}
.subtitle{color:var(--soft);margin:0}
.mark{flex:none;align-self:flex-start;border:2px solid var(--red);color:var(--red);padding:.15rem .7rem;
font-weight:600}
dl.facts{display:grid;grid-template-columns:repeat(4,1fr);gap:.2rem 1.4rem;margin:.9rem 0}
dl.facts dt,.figure span{color:var(--soft);font-size:.85rem}
dl.facts dd{margin:0;overflow-wrap:anywhere}
.figures{display:grid;grid-template-columns:repeat(6,1fr);gap:.7rem;margin:1.1rem 0 .4rem}
.figure{border:1px solid var(--line);border-top:3px solid var(--accent);padding:.5rem .7rem;display:flex;
flex-direction:column;justify-content:space-between}
.figure b{font-size:1.3rem;font-variant-numeric:tabular-nums}
figure{margin:.8rem 0 1.3rem;overflow-x:auto}
figcaption{font-weight:600;margin-bottom:.3rem}
table.data{border-collapse:collapse;width:100%;font-size:.9rem;font-variant-numeric:tabular-nums}
table.data th,table.data td{border:1px solid var(--line);padding:.28rem .55rem;text-align:right;
vertical-align:top}
table.data thead th{background:var(--head);font-weight:600;vertical-align:bottom}
table.data td{white-space:nowrap}table.data th.name{min-width:5em}
table.data .name{text-align:left;font-weight:400;white-space:normal}
table.data tr.total>*{font-weight:600;background:#f7f9fb}
table.data td.share{min-width:5.5rem;
background:linear-gradient(90deg,var(--bar) var(--part),transparent var(--part))}
table.data td.small,.note{color:var(--soft)}
.note{font-size:.85rem;margin:.3rem 0}
.warning{border:2px solid var(--red);color:var(--red);padding:.5rem .8rem;font-weight:600}
.notes{margin-top:2rem;border-top:1px solid var(--line);padding-top:.7rem;font-size:.85rem;color:var(--soft)}
.notes p{margin:.25rem 0}
.sign{display:grid;grid-template-columns:repeat(4,1fr);gap:1.5rem;margin:2.2rem 0 .5rem;break-inside:avoid}
.sign div{border-bottom:1px solid var(--ink);padding-bottom:1.6rem;font-size:.9rem}
.watermark{position:fixed;inset:0;display:flex;flex-direction:column;justify-content:space-evenly;
align-items:center;pointer-events:none;overflow:hidden;z-index:2}
.watermark span{transform:rotate(-24deg);font-size:1.5rem;white-space:nowrap;color:rgba(120,30,30,.09);
font-weight:700}
.running{position:fixed;z-index:3;left:0;right:0;bottom:0;display:none;justify-content:space-between;
font-size:8pt;color:var(--soft);border-top:.5pt solid var(--line);padding-top:1mm;background:#fff}
.frame,.frame>tbody>tr>td,.frame>tfoot>tr>td{width:100%;border:0;border-collapse:collapse;padding:0}
@media screen and (max-width:50rem){.sheet{padding:1.2rem}.figures{grid-template-columns:repeat(2,1fr)}
dl.facts,.sign{grid-template-columns:repeat(2,1fr)}}
@media print{html{font-size:11.5px}@page{size:A4;margin:13mm 13mm 11mm}
body{background:#fff;font-size:1rem}table.data th,table.data td{padding:.22rem .45rem}
.sheet{border:0;margin:0;padding:0;max-width:none}figcaption{break-after:avoid}
.running{display:flex}.frame tfoot .space{height:9mm}
table.data tr{break-inside:avoid}table.data thead{display:table-header-group}figure{overflow:visible}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
""".replace("\n", "")
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
_MARKS: Final = 5


def encode_html(document: Document) -> bytes:
    """Write the report as an html page, UTF-8."""
    title = escape(f"{document.title} · {document.subtitle}")
    mark = escape(document.watermark)
    running = f"<span>{escape(document.mark)}</span><span>{mark}</span>"
    body = "".join(
        (
            _header(document),
            *(_section(section) for section in document.sections),
            _sign(document),
            '<div class="notes">',
            *(f"<p>{escape(text)}</p>" for text in (*document.notes, *document.footers)),
            "</div>",
        )
    )
    page = (
        f'<!doctype html>\n<html lang="{escape(document.language)}"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head>\n<body>"
        f'<div class="watermark" aria-hidden="true">{f"<span>{mark}</span>" * _MARKS}</div>'
        f'<div class="running">{running}</div><main class="sheet"><table class="frame" role="presentation">'
        f"<tbody><tr><td>{body}</td></tr></tbody>"
        '<tfoot><tr><td><div class="space"></div></td></tr></tfoot></table></main></body></html>\n'
    )
    return page.encode("utf-8")


def _header(document: Document) -> str:
    facts = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in document.facts
    )
    figures = "".join(
        f'<div class="figure"><span>{escape(name)}</span><b>{escape(value)}</b></div>'
        for name, value in document.figures
    )
    warning = f'<p class="warning">{escape(document.warning)}</p>' if document.warning else ""
    return (
        f'<header><div><h1>{escape(document.title)}</h1><p class="subtitle">{escape(document.subtitle)}</p>'
        f'</div><div class="mark">{escape(document.mark)}</div></header>{warning}'
        f'<dl class="facts">{facts}</dl>' + (f'<div class="figures">{figures}</div>' if figures else "")
    )


def _section(section: Section) -> str:
    note = f'<p class="note">{escape(section.note)}</p>' if section.note else ""
    tables = "".join(map(_table, section.tables))
    return f"<section><h2>{escape(section.title)}</h2>{note}{tables}</section>\n"


def _table(table: Table) -> str:
    caption = f"<figcaption>{escape(table.title)}</figcaption>" if table.title else ""
    head = "".join(
        f'<th scope="col"{_name_class(at, table)}>{escape(text)}</th>' for at, text in enumerate(table.header)
    )
    last = len(table.rows) - 1
    rows = "".join(
        ('<tr class="total">' if table.has_total and place == last else "<tr>")
        + "".join(_cell(cell, at, table) for at, cell in enumerate(row))
        + "</tr>"
        for place, row in enumerate(table.rows)
    )
    note = f'<p class="note">{escape(table.note)}</p>' if table.note else ""
    return (
        f'<figure>{caption}<table class="data"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
        f"{note}</figure>"
    )


def _name_class(at: int, table: Table) -> str:
    return ' class="name"' if at < table.num_heads or _is_text(at, table) else ""


def _is_text(at: int, table: Table) -> bool:
    """Say whether a column holds words."""
    return any(is_word(row[at]) for row in table.rows)


def _cell(cell: Cell, at: int, table: Table) -> str:
    if at < table.num_heads:
        return f'<th scope="row" class="name">{escape(cell_text(cell))}</th>'
    if isinstance(cell, Share):
        part = f"{100 * min(cell.value, 1.0):.1f}%"
        return f'<td class="share" style="--part:{part}">{cell.text}</td>'
    if cell is None:
        return f'<td class="small">{escape(_("too small"))}</td>'
    return f"<td{_name_class(at, table)}>{escape(str(cell))}</td>"


def _sign(document: Document) -> str:
    lines = "".join(f"<div>{escape(name)}</div>" for name in document.sign)
    return f'<div class="sign">{lines}</div>' if lines else ""
