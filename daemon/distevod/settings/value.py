"""What the value of a setting may be: one small class per kind of value.

Flags and environment variables are text, and so is every scalar of a YAML file to us, so that `2`,
`DISTEVO_X=2` and `x: 2` are read by the same lines. Callers in Python may hand in typed values instead.
"""

import re
from typing import Any, NamedTuple, Protocol

from distevod.paths import check_slashes
from distevod.settings.error import nearest


class Given(NamedTuple):
    """A value that somebody gave to a setting, still as given, and where, in words."""

    raw: object
    source: str


class Value(Protocol):
    """A kind of value: what is allowed, in words that follow "must be", and the check itself."""

    @property
    def allowed(self) -> str: ...

    def parse(self, raw: object) -> Any:
        """`raw` as a value of this kind; ValueError (its text may hold a hint) when it is none."""
        ...


class Whole:
    """A whole number in a closed range."""

    def __init__(self, low: int, high: int) -> None:
        self.low, self.high = low, high

    @property
    def allowed(self) -> str:
        return f"a whole number from {self.low} to {self.high}"

    def parse(self, raw: object) -> int:
        if isinstance(raw, str) and re.fullmatch(r"\s*[+-]?[0-9]{1,18}\s*", raw):
            raw = int(raw)
        if isinstance(raw, bool) or not isinstance(raw, int) or not self.low <= raw <= self.high:
            raise ValueError
        return raw


class Number:
    """A number in a closed range; never infinite, never NaN."""

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high

    @property
    def allowed(self) -> str:
        return f"a number from {self.low:g} to {self.high:g}"

    def parse(self, raw: object) -> float:
        if isinstance(raw, bool) or not isinstance(raw, int | float | str):
            raise ValueError
        number = float(raw)
        if not self.low <= number <= self.high:  # false for NaN too
            raise ValueError
        return number


class Times:
    """A number in a closed range, or None for `off`."""

    def __init__(self, low: float, high: float) -> None:
        self.number = Number(low, high)

    @property
    def allowed(self) -> str:
        return f"{self.number.allowed}, or off"

    def parse(self, raw: object) -> float | None:
        if raw is None or (isinstance(raw, str) and raw.strip().lower() in {"off", "none"}):
            return None
        return self.number.parse(raw)


class CountOrShare:
    """How many of something: a count, `20`, or a share of it, `20%` or `0.2`. 1 is a count, 1.0 and 100% are all."""

    def __init__(self, most: int) -> None:
        self.most = most

    @property
    def allowed(self) -> str:
        return f"a count from 1 to {self.most}, or a share above 0 like 20% or 0.2"

    def parse(self, raw: object) -> int | float:
        if isinstance(raw, str):
            text = raw.strip()
            if re.fullmatch(r"[0-9]{1,9}", text):
                raw = int(text)
            else:
                raw = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        if isinstance(raw, bool) or not isinstance(raw, int | float):
            raise ValueError
        if not (1 <= raw <= self.most if isinstance(raw, int) else 0 < raw <= 1):
            raise ValueError
        return raw


_SPAN = re.compile(r"(?:(?P<d>[0-9.]+)d)?(?:(?P<h>[0-9.]+)h)?(?:(?P<m>[0-9.]+)m)?(?:(?P<s>[0-9.]+)s)?")
_UNITS = {"d": 86_400.0, "h": 3600.0, "m": 60.0, "s": 1.0}


class Duration:
    """A time in seconds, or in days, hours, minutes and seconds: `12h`, `1h30m`, `90`; None for `none`."""

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high

    @property
    def allowed(self) -> str:
        return f"a time like 12h, 1h30m or 5400 (seconds), from {self.low:g} to {self.high:g} seconds, or none"

    def parse(self, raw: object) -> float | None:
        if raw is None or (isinstance(raw, str) and raw.strip().lower() == "none"):
            return None
        if isinstance(raw, bool) or not isinstance(raw, int | float | str):
            raise ValueError
        text = str(raw).strip().lower().replace(" ", "")
        # Seconds go without their letter only where they are all there is: nobody means 1 h 30 s by 1h30.
        found = _SPAN.fullmatch(f"{text}s" if re.fullmatch(r"[0-9.]+", text) else text)
        parts = {unit: part for unit, part in found.groupdict().items() if part} if found is not None else {}
        seconds = sum(float(part) * _UNITS[unit] for unit, part in parts.items())
        if not parts or not self.low <= seconds <= self.high:
            raise ValueError
        return seconds


class Choice:
    """One of a few words, in any case."""

    def __init__(self, *words: str) -> None:
        self.words = words

    @property
    def allowed(self) -> str:
        return "one of " + ", ".join(self.words)

    def parse(self, raw: object) -> str:
        word = raw.strip().lower() if isinstance(raw, str) else ""
        if word not in self.words:
            near = nearest(word, self.words)
            raise ValueError(f"did you mean {near}?" if near else "")
        return word


