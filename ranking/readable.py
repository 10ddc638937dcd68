"""Which examples can still be computed as serving did, after retention has dropped months of the log.

Counters are: the store keeps what it counted (`features.remembered`). A user's own past is not. Whoever looks at a page
from before the dropping finds less of its user in the log than serving found: another row than the ranker would have
seen, and nothing in it tells that. So such an example is left out, unless the last thousand events before it are all
there, which is as far as features look back. A page from after the dropping was served without that past as well.
"""

from datetime import UTC, datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from events.columnar.interactions import Interactions
from events.retention import pasts_dropped
from features.extraction import Remembered
from features.extraction.definitions import HISTORY_LIMIT
from features.extraction.past import told_before
from ranking.ranker.examples import Examples
from ranking.ranker.heads import LABEL_WINDOW_S
from ranking.served_examples import served_examples

_NEVER: Final = datetime.fromtimestamp(0, UTC)


def readable(examples: Examples, log: Interactions, before: Remembered | None) -> NDArray[np.bool_]:
    """Which examples training can learn from; bool (n,). Those whose served row was logged are among them.

    Parameters
    ----------
    log : with what users refused in months that are gone
    before : what is kept of those months; None where there are none, and then all can be computed
    """
    whole = np.ones(len(examples), np.bool_)
    if before is None or len(examples) == 0:
        return whole
    served = served_examples(examples, log)
    # What began in a month that is gone looks like a new exposure for as long as an exposure may be answered.
    whole = examples.timestamp >= before.end + LABEL_WINDOW_S
    whole &= ~(served.counted_until < before.since)
    codes, who = np.unique(examples.user, return_inverse=True)
    dropped = pasts_dropped(log.users[codes].tolist())
    until = np.array([dropped.get(user, _NEVER).timestamp() for user in log.users[codes].tolist()])[who]
    cut = np.flatnonzero(whole & (served.moment <= until))
    whole[cut] = told_before(log, examples.user[cut], served.moment[cut]) >= HISTORY_LIMIT
    whole[served.logged] = True
    return whole
