"""Bounds of a load run, with their reasons."""

#: Messages of one run: prepared ahead at about 2 KB each with their answers, so below 1 GB.
MESSAGES_MAX = 400_000
#: Seconds of one run; a soak is many runs.
SECONDS_MAX = 600.0
#: Connections of one run: what one address has ports for, the idle province included.
CONNECTIONS_MAX = 24_000
#: Seconds that late answers are waited for after the last message.
GRACE_SECONDS = 5.0
#: Seconds for one log-on step.
ENROL_SECONDS = 5.0
#: Messages sent before the loop gets a turn to read answers: a burst must not starve them.
BURST_MAX = 64
#: ATCs left free above the highest that the ledger knows: sales that left no record used some.
ATC_GAP = 256
#: A message's counter has 16 bits.
ATC_MAX = 0xFFFF
#: Bytes of a report file.
REPORT_BYTES_MAX = 1_048_576
#: Achieved below this part of offered is no PASS: the figures would be of a lighter load.
ACHIEVED_MIN = 0.99
