"""Generated pages equal what their generators give today."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_generated_page_is_current() -> None:
    specification = importlib.util.spec_from_file_location("docs_script", ROOT / "scripts/docs.py")
    assert specification is not None
    assert specification.loader is not None
    script = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(script)
    stale = [
        str(path.relative_to(ROOT))
        for path, text in script.pages().items()
        if not path.exists() or path.read_text("utf-8") != text
    ]
    assert not stale, "run: make docs"
