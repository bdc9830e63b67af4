"""Documents on paper: titles, paragraphs, tables and charts in; html, pdf and docx out.

1. `document.py` is the model, `text.py` makes what people wrote harmless, `charts/` draws.
2. `html.py`, `pdf.py` and `docx.py` write it; the last two need an extra and say so where it is missing.
3. The same document gives the same bytes, whatever clock, time zone, locale or hash seed (of a pdf: with the
   same fonts).
4. Nothing here knows a service, a round or a school. Services make documents: `coordinator.reports`,
   `auditor.evidence`. Why it is a room: docs/adr/0023-a-room-for-paper.md.
"""
