"""Named limits of the terminal, each with its reason (design decision 22)."""

#: STAN is six digits (ISO 8583:1987 element 11); 000000 is not used, so that 0 means none.
STAN_MAX = 999_999

#: Batch numbers are printed with six digits (domain.md 4.5).
BATCH_MAX = 999_999

#: Longest journal line. A sale with a full basket takes about 6 KiB; more is damage.
JOURNAL_LINE_MAX_BYTES = 16_384

#: Largest journal. At about 0.8 KB a sale this is some 330,000 sales; opening reads it once.
JOURNAL_MAX_BYTES = 256 * 1024 * 1024

#: Room that a sale may still need once it has begun: intent, answer, result, reversal and repeats.
JOURNAL_RESERVE_BYTES = 1024 * 1024

#: Closed transactions kept in memory for void, repeat question and reprint: a week of the busiest
#: shop of domain.md 5.2.
REMEMBERED_TRANSACTIONS_MAX = 2_000

#: Pieces of one item: two columns of the receipt.
ITEM_QUANTITY_MAX = 99

#: Items in one basket: what fits the paper and DE62.
BASKET_ITEMS_MAX = 20

#: Item names are printed in 18 of 32 columns.
ITEM_NAME_MAX = 18

#: The registered e-money ceiling of a card, Rp20 million (domain.md 4.2): no sale can be above it.
AMOUNT_MAX_SEN = 20_000_000 * 100

#: Digits of an SSN PIN (BI SE 17/52/DKSP).
PIN_DIGITS = 6

#: How often a PIN of the wrong length may be typed before the sale is given up.
PIN_ENTRIES_MAX = 3

#: Digits of a supervisor's code, and wrong tries before the bank must set a new one: as with a PIN.
SUPERVISOR_DIGITS, SUPERVISOR_TRIES_MAX = 6, 3

#: The same card and amount again within this time asks first (R31).
SAME_SALE_WINDOW_NS = 10 * 60 * 1_000_000_000

#: Bytes taken from the line at once.
LINE_READ_MAX_BYTES = 4_096

#: Transmissions of one reversal in one `settle_outstanding` call; it stays queued afterwards.
REVERSAL_TRANSMISSIONS_PER_CALL_MAX = 3

#: Messages for somebody else, or repeated, that one exchange looks past before it gives up.
STRAY_MESSAGES_MAX = 32

#: Batches remembered for the reprint of their settlement: a month of days.
BATCHES_REMEMBERED_MAX = 31

#: Transactions that wait for settlement before no more is sold: all of them stay in memory, and a
#: mismatch uploads each. Four times the busiest day of domain.md 5.2.
UNSETTLED_TRANSACTIONS_MAX = 1_600

#: Complaints kept in memory; all of them stay in the journal.
COMPLAINTS_REMEMBERED_MAX = 200

#: Vouchers that wait for the bank at once. With Rp50,000 a card and Rp1,000,000 a terminal
#: (domain.md 8, Q3) an outage ends at twenty.
VOUCHERS_QUEUED_MAX = 100

#: Transmissions of one stored message before it goes to the dead letters and people take over: with
#: one attempt a minute a day and a half, inside the three days in which a voucher can be cleared.
DELIVERY_TRANSMISSIONS_MAX = 2_000

#: Transmissions of one stored message in one `settle_outstanding` call; it stays queued afterwards.
DELIVERY_TRANSMISSIONS_PER_CALL_MAX = 2

#: Stored messages sent in one call, so that the operator gets the terminal back.
DELIVERIES_PER_CALL_MAX = 4_000

#: Digits of a proxy's registry number (edc.toml, element 62).
PROXY_NUMBER_MAX = 12

#: Largest ESC/POS command that is read: a raster of 80 mm paper (72 bytes a row) and a metre long.
PRINT_COMMAND_MAX_BYTES = 1024 * 1024

#: Longest ESC/POS command that ends with a mark: tab stops are 32, a bar code's text is short.
PRINT_LIST_MAX_BYTES = 256

#: Slips that wait for paper at once: the busiest day of domain.md 5.2, two slips a sale. The oldest
#: go first; `cetak ulang` has them all.
SLIPS_QUEUED_MAX = 800

#: Transactions of whose end paper is still to be told: the vouchers of an outage and as many
#: reversals again.
SLIPS_OPEN_MAX = 2 * VOUCHERS_QUEUED_MAX

#: Longest slip as text: a full basket with months and notice is some 60 lines of 48 columns.
SLIP_TEXT_MAX_CHARACTERS = 8_192

#: Wait for a printer's status: it answers within some 50 ms, over a slow cable within 200.
PRINTER_STATUS_MS = 1_000

#: Wait until a printer has printed a whole slip: 250 mm at the 50 mm/s of a small battery printer,
#: twice.
PRINTER_SLIP_MS = 10_000

#: Bytes that end any command which an earlier slip left half sent: more than its QR picture has.
PRINTER_FILL_BYTES = 4_096

#: Bytes sent to a printer at once, so that a lost printer is seen soon.
PRINTER_CHUNK_BYTES = 1_024

#: Time for a cardholder to type a PIN: elderly people take half a minute, and look it up first.
PIN_PAD_ENTRY_MS = 60_000

#: Wait for a PIN pad's answer beside the typing: its line's own tries (three of two seconds) and
#: some.
PIN_PAD_ANSWER_MS = 10_000

#: Sales that a cash register asked for and may ask about again: twice the busiest day of domain.md
#: 5.2, so that yesterday's are there.
REGISTER_SALES_REMEMBERED_MAX = 800
