"""The node's page for the school's own people: loopback only, no records of its own.

| module | holds |
| --- | --- |
| `keeper` | one open vault, used by one thread, opened anew if it dies |
| `sessions` | who sits at the page: links that work once, roles, limits of time, slowed log-ins |
| `guard` | what every request must be and every answer carries: host, origin, headers, cookies |
| `forms` | what a browser sends, read into memory within limits |
| `speech` | languages, templates, and the words in them |
| `visit` | one request as the pages see it, and what they may answer |
| `steps` | import, check, signature, sending: where a round stands and what comes next; pure |
| `pages_*` | one module for each part of the day |
| `app` | the table of pages, who may see which, and what happens to errors |
| `serve` | the socket and the server |

Only `app`, `guard`, `forms` and `serve` know starlette and uvicorn; they are loaded by the command alone.
"""
