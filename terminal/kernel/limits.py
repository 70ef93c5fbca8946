"""Named bounds of everything the kernel reads from a card."""

#: Most payment system directory records read: SFI files hold at most 255, real cards under 10.
DIRECTORY_RECORDS = 32
#: Most applications on the candidate list: a card that offers more is not one of ours.
CANDIDATES = 32
#: Most records read in one transaction; real cards have under 20.
AFL_RECORDS = 64
#: Most rules of a CVM list: what its longest encoding can hold. EMV 4.4 Book 3, Annex A.
CVM_RULES = 122
#: Most issuer script commands executed in one transaction, both templates together.
SCRIPT_COMMANDS = 32
#: Longest issuer script in total, all templates together. EMV 4.4 Book 3, 10.10.
SCRIPT_BYTES = 128
#: Most scripts in one answer, so that a hostile answer costs a bounded time.
SCRIPTS = 8
#: Most lists kept parsed per kind; a town has a few products, so nothing is ever dropped.
PARSED_LISTS = 256
#: Most issuer keys kept recovered: a day's issuers at one terminal are few.
ISSUER_KEYS = 64
