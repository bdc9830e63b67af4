"""The auditor's page: the same duties as the commands, for people who do not use a shell.

Rules:

1. It listens on 127.0.0.1 and nothing else can be asked for; who comes in has the link that the command made.
2. Which pages there are, and whether they need an auditor's keys, stands in one table (`places.PLACES`); a
   page without an entry does not exist. Without an auditor's folder only the pages that verify are there.
3. Every page calls the functions that the commands call; nothing is decided here, and nothing is signed that
   was not on the page that was sent.
4. One piece of work at a time has the auditor's folder (`desk.Keeper`); everything else waits or says so.
"""
