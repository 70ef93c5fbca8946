"""An empty decree file with one example line, for the people who fill it."""

from programme.decree.columns import columns, declarations


def template(delimiter: str = ";", package: str = "programme.decree") -> str:
    """Give a file that its reader accepts as it is: declarations, header, one line.

    >>> print(template().splitlines()[0])
    #nomor_sk: 460/0941/HK-KS/2025
    """
    assert delimiter in (";", ",")
    lines = [
        f"#{field.name}: {delimiter if field.name == 'pemisah' else field.example}"
        for field in declarations(package)
    ]
    lines.append("# A line that begins with # and a space is a remark.")
    lines.append(delimiter.join(field.name for field in columns(package)))
    lines.append(delimiter.join(field.example for field in columns(package)))
    return "\n".join(lines) + "\n"
