"""The HTTP API: selects contacts, and tells how they fare.

| module | what it holds |
| --- | --- |
| `app` | puts the application together |
| `access` | who is asking, and whether they may |
| `errors` | the one form in which errors are answered |
| `contacts`, `selecting`, `status`, `metrics` | the endpoints |
| `n8n`, `n8n_models` | what workflows tell about contacts |
| `destinations` | which destinations a request may name |
| `telling` | why one contact is or is not in a CRM |
| `models`, `paging` | what requests say and answers tell; lists page by page |
| `writing` | a write: one transaction, audited, done once however often it is sent |
| `perimeter` | what every request passes: host, size, headers, request id |
| `same_origin` | whether a browser sent it on behalf of a page of ours |
| `dagster_page` | Dagster's web page, guarded; served by a command of its own |
"""
