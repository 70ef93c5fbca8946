"""Line numbers of TOML keys: what every `file:line:` error of ours stands on."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.toml_lines import key_lines, line_of, line_of_error

TEXT = '''# a comment with [brackets] and = signs
top = 1
quoted."a b".c = "[not.a.table]"
many = [
  "x = 1", # [no]
  """
key = "in a string"
""",
]
inline = { a = 1, b = "}" }
[table]
key = 'single # no comment'
multi = """
[fake]
fake = 1\\""""
after = 2
[table.sub]
x = 1979-05-27T07:32:00Z
[[list]]
v = 1
[[list]]
v = 2
[list.inner]
w = 3
[[list.deep]]
z = 4
'''

LINES = [
    ("top", 2),
    (("quoted", "a b", "c"), 3),
    ("many", 4),
    ("inline", 10),
    ("inline.b", 10),
    ("table", 11),
    ("table.key", 12),
    ("table.multi", 13),
    ("table.after", 16),
    ("table.sub.x", 18),
    (("list", 0, "v"), 20),
    (("list", 1), 21),
    (("list", 1, "v"), 22),
    (("list", 1, "inner", "w"), 24),
    (("list", 1, "deep", 0, "z"), 26),
    ("nowhere", 1),
    ("table.nowhere", 11),
    ("table.fake", 11),
]


@pytest.mark.parametrize(("path", "line"), LINES, ids=lambda value: str(value))
def test_line_of_path_gives_the_line_of_the_key(path: str, line: int) -> None:
    tomllib.loads(TEXT)
    assert line_of(TEXT, path) == line


def test_line_of_error_gives_the_line_toml_names() -> None:
    with pytest.raises(tomllib.TOMLDecodeError) as caught:
        tomllib.loads("a = 1\nb = \n")
    assert line_of_error(caught.value) == 2


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"),
            st.sampled_from(
                [
                    "1",
                    '"x"',
                    '"""\n[q]\n"""',
                    "'''\n'''",
                    "[1,\n2]",
                    '[ [1], "]" ]',
                    "{ a = 1 }",
                    '"\\"#"',
                ]
            ),
        ),
        max_size=8,
    )
)
def test_key_lines_every_key_of_a_table_is_found_on_its_line(pairs: list[tuple[str, str]]) -> None:
    text, expected, line = "", {}, 1
    for index, (table, value) in enumerate(pairs):
        text += f"# c\n[{table}{index}]\nk = {value} # end\n"
        expected[f"{table}{index}", "k"] = line + 2
        line = text.count("\n") + 1
    tomllib.loads(text)
    found = key_lines(text)
    assert {path: found[path] for path in expected} == expected
