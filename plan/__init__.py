"""The collection plan as data: records, codebooks, tables, layout."""

DISTRIBUTION = "fedscreen"
