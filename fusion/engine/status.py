"""Why a fit ended, in words that a user can act on."""

from enum import Enum


class Status(Enum):
    """Why a fit ended; the value is the message."""

    CONVERGED = "converged: the loss no longer changes"
    STATIONARY = "converged: the projected gradient vanishes"
    STALLED = (
        "stopped: no step lowers the loss any more; the answer is as good as the arithmetic allows"
    )
    MAX_STEPS = "stopped at max_steps before it converged: raise max_steps; no answer yet"
    MAX_SECONDS = "stopped at max_seconds before it converged: allow more time; no answer yet"
    LEFT = "left behind: another start was lower, and was gone on with alone"
    DROPPED = "dropped: others were ahead, and went on without it"
    ALIKE = "dropped: another start had come to the same components, and went on"
    INTERRUPTED = "interrupted before it converged: the best answer so far is returned"
    DIVERGED = "failed: the loss is not finite from the start: check the guess, or use another init"

    @property
    def ok(self) -> bool:
        """Whether the answer is a minimum as far as the solver can tell."""
        return self in (Status.CONVERGED, Status.STATIONARY, Status.STALLED)

    @property
    def ran_on(self) -> bool:
        """Whether it was run until it ended, not let go for the sake of another."""
        return self not in (Status.LEFT, Status.DROPPED, Status.ALIKE)


_LET_GO = tuple(s.value.split(":")[0] for s in Status if not s.ran_on)


def ran_on(told: str) -> bool:
    """The same of a status as it is told, of a saved result as well."""
    return not told.startswith(_LET_GO)
