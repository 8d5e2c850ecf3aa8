"""The HTTP API: selects contacts, and tells how they fare.

| module | what it holds |
| --- | --- |
| `app` | puts the application together |
| `access` | who is asking, and whether they may |
| `errors` | the one form in which errors are answered |
| `perimeter` | what every request passes: host, size, headers, request id |
"""
