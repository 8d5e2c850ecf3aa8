"""URLs of Postgres as people have them, and what is usually wrong with them. Pure; no message quotes a part of one."""

import re
from collections.abc import Mapping

import sqlalchemy as sa

EXPECTED = "expected postgresql://user:password@host:port/database"

_SCHEMES = {"postgres", "postgresql", "postgresql+psycopg"}
_HOST_AND_PORT = re.compile(r"(?P<host>\[[^\]]*\]|[^:]*)(:(?P<port>.*))?")
_NAME_OF_SETTING = re.compile(r"[A-Za-z_][\w.]*")


def read_postgres_url(value: str) -> sa.URL:
    """The URL, for psycopg 3. Raises ValueError with a sentence that says what is wrong.

    As libpq does, it takes several hosts (`host1:5432,host2:5432`) and a folder of sockets, as `?host=/folder` or with
    its slashes written %2F. An @ in the password need not be escaped; a % must be.
    """
    if problem := _problem(value):
        raise ValueError(f"{EXPECTED}: {problem}")
    try:
        url = sa.make_url(_as_sqlalchemy_reads_it(value.replace("postgres://", "postgresql://", 1)))
    except (sa.exc.ArgumentError, ValueError):  # the latter's text quotes the port, or what stands in its place
        raise ValueError(f"{EXPECTED}: the port is not a number, or a part is missing") from None
    if not url.database:
        raise ValueError(f"{EXPECTED}: it names no database; that stands at the end, after a slash")
    if re.fullmatch(r"\[.*\]|<.*>|\*+", url.password or ""):
        raise ValueError(f"{EXPECTED}: where the password belongs, it still has a placeholder")
    if re.search(r"[\s\"'<>\[\]]", (url.host or "").strip("[]")):
        raise ValueError(f"{EXPECTED}: the host is not the name of one")
    if url.host and url.host.lower().startswith("%2f"):
        folder = re.sub("%2f", "/", url.host, flags=re.IGNORECASE)
        url = url.set(host=None).update_query_dict({"host": folder})
    return url.set(drivername="postgresql+psycopg")


def _problem(value: str) -> str | None:
    scheme, separator, _ = value.partition("://")
    if value[:1] in {'"', "'", "`", "“", "‘"}:
        return "it stands in quotes; leave them out"
    if value.lower().startswith("jdbc:"):
        return "it is a URL for Java; leave out jdbc: and put user and password before the host"
    if value.startswith("psql "):
        return "it is a command; leave out psql and the quotes"
    if not separator:
        if re.match(r"\w+ *= *\S", value):
            return "it is a list of parameters and no URL"
        return "it has no ://"
    if scheme in _SCHEMES:
        return None
    if scheme.lower() in _SCHEMES:
        return "write what stands before :// in small letters"
    if re.fullmatch(r"(postgres|postgresql)\+\w+", scheme):
        return "it names another driver; leave out what begins with the plus sign"
    return "what stands before :// is not postgresql"


def _as_sqlalchemy_reads_it(value: str) -> str:
    """An @ in the password escaped, and several hosts as libpq's parameters: `a:1,b:2` is `?host=a,b&port=1,2`."""
    scheme, _, rest = value.partition("://")
    user, at, place = rest.rpartition("@")
    if "/" not in place:  # the last @ stands in a parameter, or nothing is complete
        user, at, place = rest.partition("@")
    if not at:
        user, place = "", rest
    address, question_mark, query = place.partition("?")
    hosts, slash, database = address.partition("/")
    if "," in hosts:
        query = "&".join(filter(None, (query, _parameters(hosts))))
        hosts, question_mark = "", "?"
    return f"{scheme}://{user.replace('@', '%40')}{at}{hosts}{slash}{database}{question_mark}{query}"


def _parameters(hosts: str) -> str:
    found = [match for one in hosts.split(",") if (match := _HOST_AND_PORT.fullmatch(one))]
    names = ",".join(match["host"].strip("[]") for match in found)
    return f"host={names}&port={','.join(str(int(match['port'] or 5432)) for match in found)}"


def place_of(url: sa.URL, *, database: bool = True) -> str:
    """Where that is, for people: `host:port/database`, without user and password."""
    hosts = (_parameter(url, "host") or url.host or "localhost").split(",")
    ports = (_parameter(url, "port") or str(url.port or 5432)).split(",")
    ports += ports[-1:] * len(hosts)
    places = ",".join(_place(host, port) for host, port in zip(hosts, ports, strict=False))
    return f"{places}/{url.database}" if database else places


def _place(host: str, port: str) -> str:
    if host.startswith("/"):
        return host
    if host.count(":") > 1:
        return f"[{host}]:{port}"
    return host if ":" in host else f"{host}:{port}"


def _parameter(url: sa.URL, name: str) -> str | None:
    found = url.query.get(name)
    return found if found is None or isinstance(found, str) else ",".join(found)


def start_options(url: sa.URL) -> tuple[dict[str, str], list[str]]:
    """The URL's `options`: settings of the session by their names, and what else there is (a pooler's own, say)."""
    found = url.query.get("options", ())
    words = _words(found if isinstance(found, str) else " ".join(found))
    settings: dict[str, str] = {}
    others: list[str] = []
    while words:
        word = words.pop(0)
        if word == "-c" and words:
            text = words.pop(0)
        elif word.startswith(("-c", "--")):
            text = word[2:]
        else:
            text = ""
        name, equals, content = text.partition("=")
        name = name.replace("-", "_")
        if equals and _NAME_OF_SETTING.fullmatch(name):
            settings[name] = content
        else:
            others.append(word)
    return settings, others


def _words(options: str) -> list[str]:
    """Parted as Postgres does: at blanks, unless a backslash stands before."""
    words = re.findall(r"(?:\\.|[^\\\s])+", options)
    return [re.sub(r"\\(.)", r"\1", word) for word in words]


def written_options(settings: Mapping[str, str], others: list[str]) -> str:
    """The opposite of `start_options`."""
    words = [*others, *(f"-c{name}={content}" for name, content in settings.items())]
    return " ".join(re.sub(r"([\\\s])", r"\\\1", word) for word in words)


def without_schema(url: sa.URL) -> sa.URL:
    """The same without a search_path, for another database, which does not have those schemas."""
    settings, others = start_options(url)
    if settings.pop("search_path", None) is None:
        return url
    rest = written_options(settings, others)
    stripped = url.difference_update_query(["options"])
    return stripped.update_query_dict({"options": rest}) if rest else stripped
