"""Named bounds of virtual cards."""

#: Largest transaction counter: two bytes, never reused, so a card ends there. EMV 4.4 Book 3, 8.1.
ATC_MAXIMUM = 0xFFFF
#: Entries of the transaction log ring. Real cards keep 10 to 30.
LOG_ENTRIES = 10
#: Bytes of one: what `cardsim.application.LOG_TAGS` name. EMV 4.4 Book 3, Annex D.
LOG_ENTRY_BYTES = 15
#: Applications on one card.
APPLICATIONS = 16
#: Shortest and longest application identifier. EMV 4.4 Book 1, 12.2.1.
AID_BYTES = (5, 16)
#: An application interchange profile. EMV 4.4 Book 3, Annex C1.
AIP_BYTES = 2
#: Highest file and record that READ RECORD can name. EMV 4.4 Book 3, 6.5.11.
SFI = 30
RECORD_NUMBER = 255
#: Records of one application.
RECORDS = 64
#: Longest record: one response. ISO/IEC 7816-4, 5.1.
RECORD_BYTES = 254
#: Longest cardholder name. EMV 4.4 Book 3, Annex A (5F20).
NAME_BYTES = 26
#: Bytes of an issuer script's MAC that the card reads: the shortest and longest. Book 2, 9.2.1.
SCRIPT_MAC_BYTES = (4, 8)
#: Longest prime of a card's key: half of the longest EMV modulus. EMV 4.4 Book 2, 11.1.
PRIME_BITS = 992
#: Largest amount that an offline counter holds: twelve digits of sen, as tag 9F02. Book 3, Annex A.
AMOUNT_SEN = 10**12 - 1
#: Highest PIN try limit: one hex digit of the status word 63Cx.
PIN_TRIES = 15
#: Largest image file read: a card of 64 full records in hex is under 40 kB.
IMAGE_BYTES = 1_000_000
#: Largest profile or fault plan read: the built-in profiles have 6 kB, a thousand faults 100 kB.
TOML_BYTES = 1_000_000
#: Most faults in one plan, and longest delay of a slow card.
FAULTS = 1_000
DELAY_MS = 60_000
#: Exchanges that a trace keeps; older ones are dropped and counted.
TRACE_EXCHANGES = 10_000
#: Slot events that wait for a listener; the newest tells the state, so older ones may go.
SLOT_EVENTS = 64
