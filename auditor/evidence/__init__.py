"""The yearly evidence pack: what the signed log shows of a year, for people and as one JSON file.

1. `facts.py` names the facts, `round_facts.py`, `party_facts.py` and `gather.py` take them from the
   ledger; nothing else is believed. `stated.py` reads what people state themselves; the pack says so.
2. `gaps.py` derives what failed, what is open and what is not yet met.
3. `annual.py` and `mlps3.py` make chapters from the facts alone; `wording.py` has both languages.
4. `values.py` writes the facts as canonical JSON; every number in a document stands there, too.
5. `sources.py` (reads a folder or a bundle) and `writing.py` (writes the pack) do the I/O; all else is pure.

No school's counts, no estimate of pupils and no result table enter a pack; nothing is ranked. Schools are
named only where the public log names them: by the form in which records lie, refused reports, replays.
"""
