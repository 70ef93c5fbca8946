"""Every bound of the ledger, with its reason. Nothing in this package grows without one."""

#: Rows of one statement page: about 1 MiB of records.
STATEMENT_ROWS_MAX = 8_189
#: Events of one batch: TigerBeetle's own limit (1 MiB of records less its header).
BATCH_EVENTS_MAX = 8_189
#: Transfers waiting for a commit group; beyond it the caller hears `busy` at once.
QUEUE_TRANSFERS_MAX = 65_536
#: Pending transfers that expire ahead of one commit group: a burst of expiries delays a purchase
#: by no more than one eighth of the largest batch.
GROUP_EXPIRIES_MAX = 1_024
#: Records of one frame: a whole batch and the expiries ahead of it.
FRAME_RECORDS_MAX = BATCH_EVENTS_MAX + GROUP_EXPIRIES_MAX
#: Segment sizes: three frames fit the least; the greatest is read whole into memory at opening.
SEGMENT_SIZE_MIN = 16_384
SEGMENT_SIZE_MAX = 1 << 30
SEGMENT_SIZE_DEFAULT = 64 << 20
#: Sealed segments kept open for reading at once: well below the usual limit of 1,024 descriptors.
FILES_OPEN_MAX = 128
#: Looks at a commit mark that does not verify, before a reader calls it damaged: a writer writes it
#: in microseconds.
MARK_READS_MAX = 8
#: Zero bytes written at a time while a segment is prepared, so that commits pass in between.
ZERO_CHUNK_BYTES = 1 << 20
#: Accounts: dense numbers are u32.
ACCOUNTS_MAX = (1 << 32) - 1
#: Snapshots that stay: the newest, and two to fall back to when it does not verify.
SNAPSHOTS_KEPT = 3
