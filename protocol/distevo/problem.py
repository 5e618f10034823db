"""The contract between distevo and a user's problem.

A problem is a duck-typed class, one instance per task: no base class, no registration. `Contract` wraps one
instance, checks once that all it needs is there, and then guards what each member returns, so that a
mistake is reported where it was made and in words its author understands, not three modules later.

What an instance has (a `genome` is whatever the problem likes; distevo never looks inside):

- `name`, `version`: text, part of every program's key.
- `random(rng)`, `mutate(genome, rng)`: a new genome; `rng` is a `random.Random`, the only source of chance.
- `evaluate(genome)`: a number, maximised; or a mapping with `fitness` (a number, several, or None) and
  optionally `fit` (bool: all that the task shows is right), `behaviour` (bytes: what the program does on the
  task's inputs; None or b"": unknown) and `metrics` (numbers by name; checked, and not kept). None, or a fitness of
  None: invalid.
- `encode(genome)`, `decode(data)`: canonical bytes and back; decode then encode gives the same bytes.
- `crossover(a, b, rng)`, optional: one child.
- `seeds(rng)`, optional: the genomes to begin with.
- `evaluate_batch(genomes)`, optional: one outcome for each genome, in order; the same as `evaluate` gives, by which
  results are evaluated again. It is given one at first, and more as long as they take a few seconds together.
- `verify(genome)`, optional: True or False, judged on data that evolution never saw. Asked once, of a task's last
  guess, if that is fit.
- `sweep(share, shares)`, optional: an exhaustive start; `Contract.sweep` says how.
- `panels(genome)`, optional: titled colour grids that show what the program does.

What the class may have, each a class method that returns task data by id, in the order in which tasks are worked on:

- `tasks(spec)`: the text behind `--tasks`, a named set say.
- `tasks_from_file(data)`: the content of a JSON task file, of any form; without it that is task data by id itself. Of a
  folder it is a mapping: the content of each file by the file's name without its ending.
- `tasks_from_csv(text, name)`: the text of a `.csv` or `.tsv` file as it stands, and its name without the ending.
  By what the columns are separated the text alone shows, not which of the two it was.

An optional member that is None counts as absent, so an instance can say that its own task has nothing to
verify: `self.verify = None`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple, NoReturn

from blake3 import blake3

from distevo.errors import ProblemError, ProgramError
from distevo.program import BEHAVIOUR_BYTES, MAX_FITNESS_NUMBERS, MAX_GENOME_BYTES, Keyer, keyer

NAME_LIMIT_BYTES = 128
"""Longest `name` and `version` of a problem, UTF-8."""

SEEDS_LIMIT = 100_000
"""Most genomes that `seeds` may return: a generator without an end is a mistake, not a population."""

REQUIRED = {
    "random": "random(rng) -> a new genome",
    "mutate": "mutate(genome, rng) -> a new genome",
    "evaluate": "evaluate(genome) -> a number (higher is better) or a mapping with 'fitness'",
    "encode": "encode(genome) -> bytes",
    "decode": "decode(data) -> the genome that encode wrote",
}
"""The methods that a problem must have, with what each looks like."""

OPTIONAL = {
    "crossover": "crossover(a, b, rng) -> a new genome",
    "seeds": "seeds(rng) -> a list of genomes",
    "evaluate_batch": "evaluate_batch(genomes) -> a list, one outcome for each genome",
    "verify": "verify(genome) -> True or False",
    "sweep": "sweep(share, shares) -> an iterator",
    "panels": "panels(genome) -> a list of (title, rows of colours 0-9)",
}
"""The methods that a problem may have."""

ALIKE_BYTES = 40
"""Of two encodings that begin with so many equal bytes an error shows the rest: cut short they would look the same."""

OUTCOME_KEYS = ("fitness", "fit", "behaviour", "metrics")
"""What a mapping returned by `evaluate` may hold."""


class Evaluation(NamedTuple):
    """What `evaluate` said of one program, checked."""

    fitness: tuple[float, ...] | None
    """Maximised, at least one number, never NaN; None: the program is invalid."""
    fit: bool
    """Everything that the task shows is right."""
    behaviour: bytes
    """8-byte BLAKE3 digest of the problem's behaviour bytes, or b"" where the problem gave none."""
    metrics: Mapping[str, float] | None
    """Further numbers by name."""


INVALID = Evaluation(None, False, b"", None)
"""The evaluation of a program that has none."""

