"""One module per CRM behind one small interface. HTTP only: no database, no Dagster.

| module | what is in it |
| --- | --- |
| `base`, `outcomes`, `payloads`, `schema`, `bulk`, `turns` | the interface |
| `registry` | which CRM has which module |
| `transport`, `api`, `answers`, `fingerprints` | requests, and what is the same in all answers |
| `mapping`, `mapper`, `values`, `options`, `building` | from a contact to what is to be sent |
| `normalize`, `days`, `numerals`, `phones`, `addresses` | the normal forms of values |
| `attributes`, `wanted` | what an account takes, and what it has to have |
"""
