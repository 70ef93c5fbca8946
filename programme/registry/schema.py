"""The registry's tables. Numbers are dense; account ids are 16 random bytes, big-endian.

What identifies a person stands only in `recipients.sealed` (AES-256-GCM) and as HMACs for finding
duplicates; a card number only as HMAC and last four digits (design decision 19).
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

#: Rises with every change of a table below; `migrations` leads an older file here, a newer one is
#: refused with one clear error.
SCHEMA_VERSION = 2

metadata = MetaData()

schema_version = Table(
    "lumbung_schema",
    metadata,
    Column("version", Integer, primary_key=True),
    Column("applied_at_ns", BigInteger, nullable=False),
    Column("key_check", LargeBinary, nullable=False),
)

#: The audit trail: one row per change; its number is the registry's version, dense from 1.
#: `chain` is the hash over the row and the `chain` of the row before (programme.registry.audit).
changes = Table(
    "changes",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("agency", String, nullable=False),
    Column("person", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("number", Integer, nullable=False),
    Column("action", String, nullable=False),
    Column("detail", String, nullable=False),
    Column("before", String, nullable=False, server_default=""),
    Column("after", String, nullable=False, server_default=""),
    Column("chain", LargeBinary, nullable=False, server_default=""),
)

system_accounts = Table(
    "system_accounts",
    metadata,
    Column("purse", Integer, primary_key=True),
    Column("code", Integer, primary_key=True),
    Column("account_id", LargeBinary, nullable=False, unique=True),
)

families = Table(
    "families",
    metadata,
    Column("family_number", Integer, primary_key=True),
    Column("family_hmac", LargeBinary, nullable=False, unique=True),
)

recipients = Table(
    "recipients",
    metadata,
    Column("recipient_number", Integer, primary_key=True),
    Column("nik_hmac", LargeBinary, nullable=False, unique=True),
    Column("person_hmac", LargeBinary, nullable=False, unique=True),
    Column("family_number", ForeignKey("families.family_number"), nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("district", String, nullable=False),
    Column("village", String, nullable=False),
    # The same for every spelling of one name with one birth date; not unique (see people.py).
    Column("likeness_hmac", LargeBinary),
    Index("recipients_by_family", "family_number"),
    Index("recipients_by_likeness", "likeness_hmac"),
)

#: People of whom an office has seen that they are not the other person of the same name and day.
distinct_people = Table(
    "distinct_people",
    metadata,
    Column("nik_hmac", LargeBinary, primary_key=True),
    Column("at_ns", BigInteger, nullable=False),
    Column("agency", String, nullable=False),
    Column("person", String, nullable=False),
)

#: What a fund asks of a recipient (fund_sources.toml), attested by an office, until a day.
eligibility_marks = Table(
    "eligibility_marks",
    metadata,
    Column("recipient_number", ForeignKey("recipients.recipient_number"), primary_key=True),
    Column("mark", String, primary_key=True),
    Column("valid_until", String, nullable=False),
)

cards = Table(
    "cards",
    metadata,
    Column("card_number", Integer, primary_key=True),
    Column("recipient_number", ForeignKey("recipients.recipient_number"), nullable=False),
    Column("purse", Integer, nullable=False),
    Column("account_id", LargeBinary, nullable=False),
    Column("pan_hmac", LargeBinary, nullable=False, unique=True),
    Column("last_four", String, nullable=False),
    Column("pan_sequence", String, nullable=False),
    Column("expires_on", String, nullable=False),
    Column("pin_offset", String, nullable=False),
    Column("status", String, nullable=False),
    Column("block_reason", String),
    Column("status_before_block", String),
    Column("replaces_card_number", ForeignKey("cards.card_number"), unique=True),
    Index("cards_by_recipient", "recipient_number"),
    Index("cards_by_account", "account_id"),
)

card_steps = Table(
    "card_steps",
    metadata,
    Column("step", Integer, primary_key=True),
    Column("card_number", ForeignKey("cards.card_number"), nullable=False),
    Column("status", String, nullable=False),
    Column("block_reason", String),
    Column("at_ns", BigInteger, nullable=False),
    Column("agency", String, nullable=False),
    Column("person", String, nullable=False),
    Index("card_steps_by_card", "card_number"),
)

merchants = Table(
    "merchants",
    metadata,
    Column("merchant_number", Integer, primary_key=True),
    Column("merchant_id", String, nullable=False, unique=True),
    Column("name", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("district", String, nullable=False),
    Column("village", String, nullable=False),
    Column("category", String, nullable=False),
    Column("designated", Boolean, nullable=False),
    Column("suspended", Boolean, nullable=False),
)

#: The life of a shop: registered, designated, suspended (with its planned end), resumed.
merchant_steps = Table(
    "merchant_steps",
    metadata,
    Column("step", Integer, primary_key=True),
    Column("merchant_number", ForeignKey("merchants.merchant_number"), nullable=False),
    Column("state", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("until", String, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("agency", String, nullable=False),
    Column("person", String, nullable=False),
    Index("merchant_steps_by_merchant", "merchant_number"),
)

#: Who may act for a card (R25), by the card's account, so that a replacement keeps its proxies.
proxies = Table(
    "proxies",
    metadata,
    Column("proxy_number", Integer, primary_key=True),
    Column("account_id", LargeBinary, nullable=False),
    Column("nik_hmac", LargeBinary, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("reason", String, nullable=False),
    Column("valid_from", String, nullable=False),
    Column("valid_until", String, nullable=False),
    Index("proxies_by_account", "account_id"),
    Index("proxies_by_nik", "nik_hmac"),
)

conditional_categories = Table(
    "conditional_categories",
    metadata,
    Column("merchant_number", ForeignKey("merchants.merchant_number"), primary_key=True),
    Column("category", String, primary_key=True),
)

payable_accounts = Table(
    "payable_accounts",
    metadata,
    Column("merchant_number", ForeignKey("merchants.merchant_number"), primary_key=True),
    Column("purse", Integer, primary_key=True),
    Column("account_id", LargeBinary, nullable=False, unique=True),
)

terminals = Table(
    "terminals",
    metadata,
    Column("terminal_number", Integer, primary_key=True),
    Column("terminal_id", String, nullable=False, unique=True),
    Column("home_merchant_number", ForeignKey("merchants.merchant_number"), nullable=False),
    Column("merchant_number", ForeignKey("merchants.merchant_number")),
    Column("active", Boolean, nullable=False),
    Column("key_label", String, nullable=False),
    Column("key_check_value", String, nullable=False),
)

decrees = Table(
    "decrees",
    metadata,
    Column("decree_number", Integer, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("decreed_on", String, nullable=False),
    Column("file_sha256", LargeBinary, nullable=False, unique=True),
    Column("purse", Integer, nullable=False),
    Column("source", Integer, nullable=False),
    Column("budget_year", Integer, nullable=False),
    Column("period_first", String, nullable=False),
    Column("period_last", String, nullable=False),
    Column("state", String, nullable=False),
)

decree_steps = Table(
    "decree_steps",
    metadata,
    Column("step", Integer, primary_key=True),
    Column("decree_number", ForeignKey("decrees.decree_number"), nullable=False),
    Column("state", String, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("agency", String, nullable=False),
    Column("person", String, nullable=False),
    UniqueConstraint("decree_number", "state"),
)

decree_lines = Table(
    "decree_lines",
    metadata,
    Column("decree_number", ForeignKey("decrees.decree_number"), primary_key=True),
    Column("recipient_number", ForeignKey("recipients.recipient_number"), primary_key=True),
    Column("amount_sen", BigInteger, nullable=False),
    Column("outcome", String, nullable=False),
)

#: One row per finished disbursement run; the last one of (decree, period) is its result.
disbursement_runs = Table(
    "disbursement_runs",
    metadata,
    Column("run", Integer, primary_key=True),
    Column("decree_number", ForeignKey("decrees.decree_number"), nullable=False),
    Column("period", String, nullable=False),
    Column("total_sen", BigInteger, nullable=False),
    Column("credited_sen", BigInteger, nullable=False),
    Column("held_sen", BigInteger, nullable=False),
    Column("maker", String, nullable=False),
    Column("checker", String, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
)

#: Maker-checker: what one person proposes and another approves (design decision 20).
proposals = Table(
    "proposals",
    metadata,
    Column("proposal_number", Integer, primary_key=True, autoincrement=False),
    Column("kind", String, nullable=False),
    Column("terms", String, nullable=False),
    Column("state", String, nullable=False),
    Column("made_at_ns", BigInteger, nullable=False),
    Column("maker_agency", String, nullable=False),
    Column("maker_person", String, nullable=False),
    Column("decided_at_ns", BigInteger, nullable=False),
    Column("checker_agency", String, nullable=False),
    Column("checker_person", String, nullable=False),
    Column("done_at_ns", BigInteger, nullable=False),
    Column("outcome", String, nullable=False),
    Index("proposals_by_state", "state"),
)

#: Who may call the administration interface: the hash of a token, never the token.
tokens = Table(
    "tokens",
    metadata,
    Column("token_number", Integer, primary_key=True, autoincrement=False),
    Column("token_hash", LargeBinary, nullable=False, unique=True),
    Column("agency", String, nullable=False),
    Column("person", String, nullable=False),
    Column("issued_at_ns", BigInteger, nullable=False),
    Column("expires_at_ns", BigInteger, nullable=False),
    Column("revoked_at_ns", BigInteger, nullable=False),
)
