"""`make docs`: write the generated pages of docs/reference/ anew. A test compares them."""

import importlib
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

#: Page -> "module:function" that gives its whole text.
PAGES = {
    "docs/reference/admin-api.md": "programme.api.page:page",
    "docs/reference/commands.md": "lumbung.command_page:page",
    "docs/reference/message.md": "protocols.iso8583.reference_page:page",
    "docs/reference/refusals.md": "protocols.refusals_page:page",
    "docs/reference/switch-tables.md": "switch.tables_page:page",
    "docs/reference/switch.schema.json": "switch.config_page:schema",
    "docs/reference/terminal-tables.md": "terminal.tables_page:page",
}


def pages() -> dict[Path, str]:
    """Give every generated page's path and the text it must have."""
    texts = {}
    for name, at in PAGES.items():
        module, _, function = at.partition(":")
        texts[ROOT / name] = getattr(importlib.import_module(module), function)()
    return texts


def main() -> int:
    """Write all pages that differ."""
    for path, text in pages().items():
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
            print(f"docs: wrote {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
