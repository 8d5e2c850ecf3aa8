"""Debian's archive, for machines without Docker: an engine and stand-ins for base images, in a folder of our own.

Nothing is installed on the machine. Docker's programs come from a newer suite than runc and the libraries: they need
little of the C library, whereas the newer suites' runc does not start on Debian 12.
"""

import os
import shutil
import subprocess
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_SUITES = ("bookworm", "trixie", "forky")
_PACKAGES = {
    "forky": ("docker.io", "docker-cli", "docker-buildx", "docker-compose", "containerd"),
    "bookworm": (
        *("runc", "mmdebstrap", "slirp4netns", "iptables"),
        *("tini", "libseccomp2", "libslirp0", "libglib2.0-0", "libpcre2-8-0"),
        *(
            "libip4tc2",
            "libip6tc2",
            "libmnl0",
            "libnetfilter-conntrack3",
            "libnfnetlink0",
            "libnftnl11",
            "libxtables12",
        ),
    ),
}
_ENTRY_OF_POSTGRES = """#!/bin/sh
# What the official image does at its start, as far as docker-compose.yml uses it.
set -eu
if [ "$(id -u)" = 0 ]; then
    install -d -o postgres -g postgres -m 700 "$PGDATA"
    chown postgres:postgres /run/postgresql /var/lib/postgresql
    exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    echo "$POSTGRES_PASSWORD" >/tmp/password
    initdb --username="$POSTGRES_USER" --pwfile=/tmp/password --auth-host=scram-sha-256 --auth-local=trust \\
        $POSTGRES_INITDB_ARGS >/tmp/initdb.log
    rm /tmp/password
    echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
    pg_ctl --wait -o "-c listen_addresses=''" start >/tmp/start.log
    createdb --username="$POSTGRES_USER" "$POSTGRES_DB"
    pg_ctl --wait stop >/tmp/stop.log
fi
exec "$@" -c listen_addresses='*'
"""


@dataclass(frozen=True, kw_only=True)
class _Recipe:
    """A small system of Debian's packages in the place of a base image."""

    suite: str
    packages: Sequence[str]
    changes: Sequence[str] = ()
    """Instructions of a Dockerfile."""
    hooks: Sequence[str] = ()
    """Of mmdebstrap, once the packages are there."""


_RECIPES = {
    # Python is Debian's own, and so of another version.
    "python:3.12-slim": _Recipe(
        suite="trixie",
        packages=("ca-certificates", "netbase", "tzdata", "python3", "python3-venv", "python-is-python3"),
    ),
    "postgres:18": _Recipe(
        suite="forky",
        packages=("postgresql-18",),
        changes=(
            'ENTRYPOINT ["/entry.sh"]',
            "ENV PGDATA=/var/lib/postgresql/18/docker",
            "ENV PATH=/usr/lib/postgresql/18/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            'CMD ["postgres"]',
            "STOPSIGNAL SIGINT",
        ),
        hooks=("upload {entry} /entry.sh", "chmod 755 $1/entry.sh", "rm -rf $1/var/lib/postgresql/18"),
    ),
    "caddy:2": _Recipe(
        suite="forky",
        packages=("ca-certificates", "caddy", "libcap2-bin", "wget"),
        changes=(
            "ENV XDG_CONFIG_HOME=/config XDG_DATA_HOME=/data",
            'CMD ["caddy", "run", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"]',
        ),
        # As in the official image: without this capability in its bounding set the program does not start.
        hooks=("chroot $1 setcap cap_net_bind_service=+ep /usr/bin/caddy",),
    ),
    "redis:7.2": _Recipe(
        suite="trixie",
        packages=("redis-server",),
        changes=("WORKDIR /data", 'CMD ["redis-server"]'),
        # The official image's user redis, as which deploy/celery runs it.
        hooks=("install -d -o 999 -g 999 $1/data",),
    ),
}


