"""Writes docs/configuration.md and .env.example from crm_pipelines/settings; with --check, only compares.

Run by hand after a change of settings; a test runs it with --check.
"""

import inspect
import sys
from pathlib import Path

from pydantic import BaseModel, SecretStr
from pydantic_core import PydanticUndefined

from crm_pipelines.settings import GROUPS, variable_name

ROOT = Path(__file__).resolve().parent.parent

_HEAD = """# Configuration

Environment variables, all optional. A file `.env` in the project folder is read too; the environment wins. An empty
value counts as unset. Values are checked at start: if one is wrong, a message says what is expected, and nothing runs.
[The glossary](glossary.md) explains the words.

`CRM_DESTINATIONS` says where contacts are delivered to. A further account of a CRM has that CRM's variables under its
own name, such as `BREVO_EU_API_KEY` for `brevo_eu:brevo`: [destinations.md](destinations.md).

Written by `python scripts/write_configuration.py` from `crm_pipelines/settings`.
"""


def default_of(group: type[BaseModel], name: str) -> str:
    """The default as one would write it into the environment; empty for none."""
    default = group.model_fields[name].default
    if default is PydanticUndefined or default is None:
        return ""
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    return (
        str(default).lower()
        if isinstance(default, bool)
        else f"{default:g}"
        if isinstance(default, float)
        else str(default)
    )


def title_of(group: type[BaseModel]) -> str:
    return inspect.cleandoc(group.__doc__ or "").split("\n")[0].rstrip(".")


def reference() -> str:
    parts = [_HEAD]
    for group in GROUPS:
        parts.append(f"## {title_of(group)}\n\n| variable | default | meaning |\n| --- | --- | --- |")
        for name, field in group.model_fields.items():
            default = default_of(group, name)
            parts[-1] += (
                f"\n| `{variable_name(group, name)}` | {f'`{default}`' if default else ''} | {field.description} |"
            )
        parts[-1] += "\n"
    return "\n".join(parts)


def example() -> str:
    lines = [
        "# Copy to .env and fill in what you need. What stays commented out has the value shown.",
        "# A further account of a CRM has that CRM's variables under its own name, such as BREVO_EU_API_KEY for",
        "# brevo_eu:brevo in CRM_DESTINATIONS: docs/destinations.md.",
        "",
    ]
    for group in GROUPS:
        lines += [f"# --- {title_of(group)} ---"]
        for name, field in group.model_fields.items():
            lines += [f"# {field.description}", f"#{variable_name(group, name)}={default_of(group, name)}"]
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    stale = []
    for path, text in ((ROOT / "docs" / "configuration.md", reference()), (ROOT / ".env.example", example())):
        if "--check" not in sys.argv:
            path.write_text(text, encoding="utf-8")
        elif not path.is_file() or path.read_text(encoding="utf-8") != text:
            stale.append(path.name)
    if stale:
        sys.exit(f"{', '.join(stale)}: not what the settings say. Run python scripts/write_configuration.py.")


if __name__ == "__main__":
    main()
