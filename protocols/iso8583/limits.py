"""Bounds of the codec, each with its reason. A decoder never allocates beyond them."""

#: A message above this is refused before it is read: the largest `edc` message (a 999-byte DE62
#: and DE63, 255-byte DE55) stays under 4,096, and 2-byte frames end at 65,535 anyway.
MESSAGE_BYTES_MAX = 16_384

#: Elements of a message with three bitmaps. Source: ISO 8583:1987, 4.3.
ELEMENT_NUMBER_MAX = 192

#: Tags in one TLV element: an authorisation's DE55 has about 25, a full basket one.
TAGS_MAX = 64

#: Repeats of one positional group: DE54 has 6 at most, a basket 40 lines.
REPEATS_MAX = 64

#: Composites inside composites; DE62 basket lines are at depth 2, data sets at 3.
DEPTH_MAX = 4

#: Bytes of a BER tag. Source: EMV 4.4 Book 3, annex B1 (EMV uses two, some schemes three).
TAG_BYTES_MAX = 3

#: Compiled plans kept per codec. A peer may send any bitmap, so a full cache stops growing and the
#: uncompiled reader answers; terminals of one dialect use a few dozen bitmaps.
PLANS_MAX = 512

#: Remembered tag layouts of one TLV element, bounded for the same reason.
LAYOUTS_MAX = 128

#: Length of one element's content in bytes: LLLVAR and LLLLVAR both end below.
ELEMENT_BYTES_MAX = 9_999