class Archive:
    """Debian's archive, as this machine's apt is set up to reach it, and the cache folder for what is taken of it."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self.root = cache / "engine"
        """Debian's packages, unpacked."""

    @property
    def environment(self) -> dict[str, str]:
        """What the programs in `root` need to find each other."""
        libraries = [self.root / "usr/lib/x86_64-linux-gnu", self.root / "lib/x86_64-linux-gnu"]
        programs = [self.root / name for name in ("usr/local/bin", "usr/bin", "usr/sbin", "sbin")]
        return {
            "PATH": os.pathsep.join([*map(str, programs), os.environ["PATH"], "/usr/sbin", "/sbin"]),
            "LD_LIBRARY_PATH": os.pathsep.join(map(str, libraries)),
            "XTABLES_LIBDIR": str(self.root / "usr/lib/x86_64-linux-gnu/xtables"),
        }

    def fetch_engine(self) -> None:
        """Unpack Docker and what it needs into `root`, once."""
        if self.root.exists():
            return
        part = self.root.with_name("engine.part")
        shutil.rmtree(part, ignore_errors=True)
        packages = part / "packages"
        packages.mkdir(parents=True)
        apt = self._apt()
        _run(["apt-get", *apt, "update", "-qq"])
        wanted = [f"{name}/{suite}" for suite, names in _PACKAGES.items() for name in names]
        _run(["apt-get", *apt, "download", *wanted], cwd=packages)
        for package in sorted(packages.iterdir()):
            _run(["dpkg-deb", "-x", package, part])
        shutil.rmtree(packages)
        _link(part)
        part.rename(self.root)

    def make_images(self, client: Mapping[str, str]) -> None:
        """Make stand-ins for base images in the engine that the environment `client` names, where they are missing."""
        for image, recipe in _RECIPES.items():
            label = f"crm-pipelines.recipe={zlib.crc32(repr(recipe).encode())}"
            there = ["docker", "image", "ls", "--quiet", "--filter", f"label={label}", image]
            if subprocess.run(there, env=client, capture_output=True, check=True).stdout:
                continue
            click.echo(f"Making a stand-in for {image} from Debian's packages ...")
            archive = self._cache / f"{image.replace(':', '-')}.tar"
            self._bootstrap(archive, recipe)
            options = [word for change in (*recipe.changes, f"LABEL {label}") for word in ("--change", change)]
            _run(["docker", "import", *options, archive, image], env=client)
            archive.unlink()  # the engine keeps it

    def _bootstrap(self, archive: Path, recipe: _Recipe) -> None:
        options = [
            *("--variant=minbase", "--mode=root", "--aptopt=Acquire::Check-Valid-Until false", "--quiet"),
            "--dpkgopt=force-unsafe-io",
            *("--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/man/*"),
        ]
        entry = self._cache / "entry-of-postgres.sh"
        entry.write_text(_ENTRY_OF_POSTGRES, encoding="utf-8")
        hooks = [f"--customize-hook={hook.format(entry=entry)}" for hook in recipe.hooks]
        source = f"deb [signed-by={_KEYRING}] {self._mirror()} {recipe.suite} main"
        packages = f"--include={','.join(recipe.packages)}"
        # Not the libraries in `root`: it runs this machine's apt, and the new system's programs.
        environment = os.environ | {"PATH": self.environment["PATH"]}
        _run(["mmdebstrap", *options, packages, *hooks, recipe.suite, archive, source], env=environment)

    def _apt(self) -> list[str]:
        """Options by which apt uses our sources and folders, and none of the machine's."""
        apt = self._cache / "apt"
        (apt / "lists" / "partial").mkdir(parents=True, exist_ok=True)
        (apt / "archives" / "partial").mkdir(parents=True, exist_ok=True)
        mirror = self._mirror()
        lines = [f"deb [signed-by={_KEYRING}] {mirror} {suite} main" for suite in _SUITES]
        (apt / "sources.list").write_text("\n".join(lines) + "\n", encoding="utf-8")
        settings = {
            "Dir::Etc::SourceList": apt / "sources.list",
            "Dir::Etc::SourceParts": "/nonexistent",
            "Dir::State::Lists": apt / "lists",
            "Dir::Cache": apt,
            "APT::Sandbox::User": "root",
        }
        return [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]

    def _mirror(self) -> str:
        """Where this machine's apt finds Debian."""
        form = ["--format", "$(REPO_URI) $(ORIGIN) $(LABEL)", "Created-By: Packages"]
        listed = subprocess.run(["apt-get", "indextargets", *form], capture_output=True, text=True, check=True).stdout
        for line in listed.splitlines():
            if line.endswith(" Debian Debian"):
                return line.split()[0]
        raise click.ClickException("apt knows no archive of Debian: run apt-get update, and try again.")


def _link(root: Path) -> None:
    """Names that the packages' scripts would have made, and the client's plugins where the client looks."""
    for name in ("iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore"):
        link = root / "usr/sbin" / name
        link.unlink(missing_ok=True)
        link.symlink_to("xtables-nft-multi")
    plugins = root / "config/cli-plugins"
    plugins.mkdir(parents=True)
    for name in ("docker-buildx", "docker-compose"):
        [found] = [path for path in root.glob(f"usr/lib*/docker/cli-plugins/{name}") if path.is_file()]
        (plugins / name).symlink_to(Path("../..") / found.relative_to(root))


def _run(command: Sequence[str | Path], *, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> None:
    """Run it, and show what it printed only where it failed."""
    ended = subprocess.run(
        command, cwd=cwd, env=env, check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if ended.returncode:
        raise click.ClickException(f"{command[0]} failed:\n{ended.stdout[-3000:]}")
