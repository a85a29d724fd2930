"""Named places at which a test may kill a channel worker, as hard as `kill -9` does; set by RAPPORT_FAILPOINT."""

from typing import Final

PROVIDER_ACCEPTED: Final = "provider_accepted"
"""The provider took the message, the ledger does not know yet."""

OUTCOME_PUBLISHED: Final = "outcome_published"
"""`signals` acknowledged an outcome, the ledger has not forgotten it yet."""

PLACES: Final = (PROVIDER_ACCEPTED, OUTCOME_PUBLISHED)
