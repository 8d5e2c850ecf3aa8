"""Values that are written as Postgres writes them arrive unchanged, whatever is in them."""

from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm_pipelines.database.literals import bytes_array, copied, copied_bytes, text_array

ODD = [
    "",
    " ",
    "NULL",
    "null",
    "\\N",
    "\\.",
    "\\",
    "\\\\",
    '"',
    '\\"',
    "'",
    "{}",
    "{a,b}",
    "a,b",
    "a\tb",
    "a\nb",
    "a\rb",
    "a\r\nb",
    "\\t",
    "\x01\x08\x0b\x0c\x1f\x7f",
    "\u2028\x85\ufeff",
    "Zoë 😀 名",
    "x" * 3000,
]
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
briefly = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def as_array(engine: sa.Engine, values: list[str | None]) -> list[str | None]:
    with engine.begin() as connection:
        found: list[str | None] = connection.execute(
            sa.text("SELECT CAST(:values AS text[])"), {"values": text_array(values)}
        ).scalar_one()
    return found


def copied_back(engine: sa.Engine, values: list[str], *, digest: bytes = b"") -> list[tuple[str, list[str], bytes]]:
    """Each value as a text, and the whole list as an array beside it."""
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TEMP TABLE odd (n int, one text, listed text[], hash bytea) ON COMMIT DROP"))
        driver = connection.connection.driver_connection
        assert driver is not None
        array = copied(text_array(values))
        with driver.cursor() as cursor, cursor.copy("COPY odd FROM STDIN") as copy:
            copy.write(
                "".join(f"{n}\t{copied(one)}\t{array}\t{copied_bytes(digest)}\n" for n, one in enumerate(values))
            )
        rows = connection.execute(sa.text("SELECT one, listed, hash FROM odd ORDER BY n")).all()
    return [(row.one, row.listed, bytes(row.hash)) for row in rows]


def test_odd_texts_arrive_in_an_array(engine: sa.Engine) -> None:
    assert as_array(engine, [*ODD, None]) == [*ODD, None]
    assert as_array(engine, []) == []


@briefly
@given(values=st.lists(st.one_of(texts, st.none())))
def test_any_texts_arrive_in_an_array(engine: sa.Engine, values: list[str | None]) -> None:
    assert as_array(engine, values) == values


def test_odd_texts_arrive_by_copy(engine: sa.Engine) -> None:
    every_byte = bytes(range(256))
    assert copied_back(engine, ODD, digest=every_byte) == [(one, ODD, every_byte) for one in ODD]


@briefly
@given(values=st.lists(texts, min_size=1, max_size=5), digest=st.binary())
def test_any_texts_arrive_by_copy(engine: sa.Engine, values: list[str], digest: bytes) -> None:
    assert copied_back(engine, values, digest=digest) == [(one, values, digest) for one in values]


@pytest.mark.parametrize("values", [[], [b""], [bytes(range(256)), b"\\", uuid4().bytes]])
def test_bytes_arrive_in_an_array(engine: sa.Engine, values: list[bytes]) -> None:
    with engine.begin() as connection:
        found = connection.execute(
            sa.text("SELECT CAST(:values AS bytea[])"), {"values": bytes_array(values)}
        ).scalar_one()
    assert [bytes(one) for one in found] == values


def test_an_id_without_its_hyphens_is_the_same_id(engine: sa.Engine) -> None:
    one = uuid4()
    with engine.begin() as connection:
        found: UUID = connection.execute(sa.text("SELECT CAST(:id AS uuid)"), {"id": one.hex}).scalar_one()
    assert found == one
