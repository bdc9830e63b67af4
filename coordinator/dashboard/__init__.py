"""The county's pages in a browser: reporting board, results, log, accounts; for five roles kept apart.

Rules:

1. The process opens the database and the configuration, never a key of the coordinator: it cannot sign, open
   or enrol anything, whatever is sent to it.
2. Who may see a page stands in one table (`places.PLACES`); a page without an entry does not exist.
3. Whatever changes something, and whatever shows or hands out results, stands in the journal before it is
   done.
4. No page shows a pupil, a count of a school, or a ranking.
"""
