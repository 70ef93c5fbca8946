"""Named bounds of everything `protocols.emv` reads or builds."""

#: Longest input that the TLV parser takes: what two length bytes can express.
TLV_INPUT_BYTES = 65_535
#: Levels of objects: one on the last is primitive, so templates nest one less deep. EMV's deepest
#: published form is 6F-A5-BF0C-61-73: five templates.
TLV_DEPTH = 8
#: Longest tag: EMV uses one and two bytes, proprietary issuers and ISO/IEC 7816-6 three.
TLV_TAG_BYTES = 3
#: Most objects in one parse, so that a hostile input of empty objects costs a bounded time.
TLV_OBJECTS = 1_024
#: Longest value list that a DOL may ask for: command data is at most 255 bytes.
DOL_VALUE_BYTES = 255
#: Longest DOL: it is the value of one object in a record of at most 255 bytes.
DOL_BYTES = 252
#: Command data of a short APDU. ISO/IEC 7816-4, 5.1.
APDU_DATA_BYTES = 255
#: Response data of a short APDU. ISO/IEC 7816-4, 5.1.
APDU_RESPONSE_BYTES = 256
#: Longest application file locator. EMV 4.4 Book 3, Annex A.
AFL_BYTES = 252
#: Longest CVM list. EMV 4.4 Book 3, Annex A.
CVM_LIST_BYTES = 252
