"""The address in a cell, as people have it."""

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import given
from hypothesis import strategies as st

from crm_pipelines.files.addresses import NoAddress, address_within, usable_address

ADA = "ada@example.com"


@pytest.mark.parametrize("cell", [ADA, f"\u00a0{ADA}\u200b", f"\ufeff{ADA}\t", f"\u3000{ADA}\r\n"])
def test_edges_that_nobody_sees_are_not_part_of_it_and_no_remark(cell: str) -> None:
    assert address_within(cell) == (ADA, None)
    assert usable_address(cell) == ADA


@pytest.mark.parametrize(
    "cell",
    [
        f"mailto:{ADA}", f"MAILTO:{ADA}?subject=Hello", f"<mailto:{ADA}>", f"Ada Lovelace <{ADA}>",
        f'"Lovelace, Ada" <{ADA}>', f"<{ADA}>", f'"{ADA}"', f"'{ADA}'", f"({ADA})", f"{ADA}.", f"{ADA},", f"{ADA};",
        f"{ADA} ;", f"Ada <{ADA}>;", f"\u00a0<{ADA}>,\u200b", f"ada <{ADA.upper()}>",
    ],
)  # fmt: skip
def test_the_one_address_in_a_cell_is_taken_and_the_rest_is_told(cell: str) -> None:
    address, remark = address_within(cell)
    assert address.lower() == ADA
    assert remark == "what stands beside the address was left out"


@pytest.mark.parametrize(
    "cell",
    [
        f"{ADA}; grace@example.com", f"{ADA},grace@example.com", f"{ADA} grace@example.com", f"{ADA}/grace@example.com",
        f"{ADA}\ngrace@example.com", f"Ada <{ADA}>, Grace <grace@example.com>", f"{ADA};{ADA}", f"{ADA} or g@x.example",
    ],
)  # fmt: skip
def test_of_several_addresses_none_is_taken(cell: str) -> None:
    with pytest.raises(NoAddress, match=r"^it holds several addresses: leave one of them$"):
        address_within(cell)


@pytest.mark.parametrize(
    "cell", ["", " \u200b", "lovelace", "Ada <lovelace>", "mailto:", "a lovelace@x.com", "lovelace@exa\u200bmple.com"]
)
def test_what_holds_no_address_is_refused_without_being_quoted(cell: str) -> None:
    with pytest.raises(NoAddress) as error:
        address_within(cell)
    assert "lovelace" not in str(error.value).lower()


@pytest.mark.parametrize(
    "local", ["a", "Ada.Lovelace+x_1-2", "a" * 64, "a" * 65, ".a", "a.", "a..b", "a b", "a\n", "a(b", "é"]
)
def test_the_quick_look_says_what_the_whole_check_says(local: str) -> None:
    address = f"{local}@example.org"
    try:
        validate_email(address, check_deliverability=False)
    except EmailNotValidError:
        with pytest.raises(NoAddress):
            usable_address(address)
    else:
        assert usable_address(address) == address


@given(st.text(st.sampled_from("<>\"'()[],;. @:amailto\u00a0\u200b"), max_size=40))
def test_whatever_is_taken_is_an_address(cell: str) -> None:
    try:
        address, _ = address_within(cell)
    except NoAddress:
        return
    assert usable_address(address) == address
    assert address in cell
