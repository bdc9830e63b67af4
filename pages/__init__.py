"""What the pages that people open in a browser share: the county's, the school's, the auditor's.

| module | holds |
| --- | --- |
| `guard` | what every request must be and every answer carries |
| `forms` | what a browser may send |
| `sessions` | who came in by a link, and for how long |
| `replies` | what a page may answer |
| `speech` | templates and words in the reader's language |
| `serve` | the socket of this machine, and the server |
| `templates/skeleton.html`, `static/` | how every page looks |

No page of its own, no rule of the field; it knows `plan` for its phrases and nothing else of ours.
"""
