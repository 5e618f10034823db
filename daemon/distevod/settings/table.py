"""Every setting, once: what it is, what it may be, where it is given, and why it is as it is.

Flags, environment variables, YAML keys, checks, `distevod config --explain` and the manual are all made from
`SETTINGS`; to add a setting, add a row here and its field in `load.Settings`.
"""

from typing import NamedTuple

from distevo.sharding import ISLANDS_PER_4_GB, SHARDINGS
from distevod.presets import NETWORK_PRESETS, PLATFORM_PRESETS
from distevod.settings.value import (
    Choice,
    CountOrShare,
    Duration,
    Endpoints,
    Function,
    HostAndPort,
    Identifier,
    Location,
    Number,
    Switch,
    Times,
    Value,
    Whole,
)

WORKER_MEMORY_MB = 96
"""The least memory, in MiB, that a worker process can work in. Measured: with numpy and the grid problems imported
its data segment is 60 MiB before the first program, and at a limit of 56 MiB the imports fail."""

OTHER_VARIABLES = ("DISTEVO_CONFIG", "DISTEVO_DEBUG", "DISTEVO_GCS_CREDENTIALS", "DISTEVO_PROFILE", "DISTEVO_TRACE")
"""Variables with our prefix that are not settings: the settings file, tracebacks of commands, a bucket's key, and the
folders for profiles and for traces of evaluations."""

OF_NO_ENTRY = ("id", "state_dir")
"""Settings that an entry of `platforms:` does not give: by the id it is found, and the folder is the machine's."""


