"""The layout of the state file, and how files of earlier versions become this one."""

#: Written into the file; another number is another layout.
SCHEMA_VERSION = 3

#: What version 2 had.
_BASE = """
CREATE TABLE pin_try (
  card_number INTEGER NOT NULL, ordinal INTEGER NOT NULL, transfer_id BLOB NOT NULL,
  PRIMARY KEY (card_number, ordinal)
) STRICT, WITHOUT ROWID;
CREATE TABLE pin_unblock (
  number INTEGER PRIMARY KEY, card_number INTEGER NOT NULL, actor TEXT NOT NULL
) STRICT;
CREATE TABLE key_set (
  terminal_id TEXT NOT NULL, number INTEGER NOT NULL, mac_block TEXT NOT NULL,
  pin_block TEXT NOT NULL, is_active INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (terminal_id, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE log_on (
  terminal_id TEXT PRIMARY KEY, merchant_id TEXT NOT NULL, operator TEXT NOT NULL,
  number INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE business_date (
  one INTEGER PRIMARY KEY CHECK (one = 1), day TEXT NOT NULL, sequence INTEGER NOT NULL
) STRICT;
CREATE TABLE atc_mark (
  account_id BLOB NOT NULL, card_tag INTEGER NOT NULL, atc INTEGER NOT NULL,
  PRIMARY KEY (account_id, card_tag)
) STRICT, WITHOUT ROWID;
CREATE TABLE marks_kept (
  one INTEGER PRIMARY KEY CHECK (one = 1), sequence INTEGER NOT NULL
) STRICT;
"""

#: What version 3 adds: the window below each counter mark, batches, vouchers, changed PINs.
_SINCE_2 = """
ALTER TABLE atc_mark ADD COLUMN seen BLOB NOT NULL DEFAULT x'0000000000000001';
CREATE TABLE terminal_batch (
  batch_id INTEGER PRIMARY KEY, terminal_number INTEGER NOT NULL, number INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('open', 'disputed', 'closed', 'set aside')),
  opened_sequence INTEGER NOT NULL, opened_on TEXT NOT NULL,
  counted INTEGER NOT NULL, totals TEXT NOT NULL, declared TEXT,
  closed_sequence INTEGER, closed_on TEXT, message_id BLOB
) STRICT;
CREATE INDEX terminal_batch_by_terminal ON terminal_batch (terminal_number, batch_id);
CREATE TABLE batch_upload (
  batch_id INTEGER NOT NULL, transfer_id BLOB NOT NULL, processing_code TEXT NOT NULL,
  claimed_sen INTEGER NOT NULL, posted_sen INTEGER NOT NULL,
  PRIMARY KEY (batch_id, transfer_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE outage_sale (
  transfer_id BLOB PRIMARY KEY, account_id BLOB NOT NULL, terminal_number INTEGER NOT NULL,
  day TEXT NOT NULL, amount_sen INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE pin_change (
  card_number INTEGER PRIMARY KEY, pin_offset TEXT NOT NULL, base TEXT NOT NULL,
  transfer_id BLOB NOT NULL
) STRICT;
"""


def statements_from(version: int) -> list[str]:
    """Give what makes a file of this version (0: a new one) one of `SCHEMA_VERSION`.

    >>> statements_from(3), len(statements_from(0)) > len(statements_from(2)) > 0
    ([], True)
    """
    scripts = {0: (_BASE, _SINCE_2), 2: (_SINCE_2,)}.get(version, ())
    return [
        statement for script in scripts for statement in script.strip().rstrip(";").split(";\n")
    ]


#: Versions that can be brought here.
KNOWN_VERSIONS = frozenset({2, SCHEMA_VERSION})
