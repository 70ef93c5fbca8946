"""Bounds of the importers: a foreign file is read by people's wish, but it is still foreign."""

#: Largest file: the longest public specification of a scheme is about 300 KB.
FILE_BYTES_MAX = 1_048_576

#: Fields of one file, sub-fields included: 192 elements of about 20 parts.
FIELDS_MAX = 4_096

#: Elements inside elements of an XML file or a JSON file before it is called hostile.
NESTING_MAX = 16

#: Attributes of one XML element; jPOS knows fourteen.
ATTRIBUTES_MAX = 32

#: Characters of a name that is taken over; longer ones are cut.
NAME_CHARACTERS_MAX = 80

#: Rounds in which what the linter refuses is left out; each round leaves out one field at least,
#: and parts fall with their composite, so more rounds than elements cannot be needed.
ROUNDS_MAX = 200
