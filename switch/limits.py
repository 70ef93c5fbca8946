"""Every bound of the switch, with its reason. Nothing in this package grows without one."""

#: Connections at once; the next one is closed at once. 51 shops need 51, a province 20,000.
CONNECTIONS_MAX = 32_768
#: The same where `switch.toml` says nothing: far above one city, far below what memory allows.
CONNECTIONS_DEFAULT = 4_096
#: Links of one node: a port each for terminals, concentrators, one bank or two.
LINKS_MAX = 8
#: Messages of one connection that are decided in one loop turn; the rest waits for the next turn,
#: so that a flooding peer delays every other one by this many messages at most.
MESSAGES_PER_TURN_MAX = 64
#: Seconds for a TLS handshake: a GPRS round trip or three.
HANDSHAKE_SECONDS_MAX = 10.0
#: Messages a second of one terminal that are looked at, and how many it may save up. A counter
#: makes one in ten seconds, a load test some hundred; a terminal gone mad makes thousands.
TERMINAL_PER_SECOND = 200.0
TERMINAL_BURST = 1_000
#: Terminals whose rate is kept: all of a province; the one that was quiet longest makes room.
TERMINAL_RATES_MAX = 65_536
#: Transfers of one bulk group: a purchase waits for one group at most (decision 8).
BULK_GROUP_TRANSFERS_MAX = 1_024
#: Groups that wait behind purchases; a job waits for each of its own, so this is jobs at once.
BULK_GROUPS_MAX = 16
#: Jobs that wait for the one that runs.
JOBS_WAITING_MAX = 16
#: Finished jobs whose outcome can still be asked for.
JOBS_KEPT_MAX = 64
#: Bytes of one request on the control channel, and of one answer: a job's arguments or its result.
CONTROL_REQUEST_BYTES_MAX = 65_536
CONTROL_ANSWER_BYTES_MAX = 4_194_304
#: Connections of the control channel: an operator or two, and the programme's own server.
CONTROL_CONNECTIONS_MAX = 16
#: Seconds that a control connection may be silent.
CONTROL_IDLE_SECONDS_MAX = 300.0
#: Requests of one connection that may await their answer: a terminal sends one at a time, a
#: concentrator a handful. The next one is answered 91 at once.
IN_FLIGHT_PER_CONNECTION_MAX = 64
#: Requests in the whole switch that may await their answer: 30 ms of work at 15,000 a second.
IN_FLIGHT_MAX = 8_192
#: Requests that may wait for one key (repeats of a message in flight): a terminal repeats thrice.
PARKED_PER_KEY_MAX = 8
#: Bytes of one framed message. The longest of `edc` (a mini statement) stays below 2 KiB.
FRAME_BYTES_MAX = 4_096
#: Bytes that may wait to be sent to one peer before it counts as slow and is cut.
WRITE_BUFFER_BYTES_MAX = 65_536
#: Seconds a peer may leave a frame half sent: a slow drip is cut, a GPRS stall survives.
FRAME_SECONDS_MAX = 15.0
#: Seconds without a byte before an idle connection is closed; terminals echo every minute.
IDLE_SECONDS_MAX = 300.0
#: Seconds that a drain waits for answers under way before it cuts.
DRAIN_SECONDS_MAX = 10.0
#: Transfers of one ledger batch: well under the ledger's own 8,189, so that one turn stays short.
BATCH_TRANSFERS_MAX = 1_024
#: Refusals and balances remembered so that a repeat hears the same answer: an hour of a busy city.
REMEMBERED_ANSWERS_MAX = 65_536
#: Compensations of one original: a reversal or a few partial refunds.
COMPENSATIONS_MAX = 16
#: Cards whose months are kept folded: the active tenth of a 100,000-card city.
FOLDED_CARDS_MAX = 10_000
#: Debits of a folded card of which it is kept what they took, and up to twice as many: about a
#: day's. What undoes an older one has the card folded anew.
FOLDED_DEBITS_KEPT = 32
#: Entries of one card read for its months: 20 years of 40 purchases a month.
CARD_ENTRIES_MAX = 10_000
#: Bytes of a configuration or rule file.
FILE_BYTES_MAX = 1_048_576
#: Re-evaluations of one request after a lost race before it is answered 96.
ATTEMPTS_MAX = COMPENSATIONS_MAX + 2
#: Log-on numbers begin again after six digits (DE61); by then the old ones are long forgotten.
LOG_ON_NUMBER_MAX = 999_999
#: Key-set numbers begin again after 9999, the most that DE61 holds; two sets live at a time.
KEY_SET_NUMBER_MAX = 9_999
#: Months that an answer lists: what DE63 holds.
MONTHS_MAX = 24
#: Lines of a mini statement: what DE48 holds.
STATEMENT_LINES_MAX = 5
#: Entries of a card read at a time for its months.
STATEMENT_PAGE = 1_000
#: Different DE7 kept as instants: terminals' clocks differ by minutes, and messages share seconds.
SECONDS_KEPT_MAX = 4_096
#: Uploaded records of one batch: some weeks of a busy shop that never settled.
BATCH_UPLOADS_MAX = 20_000
#: Days that closed batches, their uploads and cleared vouchers stay in the state file: a year and
#: the time in which people dispute its end. The ledger keeps the money's own records for ever.
SETTLED_DAYS_KEPT = 400
#: Counters of one chip that are told apart below its highest: what a stored voucher may lag behind.
ATC_WINDOW = 64
#: Items that a rule may forbid by name: a city's list has some hundred.
BASKET_ITEMS_MAX = 1_000
#: Cards in a row that a stack alarm may look at: what a terminal serves in a morning.
STACK_CARDS_MAX = 100
#: Days within which a voucher can be cleared at most, whatever the rules say.
OUTAGE_DAYS_MAX = 31
#: The admin port: a Prometheus or two, a request's head, and the seconds for one.
ADMIN_CONNECTIONS_MAX = 16
ADMIN_REQUEST_BYTES_MAX = 8_192
ADMIN_SECONDS_MAX = 5.0
#: Bytes of raw messages that wait for the journal's thread; what is above is dropped and counted.
JOURNAL_QUEUE_BYTES_MAX = 16_777_216
#: Bytes of one journal record: a batch of messages of some turns, sealed together.
JOURNAL_RECORD_BYTES_MAX = 1_048_576
#: Bytes of one journal segment that are read: above the largest that `switch.toml` allows.
JOURNAL_SEGMENT_BYTES_MAX = 1_100_000_000
#: Links to hosts of one node: a bank, its second data centre, an interbank network.
HOSTS_MAX = 8
#: Requests to one host that may await their answer.
HOST_WINDOW_MAX = 1_024
#: Requests to a host that were given up and whose late answer is still known: minutes of traffic.
LATE_ANSWERS_MAX = 4_096

#: Messages of one connection that no key vouches for: a concentrator whose thousand terminals all
#: begin with a key change, and then what a wrong key set costs until it is changed. Above: cut.
STRANGER_PER_SECOND = 50.0
STRANGER_BURST = 2_000
#: Copies of the state file that may lie in the data directory: whoever asked for one deletes it,
#: and what a killed reader left is written over.
STATE_COPIES_MAX = 8
#: Cards whose first use waits to be noted in the registry: all cards of a city's first hour. What
#: is above is noted at the card's next use.
FIRST_USES_WAITING_MAX = 10_000
#: Card accounts looked up at once at a start: under the ledger's batch limit of 8,189.
FIRST_USE_ACCOUNTS_MAX = 4_096
