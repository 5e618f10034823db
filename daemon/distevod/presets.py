"""Presets: what a kind of platform and a kind of network bring along, and how the kind is recognised.

The figures are the performance tuning guide's ("Platform-Specific Recommendations", "Heartbeat Optimization",
"Population Sharding Strategy"). A preset stands below everything that the user says and above the defaults.
"""

from collections.abc import Mapping

PLATFORM_PRESETS: Mapping[str, Mapping[str, float | str]] = {
    # "every 1-2 generations": the dearer end of what is allowed, since Kaggle is the stable one
    "kaggle": {
        "workers": 2,
        "memory_mb": 4096,
        "islands_per_platform": 4,
        "batch_size": 500,
        "checkpoint_generations": 2,
        "session_limit": 43_200.0,
        "listen": "none",
        "coordinator_priority": 0,
    },
    "colab": {
        "workers": 2,
        "memory_mb": 12288,
        "islands_per_platform": 3,
        "batch_size": 250,
        "checkpoint_generations": 1,
        "session_limit": 43_200.0,
        "listen": "none",
        "coordinator_priority": 30,
    },
    # the guide names no islands for it: its memory decides
    "paperspace": {
        "workers": 1,
        "memory_mb": 2048,
        "batch_size": 100,
        "checkpoint_generations": 1,
        "listen": "none",
        "coordinator_priority": 40,
    },
    # "variable based on hardware", "less frequent": the hardware and the defaults decide
    "local": {"islands_per_platform": 2, "coordinator_priority": 20},
    # not in the guide: a machine that stays up is a local one that nobody closes
    "server": {"islands_per_platform": 2, "coordinator_priority": 10},
}
"""Kind to setting name to value; what is absent is decided by the hardware or by the default.

Nobody can dial a notebook: it listens nowhere, and dials out. Sessions of Kaggle and of free Colab end after 12 hours;
Paperspace's differ by what is paid.

Who coordinates: Kaggle first ("coordinator role"), a local machine as backup ("backup coordinator"); Colab ("worker
role") and Paperspace ("supplementary worker role") only where nobody else is left.
"""

NETWORK_PRESETS: Mapping[str, Mapping[str, float]] = {
    "stable": {"heartbeat_interval": 10.0, "heartbeat_timeout": 30.0},
    "unstable": {"heartbeat_interval": 20.0, "heartbeat_timeout": 60.0},
    "low-latency": {"heartbeat_interval": 5.0, "heartbeat_timeout": 15.0},
}

_MARKS = (
    # Kaggle first: its images are built on Colab's and may carry Colab's variables along
    ("kaggle", ("KAGGLE_KERNEL_RUN_TYPE", "KAGGLE_URL_BASE")),
    ("colab", ("COLAB_RELEASE_TAG", "COLAB_GPU", "COLAB_BACKEND_VERSION")),
    ("paperspace", ("PAPERSPACE_NOTEBOOK_REPO_ID", "PAPERSPACE_FQDN", "PAPERSPACE_CLUSTER_ID")),
)


def detect_kind(environ: Mapping[str, str]) -> tuple[str, str]:
    """The kind of platform that an environment shows, and the variable that gave it away ("" for a local
    one)."""
    for kind, variables in _MARKS:
        for variable in variables:
            if variable in environ:
                return kind, variable
    return "local", ""