_USUAL_KEYS = {"fitness", "fit", "behaviour"}

# Building the tuple directly takes half the time of calling the NamedTuple: it counts at 5 us an evaluation.
_new_tuple = tuple.__new__


def behaviour_digest(behaviour: bytes) -> bytes:
    """The 8 bytes that stand for a problem's behaviour bytes in populations, messages and checkpoints."""
    return blake3(behaviour).digest(BEHAVIOUR_BYTES)


class Contract:
    """One problem instance (one task) behind guards.

    Raises `ProblemError` at construction when members are missing or not callable: one error that names all
    of them. Later each call raises `ProblemError` when the problem's own answer breaks the contract, and
    `ProgramError`, which is one, when that may be the fault of one program; what the problem's code itself
    raises passes through unchanged.

    The calls below are functions bound at construction, without a method's lookup: the engine makes them
    for evaluations of 5 us.
    """

    name: str
    version: str
    keyer: Keyer
    """Program bytes to their 32-byte key."""
    has_crossover: bool
    has_sweep: bool
    has_batch: bool
    has_verify: bool

    random: Callable[[Any], Any]
    """`random(rng)`: a new genome."""
    mutate: Callable[[Any, Any], Any]
    """`mutate(genome, rng)`: a new genome."""
    crossover: Callable[[Any, Any, Any], Any]
    """`crossover(a, b, rng)`: a new genome; `ProblemError` where the problem has none."""
    encode: Callable[[Any], bytes]
    """`encode(genome)`: canonical bytes."""
    decode: Callable[[bytes], Any]
    """`decode(data)`: the genome."""
    evaluate: Callable[[Any], Evaluation]
    """`evaluate(genome)`: the checked outcome."""
    evaluate_batch: Callable[[Sequence[Any]], list[Evaluation]]
    """`evaluate_batch(genomes)`: one outcome for each, in order; where the problem has none, one by one."""
    verify: Callable[[Any], bool]
    """`verify(genome)`: right on what evolution never saw; `ProblemError` where the problem has none."""

    def __init__(self, problem: object) -> None:
        if isinstance(problem, type):
            raise ProblemError(
                f"{problem.__name__} is a class; a contract takes an instance of it, made with a task's data"
            )
        self._problem = problem
        self._class = type(problem).__name__
        members = self._members(problem)
        self.name = problem.name  # type: ignore[attr-defined]  # _members has checked both
        self.version = problem.version  # type: ignore[attr-defined]
        self.keyer = keyer(self.name, self.version)
        self.has_crossover = "crossover" in members
        self.has_sweep = "sweep" in members
        self.has_batch = "evaluate_batch" in members
        self.has_verify = "verify" in members
        self._seeds = members.get("seeds")
        self._sweep = members.get("sweep")
        self._panels = members.get("panels")
        self._numbers = 0
        self.random = self._guard_genome("random", members["random"])
        self.mutate = self._guard_genome("mutate", members["mutate"])
        self.decode = self._guard_genome("decode", members["decode"])
        self.encode = self._guard_encode(members["encode"])
        self.evaluate = self._guard_evaluate(members["evaluate"])
        batch = members.get("evaluate_batch")
        self.evaluate_batch = self._one_by_one(self.evaluate) if batch is None else self._guard_batch(batch)
        self.crossover = (
            self._guard_genome("crossover", members["crossover"]) if self.has_crossover else self._absent("crossover")
        )
        self.verify = self._guard_verify(members["verify"]) if self.has_verify else self._absent("verify")

    def __repr__(self) -> str:
        return f"Contract({self._class}: {self.name} {self.version})"

    def seeds(self, rng: Any) -> list[Any]:
        """Genomes to begin with; empty where the problem has no `seeds`."""
        if self._seeds is None:
            return []
        made = self._seeds(rng)
        if not isinstance(made, Iterable) or isinstance(made, (str, bytes, Mapping)):
            raise self._broken("seeds", f"returned {_shown(made)}", "return a list of genomes")
        genomes = list(islice(made, SEEDS_LIMIT + 1))
        if len(genomes) > SEEDS_LIMIT:
            raise self._broken("seeds", f"gave more than {SEEDS_LIMIT:,} genomes", "return fewer")
        for position, genome in enumerate(genomes):
            if genome is None:
                raise self._broken("seeds", f"gave None at position {position}", "every element must be a genome")
        return genomes

    def sweep(self, share: int, shares: int) -> Iterator[tuple[Any, Evaluation] | None]:
        """Walk share `share` (0-based) of `shares` of the problem's exhaustive start.

        Each element is one evaluation that the problem made itself: None (invalid, or a behaviour met
        before), or the genome and exactly what `evaluate(genome)` returns. The order never changes, the
        shares are disjoint and together everything, so a sweep is resumed by discarding the elements that
        were taken before. Nothing is computed before the first `next`.

        Raises `ProblemError` where the problem has no sweep, and at an element that is neither; `ValueError`
        unless 0 <= share < shares.
        """
        if self._sweep is None:
            self._absent("sweep")()
        if not 0 <= share < shares:
            raise ValueError(f"share {share} of {shares} shares: must be 0 to {shares - 1}")
        return self._walk(share, shares)

    def _walk(self, share: int, shares: int) -> Iterator[tuple[Any, Evaluation] | None]:
        assert self._sweep is not None
        walk = self._sweep(share, shares)
        if not isinstance(walk, Iterable):
            raise self._broken("sweep", f"returned {_shown(walk)}", "return an iterator (a generator function does)")
        for node in walk:
            if node is None:
                yield None
            elif isinstance(node, tuple) and len(node) == 2 and node[0] is not None:
                yield node[0], self._read("sweep", node[1])
            else:
                raise self._broken("sweep", f"gave {_shown(node)}", "give None or a pair (genome, outcome)")

    def panels(self, genome: Any) -> list[tuple[str, list[list[int]]]]:
        """Titled colour grids (rows of 0-9) that show a program; empty where there are none."""
        if self._panels is None:
            return []
        shown = self._panels(genome)
        if not isinstance(shown, (list, tuple)):
            raise self._broken("panels", f"returned {_shown(shown)}", f"expected: {OPTIONAL['panels']}")
        panels: list[tuple[str, list[list[int]]]] = []
        for panel in shown:
            if not (isinstance(panel, (list, tuple)) and len(panel) == 2 and isinstance(panel[0], str)):
                raise self._broken("panels", f"gave {_shown(panel)}", "give pairs (title, rows of colours 0-9)")
            title, rows = panel[0], _plain(panel[1])
            if not _is_grid(rows):
                raise self._broken(
                    "panels", f"gave {title!r} with {_shown(rows)}", "give rows of equal length of whole numbers 0-9"
                )
            panels.append((title, [list(row) for row in rows]))
        return panels

    def decode_canonical(self, data: bytes) -> Any:
        """The genome of `data`. Raises `ProblemError` unless encoding it again gives `data`."""
        genome = self.decode(data)
        again = self.encode(genome)
        if again != data:
            raise self._broken(
                "encode",
                f"is not canonical: {_shown(data)} decodes to a genome that encodes to {_shown_beside(again, data)}",
                "decode then encode must give the same bytes, for every genome",
            )
        return genome

    # Guards

    def _members(self, problem: object) -> dict[str, Callable[..., Any]]:
        """All members by name. Raises one `ProblemError` with everything that is wrong."""
        wrong: list[str] = []
        for text in ("name", "version"):
            value = getattr(problem, text, None)
            if value is None:
                wrong.append(f'{text}: missing; add: {text} = "..."')
            elif not isinstance(value, str) or not 0 < len(value.encode()) <= NAME_LIMIT_BYTES:
                wrong.append(f"{text}: is {_shown(value)}; must be text of 1 to {NAME_LIMIT_BYTES} bytes")
        members: dict[str, Callable[..., Any]] = {}
        for member, shape in (REQUIRED | OPTIONAL).items():
            value = getattr(problem, member, None)
            if callable(value):
                members[member] = value
            elif value is not None:
                wrong.append(f"{member}: is {_shown(value)}, not a method; should be: {shape}")
            elif member in REQUIRED:
                wrong.append(f"{member}: missing; add: {shape}")
        if wrong:
            raise ProblemError(f"problem {self._class} is not complete:\n  " + "\n  ".join(wrong))
        return members

    def _broken(self, member: str, what: str, instead: str) -> ProblemError:
        return ProblemError(f"{self._class}.{member} {what}; {instead}")

    def _spoilt(self, member: str, what: str, instead: str) -> ProgramError:
        return ProgramError(f"{self._class}.{member} {what}; {instead}")

    def _absent(self, member: str) -> Callable[..., NoReturn]:
        def absent(*_: Any) -> NoReturn:
            raise self._broken(member, "does not exist", f"to use it, add: {OPTIONAL[member]}")

        return absent

    def _guard_genome(self, member: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def missing() -> ProgramError:
            return self._spoilt(member, "returned None", f"expected: {(REQUIRED | OPTIONAL)[member]}")

        # One closure for each number of arguments: `*arguments` would double what the guard costs.
        def one(argument: Any) -> Any:
            genome = function(argument)
            if genome is None:
                raise missing()
            return genome

        def two(genome: Any, rng: Any) -> Any:
            child = function(genome, rng)
            if child is None:
                raise missing()
            return child

        def three(a: Any, b: Any, rng: Any) -> Any:
            child = function(a, b, rng)
            if child is None:
                raise missing()
            return child

        guards: dict[str, Callable[..., Any]] = {"mutate": two, "crossover": three}
        return guards.get(member, one)

    def _guard_encode(self, function: Callable[[Any], Any]) -> Callable[[Any], bytes]:
        def encode(genome: Any) -> bytes:
            data = function(genome)
            if type(data) is not bytes:
                raise self._spoilt("encode", f"returned {_shown(data)}", "return bytes")
            if len(data) > MAX_GENOME_BYTES:
                raise self._spoilt("encode", f"returned {len(data):,} bytes", f"at most {MAX_GENOME_BYTES:,}")
            return data

        return encode

    def _guard_evaluate(self, function: Callable[[Any], Any]) -> Callable[[Any], Evaluation]:
        read = self._read

        def evaluate(genome: Any) -> Evaluation:
            outcome = function(genome)
            # The two usual answers are taken here, unless they are the first or odd: then `_read` looks
            # closely, and says what is wrong.
            if self._numbers == 1:
                kind = type(outcome)
                if kind is float:
                    if outcome == outcome:
                        return _new_tuple(Evaluation, ((outcome,), False, b"", None))
                elif kind is dict and outcome.keys() <= _USUAL_KEYS and "fitness" in outcome:
                    fitness, fit = outcome["fitness"], outcome.get("fit", False)
                    if type(fitness) is float and fitness == fitness and type(fit) is bool:
                        behaviour = outcome.get("behaviour")
                        if behaviour is None:
                            return _new_tuple(Evaluation, ((fitness,), fit, b"", None))
                        if type(behaviour) is bytes:
                            digest = behaviour_digest(behaviour) if behaviour else b""
                            return _new_tuple(Evaluation, ((fitness,), fit, digest, None))
            return read("evaluate", outcome)

        return evaluate

    def _one_by_one(self, evaluate: Callable[[Any], Evaluation]) -> Callable[[Sequence[Any]], list[Evaluation]]:
        def evaluate_batch(genomes: Sequence[Any]) -> list[Evaluation]:
            return [evaluate(genome) for genome in genomes]

        return evaluate_batch

    def _guard_batch(self, function: Callable[[list[Any]], Any]) -> Callable[[Sequence[Any]], list[Evaluation]]:
        def evaluate_batch(genomes: Sequence[Any]) -> list[Evaluation]:
            outcomes = _plain(function(list(genomes)))
            if not isinstance(outcomes, (list, tuple)):
                raise self._broken("evaluate_batch", f"returned {_shown(outcomes)}", "return a list")
            if len(outcomes) != len(genomes):
                raise self._broken(
                    "evaluate_batch",
                    f"returned {len(outcomes)} outcomes for {len(genomes)} genomes",
                    "return one for each, in order",
                )
            return [self._read("evaluate_batch", outcome) for outcome in outcomes]

        return evaluate_batch

    def _guard_verify(self, function: Callable[[Any], Any]) -> Callable[[Any], bool]:
        def verify(genome: Any) -> bool:
            answer = _plain(function(genome))
            if not isinstance(answer, bool):
                raise self._broken("verify", f"returned {_shown(answer)}", "return True or False")
            return answer

        return verify

    def _read(self, member: str, outcome: Any) -> Evaluation:
        """Check one outcome of `evaluate`, `evaluate_batch` or `sweep`."""
        if outcome is None:
            return INVALID
        if not isinstance(outcome, Mapping):
            if isinstance(outcome, (tuple, list)):
                raise self._spoilt(
                    member, f"returned {_shown(outcome)}", "return a number, or of several {'fitness': (first, second)}"
                )
            return Evaluation(self._fitness(member, (outcome,)), False, b"", None)
        if "fitness" not in outcome:
            raise self._spoilt(
                member, f"returned a mapping without 'fitness': {_shown(outcome)}", "add it (None: invalid)"
            )
        fitness = _plain(outcome["fitness"])
        fit = outcome.get("fit", False)
        behaviour = outcome.get("behaviour")
        metrics = outcome.get("metrics")
        if sum(key in outcome for key in OUTCOME_KEYS) != len(outcome):
            unknown = ", ".join(sorted(repr(key) for key in outcome if key not in OUTCOME_KEYS))
            raise self._spoilt(member, f"returned a mapping with {unknown}", f"known are {', '.join(OUTCOME_KEYS)}")
        if type(fit) is not bool:
            fit = _plain(fit)
            if not isinstance(fit, bool):
                raise self._spoilt(member, f"returned 'fit' = {_shown(fit)}", "it must be True or False")
        if behaviour is not None and type(behaviour) is not bytes:
            raise self._spoilt(member, f"returned 'behaviour' = {_shown(behaviour)}", "it must be bytes")
        if fitness is not None:
            fitness = self._fitness(member, fitness if isinstance(fitness, (tuple, list)) else (fitness,))
        elif fit:
            raise self._spoilt(member, "returned 'fit' = True without a fitness", "an invalid program cannot be fit")
        return Evaluation(
            fitness,
            fit,
            behaviour_digest(behaviour) if behaviour else b"",
            None if metrics is None else self._metrics(member, metrics),
        )

    def _fitness(self, member: str, values: Sequence[Any]) -> tuple[float, ...]:
        fitness = tuple([value if type(value) is float else self._number(member, "fitness", value) for value in values])
        for value in fitness:
            if value != value:
                raise self._spoilt(
                    member, "returned a fitness that is NaN", "return None for a program that is invalid"
                )
        if len(fitness) != self._numbers or not fitness:
            # Programs of one task are compared number by number; a second length would order by accident.
            if not 1 <= len(fitness) <= MAX_FITNESS_NUMBERS:
                raise self._broken(
                    member, f"returned {len(fitness)} fitness numbers", f"give 1 to {MAX_FITNESS_NUMBERS}"
                )
            if self._numbers:
                raise self._broken(
                    member,
                    f"returned {len(fitness)} fitness numbers where it returned {self._numbers} before",
                    "give as many for every program",
                )
            self._numbers = len(fitness)
        return fitness

    def _metrics(self, member: str, metrics: Any) -> dict[str, float]:
        if not isinstance(metrics, Mapping) or not all(isinstance(key, str) for key in metrics):
            raise self._spoilt(member, f"returned 'metrics' = {_shown(metrics)}", "it must be numbers by name")
        return {key: self._number(member, f"metrics[{key!r}]", value) for key, value in metrics.items()}

    def _number(self, member: str, what: str, value: Any) -> float:
        value = _plain(value)
        if hasattr(value, "__float__"):
            try:
                return float(value)
            except OverflowError as error:
                raise self._spoilt(member, f"returned {what} = {_shown(value)}", "scale it down") from error
        raise self._spoilt(member, f"returned {what} = {_shown(value)}", "it must be a number")


def _plain(value: Any) -> Any:
    """A numpy scalar or array as Python's own number or list; anything else as it is."""
    tolist = getattr(value, "tolist", None)
    return tolist() if callable(tolist) else value


def _is_grid(rows: Any) -> bool:
    if not isinstance(rows, (list, tuple)) or not rows or not all(isinstance(row, (list, tuple)) for row in rows):
        return False
    if not rows[0] or any(len(row) != len(rows[0]) for row in rows):
        return False
    return all(type(cell) is int and 0 <= cell <= 9 for row in rows for cell in row)


def _shown(value: Any) -> str:
    """A value and its type in an error, cut to a readable length."""
    text = repr(value)
    if len(text) > 80:
        text = text[:77] + "..."
    return text if value is None else f"{text} ({type(value).__name__})"


def _shown_beside(value: bytes, other: bytes) -> str:
    """Bytes beside others that are shown before them: if both begin alike for long, what they differ in."""
    at = next((at for at, (a, b) in enumerate(zip(value, other, strict=False)) if a != b), min(len(value), len(other)))
    if at < ALIKE_BYTES:
        return _shown(value)
    return f"other bytes: from byte {at} on {_shown(value[at:])} in place of {_shown(other[at:])}"
