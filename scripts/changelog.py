"""Put the fragments of changes/ together: print them, or move them into CHANGELOG.md on release."""

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
KINDS = {"safety": "Safety and durability", "feature": "Features", "internal": "Internals"}


def main() -> int:
    """Print the next entry, or release it; give 1 when a fragment has no known kind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--release", metavar="VERSION", help="write CHANGELOG.md, remove fragments")
    version = parser.parse_args().release
    fragments = sorted(p for p in (ROOT / "changes").glob("*.md") if p.name != "README.md")
    unknown = [p.name for p in fragments if p.suffixes[:1] and p.suffixes[0][1:] not in KINDS]
    if unknown:
        print(f"changes: no such kind: {', '.join(unknown)}; kinds are {', '.join(KINDS)}")
        return 1
    entry = compose(fragments, version or "Unreleased")
    if not version:
        print(entry)
        return 0
    changelog = ROOT / "CHANGELOG.md"
    head, mark, tail = changelog.read_text("utf-8").partition("\n## ")
    changelog.write_text(f"{head}\n{entry}{mark}{tail}", "utf-8")
    for fragment in fragments:
        fragment.unlink()
    return 0


def compose(fragments: list[Path], version: str) -> str:
    """Give one changelog entry."""
    lines = [f"## {version} ({datetime.now(UTC):%Y-%m-%d})", ""]
    for kind, title in KINDS.items():
        texts = [p.read_text("utf-8").strip() for p in fragments if f".{kind}." in p.name]
        if texts:
            lines += [f"### {title}", "", *(f"- {text}" for text in texts), ""]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
