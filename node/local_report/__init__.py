"""The school's own report as files that people read: a page, a workbook, a printable document.

The vault computes what stands in it (`node.vault.local_report`) and gives codes and numbers; here they get
words, in the reader's language, and a form. Nothing is computed here but rates of printed numbers.
"""