class Setting(NamedTuple):
    """One row: everything that is known about a setting before anybody gives it a value."""

    name: str
    value: Value
    default: int | float | str | bool | tuple[str, ...] | None
    """None: `formula` says how it is computed."""

    unit: str
    meaning: str
    formula: str
    tradeoff: str
    yaml: tuple[str, ...] = ()
    """The guide's YAML keys, beside the name itself for all platforms and for one: `section.key` or `list[].key`."""

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        return "DISTEVO_" + self.name.upper()

    @property
    def keys(self) -> tuple[str, ...]:
        in_entries = () if self.name in OF_NO_ENTRY else (f"platforms[].{self.name}",)
        return (self.name, *in_entries, *self.yaml)


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "id",
        Identifier(),
        None,
        "",
        "The name of this platform in the cluster.",
        "The host name up to its first dot, with other characters made hyphens, at most 64 of them.",
        "A name of your own survives a new machine or notebook session, and lets one settings file serve "
        "many platforms. Two platforms of one name are told apart, but are hard for people to tell apart.",
    ),
    Setting(
        "kind",
        Choice(*PLATFORM_PRESETS),
        None,
        "",
        "The kind of this platform, which chooses its preset.",
        "Recognised by the variables that Kaggle, Colab and Paperspace set in a notebook; else local.",
        "A wrong kind costs speed or memory, never results.",
    ),
    Setting(
        "network",
        Choice(*NETWORK_PRESETS),
        "stable",
        "",
        "The kind of network between the platforms, which chooses the two heartbeat settings.",
        "stable 10 s and 30 s, unstable 20 s and 60 s, low-latency 5 s and 15 s.",
        "Unstable outlasts longer gaps and finds a dead platform later; low-latency is the reverse and sends "
        "twice as many heartbeats. A heartbeat setting of your own stands above it.",
    ),
    Setting(
        "store",
        Location(url=True),
        None,
        "",
        "Where runs, checkpoints and results are kept: the one thing that all platforms share.",
        "The folder `store` in the state folder.",
        "A folder reaches as far as its file system: one that several machines mount makes them one cluster. "
        "gs://BUCKET/PREFIX, in Google Cloud Storage, is reached from everywhere, and costs for what is asked of it.",
    ),
    Setting(
        "state_dir",
        Location(url=False),
        None,
        "",
        "The folder that belongs to this daemon alone: its lock, its keys and its log.",
        "STATE_DIRECTORY (set by systemd), else $XDG_STATE_HOME/distevo, else ~/.local/state/distevo.",
        "One daemon runs per state folder; give each its own to run several on one machine.",
    ),
    Setting(
        "workers",
        Whole(1, 1024),
        None,
        "processes",
        "Worker processes, each of which evolves one or more islands.",
        "The preset, else the cores that this process may use (affinity and container quota), but no more "
        f"than one for each {WORKER_MEMORY_MB} MiB of memory_mb.",
        "Fewer leave cores to others; more than there are cores add memory and no speed.",
        ("platforms[].worker_count",),
    ),
    Setting(
        "memory_mb",
        Whole(WORKER_MEMORY_MB, 16 * 1024 * 1024),
        None,
        "MiB",
        "Memory for all workers together; each may use an equal part of it and is replaced when it wants more.",
        "The preset, else half of the memory that this machine or container has.",
        "Less makes large populations and wild programs fail; more risks that the system kills what it likes.",
        ("platforms[].memory_limit_mb", "platforms[].memory_limit"),
    ),
    Setting(
        "islands_per_platform",
        Whole(1, 1024),
        None,
        "islands",
        "The most islands that this platform has in work at a time; the others that it is given wait their turn.",
        f"The preset, else as many as memory_mb has room for, {ISLANDS_PER_4_GB} for each 4096 MiB; more than that "
        "is cut to it, with a warning unless a preset says so. Fewer than there are workers is raised to these, which "
        "would idle; more than two for each worker are never in work.",
        "More let the islands of one task evolve side by side, and exchange programs while they do: a worker shares "
        "its time among those of one task. Islands of other tasks wait for their turn there. Each takes memory.",
        ("distributed_evolution.islands_per_platform",),
    ),
    Setting(
        "sharding",
        Function(*SHARDINGS),
        "capability",
        "",
        "How the platforms' shares of the islands are weighed, while this one coordinates.",
        "capability: workers x memory_mb x batch_size, of a slow platform less; speed: workers / how many times as "
        "long as the cluster's median the platform was measured to take for the same work; or what a function of your "
        "own, calculate_platform_shard_sizes(platforms, total_population), returns for each platform's id.",
        "capability holds from the first moment; speed tells unequal machines apart that say the same of themselves. A "
        "function that fails, or returns what is no share, is replaced by capability, and the log says so. It runs in "
        "the daemon's own loop whenever islands are placed: it has to return at once, to ask nobody, and to say the "
        "same of the same platforms.",
        ("distributed_evolution.sharding",),
    ),
    Setting(
        "avg_generation_time_threshold",
        Times(1.1, 100.0),
        2.5,
        "times",
        "A platform whose generations take so many times as long as they would on the cluster's median platform gives "
        "islands away, while this one coordinates.",
        "2.5: an island that moves shares a worker there, which halves its speed, so below 2 nothing is won. Not in "
        "seconds, since tasks differ a hundredfold: what is compared is the time that passes for a second of work, on "
        "runs that several platforms work on. It has to last for 20 s, and is over below 0.7 of it.",
        "Lower follows smaller differences and moves more; higher, or off, leaves islands on a platform that has "
        "become slow. It keeps as many as it has workers, unless others would idle.",
        ("distributed_evolution.avg_generation_time_threshold",),
    ),
    Setting(
        "batch_size",
        Whole(1, 100_000),
        250,
        "programs",
        "The most programs that an island proposes and evaluates in one generation.",
        "The preset (kaggle 500, colab 250, paperspace 100), else 250.",
        "Larger means less overhead for each program; smaller means less to lose when a platform vanishes "
        "and less memory.",
    ),
    Setting(
        "generation_seconds",
        Number(0.01, 600.0),
        1.0,
        "seconds",
        "The most work in one generation: an island ends it early rather than exceed this.",
        "1, as slow problems need it; fast ones reach batch_size first.",
        "Longer means less overhead; shorter means that stopping, migrating and checkpointing wait less, and "
        "that a killed worker loses less.",
    ),
    Setting(
        "evaluation_timeout_seconds",
        Number(0.01, 86_400.0),
        10.0,
        "seconds",
        "The wall clock limit of one evaluation; whatever takes longer is invalid and its worker is replaced. A step "
        "of the trial of a problem that is submitted may take three times that, and 30 s at least.",
        "10: far above what a sound program of the problems that ship needs (milliseconds).",
        "Too low throws good slow programs away; too high lets each endless program hold a worker that long.",
    ),
    Setting(
        "checkpoint_generations",
        Whole(1, 10_000),
        5,
        "generations",
        "A checkpoint is due after this many generations of an island, or after checkpoint_seconds.",
        "The preset (kaggle 2, colab 1, paperspace 1), else 5.",
        "More generations mean less overhead and more to do again after a crash.",
    ),
    Setting(
        "checkpoint_seconds",
        Number(0.1, 86_400.0),
        5.0,
        "seconds",
        "A checkpoint is due after this time, or after checkpoint_generations, whichever comes first.",
        "5.",
        "Longer means less overhead; shorter means less to do again after a crash. A bucket takes no more than one in "
        "30 s, which costs, unless one is urgent.",
    ),
    Setting(
        "merge_interval",
        Number(0.0, 86_400.0),
        10.0,
        "seconds",
        "The time between two merges: this platform asks each other that has better programs of a task for what it "
        "lacks of them; 0 never asks.",
        "10, as heartbeats, which carry the questions: below heartbeat_interval it is that.",
        "Shorter shows sooner on every platform what the cluster has found, and less is lost with a platform that "
        "dies between two checkpoints; longer sends less. Evolution waits for none of it.",
    ),
    Setting(
        "preserve_top_n",
        CountOrShare(256),
        20,
        "programs",
        "How many of the best programs of a task a merge keeps: a count of them all, or a share of each island's.",
        "20, one for each behaviour.",
        "More keep more of what was found, and send and hold more; at 1 only the best of each task travels.",
    ),
    Setting(
        "session_limit",
        Duration(60.0, 30 * 86_400.0),
        None,
        "seconds",
        "How long this platform is there, from the daemon's start: for the last ten minutes of it checkpoints are made "
        "whenever 0.8 of heartbeat_timeout has passed, and two minutes before its end its islands go to others.",
        "By kind: kaggle and colab 12h, as their sessions last; else none.",
        "Too long, and the end comes unforeseen: what was done since the last checkpoint is done again. Too short, and "
        "the platform leaves early. A daemon that is started late in a session has less than the session's time.",
    ),
    Setting(
        "max_concurrent_uploads",
        Whole(1, 64),
        10,
        "uploads",
        "The most objects that are written into the store at a time.",
        "10.",
        "Fewer leave more of a weak line to each; more write many results sooner over a line that is far.",
    ),
    Setting(
        "upload_timeout",
        Number(1.0, 3600.0),
        30.0,
        "seconds",
        "How long sending an object to a bucket may take, and once more its answer; then that counts as failed.",
        "30.",
        "Shorter notices sooner that a line is gone; too short never gets a large checkpoint over a slow one.",
    ),
    Setting(
        "enable_compression",
        Switch(),
        True,
        "",
        "Whether checkpoints are compressed.",
        "On: text of programs shrinks by 60 to 80 % and more.",
        "Off saves a little processor time in the background and costs several times the storage and transfer.",
    ),
    Setting(
        "compression_level",
        Whole(1, 9),
        6,
        "",
        "The zlib level of checkpoints; the last before an end has 1.",
        "6, a balance of time and size.",
        "1 to 3 are fast, for frequent checkpoints; 9 is smallest and slowest, for large populations.",
    ),
    Setting(
        "heartbeat_interval",
        Number(0.1, 3600.0),
        None,
        "seconds",
        "The time between two signs of life to the other members.",
        "By network: stable 10, unstable 20, low-latency 5.",
        "Shorter finds trouble sooner and sends more.",
        ("distributed_evolution.heartbeat_interval",),
    ),
    Setting(
        "heartbeat_timeout",
        Number(0.2, 36_000.0),
        None,
        "seconds",
        "A member that was not heard for this long is dead, and its islands move.",
        "By network: stable 30, unstable 60, low-latency 15; must be above heartbeat_interval, and the "
        "presets keep three intervals.",
        "Shorter moves islands sooner, and also those of a member that was merely slow.",
        ("distributed_evolution.heartbeat_timeout",),
    ),
    Setting(
        "listen",
        Endpoints(wild=True, most=1),
        None,
        "",
        "The address at which other members can dial this one.",
        "By kind: local and server tcp://*:0 (every address, a free port), notebooks none.",
        "Links carry in milliseconds what the store's mail carries in seconds, and one member that can be dialled "
        "links all that reach it, each other included. A port of your own can be let through a firewall. Whoever "
        "reaches it without a key of the cluster gets nothing.",
    ),
    Setting(
        "advertise",
        Endpoints(),
        (),
        "",
        "The addresses that others are told to dial, where they are not those that this machine knows of itself.",
        "None: the addresses of this machine's interfaces, with the port of listen.",
        "Needed behind a forwarded port or a tunnel, and where a name stands for a changing address.",
    ),
    Setting(
        "peer",
        Endpoints(),
        (),
        "",
        "Further addresses at which to look for other members, beside those that they advertise.",
        "None: the store says where everybody is.",
        "For members that are reached from here in a way they do not know of, as through an SSH tunnel. Each address "
        "is tried for every member that is not linked yet; who answers has to have the key that the plan shows.",
    ),
    Setting(
        "socks_proxy",
        HostAndPort(),
        "",
        "",
        "A SOCKS 5 proxy through which other members are dialled.",
        "None: they are dialled directly.",
        "Where a network lets nothing out but through a proxy; all links then wait for it.",
    ),
    Setting(
        "mail_interval",
        Number(0.1, 120.0),
        None,
        "seconds",
        "The time between two boxes of mail that a member writes for those whom no link reaches.",
        "By store: 2 in a folder, 15 in a bucket, where each box costs.",
        "Longer costs less and delays all that goes by mail: programs, submitted runs, signs of life. A member "
        "that is heard by mail alone is dead after three intervals at the earliest, its own or those of who listens.",
    ),
    Setting(
        "coordinator_priority",
        Whole(0, 1000),
        None,
        "",
        "The place of this platform among those that may coordinate; the lowest goes first.",
        "By kind: kaggle 0, server 10, local 20, colab 30, paperspace 40; of equals, whoever is there longest.",
        "A stable platform in front means fewer changes of coordinator. It counts when one is needed and never "
        "unseats a coordinator that lives.",
    ),
    Setting(
        "lease_ttl",
        Number(5.0, 600.0),
        15.0,
        "seconds",
        "How long the coordinator's lease stands without being renewed before others may take it.",
        "15: room for ten writes of the one shared object, which takes one in 1.2 s at most.",
        "Shorter replaces a lost coordinator sooner; too short lets a slow store depose a healthy one.",
    ),
    Setting(
        "metrics_port",
        Whole(0, 65_535),
        8000,
        "",
        "The TCP port of the metrics page, served on all addresses of this machine; 0 picks a free one.",
        "8000.",
        "A fixed port is easy to scrape; with 0 several daemons share a machine without a thought. Whoever reaches the "
        "page can read the names of platforms and how they are, and change nothing: a firewall keeps others off.",
    ),
    Setting(
        "allow_problems",
        Choice("own", "store", "none"),
        "own",
        "",
        "Whose problem code this platform runs: own (what is installed here or submitted from here), store "
        "(also files that others submitted through the store), none (only the problems that ship).",
        "own.",
        "store lets a cluster run new problems at once, and lets whoever can write to the store run code here.",
    ),
    Setting(
        "log_format",
        Choice("text", "json"),
        "text",
        "",
        "How log lines are written.",
        "text.",
        "text is for people; json, one object a line, is for machines that collect logs.",
    ),
    Setting(
        "log_level",
        Choice("debug", "info", "warning", "error"),
        "info",
        "",
        "The least important lines that are still logged.",
        "info.",
        "debug shows every decision and grows fast; warning hides the ordinary course of things.",
    ),
)
