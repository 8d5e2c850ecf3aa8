"""The token that `make up` keeps for the user of this machine."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from crm_pipelines.access.tokens import TokenRefused, authenticate, list_tokens, revoke_token
from crm_pipelines.local.up import token_file


def test_a_token_is_made_once_for_its_owner_only_and_used_again(
    database_url: str, engine: sa.Engine, tmp_path: Path
) -> None:
    file = token_file(database_url, tmp_path)
    token = file.read_text(encoding="utf-8").strip()
    assert authenticate(engine, token).scopes == {"read", "write"}
    assert file.stat().st_mode & 0o777 == 0o600
    assert token_file(database_url, tmp_path).read_text(encoding="utf-8").strip() == token
    assert len(list_tokens(engine)) == 1


@pytest.mark.parametrize("trouble", ["lost", "revoked", "spoilt"])
def test_a_token_that_is_of_no_use_any_more_is_replaced_and_refused(
    database_url: str, engine: sa.Engine, tmp_path: Path, trouble: str
) -> None:
    file = token_file(database_url, tmp_path)
    former = file.read_text(encoding="utf-8").strip()
    match trouble:
        case "lost":
            file.unlink()
        case "revoked":
            revoke_token(engine, "make up")
        case _:
            file.chmod(0o644)
            file.write_text("nothing of use", encoding="utf-8")
    token = token_file(database_url, tmp_path).read_text(encoding="utf-8").strip()
    assert authenticate(engine, token)
    assert file.stat().st_mode & 0o777 == 0o600
    with pytest.raises(TokenRefused):
        authenticate(engine, former)
