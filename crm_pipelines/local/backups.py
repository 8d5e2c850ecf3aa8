"""Both databases in one file, and back from it.

The file is a tar of `about.json`, `contacts.dump` and `dagster.dump`; each dump is pg_dump's own (format `custom`), so
pg_restore alone can read them as well. A restore makes new databases, and puts them into the place of the former ones
only when they are complete; those are renamed, and kept. It ends with closed gates: see `GateKeeper.restored`.
"""

import contextlib
import json
import os
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg import sql

from crm_pipelines.database import connection_problems, migrating
from crm_pipelines.destinations.gates import GateKeeper
from crm_pipelines.destinations.registered import known_destinations
from crm_pipelines.errors import CrmPipelinesError
from crm_pipelines.local.carrying_over import Carried, carry_over
from crm_pipelines.local.databases import contacts_database, dagster_storage_url, engine_on
from crm_pipelines.local.postgres_programs import find_program, run_program
from crm_pipelines.postgres_urls import place_of
from crm_pipelines.settings import Settings

_ABOUT = "about.json"
_FORMAT = 1
_NAMES = ("contacts", "dagster")
_LOCALES = {"i": ("icu", "ICU_LOCALE"), "b": ("builtin", "BUILTIN_LOCALE")}


class BackupRefused(CrmPipelinesError):
    """The file or the databases cannot be used for that."""


@dataclass(frozen=True, kw_only=True)
class Restored:
    """The names under which the former databases are kept, and what was taken along from them."""

    kept: tuple[str, ...]
    carried: Carried


def dump(settings: Settings, file: Path) -> None:
    """Write both databases to `file`, readable by its owner only. It is complete once it has that name.

    Raises BackupRefused when there is such a file, ProgramMissing, ProgramFailed, EmbeddedPostgresError,
    DatabaseUnreachable.
    """
    if file.exists():
        raise BackupRefused(f"{file} is there already: name a file that is not, since a backup is not written over.")
    with _beside(file) as folder, _databases(settings) as urls:
        program = find_program("pg_dump", at_least=_newest_server(urls), chosen=settings.storage.crm_postgres_bin)
        for name, url in urls.items():
            run_program(program, url, "--format=custom", "--file", folder / f"{name}.dump")
        about = {"format": _FORMAT, "pg_dump": program.major, "made_at": datetime.now(UTC).isoformat()}
        (folder / _ABOUT).write_text(json.dumps(about), encoding="utf-8")
        whole = folder / "whole"
        with whole.open("wb") as written:
            with tarfile.open(fileobj=written, mode="w") as archive:
                for part in (_ABOUT, *(f"{name}.dump" for name in urls)):
                    archive.add(folder / part, arcname=part)
            os.fsync(written.fileno())
        whole.chmod(0o600)
        whole.replace(file)


def restore(settings: Settings, file: Path) -> Restored:
    """Put the databases of `file` into the place of those in use, which are kept under another name.

    Those may be missing, on a new server, say. Nothing is sent afterwards until each gate is opened by hand.
    Suppressions made since the dump come along, and tokens that were revoked since stay so. Raises BackupRefused for a
    file that is no dump, for databases that somebody uses, and for a role that may create none; and what `dump` raises.
    """
    with tempfile.TemporaryDirectory() as unpacked:
        folder = Path(unpacked)
        about = _unpack(file, folder)
        if settings.storage.crm_database_url is not None:
            _create_if_missing(settings.storage.crm_database_url)
        return _restore(settings, folder, made_with=about["pg_dump"])


def _restore(settings: Settings, folder: Path, *, made_with: int) -> Restored:
    with _databases(settings) as urls:
        _create_if_missing(urls["dagster"])
        _require_unused(urls)
        at_least = max(_newest_server(urls), made_with)
        program = find_program("pg_restore", at_least=at_least, chosen=settings.storage.crm_postgres_bin)
        new = {name: _made(url, name) for name, url in urls.items()}
        try:
            for name, url in new.items():
                how = ("--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges")
                run_program(program, url, *how, folder / f"{name}.dump")
            carried = _distrusted(new["contacts"], former=urls["contacts"])
            return Restored(kept=_exchanged(urls, new), carried=carried)
        except BaseException:
            for url in new.values():
                _drop(url)
            raise


@contextlib.contextmanager
def _beside(file: Path) -> Iterator[Path]:
    """A private folder on the same disk."""
    with tempfile.TemporaryDirectory(prefix=f".{file.name}.", dir=file.parent) as folder:
        yield Path(folder)


@contextlib.contextmanager
def _databases(settings: Settings) -> Iterator[dict[str, str]]:
    with contacts_database(settings) as contacts:
        yield dict(zip(_NAMES, (contacts, dagster_storage_url(settings, contacts)), strict=True))


def _unpack(file: Path, folder: Path) -> dict[str, Any]:
    """What the file says about itself; its dumps lie in `folder` then."""
    try:
        with tarfile.open(file) as archive:
            for part in (_ABOUT, *(f"{name}.dump" for name in _NAMES)):
                source = archive.extractfile(part)
                if source is None:
                    raise KeyError(part)
                with source, (folder / part).open("wb") as target:
                    shutil.copyfileobj(source, target)
        about: dict[str, Any] = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
        if about["format"] == _FORMAT and isinstance(about["pg_dump"], int):
            return about
    except (tarfile.TarError, EOFError, zlib.error, KeyError, ValueError, TypeError):
        pass  # it may have been packed by gzip, which tarfile opens, and whose errors it passes on
    raise BackupRefused(
        f"{file} was not made by `crm-pipelines db dump` of this or an earlier version, or it is not complete."
    )


