"""The districts of the city and their villages, from `districts.toml`."""

import tomllib
from functools import cache
from importlib.resources import files


@cache
def districts() -> dict[str, tuple[str, ...]]:
    """Give the villages (kelurahan) by district (kecamatan), in the order of the file.

    >>> len(districts()), sum(map(len, districts().values()))
    (10, 59)
    """
    table = tomllib.loads(files("programme").joinpath("districts.toml").read_text("utf-8"))
    return {name: tuple(villages) for name, villages in table["district"].items()}
