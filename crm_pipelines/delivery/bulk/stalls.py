"""When it is worthwhile to spend one of the few looks at a CRM's imports: once nothing more arrives. Pure."""

# Seconds without a further contact, after which the imports are likely to have ended: so many at least, and this share
# of the time for which contacts have arrived. An import that takes long may pause for longer.
_AFTER_THE_LAST, _SHARE = 0.5, 0.25
# The same while none has come: an import may wait at the CRM for its turn.
_BEFORE_THE_FIRST = 15.0


class Stall:
    """How long nothing has arrived of the imports that are waited for. Times are monotonic, in seconds."""

    def __init__(self, now: float) -> None:
        self._arrived = 0
        self._first = self._since = now
        self._enough = _BEFORE_THE_FIRST

    def sent(self, now: float) -> None:
        """A further import was sent: none of it can have arrived yet."""
        self._since = now

    def saw(self, arrived: int, now: float) -> None:
        """So many contacts have arrived."""
        if arrived > self._arrived:
            if not self._arrived:
                self._first = now
            self._arrived, self._since = arrived, now
            self._enough = max(_AFTER_THE_LAST, (now - self._first) * _SHARE)

    def is_long(self, now: float) -> bool:
        """Whether a look is worthwhile."""
        return now - self._since >= self._enough

    def looked(self, now: float) -> None:
        """The look was for nothing: the next one is worthwhile after twice the time, if nothing arrives until then."""
        self._since = now
        self._enough *= 2