@contextlib.contextmanager
def _server(url: str) -> Iterator[psycopg.Connection]:
    """The server's maintenance database. Raises BackupRefused where the role may not do what is asked."""
    given = sa.make_url(url)
    conninfo = given.set(drivername="postgresql", database="postgres").render_as_string(hide_password=False)
    where = place_of(given, database=False)
    try:
        with psycopg.connect(conninfo, connect_timeout=10, autocommit=True) as connection:
            yield connection
    except psycopg.errors.InsufficientPrivilege:
        raise BackupRefused(
            f"This role may not create and rename databases at {where}: use one that may, or restore with "
            "pg_restore as the runbook says."
        ) from None
    except psycopg.errors.ObjectInUse:
        raise BackupRefused(_in_use(where)) from None
    except psycopg.OperationalError as error:
        raise connection_problems.DatabaseUnreachable(
            f"The server at {where} does not let us into its database postgres ({type(error).__name__})."
        ) from None


def _in_use(where: str) -> str:
    return (
        f"Somebody uses the databases at {where}, so nothing was changed: stop `make up` or the services, and "
        "everything else that is connected to them."
    )


def _newest_server(urls: Mapping[str, str]) -> int:
    """The major version of the newer of the servers."""
    versions = []
    for url in urls.values():
        with _server(url) as connection:
            versions.append(connection.info.server_version // 10_000)
    return max(versions)


def _require_unused(urls: Mapping[str, str]) -> None:
    for url in urls.values():
        with _server(url) as server:
            used = "SELECT 1 FROM pg_stat_activity WHERE datname = %s AND backend_type = 'client backend'"
            if server.execute(used, [_name(url)]).fetchone():
                raise BackupRefused(_in_use(place_of(sa.make_url(url), database=False)))


def _create_if_missing(url: str) -> None:
    with _server(url) as server:
        if not server.execute("SELECT 1 FROM pg_database WHERE datname = %s", [_name(url)]).fetchone():
            server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(_name(url))))


def _made(url: str, kind: str) -> str:
    """The URL of a new, empty database on the same server, in the encoding and the locale of the former one."""
    # Postgres cuts longer names off at 63 bytes, and takes what is left for the name of the former one.
    name = f"{_short(url)}_{kind}_being_restored"
    new = sa.make_url(url).set(database=name).render_as_string(hide_password=False)
    _drop(new)
    with _server(new) as server:
        server.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE template0 {}").format(sql.Identifier(name), _like(server, url))
        )
    return new


def _like(server: psycopg.Connection, url: str) -> sql.Composable:
    """The options that make a database of the same encoding and locale."""
    found = server.execute(
        "SELECT to_jsonb(d), pg_encoding_to_char(encoding) FROM pg_database d WHERE datname = %s", [_name(url)]
    ).fetchone()
    assert found
    row, encoding = found
    options = {"ENCODING": encoding, "LC_COLLATE": row["datcollate"], "LC_CTYPE": row["datctype"]}
    if named := _LOCALES.get(row.get("datlocprovider")):
        provider, option = named
        options |= {"LOCALE_PROVIDER": provider, option: row.get("datlocale") or row.get("daticulocale")}
    elif "datlocprovider" in row:
        options["LOCALE_PROVIDER"] = "libc"
    return sql.SQL(" ").join(sql.SQL(f"{name} {{}}").format(sql.Literal(value)) for name, value in options.items())


def _drop(url: str) -> None:
    with _server(url) as server:
        server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(_name(url))))


def _distrusted(url: str, *, former: str) -> Carried:
    """Migrate what was restored, close its gates, and take along who was suppressed since."""
    migrating.upgrade(url)
    with engine_on(url) as restored, engine_on(former) as before:
        close_gates(restored)
        return carry_over(before, restored)


def close_gates(engine: sa.Engine) -> None:
    """Let nothing be sent from this restored database until somebody opens its gates."""
    with engine.connect() as connection:
        crms = known_destinations(connection)
    for crm in crms:
        GateKeeper(engine, crm).restored()


def _exchanged(urls: Mapping[str, str], new: Mapping[str, str]) -> tuple[str, ...]:
    """Give the new databases the names of the former ones; returns the names that these have now."""
    stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%S}"
    aside = {name: f"{_short(url)}_before_{stamp}" for name, url in urls.items()}
    with contextlib.ExitStack() as stack:
        # Of one server both or neither; of two, nearly so.
        servers: dict[str, psycopg.Connection] = {}
        for name, url in urls.items():
            place = _place(url)
            if place not in servers:
                servers[place] = stack.enter_context(_server(url))
                stack.enter_context(servers[place].transaction())
            for before, after in ((_name(url), aside[name]), (_name(new[name]), _name(url))):
                rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
                servers[place].execute(rename.format(sql.Identifier(before), sql.Identifier(after)))
    return tuple(aside.values())


def _place(url: str) -> str:
    """The server, and the role that we are there."""
    given = sa.make_url(url)
    return f"{given.username}@{place_of(given, database=False)}"


def _short(url: str) -> str:
    """The name, so short that something can be added to it."""
    return _name(url).encode()[:38].decode(errors="ignore")


def _name(url: str) -> str:
    name = sa.make_url(url).database
    assert name
    return name
