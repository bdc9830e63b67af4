"""Results as people hand them in: workbook, brief, csv and json, from a `results.report_model.ReportModel`.

1. `workbook.py` makes the thirteen sheets of the bureau's form, `brief.py` the report in eight chapters; both
   give a `paper.document.Document`, whose numbers are rounded and withheld as people may see them.
2. `xlsx.py`, `csvs.py` and `json_file.py` write a document; so do html, pdf and docx of the room `paper`.
3. The same model gives the same bytes, whatever clock, time zone, locale or hash seed.
4. No text that people wrote is taken for a formula or markup (`paper.text`).
"""

from coordinator.reports.rendering import KINDS, render

__all__ = ["KINDS", "render"]
