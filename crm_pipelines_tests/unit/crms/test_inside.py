"""Which URLs lead to this machine or its network, whatever they call it."""

import socket
from typing import Any

import pytest

from crm_pipelines.crms.transport import is_inside


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.8.8.8", "localhost", "[::1]", "0.0.0.0", "[::]", "2130706433", "0x7f.1"),
        *("10.0.0.1", "192.168.1.1", "172.16.0.1", "169.254.169.254", "100.64.0.1", "[fe80::1]", "[fd00::1]"),
        *("[::ffff:127.0.0.1]", "[::ffff:10.0.0.1]", "224.0.0.1"),
    ],
)
def test_an_address_of_this_machine_or_its_network_is_inside(host: str) -> None:
    assert is_inside(f"https://{host}:8443/report.csv")


@pytest.mark.parametrize("host", ["1.1.1.1", "[2606:4700:4700::1111]"])
def test_an_address_of_the_world_is_not(host: str) -> None:
    assert not is_inside(f"https://{host}/report.csv")


@pytest.mark.parametrize(
    ("addresses", "inside"), [(["1.1.1.1"], False), (["127.0.0.1"], True), (["1.1.1.1", "10.0.0.1"], True)]
)
def test_a_name_is_inside_if_any_of_its_addresses_is(
    monkeypatch: pytest.MonkeyPatch, addresses: list[str], inside: bool
) -> None:
    def look_up(*_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    assert is_inside("https://reports.example.com/1.csv") is inside


def test_a_name_that_only_the_proxy_knows_is_outside_unless_it_is_one_of_loopback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    assert not is_inside("https://reports.example.com/1.csv")
    assert is_inside("https://x.localhost/1.csv")
