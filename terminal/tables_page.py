"""The reference page of the terminal's tables, made from the tables themselves (`make docs`)."""

from protocols.catalogue import template
from terminal.host.table import TRANSITIONS, Action, Input, State
from terminal.purchase.table import FLOW, FlowEvent, FlowState, means_something
from terminal.wording import own_texts

_HEAD = """# The terminal's tables

Made from `terminal/purchase/table.py` and `terminal/host/table.py` by `make docs`; do not edit.
What they guarantee stands in [terminal.md](terminal.md).

## Operator flows

Every event in every state is decided; what is not drawn changes nothing. From WAITING on money may
be on its way, and no key of the operator leads out.

"""

_HOST = """
## Host session

One exchange runs at a time. Wherever the outcome of a money request is not certain, a reversal is
journalled. A call in the wrong order is refused (`-`); what matching rules out cannot happen (`.`).

"""


_OWN = """
## What the terminal itself refuses

Made from `terminal/own_refusals.toml` and the catalogue. All else says what its DE39 says
([refusals.md](refusals.md)).

| display | sentence | who acts | icon | next step |
|---|---|---|---|---|
"""


def page() -> str:
    """Give the whole page as Markdown."""
    return _HEAD + _flow_diagram() + _HOST + _host_table() + _OWN + _own_table()


def _own_table() -> str:
    rows = [
        f"| {own.line_1} / {own.line_2} | {template(key, 'id')}<br>{template(key, 'en')} "
        f"| {own.actor} | {own.icon} | {own.next_step_id}<br>{own.next_step_en} |\n"
        for key, own in own_texts().items()
    ]
    return "".join(rows)


def _flow_diagram() -> str:
    lines = ["```mermaid", "stateDiagram-v2", f"  [*] --> {FlowState.OFF_DUTY.name}"]
    for state in FlowState:
        for event in FlowEvent:
            if means_something(state, event):
                following, effect = FLOW[state][event]
                does = f" / {effect.value}" if effect else ""
                lines.append(f"  {state.name} --> {following.name}: {event.value}{does}")
    return "\n".join([*lines, "```", ""])


def _host_table() -> str:
    lines = [
        "| input | " + " | ".join(state.name for state in State) + " |",
        "|---|" + "---|" * len(State),
    ]
    for what in Input:
        cells = [_cell(state, what) for state in State]
        lines.append(f"| {what.value} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


def _cell(state: State, what: Input) -> str:
    following, action = TRANSITIONS[state][what]
    if action is Action.MISUSE:
        return "-"
    if action is Action.IMPOSSIBLE:
        return "."
    return f"{action.value} -> {following.name}" if following else action.value
