"""Named bounds of serial lines, each with its reason. Times are milliseconds."""

#: Tries of one bid (ENQ) and of one block before the line gives up. Three is what terminals and
#: cash registers of the field use; more would outlast the operator's patience.
SERIAL_TRIES_MAX = 3

#: Wait for ACK or NAK: longer than any peer takes to check a block and turn the line round, or a
#: late ACK would be taken for that of the repeat.
SERIAL_ANSWER_MS = 2_000

#: Longest silence between two characters of one block: at 1,200 bit/s a character takes 8 ms.
SERIAL_CHARACTER_MS = 500

#: Longest block as a whole, so that a peer that sends a byte now and then ends too: 16 KB take 17 s
#: at 9,600 bit/s.
SERIAL_BLOCK_MS = 30_000

#: A receiver waits this long for the next block or the end: all tries of the sender fit into it.
SERIAL_SESSION_MS = (SERIAL_TRIES_MAX + 1) * SERIAL_ANSWER_MS + SERIAL_BLOCK_MS

#: Silence that must follow noise before a control character is believed again: a peer never pauses
#: this long inside a block, so what comes after it is no part of a block whose start was lost.
SERIAL_QUIET_MS = 50

#: Largest content of one block: a codec message (16,384) with TPDU and header, as on TCP.
SERIAL_BLOCK_BYTES_MAX = 16_640
