"""Every bound of the programme, with its reason. Nothing in this package grows without one."""

#: Lines of one decree file: ten times the largest city list, so a wrong file stops early.
DECREE_LINES_MAX = 1_000_000
#: Bytes of one decree file: `DECREE_LINES_MAX` lines of ordinary length.
DECREE_BYTES_MAX = 256 << 20
#: Characters of one line: the longest honest line is under 500; beyond this line ends are missing.
DECREE_LINE_CHARACTERS_MAX = 4_096
#: Faults listed for one file: a person mends a page of them, then tries again.
DECREE_FAULTS_MAX = 100
#: Characters of a name, an address or any other free cell.
CELL_CHARACTERS_MAX = 120
#: Transfers of one disbursement group: purchases wait for one group at most (design decision 8).
DISBURSEMENT_GROUP_MAX = 1_024
#: Looks at a purchase that others correct at the same time: each takes one ordinal.
REFUND_ATTEMPTS_MAX = 20
#: Cards issued, moved or blocked by one call: one transaction of about 100 MB of journal at most.
BULK_CARDS_MAX = 1_000_000
#: Days that a token of the administration interface is good for: a year of an officer's work.
TOKEN_DAYS_MAX = 366
#: Milliseconds a change waits for another process that writes the registry.
REGISTRY_BUSY_TIMEOUT_MS = 5_000
#: Characters of an actor's name in the audit trail.
PERSON_CHARACTERS_MAX = 64
#: Keys in one keystore: 10,000 terminals with a master key and three session sets of two keys.
KEYS_MAX = 100_000
#: Bytes of a keystore file, far above what `KEYS_MAX` keys need; a larger file is not ours.
KEYSTORE_BYTES_MAX = 64 << 20
#: Session key sets kept per terminal: the one in use and two that were sent but not yet used.
SESSION_SETS_MAX = 3
#: Session key-set numbers run from 1 to this and start again (two digits in DE61).
SESSION_SET_NUMBER_MAX = 99
#: Cards whose tranche fold is kept; beyond it the longest unused is rebuilt from the ledger.
TRANCHE_CACHE_CARDS_MAX = 100_000
#: Values in one SQL list: SQLite's oldest limit is 999 variables for one statement.
STATEMENT_VALUES_MAX = 500
#: Bytes of a file of shops or terminals: 50,000 shops.
SHOP_FILE_BYTES_MAX = 8 << 20
#: Accounts looked up or created in one call: under the ledger's batch limit of 8,189.
ACCOUNTS_GROUP_MAX = 4_096
#: Times a report is read again because the ledger grew meanwhile: a quiet second comes sooner.
REPORT_ATTEMPTS_MAX = 5
#: Lines of a decree file between two words of progress: several a second on a long file.
PROGRESS_LINES = 5_000
