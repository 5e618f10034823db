"""How a setting is refused: by its name, with the nearest valid one."""

from collections.abc import Iterable

from distevo.errors import DistevoError


class SettingsError(DistevoError):
    """A setting is unknown, of a wrong type, out of its range, contradictory, or its file cannot be read.

    The message names the setting and where it was given, and says what is allowed.
    """


def nearest(word: str, valid: Iterable[str]) -> str | None:
    """The valid name most like `word`, case and hyphens apart; None when nothing is alike."""
    from difflib import get_close_matches  # 5 ms that only a mistake has to pay

    plain = {name.lower().replace("-", "_"): name for name in valid}
    found = get_close_matches(word.lower().replace("-", "_"), plain, n=1)
    return plain[found[0]] if found else None


def unknown(what: str, word: str, valid: Iterable[str]) -> str:
    """The sentence that refuses an unknown name: `what` and `word`, then the nearest or all the valid
    ones."""
    names = list(valid)
    near = nearest(word, names)
    return f"unknown {what} {word!r}; " + (f"did you mean {near}?" if near else f"valid: {', '.join(names)}")
