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
#: Cards named in one call: a request of the control channel is 64 KiB, a number ten digits.
ACT_CARDS_MAX = 5_000
#: Bytes of a request to the administration interface: far above any call but a decree file.
API_BODY_BYTES_MAX = 64 << 10
#: Bytes of a decree file sent to it: 100,000 people of ordinary length.
API_DECREE_BYTES_MAX = 32 << 20
#: Requests a second of one token, and how many may be saved up: a page of an office, not a scan.
API_REQUESTS_PER_SECOND = 50
API_REQUESTS_BURST = 100
#: Requests a second of everybody who has no valid token: guessing is slow, and costs little.
API_UNKNOWN_PER_SECOND = 20
#: Requests that are worked on at once; more are answered 503 at once.
API_CONCURRENT_MAX = 32
#: Rows of one answer.
API_ROWS_MAX = 1_000
#: Jobs whose outcome the administration interface remembers, and that may run or wait at once.
API_JOBS_KEPT_MAX = 64
API_JOBS_WAITING_MAX = 16
#: Connections at once: an office's browsers and programs, several each; more are answered 503.
API_CONNECTIONS_MAX = 256
#: Bytes of a request's head.
API_HEAD_BYTES_MAX = 16 << 10
#: Seconds that an idle connection is kept, and that a stopped server waits for its requests.
API_IDLE_SECONDS_MAX = 30
API_DRAIN_SECONDS_MAX = 10
#: Rows of people or tranches in one result: a channel's answer is 4 MiB, a row under 200 bytes.
RESULT_ROWS_MAX = 10_000
#: Cards whose money is looked at and taken in one turn of the writer: purchases wait for that.
SWEEP_CARDS_MAX = 256
