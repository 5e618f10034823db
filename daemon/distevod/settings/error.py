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


def unknown(what: str, word: str, valid: Iterable[str], prefix: str = "") -> str:
    """The sentence that refuses an unknown name, with the nearest valid one, or all when none is near.

    `prefix` stands before `word` and each of `valid`; it is left out of the comparison, in which a long common
    beginning would make everything look alike.
    """
    names = list(valid)
    near = nearest(word, names)
    hint = f"did you mean {prefix}{near}?" if near else f"valid: {', '.join(prefix + name for name in names)}"
    return f"unknown {what} {prefix + word!r}; {hint}"
