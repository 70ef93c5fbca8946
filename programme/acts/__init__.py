"""Everything that an office changes: one table of acts for the command line, the administration
interface and the running switch.

Whoever holds the ledger does an act: the running switch, asked over its control channel, or the
command itself where none runs. So an act takes and gives JSON values, and no front has a rule.
"""

from programme.acts.base import Act, ActArguments, Tell, no_progress
from programme.acts.table import ACTS, act

__all__ = ["ACTS", "Act", "ActArguments", "Tell", "act", "no_progress"]
