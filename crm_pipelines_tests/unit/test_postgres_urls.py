"""A URL of Postgres is read as libpq would, and what is wrong with one is said without a part of it."""

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from crm_pipelines.postgres_urls import place_of, read_postgres_url, start_options, without_schema, written_options

SECRET = "zebra-quux"


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        (f'"postgresql://u:{SECRET}@h/db"', "it stands in quotes"),
        (f"'postgresql://u:{SECRET}@h/db'", "it stands in quotes"),
        (f"jdbc:postgresql://h/db?user=u&password={SECRET}", "a URL for Java"),
        (f"JDBC:postgresql://u:{SECRET}@h/db", "a URL for Java"),
        (f"psql 'postgresql://u:{SECRET}@h/db'", "it is a command"),
        (f"host=h dbname=db password={SECRET}", "a list of parameters"),
        (f"u:{SECRET}@h:5432/db", "it has no ://"),
        (f"postgresql:u:{SECRET}@h/db", "it has no ://"),
        (f"mysql://u:{SECRET}@h/db", "is not postgresql"),
        (f"mysql+pymysql://u:{SECRET}@h/db", "is not postgresql"),
        (f"https://u:{SECRET}@h/db", "is not postgresql"),
        (f"PostgreSQL://u:{SECRET}@h/db", "small letters"),
        (f"postgresql+psycopg2://u:{SECRET}@h/db", "another driver"),
        (f"postgresql+asyncpg://u:{SECRET}@h/db", "another driver"),
        (f"postgresql://u:{SECRET}@h", "names no database"),
        (f"postgresql://u:{SECRET}@h:5432/", "names no database"),
        (f"postgresql://u:{SECRET}@h/?sslmode=require", "names no database"),
        (f"postgresql://u:p@h:{SECRET}/db", "the port is not a number"),
        (f"postgresql://u:{SECRET}@h:1,h:{SECRET}/db", "the port is not a number"),
        ("postgresql://postgres:[YOUR-PASSWORD]@db.example.com:5432/postgres", "still has a placeholder"),
        ("postgresql://postgres:<password>@db.example.com/postgres", "still has a placeholder"),
        ("postgresql://postgres:********@db.example.com/postgres", "still has a placeholder"),
        (f"postgresql://u:{SECRET}@<host>/db", "the host is not the name of one"),
        (f"postgresql://u:{SECRET}@my host/db", "the host is not the name of one"),
    ],
)
def test_a_mistake_is_one_sentence_without_a_part_of_the_url(url: str, problem: str) -> None:
    with pytest.raises(ValueError, match="expected postgresql://user:password@host:port/database: ") as refused:
        read_postgres_url(url)
    assert problem in str(refused.value)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    "password", ["p@ss", "p#ss", "p?ss", "p/ss", "p:ss", "p@s#s?/:", "100%", "%zz", "[x", "a,b", "p ss"]
)
def test_a_password_need_not_be_escaped_unless_it_reads_as_an_escape(password: str) -> None:
    url = read_postgres_url(f"postgres://ada:{password}@db.example:5433/contacts")
    assert (url.username, url.password, url.host, url.port, url.database) == (
        "ada",
        password,
        "db.example",
        5433,
        "contacts",
    )
    again = sa.make_url(url.render_as_string(hide_password=False))
    assert again == url


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("postgresql://u:p@h/db", "h:5432/db"),
        ("postgresql://u:p@[::1]:5433/db", "[::1]:5433/db"),
        ("postgresql:///db", "localhost:5432/db"),
        ("postgresql:///db?host=/var/run/postgresql", "/var/run/postgresql/db"),
        ("postgresql://u:p@%2Fvar%2Frun%2fpostgresql/db", "/var/run/postgresql/db"),
        ("postgresql://u:p@a:1,b:2/db", "a:1,b:2/db"),
        ("postgresql://u:p@a,b:2/db?target_session_attrs=read-write", "a:5432,b:2/db"),
        ("postgresql://u:p,@/s@[::1]:1,b:2/db", "[::1]:1,b:2/db"),
        ("postgresql://u:p@h/db?passfile=a@b", "h:5432/db"),
        ("postgresql://u:p@a,b/db", "a:5432,b:5432/db"),
        ("postgresql:///db?host=a,b&port=1,2", "a:1,b:2/db"),
        ("postgresql:///db?host=a:1&host=b:2", "a:1,b:2/db"),
    ],
)
def test_sockets_and_several_hosts_are_understood_and_named(url: str, place: str) -> None:
    read = read_postgres_url(url)
    assert place_of(read) == place
    assert read_postgres_url(read.render_as_string(hide_password=False)) == read


_NAMES = st.from_regex(r"[a-z_]{1,8}(\.[a-z]{1,4})?", fullmatch=True)
_VALUES = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12)


@given(settings=st.dictionaries(_NAMES, _VALUES, max_size=4), others=st.sampled_from([[], ["endpoint=ep-1"], ["-e"]]))
def test_options_that_are_written_are_read_back(settings: dict[str, str], others: list[str]) -> None:
    written = written_options(settings, others)
    url = sa.make_url("postgresql://h/db").update_query_dict({"options": written})
    assert start_options(url) == (settings, others)


@pytest.mark.parametrize(
    "options",
    ["-csearch_path=crm", "-c search_path=crm", "--search_path=crm", "--search-path=crm", " -c  search_path=crm "],
)
def test_every_way_to_write_a_setting_is_read(options: str) -> None:
    url = sa.make_url("postgresql://h/db").update_query_dict({"options": options})
    assert start_options(url) == ({"search_path": "crm"}, [])
    assert "options" not in without_schema(url).query


def test_without_its_schema_a_url_keeps_its_other_options() -> None:
    url = sa.make_url("postgresql://h/db?sslmode=require").update_query_dict(
        {"options": "endpoint=ep-1 -csearch_path=crm -cgeqo=off"}
    )
    assert without_schema(url).query == {"sslmode": "require", "options": "endpoint=ep-1 -cgeqo=off"}
    assert without_schema(sa.make_url("postgresql://h/db")) == sa.make_url("postgresql://h/db")
