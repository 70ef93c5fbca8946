"""Every bound of the ledger, with its reason. Nothing in this package grows without one."""

#: Rows of one statement page: about 1 MiB of records.
STATEMENT_ROWS_MAX = 8_189
#: Events of one batch: TigerBeetle's own limit (1 MiB of records less its header).
BATCH_EVENTS_MAX = 8_189
#: Transfers waiting for a commit group; beyond it the caller hears `busy` at once.
QUEUE_TRANSFERS_MAX = 65_536