_SWITCH_WORDS = {"true": True, "yes": True, "on": True, "1": True} | dict.fromkeys(("false", "no", "off", "0"), False)


class Switch:
    """On or off, in the words that people write into YAML and into environments."""

    allowed = "true or false"

    def parse(self, raw: object) -> bool:
        if isinstance(raw, bool):
            return raw
        word = raw.strip().lower() if isinstance(raw, str) else ""
        if word not in _SWITCH_WORDS:
            raise ValueError
        return _SWITCH_WORDS[word]


class Function:
    """One of a few words, or a function of the user's by `module:function`, `file.py:function` or the name of an entry
    point. Whether there is one is for whoever calls it to see."""

    def __init__(self, *words: str) -> None:
        self.words = words

    @property
    def allowed(self) -> str:
        return f"{', '.join(self.words)}, module:function, file.py:function, or the name of an entry point"

    def parse(self, raw: object) -> str:
        text = raw.strip() if isinstance(raw, str) else ""
        place, colon, name = text.rpartition(":")
        if text.lower() in self.words:
            return text.lower()
        if not (name.isidentifier() if colon else re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", text)):
            raise ValueError
        is_module = all(part.isidentifier() for part in place.split("."))
        if colon and not is_module and not (place.endswith(".py") and "\0" not in place):
            raise ValueError
        return text


class Identifier:
    """The id of a platform: it stands in object names, metrics and on screens."""

    allowed = "1 to 64 letters, digits, dots, hyphens or underscores"

    def parse(self, raw: object) -> str:
        if not isinstance(raw, str) or not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", raw):
            raise ValueError
        return raw


class Location:
    """A folder or, where `url` says so, a URL. Relative folders are made absolute by the loader."""

    def __init__(self, *, url: bool) -> None:
        self.url = url

    @property
    def allowed(self) -> str:
        return "a folder, file:///folder or gs://bucket/prefix" if self.url else "a folder"

    def parse(self, raw: object) -> str:
        text = str(raw) if hasattr(raw, "__fspath__") else raw
        if not isinstance(text, str) or not text.strip() or "\0" in text or ("://" in text and not self.url):
            raise ValueError
        if self.url:
            check_slashes(text)
        return text


HOST = r"\[[0-9A-Fa-f:.]+(?:%[A-Za-z0-9._-]+)?\]|[A-Za-z0-9._-]+"
"""Pattern of a name or an address: IPv6 in brackets, with its interface where it means something on one link alone."""
_ENDPOINT = re.compile(rf"(?:tcp://)?(?P<host>{HOST}|\*):(?P<port>[0-9]{{1,5}}|\*)")


class Endpoints:
    """Addresses of the form tcp://HOST:PORT, separated by commas or spaces; `none` for none.

    As value a tuple of texts, in the order given, each once. `wild`: an address to listen on, whose host may be `*`
    and whose port may be 0 or `*`, a free one.
    """

    def __init__(self, *, wild: bool = False, most: int = 16) -> None:
        self.wild, self.most = wild, most

    @property
    def allowed(self) -> str:
        if self.wild:
            return "tcp://HOST:PORT (* for every address, 0 for a free port) or none"
        return f"at most {self.most} of tcp://HOST:PORT, with commas between, or none"

    def parse(self, raw: object) -> tuple[str, ...]:
        if isinstance(raw, list | tuple):
            raw = " ".join(part for part in raw if isinstance(part, str))
        if not isinstance(raw, str):
            raise ValueError
        parts = raw.replace(",", " ").split()
        if [part.lower() for part in parts] == ["none"]:
            return ()
        if not 0 < len(parts) <= self.most:
            raise ValueError
        return tuple(dict.fromkeys(self._endpoint(part) for part in parts))

    def _endpoint(self, text: str) -> str:
        found = _ENDPOINT.fullmatch(text)
        if found is None:
            raise ValueError
        host, port = found["host"], found["port"].replace("*", "0")
        if int(port) > 65_535 or (not self.wild and (port == "0" or host == "*")):
            raise ValueError
        return f"tcp://{host}:{int(port)}"


class HostAndPort:
    """HOST:PORT, or nothing."""

    allowed = "HOST:PORT"

    def parse(self, raw: object) -> str:
        if not isinstance(raw, str):
            raise ValueError
        if not raw:
            return ""
        found = _ENDPOINT.fullmatch(raw.removeprefix("socks5://"))
        if found is None or "*" in raw or not 0 < int(found["port"]) < 65_536:
            raise ValueError
        return f"{found['host']}:{found['port']}"
