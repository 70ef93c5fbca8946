"""The JSON Schema of `switch.toml`, for editors; `make docs` writes it, a test compares it."""

import json

from switch.config import SwitchConfig


def schema() -> str:
    """Give the schema as JSON text.

    >>> json.loads(schema())["title"]
    'switch.toml'
    """
    content = SwitchConfig.model_json_schema()
    content["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    content["title"] = "switch.toml"
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"
