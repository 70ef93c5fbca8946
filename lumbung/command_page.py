"""The page of all commands, generated from the command table."""

from lumbung.command_table import command_table


def page() -> str:
    """Give docs/reference/commands.md."""
    lines = [
        "# Commands",
        "",
        "Generated from `lumbung/command_table.toml` by `make docs`; do not edit.",
        "",
        "Every command has `--help` with an example and `--json`. Exit codes: 0 ok, 1 a check",
        "failed, 2 usage, 3 environment, 4 ledger integrity. An error is one line: a stable code,",
        "what happened and where, how to mend it.",
        "",
        "| command | what it does | in this release |",
        "|---|---|---|",
    ]
    lines += [
        f"| `lumbung {entry.name}` | {entry.summary} | {'yes' if entry.at else 'no'} |"
        for entry in command_table()
    ]
    lines += ["", "## Examples", "", "```"]
    lines += [entry.example for entry in command_table() if entry.example]
    lines += ["```", ""]
    return "\n".join(lines)
