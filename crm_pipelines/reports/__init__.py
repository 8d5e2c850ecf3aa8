"""The daily report: figures of the ledger, charts, a page.

| module | holds |
| --- | --- |
| `figures` | what the database has counted, as pandas sums it up |
| `charts` | matplotlib's pictures |
| `page` | the HTML page and the Markdown summary |
| `files` | where the pages are kept, and for how long |

Heavy but for `files`: pandas and matplotlib. Whoever is loaded for every run imports these inside a function.
"""
