"""Makes docs/images/import-dry-run.png: what the real command prints on a terminal of 88 columns.

Needs CRM_DATABASE_URL of a database with all migrations and no contacts, and Chromium.
"""

import io
import os
import pty
import shutil
import struct
import subprocess
import sys
import termios
from contextlib import suppress
from fcntl import ioctl
from pathlib import Path

from playwright.sync_api import sync_playwright
from rich.console import Console
from rich.terminal_theme import SVG_EXPORT_THEME
from rich.text import Text

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "images" / "import-dry-run.png"
_COMMAND = ["crm-pipelines", "contacts", "import", "samples/contacts.csv", "--dry-run", "--select", "brevo"]
_COLUMNS, _LINES = 88, 60


def on_a_terminal(command: list[str]) -> str:
    """What `command` prints on one."""
    ours, its = pty.openpty()
    ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", _LINES, _COLUMNS, 0, 0))
    program = Path(sys.executable).with_name(command[0])
    with subprocess.Popen([program, *command[1:]], stdin=its, stdout=its, stderr=its, cwd=ROOT):  # noqa: S603
        os.close(its)
        printed = b""
        with suppress(OSError):  # how Linux says that the other end is closed
            while block := os.read(ours, 4096):
                printed += block
    os.close(ours)
    return printed.decode().replace("\r\n", "\n")


def main() -> None:
    console = Console(record=True, width=_COLUMNS, file=io.StringIO())
    console.print(Text(f"$ {' '.join(_COMMAND)}"))
    console.print(Text.from_ansi(on_a_terminal(_COMMAND)), highlight=False)
    svg = console.export_svg(title="crm-pipelines", theme=SVG_EXPORT_THEME)
    svg = svg.replace("Fira Code", "DejaVu Sans Mono")  # which would be fetched from the network
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1000, "height": 800}, device_scale_factor=1.5)
        page.set_content(
            f'<body style="margin: 0; width: 1000px">{svg.replace("Fira Code", "DejaVu Sans Mono")}</body>'
        )
        page.locator("svg").first.screenshot(path=PICTURE, omit_background=True)
        browser.close()


if __name__ == "__main__":
    main()
