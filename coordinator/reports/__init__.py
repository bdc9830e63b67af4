"""Results as people hand them in: workbook, brief, csv and json, from a `results.report_model.ReportModel`.

1. `workbook.py` makes the thirteen sheets of the bureau's form, `brief.py` the report in eight chapters; both
   give a `document.Document`, whose numbers are rounded and withheld as people may see them.
2. `xlsx.py`, `csvs.py`, `json_file.py`, `html.py`, `pdf.py` and `docx.py` write a document; `charts/` draws.
3. The same model gives the same bytes, whatever clock, time zone, locale or hash seed.
4. No text that people wrote is taken for a formula or markup (`text.py`).
"""

from coordinator.reports.rendering import KINDS, render

__all__ = ["KINDS", "render"]
